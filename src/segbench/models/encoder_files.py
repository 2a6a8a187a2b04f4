"""Loads the weights of an encoder from a file, whatever names its keys have before their ends."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from segbench.models.pretrained import adapted_filters
from segbench.weight_files import WeightsError

# What precedes the keys of an encoder's own layers, here and in files of other networks
PREFIXES = (
    *("", "model.", "encoder.", "encoder.model.", "backbone.", "module.", "net.encoder."),
    *("net.encoder.model.", "network.net.encoder.", "network.net.encoder.model."),
)
_SHOWN = 4  # names in a message


def load_encoder(encoder: nn.Module, path: Path) -> None:
    """Load all weights of a file that fit an encoder, and warn of those that do not.

    A weight fits if its name is the same, apart from a prefix and from dots that stand for
    underscores, and its shape too. Filters for RGB are adapted to other numbers of channels.

    Args:
        encoder: the encoder; its weights are replaced.
        path: a file of ``torch.save`` that holds weights alone, or a safetensors file.

    Raises:
        WeightsError: the file cannot be read, or no weight fits.
    """
    state = _read(path)
    own = {k: v for k, v in encoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    found = max(
        (_fitting(own, state, before, given) for before in PREFIXES[:2] for given in PREFIXES),
        key=len,
    )
    if not found:
        raise WeightsError(
            f"{path}: none of its {len(state)} weights fits this encoder; the file has "
            f"{_some(list(state))}, and the encoder {_some(list(own))}"
        )
    encoder.load_state_dict({key: tensor for key, (_, tensor) in found.items()}, strict=False)
    taken = {name for name, _ in found.values()}
    missing = [key for key in own if key not in found]
    surplus = [k for k in state if k not in taken and not k.endswith("num_batches_tracked")]
    if missing:
        warnings.warn(f"{path}: these layers stay random: {_some(missing)}", stacklevel=2)
    if surplus:
        warnings.warn(f"{path}: these weights are not used: {_some(surplus)}", stacklevel=2)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            state: object = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can cause any error
        text = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: damaged, or holds more than weights ({text})") from error
    for key in ("state_dict", "model", "model_state_dict"):
        inner = state.get(key) if isinstance(state, Mapping) else None
        state = inner if isinstance(inner, Mapping) else state
    tensors = state.items() if isinstance(state, Mapping) else ()
    return {str(key): value for key, value in tensors if isinstance(value, Tensor)}


def _fitting(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], before: str, given: str
) -> dict[str, tuple[str, Tensor]]:
    """For each key of the encoder the name and the tensor in the file that fit it."""
    names = {_plain(key.removeprefix(given)): key for key in state if key.startswith(given)}
    found = {}
    for key, tensor in own.items():
        name = names.get(_plain(key.removeprefix(before)))
        if name is None:
            continue
        adapted = _adapted(state[name], tensor)
        if adapted is not None:
            found[key] = (name, adapted)
    return found


def _plain(key: str) -> str:
    """A key as timm's networks of features have it: ``stages_0`` for ``stages.0``."""
    return key.replace(".", "_")


def _adapted(given: Tensor, own: Tensor) -> Tensor | None:
    if given.shape == own.shape:
        return given
    filters = given.ndim == own.ndim == 4 and given.shape[1] == 3
    if filters and given.shape[0] == own.shape[0] and given.shape[2:] == own.shape[2:]:
        return adapted_filters(given, own.shape[1])
    return None


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
