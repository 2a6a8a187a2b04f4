"""Builds objects from configs: resolves a config, checks every ``_target_`` in it, instantiates.

Hydra 1.3 instantiates any object that a config names, so that a config from elsewhere could run any
code. Here the config is resolved first. Every target in it must be a permitted object (`families`),
and its arguments must fit its signature; otherwise the error is one clear line. The resolved tree
that was checked is then instantiated.
"""

import inspect
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from functools import cache
from typing import Any

import hydra.utils
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segbench.config.families import Permitted, Target, permitted_in_configs, resolve_target
from segbench.config.starting_weights import own_arguments
from segbench.errors import ConfigError

ROOT: dict[str, type] = {"seed": int, "overwrite": bool, "retry_failed": bool, "debug": bool}
# Values that segbench replaces before the target is called.
OURS = {"trainer.precision": ("auto",)}
_PLAIN = (bool, int, float, str, type(None))


class _Unresolved:
    """Stands for a value that only a running job can resolve, such as its folder."""

    def __repr__(self) -> str:
        return "a value that cannot be resolved"


UNRESOLVED = _Unresolved()


def check_targets(cfg: DictConfig, only: Iterable[str] | None = None) -> None:
    """Refuse foreign targets, unknown arguments and values of the wrong type anywhere in ``cfg``.

    Args:
        cfg: a config of the user's own; its node ``hydra`` has been checked at composition.
        only: the keys to check; None: all.

    Raises:
        ConfigError: the text names the option, its value and the expected one.
    """
    check_root(cfg)
    for key in filter(lambda key: key != "hydra" and (only is None or key in only), cfg):
        check_tree(plain(cfg, key), str(key), permitted_in_configs())


def check_root(cfg: DictConfig) -> None:
    """Refuse values of the wrong type among the top-level options of a cell.

    Raises:
        ConfigError: the text names the option, its value and the expected one.
    """
    for name, kind in ROOT.items():
        value = cfg.get(name, kind())
        if OmegaConf.is_config(value) or not _fits(value, kind):
            raise ConfigError(
                f"{name}: expected {kind.__name__}, got {value!r} ({type(value).__name__})"
            )


def build(node: Any, permitted: Permitted | None = None, **given: Any) -> Any:
    """Resolve, check and instantiate a node of a config.

    Args:
        node: the node, with a ``_target_`` and its arguments.
        permitted: the permitted objects; None: those for a config of the user's own.
        given: further arguments of the target, which are not checked.

    Raises:
        ConfigError: the node names an object that is not permitted, or cannot be resolved.
    """
    if not OmegaConf.is_config(node):
        raise ConfigError(f"{node!r}: expected keys with values, among them _target_")
    path = node._get_full_key(None)
    tree: Any = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    refuse_interpolations(tree, path)
    permitted = permitted or permitted_in_configs()
    names = check_tree(tree, path, permitted)
    if "_target_" in tree:
        tree = own_arguments(path, tree, resolve_target(path, tree["_target_"], permitted))
    with execution_whitelist(names):
        return hydra.utils.instantiate(OmegaConf.create(tree), **given)


def execution_whitelist(names: Iterable[str]) -> AbstractContextManager[Any]:
    """Hydra's own allow-list of targets, which exists from version 1.4 on."""
    limit = getattr(hydra.utils, "execution_whitelist", None)
    scope: AbstractContextManager[Any] = nullcontext() if limit is None else limit(*names)
    return scope


def refuse_interpolations(tree: Any, path: str) -> None:
    """Refuse escaped interpolations, which a further resolution would change.

    Raises:
        ConfigError: there is one; the text names the key.
    """
    for key, value in leaves(tree, path):
        if isinstance(value, str) and "${" in value:
            raise ConfigError(f"{key}: {value!r}: expected a value, not an interpolation")


def leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every key and value in a tree of plain containers, with its dotted path."""
    if isinstance(node, dict):
        for key, value in node.items():
            inner = f"{path}.{key}" if path else str(key)
            yield inner, key
            yield from leaves(value, inner)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, node


def nodes(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every node with a ``_target_`` in a tree of plain containers, with its dotted path."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from nodes(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, f"{path}[{index}]")


def check_tree(tree: Any, path: str, permitted: Permitted) -> list[str]:
    """Check a resolved tree of plain containers; returns the targets in it.

    Raises:
        ConfigError: the text names the option, its value and the expected one.
    """
    found = []
    for option, node in nodes(tree, path):
        target = resolve_target(option, node["_target_"], permitted)
        _check_arguments(option, own_arguments(option, node, target), target)
        found += [node["_target_"], f"{target.__module__}.{target.__qualname__}"]
    return list(dict.fromkeys(found))


def plain(parent: DictConfig | ListConfig, key: Any) -> Any:
    """A value as plain containers; values that cannot be resolved become `UNRESOLVED`."""
    try:
        node = parent[key]
        if not OmegaConf.is_config(node):
            return node
        return OmegaConf.to_container(node, resolve=True)
    except OmegaConfBaseException:
        node = parent._get_node(key)
        if isinstance(node, ListConfig) and not node._is_interpolation():
            return [plain(node, index) for index in range(len(node))]
        if isinstance(node, DictConfig) and not node._is_interpolation():
            return {each: plain(node, each) for each in node}
        return UNRESOLVED


def _check_arguments(path: str, node: dict[str, Any], target: Target) -> None:
    try:
        parameters, hints = signature_of(target)
    except (TypeError, ValueError, NameError):  # built in C, or annotated with an undefined name
        return
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name, value in node.items():
        if name.startswith("_") and name.endswith("_"):
            continue
        if name not in parameters and not open_ended:
            raise ConfigError(_unknown(f"{path}.{name}", name, list(parameters), node["_target_"]))
        ours = OURS.get(f"{path}.{name}", ())
        if name in hints and value not in ours and not _fits(value, hints[name]):
            raise ConfigError(
                f"{path}.{name}: expected {_describe(hints[name], ours)}, "
                f"got {value!r} ({type(value).__name__})"
            )


@cache
def signature_of(target: Target) -> tuple[Mapping[str, inspect.Parameter], dict[str, Any]]:
    """The arguments of a target, and their annotations."""
    return inspect.signature(target).parameters, _hints(target)


def _hints(target: Target) -> dict[str, Any]:
    """The annotations of a target's arguments, with those of segbench's base classes."""
    if not inspect.isclass(target):
        return typing.get_type_hints(target)
    ours = [each for each in target.__mro__[1:] if each.__module__.startswith("segbench.")]
    passed_on = [vars(each)["__init__"] for each in ours if "__init__" in vars(each)]
    found: dict[str, Any] = {}
    for function in (*reversed(passed_on), target.__init__):
        found |= typing.get_type_hints(function)
    return found


def _unknown(option: str, name: str, known: list[str], target: str) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}"
    return f"{option}: {target.rsplit('.', 1)[-1]} has no argument {name!r}; {hint}"


def _alternatives(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [part for each in typing.get_args(hint) for part in _alternatives(each)]
    return [hint]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value fits an annotation; other values are always accepted."""
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
    # A plain value where a list, a path or an object is annotated: refuse only the clear errors.
    # No plain value fits a tensor: annotations for which numbers are accepted also include the
    # number's type, as in `lr: float | Tensor`.
    kind = typing.get_origin(part) or part
    if kind is Sequence:
        return isinstance(value, str)
    return kind not in (list, dict, tuple, Mapping, _tensor())


def _tensor() -> Any:
    """The class Tensor if torch is imported; otherwise no annotation can contain it."""
    return getattr(sys.modules.get("torch"), "Tensor", list)


def _describe(hint: Any, ours: tuple[Any, ...]) -> str:
    names = [repr(value) for value in ours]
    for part in _alternatives(hint):
        if typing.get_origin(part) is typing.Literal:
            names += map(repr, typing.get_args(part))
        elif part is type(None):
            names.append("null")
        else:
            names.append(part.__name__ if inspect.isclass(part) else str(part))
    return " or ".join(dict.fromkeys(names))
