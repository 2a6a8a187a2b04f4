"""Composes the cells of a sweep, most of which have the same config files and other plain values.

Hydra reads and merges some 25 files for each cell, and applies overrides of plain values, such as
``seed=3``, to the result. So cells that differ in such values alone share one composition.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

_PLAIN = (str, int, float, bool, type(None))
_MOST = 500  # compositions kept, of some 150 kB each

Compose = Callable[[DictConfig, list[str]], DictConfig]


@dataclass(frozen=True)
class Split:
    """A cell's overrides in two parts.

    Args:
        first: those that choose config files, or set more than a plain value.
        values: the plain values that are set after them, by their dotted option.
    """

    first: tuple[str, ...]
    values: Mapping[str, Any]


class SharedCompositions:
    """Composes the configs of a sweep's cells; equal in every respect to Hydra's own.

    Args:
        compose: Hydra's function that composes a cell from the sweep's config and overrides.
        is_group: whether a config group of a name exists.
    """

    def __init__(self, compose: Compose, is_group: Callable[[str], bool]) -> None:
        self._compose = compose
        self._is_group = is_group
        self._sweep: DictConfig | None = None
        self._kept: dict[tuple[str, ...], DictConfig] = {}
        self._parsed: dict[str, Override] = {}

    def load(self, sweep: DictConfig, overrides: list[str]) -> DictConfig:
        """The config of a cell.

        Raises:
            ConfigError: a file or an override is wrong, as Hydra says.
        """
        split = self.split(overrides)
        if split is None:
            return self._compose(sweep, overrides)
        shared = self._shared(sweep, split.first)
        if OmegaConf.select(shared, "hydra.searchpath"):  # it may hold further config groups
            return self._compose(sweep, overrides)
        cfg = copy.deepcopy(shared)
        parsed = self._parse(overrides)
        try:
            late = [each for each in parsed if each.key_or_group in split.values]
            ConfigLoaderImpl._apply_overrides_to_config(late, cfg)
        except (HydraException, OmegaConfBaseException):
            return self._compose(sweep, overrides)  # where Hydra itself explains the error
        _note_overrides(cfg, parsed)
        return cfg

    def split(self, overrides: list[str]) -> Split | None:
        """The overrides in two parts; None where all of them or none of them set plain values."""
        parsed = self._parse(overrides)
        late = {each.key_or_group: each.value() for each in parsed if self._is_plain(each)}
        keys = [e.key_or_group for e in parsed if not self._is_group(e.key_or_group)]
        if not late or _overlap(keys):
            return None
        first = tuple(str(e.input_line) for e in parsed if e.key_or_group not in late)
        return Split(first, late)

    def _parse(self, overrides: list[str]) -> list[Override]:
        parser = OverridesParser.create()
        for text in overrides:
            if text not in self._parsed:
                (self._parsed[text],) = parser.parse_overrides([text])
        return [self._parsed[text] for text in overrides]

    def _shared(self, sweep: DictConfig, overrides: tuple[str, ...]) -> DictConfig:
        if sweep is not self._sweep or len(self._kept) >= _MOST:
            self._sweep = sweep
            self._kept.clear()
        if overrides not in self._kept:
            self._kept[overrides] = self._compose(sweep, list(overrides))
        return self._kept[overrides]

    def _is_plain(self, override: Override) -> bool:
        """Whether an override gives an existing option of no group a value without references."""
        key = override.key_or_group
        added = override.is_add() or override.is_force_add() or override.is_delete()
        if added or override.is_sweep_override() or override.package is not None:
            return False
        if "/" in key or key.partition(".")[0] == "hydra" or self._is_group(key):
            return False
        value: Any = override.value()
        values = value if isinstance(value, list) else [value]
        return all(isinstance(each, _PLAIN) and not _refers(each) for each in values)

    def __getstate__(self) -> dict[str, Any]:
        """Compositions are not sent to other processes, which make their own."""
        return {**self.__dict__, "_sweep": None, "_kept": {}, "_parsed": {}}


def _refers(value: object) -> bool:
    """Whether a value is an interpolation, or the mark of a missing one."""
    return isinstance(value, str) and ("${" in value or value == "???")


def _overlap(keys: list[str]) -> bool:
    """Whether two overrides set the same option, or one a part of the other; order then counts."""
    ordered = sorted(keys)
    return any(f"{after}.".startswith(f"{before}.") for before, after in pairwise(ordered))


def _note_overrides(cfg: DictConfig, parsed: list[Override]) -> None:
    """Record the overrides of the cell under ``hydra``, as Hydra does."""
    own = [each for each in parsed if not each.is_hydra_override()]
    cfg.hydra.overrides.task = [each.input_line for each in own]
    form = cfg.hydra.job.config.override_dirname
    cfg.hydra.job.override_dirname = get_overrides_dirname(
        overrides=own, kv_sep=form.kv_sep, item_sep=form.item_sep, exclude_keys=form.exclude_keys
    )
