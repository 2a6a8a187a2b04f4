"""Cells read back from their folders for a comparison: record, config, split, scores, curves."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from segbench.errors import SegbenchError
from segbench.report.record import CONFIG, NO_EFFECT, RUN, SCORES, SPLIT, Record, read_record

CURVES, PANELS = "curves.csv", Path("panels") / "test.png"
# The seed makes no configuration of its own; data.augment repeats the group augment.
_LEFT_OUT = (*NO_EFFECT, "seed", "data.augment")


@dataclass(frozen=True)
class Cell:
    """What one cell's folder says; read when asked for."""

    folder: Path
    record: Record = field(repr=False)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def sweep(self) -> str:
        """The name under ``outputs/`` that the cell stands in."""
        return self.folder.parent.name

    @property
    def status(self) -> str:
        """``done``, ``failed``, ``interrupted`` or ``running`` (which a killed one stays)."""
        done = self.record["status"] == "done"
        return "interrupted" if done and not self.has(SCORES) else str(self.record["status"])

    @property
    def seed(self) -> int:
        """Of weights, batches and augmentation."""
        return int(self.record["seed"])

    @property
    def choices(self) -> dict[str, str]:
        """The option chosen in each config group."""
        return dict(self.record["choices"])

    def has(self, name: str | Path) -> bool:
        """Whether the folder holds a file."""
        return (self.folder / name).is_file()

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config with dotted keys; empty where the cell ended before it had one.

        Raises:
            SegbenchError: ``config.yaml`` is not YAML.
        """
        if not self.has(CONFIG):
            return {}
        path = self.folder / CONFIG
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if built
        try:
            nodes = yaml.load(path.read_text(encoding="utf-8"), loader)
            if not isinstance(nodes, dict):
                raise ValueError("not keys with values")
            return dict(_flat(nodes)) if nodes else {}
        except (yaml.YAMLError, ValueError) as error:
            raise SegbenchError(_damaged(path, "config", error)) from error

    @property
    def chosen(self) -> dict[str, str]:
        """The choices that can change a result."""
        return {group: option for group, option in self.choices.items() if group not in _LEFT_OUT}

    @cached_property
    def tuned(self) -> dict[str, str]:
        """The config's dotted keys that can change a result, their values as words."""
        return {key: str(value) for key, value in self.config.items() if not _is_left_out(key)}

    @property
    def parts(self) -> dict[str, list[dict[str, str]]]:
        """Of each part its cases, with ``id`` and ``sha256``.

        Raises:
            SegbenchError: ``split.json`` is not one.
        """
        return self._split[0]

    @property
    def split(self) -> str:
        """Eight hexadecimal digits for which image was in which part; empty where unknown."""
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[dict[str, list[dict[str, str]]], str]:
        if not self.has(SPLIT):
            return {}, ""
        path = self.folder / SPLIT
        try:
            return _read_split(path.read_text(encoding="utf-8"))
        except (ValueError, KeyError, TypeError) as error:
            raise SegbenchError(_damaged(path, "split", error)) from error

    @cached_property
    def scores(self) -> pd.DataFrame:
        """``scores.csv``: a row for each test image and class.

        Raises:
            SegbenchError: The file is not one.
        """
        path = self.folder / SCORES
        try:
            # an id or a class may be called NA
            return pd.read_csv(
                path, keep_default_na=False, na_values=[""], dtype={"id": str, "class": str}
            )
        except (OSError, ValueError) as error:
            raise SegbenchError(_damaged(path, "table of scores", error)) from error

    @cached_property
    def curves(self) -> pd.DataFrame:
        """``curves.csv`` by epoch, counted from 1; empty where there is none.

        Raises:
            SegbenchError: The file is not one.
        """
        if not self.has(CURVES):
            return pd.DataFrame()
        path = self.folder / CURVES
        try:
            return pd.read_csv(path, index_col="epoch")
        except ValueError as error:
            raise SegbenchError(_damaged(path, "table of curves", error)) from error


def _damaged(path: Path, what: str, error: Exception) -> str:
    reason = " ".join(str(error).split())  # YAML and pandas say it in several lines
    return f"{path}: no {what} ({reason}); overwrite=true runs the cell again"


@lru_cache(maxsize=8)  # the cells of a sweep hold the same text
def _read_split(text: str) -> tuple[dict[str, list[dict[str, str]]], str]:
    parts = dict(json.loads(text)["parts"])
    return parts, split_digest(parts)


def split_digest(parts: dict[str, list[dict[str, str]]]) -> str:
    """Eight hexadecimal digits that change with the images of any part."""
    members = {
        part: sorted((case["id"], case["sha256"]) for case in cases)
        for part, cases in parts.items()
    }
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()[:8]


def _is_left_out(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in _LEFT_OUT)


def _flat(node: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if not isinstance(node, dict) or not node:
        yield prefix, node
        return
    for key, value in node.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))


def find_cells(folders: Sequence[Path]) -> list[Cell]:
    """The cells in ``outputs/<name>`` folders, sorted by name; a folder named twice counts once.

    Raises:
        SegbenchError: A folder is not there or holds no cell, or a record is damaged.
    """
    cells = []
    for folder in dict.fromkeys(folders):
        found = [_find_cell(path.parent) for path in folder.glob(f"*/{RUN}")]
        if not found:
            what = "no cell in it" if folder.is_dir() else "no such folder"
            known = sorted(path.parent.parent.name for path in folder.parent.glob(f"*/*/{RUN}"))
            hint = f"; there are {', '.join(dict.fromkeys(known))}" if known else ""
            raise SegbenchError(f"name={folder.name}: {what} ({folder}){hint}")
        cells += sorted(found, key=lambda cell: cell.name)
    return cells


def _find_cell(folder: Path) -> Cell:
    record = read_record(folder)
    missing = {"status", "choices", "seed"} - set(record if isinstance(record, dict) else {})
    if missing:
        raise SegbenchError(
            f"{folder / RUN}: not a record (no {', '.join(sorted(missing))}); remove it to run "
            "again"
        )
    return Cell(folder, record)
