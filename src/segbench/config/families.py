"""The objects that a config may name as ``_target_``: an allow-list, by class.

A name is looked up only in the modules of a family. The object found must be a subclass of the
family's base class and be defined in the family's modules, so that aliases of other objects and
functions are refused. Only torchvision's registry of models is a family of functions.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import isclass
from typing import Any

from hydra.utils import get_object

from segbench.config.own_packages import VARIABLE, own_packages
from segbench.errors import ConfigError

Target = Callable[..., Any]
_NAME = re.compile(r"(?:(?!__)[A-Za-z_]\w*\.)+(?!__)[A-Za-z_]\w*", re.ASCII)
NAMED = (
    "segbench's classes, torch.optim, layers of torch.nn, torchvision's models, callbacks, loggers "
    "and the Trainer of Lightning, transforms of albumentations"
)


@dataclass(frozen=True)
class Family:
    """Classes that a config may name.

    Args:
        base: the full name of the common base class.
        home: the package or module in which the classes are defined.
        aliases: further modules from which the classes may be named.
        refused: names of classes that are not permitted, because they take code as an argument.
    """

    base: str
    home: str
    aliases: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def covers(self, module: str) -> bool:
        """Whether members may be named from a module."""
        return _is_in(module, self.home) or module in self.aliases

    def holds(self, found: object) -> bool:
        """Whether an object is a member."""
        if not (isclass(found) and _is_in(found.__module__, self.home)):
            return False
        return issubclass(found, _load(self.base)) and found.__name__ not in self.refused


@dataclass(frozen=True)
class TorchvisionModels:
    """The functions in torchvision's registry, each of which builds a network."""

    home: str = "torchvision.models"

    def covers(self, module: str) -> bool:
        """Whether members may be named from a module."""
        return _is_in(module, self.home)

    def holds(self, found: object) -> bool:
        """Whether an object is a member."""
        return not isclass(found) and any(found is builder for builder in torchvision_builders())


@cache
def torchvision_builders() -> tuple[Target, ...]:
    """All functions in torchvision's registry of models."""
    from torchvision.models import get_model_builder, list_models

    return tuple(get_model_builder(name) for name in list_models())


DATA = Family("segbench.data.base.SegmentationDataModule", "segbench.data")
NETWORKS = Family("torch.nn.Module", "segbench.models")
LAYERS = Family("torch.nn.Module", "torch.nn.modules", ("torch.nn",))
BUILDERS = TorchvisionModels()
LOSSES = Family("torch.nn.Module", "segbench.losses")
_CALLBACK = "lightning.pytorch.callbacks.Callback"
_LOGGER = "lightning.pytorch.loggers.Logger"
_TRANSFORMS = "albumentations.augmentations"
FAMILIES: tuple[Family | TorchvisionModels, ...] = (
    DATA,
    NETWORKS,
    LAYERS,
    BUILDERS,
    LOSSES,
    Family("torch.optim.Optimizer", "segbench.optimizers"),
    Family("torch.optim.Optimizer", "torch.optim"),
    Family("torch.optim.lr_scheduler.LRScheduler", "torch.optim"),
    Family(_CALLBACK, "segbench.callbacks"),
    Family(_LOGGER, "segbench.callbacks"),
    Family(_CALLBACK, "lightning.pytorch.callbacks"),
    Family(_LOGGER, "lightning.pytorch.loggers"),
    Family("lightning.Trainer", "lightning.pytorch.trainer", ("lightning", "lightning.pytorch")),
    Family("albumentations.BasicTransform", _TRANSFORMS, ("albumentations",), ("Lambda",)),
    Family("albumentations.BaseCompose", "albumentations.core.composition", ("albumentations",)),
)


# the families that a run folder's config may name in a node, and their description
IN_RUNS: dict[str, tuple[tuple[Family | TorchvisionModels, ...], str]] = {
    "data": ((DATA,), "a data set of segbench"),
    "loss": ((LOSSES,), "a loss of segbench"),
    "model": ((NETWORKS, LAYERS, BUILDERS), "a network of segbench, torch.nn or torchvision"),
}


@dataclass(frozen=True)
class Permitted:
    """The objects that configs of one origin may name.

    Args:
        families: the families whose members are permitted.
        packages: the packages in which every object is permitted that is defined there.
        hint: the permitted objects and the way out, for messages.
    """

    families: tuple[Family | TorchvisionModels, ...]
    packages: tuple[str, ...]
    hint: str


def permitted_in_configs() -> Permitted:
    """The objects that a config of the user's own may name."""
    hint = f"permitted: {NAMED}; add yours with {VARIABLE}=mypackage"
    return Permitted(FAMILIES, own_packages(), hint)


def permitted_in_runs(group: str, trust: tuple[str, ...]) -> Permitted:
    """The objects that the config of a run folder, which is not trusted, may name.

    Args:
        group: the node of the config, ``data``, ``loss`` or ``model``.
        trust: the packages that the user trusts in this run folder.
    """
    families, named = IN_RUNS[group]
    hint = f"a run may name {named}; trust=mypackage adds one of yours, if you trust the run"
    return Permitted(families, trust, hint)


def resolve_target(path: str, name: Any, permitted: Permitted | None = None) -> Target:
    """The class or function that a ``_target_`` names.

    Args:
        path: the dotted name of the node in the config.
        name: the value of its ``_target_``.
        permitted: the permitted objects; None: those for a config of the user's own.

    Raises:
        ConfigError: the object is not permitted, or does not exist.
    """
    permitted = permitted or permitted_in_configs()
    refused = ConfigError(f"{path}._target_: {name!r} is not a permitted target; {permitted.hint}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise refused
    own = name.split(".")[0] in permitted.packages
    families = [each for each in permitted.families if each.covers(name.rpartition(".")[0])]
    if not own and not families:
        raise refused  # before anything is imported
    found = _find(path, name, own)
    home = str(getattr(found, "__module__", None) or "").split(".")[0]
    owned = own and callable(found) and home in permitted.packages
    if not owned and not any(family.holds(found) for family in permitted.families):
        raise refused
    target: Target = found
    return target


def _find(path: str, name: str, own: bool) -> Any:
    try:
        if own:
            return get_object(name)
        module, _, attribute = name.rpartition(".")
        found = getattr(import_module(module), attribute)
        if get_object(name) is not found:  # Hydra, which builds it, must find the same object
            raise ImportError("two objects have this name")
        return found
    except Exception as error:
        hint = f"; in the current folder, only packages in {VARIABLE} are found" if own else ""
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConfigError(f"{path}._target_: cannot find {name!r} ({reason}){hint}") from error


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@cache
def _load(name: str) -> type:
    module, _, attribute = name.rpartition(".")
    found: type = getattr(import_module(module), attribute)
    return found
