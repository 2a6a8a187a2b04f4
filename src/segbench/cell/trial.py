"""Builds the parts of a cell once, without allocating weights, to find errors before training."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segbench.config.build import USERS_ERRORS, build, refusal
from segbench.data.options import as_size
from segbench.errors import ConfigError
from segbench.records.weight_files import find_weights, is_source, read_weights
from segbench.types import logit_channels

_STATES = 4  # numbers per parameter: a weight, its gradient and Adam's two averages


def try_parts(cfg: DictConfig | Mapping[str, Any]) -> None:
    """Build a cell's network, loss, optimizer, scheduler and callbacks once.

    An error in any cell of a sweep is so found before the first one is trained. The network's
    weights are not allocated. Each node of the config is built once per process, even if many
    cells share it.

    Raises:
        ConfigError: a part cannot be built; the text names the option.
    """
    if cfg.get("model") is not None:
        network_flops(cfg)
    _try_node(_text(cfg["loss"]), "loss")
    _try_optimizer(_text(cfg["optimizer"]), _text(cfg.get("scheduler")))
    for name, node in (cfg.get("callbacks") or {}).items():
        if node:
            _try_node(_text(node), f"callbacks.{name}")


def network_flops(cfg: DictConfig | Mapping[str, Any]) -> int | None:
    """FLOPs of a cell's network for one image, counted once for each network of a process.

    None for a network that needs the content of a tensor, which the trial does not have.

    Raises:
        ConfigError: the network cannot be built, or does not return what it should.
    """
    data = cfg["data"]
    size = as_size(data.get("patch") or data["size"])
    facts = data["in_channels"], logit_channels(data["num_classes"]), size
    return _try_network(_text(cfg["model"]), *facts)


def _text(node: Any) -> str:
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return json.dumps(plain, default=str)


@cache
def _try_node(text: str, option: str) -> None:
    build(json.loads(text), option)


@cache
def _try_optimizer(text: str, scheduler: str) -> None:
    import torch

    from segbench.cell.task import asks_for_total_steps

    make = build(json.loads(text), "optimizer")
    try:
        optimizer = make([torch.nn.Parameter(torch.zeros(1))])
    except USERS_ERRORS as error:
        raise refusal("optimizer", error) from error
    node = json.loads(scheduler)
    if not node:
        return
    plan = build(node, "scheduler")
    try:
        plan(optimizer, **({"total_steps": 10} if asks_for_total_steps(plan) else {}))
    except USERS_ERRORS as error:
        raise refusal("scheduler", error) from error


@cache
def _try_network(text: str, channels: int, logits: int, size: tuple[int, int]) -> int | None:
    """Build a network on torch's meta device, where tensors have shapes and no content.

    Returns:
        Its FLOPs for one image, by PyTorch's counter; None if it cannot be run there.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from segbench.models.parts.starting_weights import fitting

    node = json.loads(text)
    weights = node.get("weights") if isinstance(node, Mapping) else None
    if isinstance(weights, str):
        node = {**node, "weights": None}  # no pretrained weights, as this network is discarded
    height, width = size
    images = torch.empty(2, channels, height, width, device="meta")
    try:
        network = _without_weights(node)
        if is_source(weights):
            fitting(network, read_weights(find_weights(weights)), str(weights))
        _check_memory(sum(p.numel() for p in network.parameters()))
        with torch.no_grad():
            trained = network.train()(images)
            with FlopCounterMode(display=False) as counter:
                evaluated = network.eval()(images)
    except USERS_ERRORS as error:
        raise refusal("model", error) from error
    except (AssertionError, RuntimeError) as error:
        if isinstance(error, NotImplementedError) or "meta" in str(error):
            return None  # an operation needs a tensor's content
        raise ConfigError(
            f"model: it fails on images of {channels} channels and {height} × {width} pixels "
            f"({' '.join(str(error).split())}); perhaps another data.size helps"
        ) from error
    heads = trained if isinstance(trained, list) else [trained]
    for output in (*heads, evaluated):
        shape = tuple(getattr(output, "shape", ()))
        if shape != (2, logits, height, width):
            got = shape or type(output).__name__
            raise ConfigError(
                f"model: expected logits of the shape (2, {logits}, {height}, {width}) for images "
                f"(2, {channels}, {height}, {width}), or in training a list of them, got {got}"
            )
    return int(counter.get_total_flops()) // len(images)


def _without_weights(node: Any) -> Any:
    """A network on torch's meta device, which is moved there if it cannot be built there."""
    import torch

    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build(node, "model")
        except Exception as error:  # its constructor needs a tensor's content
            if "meta tensors" not in str(error):
                raise
            return build(node, "model").to("meta")


def _check_memory(parameters: int) -> None:
    """Refuse a network whose weights and training state exceed this machine's memory."""
    from segbench.hardware.device import largest_memory

    needed = 4 * _STATES * parameters
    if needed > (most := largest_memory()):
        raise ConfigError(
            f"model: {parameters:,} parameters take {needed / 2**30:,.0f} GiB to train, and this "
            f"machine has {most / 2**30:,.0f} GiB; choose a smaller network, such as a smaller "
            "model.base_channels or model.depth"
        )
