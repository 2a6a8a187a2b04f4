"""Builds networks of other packages: their options, and layers that they do not use."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn


def as_plain(value: Any) -> Any:
    """A copy of nested options with dictionaries and lists of Python, which packages expect.

    Example:
        >>> as_plain({"depths": (1, 2)})
        {'depths': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): as_plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_plain(each) for each in value]
    return value


def drop_unused(net: nn.Module, image: Tensor) -> list[str]:
    """Replace modules none of whose parameters affect the output by an identity.

    Some encoders are built with more layers than their decoder takes. These would count as
    parameters, and several processes refuse to train parameters without gradients.

    Args:
        net: maps an image to logits; it is changed.
        image: ``(N, C, H, W)`` of a size that the network takes; its values do not matter.

    Returns:
        The dotted names of the modules that were replaced; none if the network fails on the image.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.used, self.unused = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 9, 1)
        ...     def forward(self, image):
        ...         return self.used(image)
        >>> import torch
        >>> drop_unused(Net(), torch.empty(1, 3, 8, 8))
        ['unused']
    """
    tensors = [*net.parameters(), *net.buffers()]
    meta = {id(t): _on_meta(t) for t in tensors}  # instead of a copy of the weights
    shadow = copy.deepcopy(net, meta).train()
    try:
        output = shadow(image.to("meta"))
    except (AssertionError, RuntimeError, ValueError):  # images of other sizes may be taken
        return []
    reached = {id(tensor) for tensor in _leaves(output)}
    dropped: list[str] = []
    for name, module in list(net.named_modules()):
        if not name or name.startswith(tuple(f"{each}." for each in dropped)):
            continue
        parameters = list(module.parameters())
        if parameters and not any(id(meta[id(each)]) in reached for each in parameters):
            parent, _, child = name.rpartition(".")
            setattr(net.get_submodule(parent), child, nn.Identity())
            dropped.append(name)
    return dropped


def _on_meta(tensor: Tensor) -> Tensor:
    moved = tensor.detach().to("meta")
    return nn.Parameter(moved) if isinstance(tensor, nn.Parameter) else moved


def _leaves(output: Tensor) -> Iterator[Tensor]:
    """The parameters from which a tensor was computed."""
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        function = waiting.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        if hasattr(function, "variable"):
            yield function.variable
        waiting += [each for each, _ in function.next_functions]
