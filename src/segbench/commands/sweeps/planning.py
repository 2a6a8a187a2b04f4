"""Plans a sweep: composes and checks every cell before the first one starts.

Most cells of a large sweep differ from an earlier one in plain values alone, such as the seed.
Where no other option refers to such a value, the folder of the cell follows from the config of the
earlier one; a cell that is finished, or new, is then not composed here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from segbench.cell.continuation import find_source
from segbench.cell.history import check_place, earlier_folders
from segbench.cell.notices import lacks_scores, notices
from segbench.cell.trial import try_parts
from segbench.commands.run import note_cell
from segbench.commands.sweeps.planned import Planned, first_state
from segbench.config.composing import CheckedLoader
from segbench.config.families import permitted_in_configs
from segbench.config.identity import Identity, identify, identity_of, resolved
from segbench.config.registry import NAME, cell_choices, cell_name, check_cell
from segbench.config.targets import check_targets, check_tree, leaves
from segbench.records.files import exists
from segbench.records.record import RUN
from segbench.text.screen import say

Notes = dict[str, None]  # in the order in which they are said
_DERIVED = ("model", "loss", "optimizer", "data", "augment")  # checked by their targets alone
_COPY = re.compile(r"\$\{[A-Za-z_][\w.]*\}")
_WORD = re.compile(r"[A-Za-z_][\w.]*")


def plan(config: DictConfig, grid: list[list[str]], loader: CheckedLoader) -> list[Planned]:
    """Compose and check every cell of the grid before the first one starts.

    Combinations that give the same cell are merged.

    Args:
        config: Hydra's config of the sweep.
        grid: for each cell its overrides.
        loader: composes the config of a cell from its overrides.

    Returns:
        The cells in the order of the grid.

    Raises:
        SegbenchError: a cell is wrong, or its data have changed since it was trained.
    """
    cells: dict[Path, Planned] = {}
    notes: Notes = {}
    asked: dict[Path, list[list[str]]] = {}
    relatives: dict[tuple[str, ...], Relative] = {}
    for overrides in grid:
        split = loader.cells.split(overrides)
        key = (*split.first, "", *split.values) if split else ()
        known = relatives.get(key)
        cell = known.derive(overrides, split.values, notes) if split and known else None
        if cell is None:
            cfg = loader.load_sweep_config(config, overrides)
            cell = _checked(cfg, overrides, notes)
            if split and cell.folder.name == cfg.hydra.sweep.subdir:
                relatives[key] = Relative(cfg, split.values, cell.folder.parent)
        asked.setdefault(cell.folder, []).append(overrides)
        cells.setdefault(cell.folder, cell)
    if len(grid) > len(cells):
        notes[_doubles(asked)] = None
    for note in notes:
        say(f"note: {note}")
    return list(cells.values())


def _checked(cfg: DictConfig, overrides: list[str], notes: Notes) -> Planned:
    """A cell of a composed config, which is checked in every respect."""
    check_cell(cfg, omit=["logger"])
    identity = identify(cfg)
    folder = _enter(cfg, identity)
    check_targets(cfg, only=["logger"])  # which refers to the folder
    check_place(folder, cfg, identity)
    find_source(cfg, identity)
    state, reason = first_state(folder, cfg.overwrite, cfg.retry_failed)
    if state == "done":
        notes |= dict.fromkeys(lacks_scores(folder, cfg))
    else:
        try_parts(cfg)
    if state == "waiting":
        notes |= dict.fromkeys(notices(folder, cfg, identity))
    return _planned(cfg, folder, str(cfg.hydra.sweep.subdir), overrides, state, reason)


def _planned(
    cfg: DictConfig, folder: Path, subdir: str, overrides: list[str], state: str, reason: str
) -> Planned:
    note_cell(folder.absolute(), cfg)
    # the planned folder, so that the cell that runs is the planned one
    fixed = f"hydra.sweep.subdir='{subdir}'"
    epochs = cfg.trainer.get("max_epochs") or 0
    return Planned(folder, (*overrides, fixed), epochs, state, reason)


def _enter(cfg: DictConfig, identity: Identity) -> Path:
    """The cell's folder; Hydra's global config becomes that of the cell."""
    sweep: Any = cfg.hydra.sweep
    if sweep._get_node("subdir")._value() == NAME:  # which would be resolved again at each use
        sweep.subdir = cell_name(cell_choices(cfg), cfg.seed, identity)
    folder = Path(str(sweep.dir)) / str(sweep.subdir)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(folder.absolute())
    vars(HydraConfig.instance())["cfg"] = cfg  # `set_config` would copy it
    return folder


@dataclass
class Relative:
    """A checked cell, from which others follow that differ in plain values.

    Args:
        cfg: its config.
        values: the plain values that its overrides set, by their dotted option.
        home: the folder of the sweep.
    """

    cfg: DictConfig
    values: Mapping[str, Any]
    home: Path

    def derive(
        self, overrides: list[str], values: Mapping[str, Any], notes: Notes
    ) -> Planned | None:
        """The cell with other values; None where its config must be composed to know it.

        Raises:
            SegbenchError: a value is wrong.
        """
        changed = self._with_copies({k: v for k, v in values.items() if not self._has(k, v)})
        if not all(self._is_free(key, value) for key, value in changed.items()):
            return None
        plain = _replaced(self._plain, changed)
        for top in {key.partition(".")[0] for key in changed} - {"seed"}:
            check_tree(plain[top], top, permitted_in_configs())
        identity = identity_of(plain)
        folder = self.home / cell_name(self._choices, plain["seed"], identity)
        epochs = self.cfg.trainer.get("max_epochs")
        if any(earlier_folders(folder, epochs, identity)):
            return None
        state, reason = first_state(folder, self.cfg.overwrite, self.cfg.retry_failed)
        if state == "done":
            notes |= dict.fromkeys(lacks_scores(folder, self.cfg))
        elif state == "waiting" and not exists(folder / RUN):
            try_parts(plain)
        else:
            return None
        return _planned(self.cfg, folder, folder.name, overrides, state, reason)

    @cached_property
    def _plain(self) -> dict[str, Any]:
        return resolved(self.cfg)

    @cached_property
    def _choices(self) -> dict[str, str]:
        return cell_choices(self.cfg)

    @cached_property
    def _unresolved(self) -> Any:
        return OmegaConf.to_container(OmegaConf.masked_copy(self.cfg, self._tops), resolve=False)

    @property
    def _tops(self) -> list[str]:
        return [str(key) for key in self.cfg if key != "hydra"]

    @cached_property
    def _interpolations(self) -> dict[str, str]:
        found = leaves(self._unresolved, "")
        return {option: text for option, text in found if "${" in str(text)}

    @cached_property
    def _referred(self) -> set[str]:
        """The words in interpolations that are more than a copy of another option."""
        texts = [text for text in self._interpolations.values() if not _COPY.fullmatch(text)]
        if any("${." in text or "${$" in text for text in texts):
            return {""}  # they refer to options without writing their full name
        return {word for text in texts for word in _WORD.findall(text)}

    def _with_copies(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values, with those of the options that are copies of others, such as ``${seed}``."""
        found = dict(values)
        waiting = list(values)
        while waiting:
            key = waiting.pop()
            for option, text in self._interpolations.items():
                if text == f"${{{key}}}" and option not in found:
                    found[option] = found[key]
                    waiting.append(option)
        return found

    def _has(self, key: str, value: Any) -> bool:
        return type(self.values[key]) is type(value) and bool(self.values[key] == value)

    def _is_free(self, key: str, value: Any) -> bool:
        """Whether an option exists, has no further checks, and no other option refers to it."""
        top = key.partition(".")[0]
        if not (type(value) is int if key == "seed" else top in _DERIVED and top != key):
            return False
        node = self._unresolved
        for name in key.split("."):
            if not isinstance(node, dict) or name not in node:
                return False
            node = node[name]
        copied = {text[2:-1] for text in self._interpolations.values() if _COPY.fullmatch(text)}
        return not any(
            not word or f"{key}.".startswith(f"{word}.") or f"{word}.".startswith(f"{key}.")
            for word in self._referred | (copied - {key})
        )


def _replaced(plain: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a tree with other values; branches without any are shared with it."""
    made = dict(plain)
    for dotted, value in values.items():
        *groups, key = dotted.split(".")
        node = made
        for group in groups:
            node[group] = dict(node[group])
            node = node[group]
        node[key] = value
    return made


def _doubles(asked: dict[Path, list[list[str]]]) -> str:
    """One line that names combinations of the grid which give the same cell."""
    several = [(folder, found) for folder, found in asked.items() if len(found) > 1]
    folder, combinations = several[0]
    common = set.intersection(*map(set, combinations))
    named = [" ".join(each for each in found if each not in common) for found in combinations]
    alike = f"{' and '.join(named)} are both" if len(named) == 2 else f"{', '.join(named[:3])} are"
    more = f", and so on for {len(several) - 1} more cells" if len(several) > 1 else ""
    total, cells = sum(map(len, asked.values())), f"{len(asked)} cell{'s' * (len(asked) > 1)}"
    return (
        f"{total} combinations come to {cells}, as they differ in what changes no result: "
        f"{alike} {folder.name}{more}"
    )
