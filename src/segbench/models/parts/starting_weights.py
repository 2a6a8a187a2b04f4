"""Loads into a network the weights of a file or a cell that fit it, of all or of its encoder."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import Tensor, nn

from segbench.errors import WeightsError
from segbench.models.parts.pretrained import adapted_filters

# What precedes the names of the same layers in files of other networks and packages
FILES = (
    *("", "model.", "module.", "network.", "net.", "features."),
    *("encoder.", "encoder.model.", "backbone."),
    *("net.encoder.", "net.encoder.model.", "net.backbone.", "network.encoder."),
    *("network.net.encoder.", "network.net.encoder.model.", "network.net.backbone."),
)
WRAPPER = "net."  # of a network of another package
ENCODERS = (
    "net.encoder.model.",
    "encoder.model.",
    "net.encoder.",
    "net.backbone.",
    "encoder.",
    "backbone.",
)
_SHOWN = 4  # names in a message
Names = dict[str, str]


def load_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load all weights that fit a network or its encoder, and warn of those that do not.

    A weight fits if its name is the same, apart from a prefix and from dots that stand for
    underscores, and its shape too. Filters for RGB are adapted to other numbers of channels. If
    the weights are of the encoder alone, a network that can convert its images to those that its
    encoder was trained on (``expect_pretrained_images``) does so from now on.

    Args:
        network: its weights are replaced.
        state: the weights by name, of a whole network or of an encoder.
        source: where they come from, for messages.

    Raises:
        WeightsError: no weight fits.
    """
    found = load_fitting(network, state, source)
    encoder = {key: None for names in _encoders(network) for key in names.values()}
    of_encoder = found.keys() <= encoder.keys()
    if of_encoder and hasattr(network, "expect_pretrained_images"):
        network.expect_pretrained_images()  # type: ignore[operator]
    parameters = [key for key, _ in network.named_parameters()]
    own = [key for key in parameters if key in encoder or not of_encoder]
    missing = [key for key in own if key not in found]
    taken = {name for name, _ in found.values()}
    surplus = [name for name in _counted(state) if name not in taken]
    if missing:
        warnings.warn(f"{source}: these layers stay random: {_some(missing)}", stacklevel=2)
    if surplus:
        warnings.warn(f"{source}: these weights are not used: {_some(surplus)}", stacklevel=2)


def load_fitting(
    network: nn.Module, state: Mapping[str, Tensor], source: str
) -> dict[str, tuple[str, Tensor]]:
    """Load all weights that fit; returns them as `fitting` does."""
    found = fitting(network, state, source)
    own = network.state_dict()
    network.load_state_dict(own | {key: tensor for key, (_, tensor) in found.items()})
    return found


def fitting(
    network: nn.Module, state: Mapping[str, Tensor], source: str
) -> dict[str, tuple[str, Tensor]]:
    """For each weight of a network its name and value in a file; nothing is loaded.

    Raises:
        WeightsError: no weight fits.
    """
    own = network.state_dict()
    whole: Names = {key: key for key in _counted(own)}
    wrapped: Names = {key.removeprefix(WRAPPER): key for key in whole}
    tried = [_matched(own, names, state) for names in (whole, wrapped, *_encoders(network))]
    found = max(tried, key=len)
    if not found:
        raise WeightsError(
            f"{source}: none of its {len(state)} weights fits this network; the source has "
            f"{_some(list(state))}, and the network {_some(list(whole))}"
        )
    return found


def _encoders(network: nn.Module) -> Iterator[Names]:
    """The network's weights by the names that they have in a file of its encoder alone."""
    if hasattr(network, "torchvision_names"):
        yield network.torchvision_names()  # type: ignore[operator]
    keys = _counted(network.state_dict())
    for before in ENCODERS:
        if names := {key.removeprefix(before): key for key in keys if key.startswith(before)}:
            yield names


def _counted(state: Iterable[str]) -> list[str]:
    """The names but for counters of batches, which change nothing."""
    return [key for key in state if not key.endswith("num_batches_tracked")]


def _matched(
    own: Mapping[str, Tensor], names: Names, state: Mapping[str, Tensor]
) -> dict[str, tuple[str, Tensor]]:
    """For each key of the network the name and value of the weight that fits it."""
    wanted = {_plain(name): key for name, key in names.items()}
    best: dict[str, tuple[str, Tensor]] = {}
    for before in FILES:
        found = {}
        for name in _counted(state):
            key = wanted.get(_plain(name.removeprefix(before)), "")
            if not key or not name.startswith(before):
                continue
            value = _adapted(state[name], own[key])
            if value is not None:
                found[key] = (name, value)
        best = max(best, found, key=len)
    return best


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
