"""The identity of a cell: the settings that affect its result, and its data.

A cell's folder is named by a hash of both. Arguments that equal the default of their target are
left out of the hash, so that an option that a later version adds does not change it.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segbench.errors import WeightsError
from segbench.records.record import NO_EFFECT
from segbench.records.weight_files import OPTION, digest_of, find_weights, is_source
from segbench.weights import encoder_file

# The contents of lists of ids and groups are part of the data's fingerprint, so their names are
# left out.
_LISTS = (".txt", ".json", ".csv")
_NO_EFFECT_ON_DATA = ("augment", "seed", "show")


@dataclass(frozen=True)
class Identity:
    """A cell's settings and its data.

    Args:
        settings: the resolved options that affect the result, without those at their default.
        data: the data set's fingerprint; empty for generated images.
        root: the folder of the data set, which is not part of the identity.
        cases: the SHA-256 of each case's files, by the case's id.
    """

    settings: Mapping[str, Any]
    data: str = ""
    root: str = field(default="", compare=False)
    cases: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def hash(self) -> str:
        """Eight hexadecimal digits that depend on all settings and files that affect the result."""
        order = list(
            self.settings.get("augment") or {}
        )  # the order of transforms affects the result
        parts = [self.settings, order, *([self.data] if self.data else [])]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def record(self) -> dict[str, Any]:
        """The entry on the data in a cell's record."""
        return {"fingerprint": self.data, "root": self.root, "cases": len(self.cases)}


def identify(cfg: DictConfig) -> Identity:
    """The identity of a composed and checked config; images are hashed, but not decoded.

    Raises:
        ConfigError: the data set refuses its options.
        DataError: the data set is missing or incomplete.
        WeightsError: the file of pretrained weights is missing.
    """
    if is_source(weights := OmegaConf.select(cfg, OPTION)):
        find_weights(weights)
    found = _look_at(_plain(cfg.data))  # first, as other nodes refer to it
    return Identity(without_defaults(settings(cfg)), *found)


def identity_of(plain: Mapping[str, Any]) -> Identity:
    """The identity of a resolved config, as `resolved` gives it.

    Raises:
        ConfigError: the data set refuses its options.
        DataError: the data set is missing or incomplete.
    """
    return Identity(without_defaults(effective(plain)), *_look_at(plain["data"]))


def _look_at(data: Mapping[str, Any]) -> tuple[str, str, Mapping[str, str]]:
    relevant = {key: value for key, value in data.items() if key not in _NO_EFFECT_ON_DATA}
    return _look(json.dumps(relevant, default=str))


@cache
def _look(data: str) -> tuple[str, str, Mapping[str, str]]:
    """The fingerprint of a data set, its folder, and its cases' hashes."""
    from segbench.config.build import build

    module = build(json.loads(data), "data")
    fingerprint: str = module.look()
    return fingerprint, str(Path(module.root).resolve()), module.contents.cases


def forget_data() -> None:
    """Clear the cached fingerprints of data sets, whose files may have changed."""
    _look.cache_clear()


def settings(cfg: DictConfig) -> dict[str, Any]:
    """The resolved options of a composed config that can affect a cell's result."""
    return effective(resolved(cfg))


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The options of a composed config, resolved, but for those that have no effect on results."""
    return {key: _plain(cfg[key]) for key in map(str, cfg) if key not in NO_EFFECT}


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def effective(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a resolved config that can affect a cell's result, as nested mappings."""
    kept = {k: dict(v) if isinstance(v, dict) else v for k, v in plain.items()}
    for dotted in (*NO_EFFECT, "data.augment", "data.show"):  # the node augment is kept
        group, _, key = dotted.partition(".")
        if not key:
            kept.pop(group, None)
        elif isinstance(kept.get(group), dict):
            kept[group].pop(key, None)
    model = kept.get("model")
    weights = model.get("weights") if isinstance(model, dict) else None
    if isinstance(model, dict) and weights is None:
        model.pop("weights", None)
    elif isinstance(model, dict) and is_source(weights):
        with suppress(WeightsError):  # a finished cell may be read where the file is missing
            model["weights"] = f"sha256:{digest_of(find_weights(weights))}"
    elif isinstance(model, dict) and (encoder := model.get("encoder_name")):
        file = encoder_file(str(encoder), str(weights))  # else the package's own, by their name
        model["weights"] = f"{weights}, sha256:{digest_of(file)}" if file else weights
    for name in ("split", "group"):
        if name in (kept.get("data") or {}):
            kept["data"][name] = _without_files(kept["data"][name])
    return kept


def _without_files(split: Any) -> Any:
    if isinstance(split, dict):
        return {part: _without_files(value) for part, value in split.items()}
    return "a file" if isinstance(split, str) and split.lower().endswith(_LISTS) else split


def without_defaults(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without empty top-level nodes and without arguments at their target's default."""
    return {key: _trimmed(value) for key, value in plain.items() if value is not None}


def _trimmed(node: Any) -> Any:
    if isinstance(node, list):
        return [_trimmed(value) for value in node]
    if not isinstance(node, dict):
        return node
    defaults = _defaults(node["_target_"]) if isinstance(node.get("_target_"), str) else {}
    return {
        key: _trimmed(value)
        for key, value in node.items()
        if key not in defaults or not _same(value, defaults[key])
    }


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return value is default
    if isinstance(default, tuple):
        default = list(default)
    return bool(type(value) is type(default) or isinstance(value, int | float)) and value == default


@cache
def _defaults(target: str) -> dict[str, Any]:
    """The defaults of a target's arguments; for a class also those of its base classes."""
    from hydra.utils import get_object

    try:
        found = get_object(target)
    except Exception:  # a config from elsewhere may name an unknown object
        return {}
    callables: list[Callable[..., Any]] = [found]
    if inspect.isclass(found):
        callables = [vars(c)["__init__"] for c in found.__mro__ if "__init__" in vars(c)]
    defaults: dict[str, Any] = {}
    for each in callables:
        try:
            parameters = inspect.signature(each).parameters.values()
        except (TypeError, ValueError):  # built in C
            break
        for parameter in parameters:
            if parameter.default is not parameter.empty:
                defaults.setdefault(parameter.name, parameter.default)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return defaults


def differences(stored: Mapping[str, Any], cfg: DictConfig) -> dict[str, tuple[Any, Any]]:
    """The dotted settings that differ between a stored and a composed config, with both values.

    A setting that only one of them has counts only if its value there is not the default.
    """
    pairs = [(effective(stored), None), (settings(cfg), None)]
    full = [dict(_flat(plain)) for plain, _ in pairs]
    trimmed = [dict(_flat(without_defaults(plain))) for plain, _ in pairs]
    found: dict[str, tuple[Any, Any]] = {}
    for key in sorted({*full[0], *full[1]}):
        in_both = key in full[0] and key in full[1]
        if in_both and not _equal(full[0][key], full[1][key]):
            found[key] = full[0][key], full[1][key]
        elif not in_both and (key in trimmed[0] or key in trimmed[1]):
            found[key] = full[0].get(key), full[1].get(key)
    return found


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict) or not node:
        yield prefix, node
        return
    for key, value in node.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested mapping that corresponds to dotted keys.

    Example:
        >>> nested({"model.depth": 4, "seed": 0})
        {'model': {'depth': 4}, 'seed': 0}
    """
    made: dict[str, Any] = {}
    for dotted, value in flat.items():
        *groups, key = dotted.split(".")
        node = made
        for group in groups:
            node = node.setdefault(group, {})
        node[key] = value
    return made


def _equal(one: Any, other: Any) -> bool:
    return json.dumps(one, default=str) == json.dumps(other, default=str)
