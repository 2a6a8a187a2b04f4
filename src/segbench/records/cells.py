"""Reads cells from their folders for a comparison: record, config, split, scores, curves."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from segbench.errors import SegbenchError
from segbench.metrics.scores import GROUP, aggregate, sum_groups
from segbench.records.files import exists, parse_json, parse_yaml, read_text
from segbench.records.record import (
    CONFIG,
    CONFUSION,
    CURVES,
    LIMITS,
    NO_EFFECT,
    RELIABILITY,
    RUN,
    SCORES,
    SPLIT,
    Record,
    one_line,
    part_scores,
    read_record,
    scored_part,
    status_of,
)
from segbench.records.tables_read import (
    parse_confusion,
    parse_curves,
    parse_reliability,
    parse_scores,
)
from segbench.text.escape import unguarded

PANELS = Path("panels") / "test.png"
EVALUATIONS = "evaluations"  # the folder of a sweep's evaluations, beside its cells
# Cells that differ in the seed are one configuration; data.augment repeats the group augment.
_LEFT_OUT = (*NO_EFFECT, "seed", "data.augment")
Parts = dict[str, list[dict[str, str]]]
T = TypeVar("T")


def shifted_name(data: str, kind: str, severity: int) -> str:
    """The name of a data set whose images are changed, such as ``pets, blur 3``."""
    return f"{data}, {kind} {severity}"


@dataclass(frozen=True)
class Cell:
    """The files of a cell's folder, each read when it is first used.

    Args:
        folder: the cell's folder.
        record: its ``run.json``; empty where that is damaged.
        damage: one line about what is damaged; only the record of a damaged cell is read.
        named: whether the user named this folder itself, rather than a folder of cells.
        of_groups: whether scores are those of whole groups (volumes, patients), instead of images.
    """

    folder: Path
    record: Record = field(repr=False)
    damage: str = ""
    named: bool = False
    of_groups: bool = False

    @property
    def name(self) -> str:
        """The name of the cell's folder."""
        return self.folder.name

    @property
    def sweep(self) -> str:
        """The name of the cell's sweep, its folder under ``outputs/``."""
        parent = self.folder.parent
        return f"{parent.parent.name}/{EVALUATIONS}" if parent.name == EVALUATIONS else parent.name

    @property
    def status(self) -> str:
        """``damaged`` or the recorded status; ``interrupted`` where a done cell has no scores."""
        return "damaged" if self.damage else status_of(self.folder, self.record)

    @property
    def seed(self) -> int:
        """The seed of weights, batches and augmentation."""
        return int(self.record["seed"])

    @property
    def choices(self) -> dict[str, str]:
        """The option chosen in each config group."""
        return dict(self.record["choices"])

    @property
    def evaluated(self) -> bool:
        """Whether this is an evaluation of cells that were trained before."""
        return "evaluated" in self.record

    @property
    def shift(self) -> tuple[str, int] | None:
        """Kind and severity of the change of the images that were scored; None: as they are."""
        facts = (self.record.get("evaluated") or {}).get("shift")
        kind, severity = map(facts.get, ("kind", "severity")) if isinstance(facts, dict) else (0, 0)
        return (kind, severity) if isinstance(kind, str) and isinstance(severity, int) else None

    @property
    def part(self) -> str:
        """The part of the data that the scores belong to."""
        return scored_part(self.record)

    @property
    def averages(self) -> dict[str, float | None]:
        """The averages of the scores in the record, or of those of groups, by name."""
        if self.of_groups and self.has(SCORES):
            names = [str(name) for name in self.scores["class"].unique()]
            return dict(aggregate(self.scores, names))
        return part_scores(self.record)

    def has(self, name: str | Path) -> bool:
        """Whether the file exists and the cell is not damaged."""
        return exists(self.folder / name) and not self.damage

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config with dotted keys; empty where the cell ended before writing it.

        Raises:
            SegbenchError: ``config.yaml`` is not a config.
        """
        return self._read(CONFIG, "config", _read_config) if self.has(CONFIG) else {}

    @property
    def chosen(self) -> dict[str, str]:
        """The options of those config groups that can change a result."""
        return {group: option for group, option in self.choices.items() if group not in _LEFT_OUT}

    @cached_property
    def tuned(self) -> dict[str, str]:
        """The dotted config keys that can change a result, with their values as text."""
        return {key: _text(v) for key, v in self.config.items() if not self._is_left_out(key)}

    @property
    def is_trained(self) -> bool:
        """Whether segbench trained a network, and did not only score another tool's masks."""
        return "scored" not in self.record

    @property
    def fold(self) -> int | None:
        """The fold of a cross-validation that the cell was tested on; None without folds."""
        if self.evaluated or self.config.get("data.folds") is None:
            return None
        return int(self.config.get("data.fold") or 0)

    @property
    def repeat(self) -> tuple[int, int]:
        """What tells the cells of one configuration apart: the seed, and the fold (0 without)."""
        return self.seed, self.fold or 0

    @property
    def run_name(self) -> str:
        """``seed 0``, or ``seed 0, fold 2``."""
        return f"seed {self.seed}" + ("" if self.fold is None else f", fold {self.fold}")

    def _is_left_out(self, key: str) -> bool:
        if key == "data.fold" and self.fold is not None:
            return True
        # the weights of one seed; evaluation.trained_on holds what they were trained on
        if key == "evaluation.runs" and "evaluation.trained_on" in self.config:
            return isinstance(self.config[key], list) and len(self.config[key]) == 1
        return any(key == name or key.startswith(f"{name}.") for name in _LEFT_OUT)

    @property
    def parts(self) -> Parts:
        """The cases of each part, with ``id``, ``sha256`` and, where it is known, ``group``.

        Raises:
            SegbenchError: ``split.json`` is not a split.
        """
        return self._split[0]

    @property
    def split(self) -> str:
        """Digest of which image was in which part, 8 hexadecimal digits; empty where unknown."""
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[Parts, str]:
        return self._read(SPLIT, "split", _read_split) if self.has(SPLIT) else ({}, "")

    @property
    def scored_ids(self) -> set[str]:
        """The ids of the scored images, according to the split."""
        parts = list(self.parts) if self.part == "all" else [self.part]
        return {case["id"] for name in parts for case in self.parts.get(name, [])}

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row for each scored image and class; of `sum_groups` for each group and class."""
        return sum_groups(self.image_scores) if self.of_groups else self.image_scores

    @cached_property
    def image_scores(self) -> pd.DataFrame:
        """``scores.csv``, with a row for each scored image and class.

        Raises:
            SegbenchError: the file is not a table of scores.
        """
        # an id may be the name of a file that is not UTF-8
        return unguarded(self._read(SCORES, "table of scores", parse_scores, "surrogateescape"))

    @cached_property
    def groups(self) -> dict[str, str]:
        """The group of each scored image in ``data.group``, by the image's id; empty without it.

        Raises:
            SegbenchError: ``scores.csv`` is not a table of scores.
        """
        if not self.has(SCORES) or GROUP not in self.scores:
            return {}
        return dict(zip(self.scores["id"], self.scores[GROUP], strict=True))

    @cached_property
    def curves(self) -> pd.DataFrame:
        """``curves.csv`` with the epoch (from 1) as its index; empty where there is none.

        Raises:
            SegbenchError: the file is not a table of curves.
        """
        if not self.has(CURVES):
            return pd.DataFrame()
        return self._read(CURVES, "table of curves", parse_curves)

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """Pixels by true (rows) and predicted class; empty of two classes, and in older cells.

        Raises:
            SegbenchError: ``confusion.csv`` is not such a table.
        """
        if not self.has(CONFUSION):
            return pd.DataFrame()
        return self._read(CONFUSION, "confusion matrix", parse_confusion, "surrogateescape")

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """Pixels, mean confidence and accuracy of each bin of confidence; empty where not scored.

        Raises:
            SegbenchError: ``reliability.csv`` is not such a table.
        """
        if not self.has(RELIABILITY):
            return pd.DataFrame()
        return self._read(RELIABILITY, "table of confidences", parse_reliability)

    def _read(self, name: str, what: str, parse: Callable[[str], T], errors: str = "strict") -> T:
        path = self.folder / name
        try:
            return parse(read_text(path, LIMITS[name], errors))
        except (SegbenchError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = one_line(error).removeprefix(f"{path}: ")
            raise SegbenchError(
                f"{path}: no {what} ({reason}); overwrite=true runs the cell again"
            ) from error


def _read_config(text: str) -> dict[str, Any]:
    nodes = parse_yaml(text)
    if not isinstance(nodes, dict):
        raise ValueError("not keys with values")
    return dict(_flat(nodes)) if nodes else {}


def _text(value: Any) -> str:
    """A value as people write it: texts of a list without brackets and quotes."""
    texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return ", ".join(value) if value and texts else str(value)


def _flat(node: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if not isinstance(node, dict) or not node:
        yield prefix, node
        return
    for key, value in node.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))


@lru_cache(maxsize=8)  # the cells of a sweep hold the same text
def _read_split(text: str) -> tuple[Parts, str]:
    parts = dict(parse_json(text)["parts"])
    if not parts:
        raise ValueError("no parts")
    for case in (case for cases in parts.values() for case in cases):
        if not isinstance(case["id"], str) or not isinstance(case["sha256"], str):
            raise ValueError("an id or a sha256 is no text")
        if not isinstance(case.get(GROUP, ""), str):
            raise ValueError("a group is no text")
    return parts, split_digest(parts)


def split_digest(parts: Parts) -> str:
    """Digest of the images of all parts, 8 hexadecimal digits."""
    members = {
        part: sorted((case["id"], case["sha256"]) for case in cases)
        for part, cases in parts.items()
    }
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()[:8]


def find_cells(folders: Sequence[Path]) -> list[Cell]:
    """The cells in ``outputs/<name>`` folders, sorted by name; duplicate folders count once.

    A folder may also be that of a single cell, such as one evaluation.

    Raises:
        SegbenchError: a folder does not exist or holds no cell.
    """
    cells = []
    for folder in dict.fromkeys(folders):
        found = [read_cell(folder, named=True)] if exists(folder / RUN) else []
        found += [read_cell(each) for each in cell_folders(folder)]
        if not found:
            what = "no cell in it" if folder.is_dir() else "no such folder"
            known = [each.name for each in _folders_in(folder.parent) if cell_folders(each)]
            hint = f"; there are {', '.join(known)}" if known else ""
            raise SegbenchError(f"name={folder.name}: {what} ({folder}){hint}")
        cells += found
    return cells


def cell_folders(sweep: Path) -> list[Path]:
    """The folders in ``sweep`` with a record of any status, sorted by name."""
    return [folder for folder in _folders_in(sweep) if exists(folder / RUN)]


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []


def read_cell(folder: Path, named: bool = False) -> Cell:
    """The cell in a folder; if its record is damaged, a cell with ``damage`` alone."""
    try:
        record = read_record(folder)
    except SegbenchError as error:
        return Cell(folder, {}, str(error), named)
    missing = {"status", "choices", "seed"} - set(record)
    if missing:
        reason = f"not a record (no {', '.join(sorted(missing))}); remove it to run again"
        return Cell(folder, {}, f"{folder / RUN}: {reason}", named)
    return Cell(folder, record, named=named)
