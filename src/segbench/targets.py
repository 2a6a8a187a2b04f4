"""What a config may name as ``_target_``, checked before anything of it is built.

Hydra 1.3 instantiates whatever a config names, so a config from elsewhere could run any code. Here
a target must belong to a listed package, by its name and by where it is defined, which refuses
``torch.os.system``. Its arguments are held against its signature, so that a slip is one clear line.
"""

import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from segbench.errors import ConfigError

PACKAGES = ("segbench", "torch", "torchvision", "lightning", "torchmetrics", "albumentations")
VARIABLE = "SEGBENCH_PACKAGES"
# Members of the listed packages that load or fetch code.
REFUSED = ("torch.load", "torch.hub", "torch.jit", "torch.package", "torch.utils.cpp_extension")
ROOT: dict[str, type] = {"seed": int, "overwrite": bool, "retry_failed": bool, "debug": bool}
# Values that segbench resolves before the target sees them.
OURS = {"trainer.precision": ("auto",)}
_PLAIN = (bool, int, float, str, type(None))


def allowed_packages() -> tuple[str, ...]:
    """The listed packages and those that the user adds in ``SEGBENCH_PACKAGES`` (by commas)."""
    added = os.environ.get(VARIABLE, "").split(",")
    return PACKAGES + tuple(name.strip() for name in added if name.strip())


def check_targets(cfg: DictConfig, omit: tuple[str, ...] = ("hydra",)) -> None:
    """Refuse foreign targets, unknown arguments and values of the wrong type anywhere in ``cfg``.

    Raises:
        ConfigError: naming the option, what it holds, what was expected.
    """
    for name, kind in ROOT.items():
        if name in cfg and not _fits(cfg[name], kind):
            value = cfg[name]
            raise ConfigError(
                f"{name}: expected {kind.__name__}, got {value!r} ({type(value).__name__})"
            )
    plain = OmegaConf.to_container(cfg, resolve=False)
    for path, node in _walk(plain, ""):
        if path.split(".")[0] not in omit:
            _check_node(path, node, OmegaConf.select(cfg, path) if path else cfg)


def _walk(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from _walk(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _walk(value, f"{path}[{place}]")


def _check_node(path: str, node: dict[str, Any], live: DictConfig) -> None:
    target = resolve_target(path, node["_target_"])
    function = target.__init__ if inspect.isclass(target) else target
    try:
        parameters = inspect.signature(target).parameters
        hints = typing.get_type_hints(function)
    except (TypeError, ValueError, NameError):  # built in C, or annotated with what is not there
        return
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in node:
        if name.startswith("_") and name.endswith("_"):
            continue
        if name not in parameters and not open_ended:
            raise ConfigError(_unknown(f"{path}.{name}", name, list(parameters), node["_target_"]))
        value = OmegaConf.select(live, name, throw_on_resolution_failure=False)
        if value is None and node[name] is not None:
            continue  # only a running job can resolve it: its folder, say
        ours = OURS.get(f"{path}.{name}", ())
        if name in hints and value not in ours and not _fits(value, hints[name]):
            raise ConfigError(
                f"{path}.{name}: expected {_describe(hints[name], ours)}, "
                f"got {value!r} ({type(value).__name__})"
            )


def resolve_target(path: str, name: Any) -> Callable[..., Any]:
    """The class or function that a ``_target_`` names.

    Raises:
        ConfigError: it is in no listed package, is defined elsewhere, or does not exist.
    """
    packages = allowed_packages()
    way_out = f"allowed packages: {', '.join(packages)}; add yours with {VARIABLE}=mypackage"
    refused = ConfigError(f"{path}._target_: {name!r} is not a permitted target; {way_out}")
    if not isinstance(name, str) or name.split(".")[0] not in packages:
        raise refused
    if any(name == taboo or name.startswith(f"{taboo}.") for taboo in REFUSED):
        raise refused
    try:
        target = get_object(name)
    except Exception as error:
        raise ConfigError(f"{path}._target_: cannot find {name!r} ({_reason(error)})") from error
    home = getattr(target, "__module__", None) or ""
    if not callable(target) or home.split(".")[0] not in packages:
        raise refused
    return typing.cast(Callable[..., Any], target)


def _reason(error: Exception) -> str:
    return str(error.__cause__ or error).splitlines()[0]


def _unknown(option: str, name: str, known: list[str], target: str) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}"
    return f"{option}: {target.rsplit('.', 1)[-1]} has no argument {name!r}; {hint}"


def _alternatives(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [part for each in typing.get_args(hint) for part in _alternatives(each)]
    return [hint]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain config value suits an annotation; what is not plain is let through."""
    parts = _alternatives(hint)
    if not isinstance(value, _PLAIN):
        return True
    return any(_fits_one(value, part) for part in parts)


def _fits_one(value: Any, part: Any) -> bool:
    if typing.get_origin(part) is typing.Literal:
        return value in typing.get_args(part)
    if part is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if part is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if part in _PLAIN:
        return isinstance(value, part)
    if part is None:
        return value is None
    # A plain value where a list, a path or an object belongs: only some of these can be judged.
    # A number may stand for a tensor, and is always named beside it: `lr: float | Tensor`.
    return (typing.get_origin(part) or part) not in (list, dict, tuple, _tensor())


def _tensor() -> Any:
    """The class Tensor where torch is imported: without it no annotation can hold it."""
    return getattr(sys.modules.get("torch"), "Tensor", list)


def _describe(hint: Any, ours: tuple[Any, ...]) -> str:
    words = [repr(value) for value in ours]
    for part in _alternatives(hint):
        if typing.get_origin(part) is typing.Literal:
            words += map(repr, typing.get_args(part))
        elif part is type(None):
            words.append("null")
        else:
            words.append(part.__name__ if inspect.isclass(part) else str(part))
    return " or ".join(dict.fromkeys(words))
