"""Compares a new cell with earlier cells of the same name, and refuses conflicts."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from segbench.config.identity import Identity, differences, nested
from segbench.errors import ConfigError, SegbenchError
from segbench.records.cells import Cell
from segbench.records.files import exists, read_text
from segbench.records.record import CONFIG, LIMITS, RUN, Record, read_record

EPOCHS = "trainer.max_epochs"
_LAST = Path("checkpoints") / "last.ckpt"
_SHOWN = 3  # the most names in a message


@dataclass(frozen=True)
class Earlier:
    """A cell of the same network, loss and seed in another folder of the same name."""

    cell: Cell
    differs: Mapping[
        str, tuple[Any, Any]
    ]  # dotted setting: its value in the earlier cell, and in this one

    @property
    def data(self) -> Mapping[str, Any] | None:
        """The record's entry on the data; None in records of versions before 0.2."""
        found = self.cell.record.get("data")
        return found if isinstance(found, dict) else None

    @property
    def trained(self) -> bool:
        """Whether at least one trained epoch is on disk."""
        return self.cell.status == "done" or self.cell.has(_LAST)


def check_place(folder: Path, cfg: DictConfig, identity: Identity) -> list[Path]:
    """Refuse a folder of another cell, and data that changed after an earlier cell was trained.

    Returns:
        The folders of earlier cells that this one replaces.

    Raises:
        ConfigError: the text names the difference and two ways out.
    """
    _check_owner(folder, cfg, identity)
    replaced = []
    for earlier in earlier_cells(folder, cfg, identity):
        data = earlier.data
        if earlier.differs or data is None or data.get("root") != identity.root:
            continue
        if data.get("fingerprint") == identity.data:
            continue
        if earlier.trained and not cfg.overwrite:
            raise ConfigError(_changed(earlier, identity))
        replaced.append(earlier.cell.folder)
    return replaced


def more_epochs(before: Any, now: Any) -> bool:
    """Whether ``now`` allows more epochs than ``before``; -1 means no limit."""
    return isinstance(before, int) and isinstance(now, int) and (now == -1 or now > before >= 0)


def earlier_cells(folder: Path, cfg: DictConfig, identity: Identity) -> Iterator[Earlier]:
    """The cells that `earlier_folders` names, where their configs can be read."""
    for path in earlier_folders(folder, cfg.trainer.get("max_epochs"), identity):
        if earlier := as_earlier(path, cfg):
            yield earlier


def earlier_folders(folder: Path, epochs: int | None, identity: Identity) -> Iterator[Path]:
    """Cells beside ``folder`` of the same network, loss and seed to which the new one may relate.

    Such a cell was trained on other content of the same data, with another number of epochs, or by
    a version that did not record its data.

    Args:
        folder: the new cell's folder.
        epochs: the most epochs of the new cell.
        identity: the new cell's identity.
    """
    stem, _, digest = folder.name.rpartition("-")
    if not stem or not re.fullmatch("[0-9a-f]{8}", digest):
        return
    for name in _names_by_stem(folder.parent, _time(folder.parent)).get(stem, []):
        path = folder.parent / name
        if name == folder.name or not exists(path / RUN):
            continue
        data, limit = _facts(path, _time(path / RUN))
        changed = data is not None and data[0] == identity.root and data[1] != identity.data
        if data is None or changed or limit != str(epochs):
            yield path


@lru_cache(maxsize=8)
def _names_by_stem(parent: Path, time: int) -> dict[str, list[str]]:
    """The cells in a folder by their names without the hash; ``time`` is when it was changed."""
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(parent)) if parent.is_dir() else []:
        if re.fullmatch("[0-9a-f]{8}", name.rpartition("-")[2]):
            found.setdefault(name.rpartition("-")[0], []).append(name)
    return found


@lru_cache(maxsize=4096)
def _facts(folder: Path, time: int) -> tuple[tuple[Any, Any] | None, str | None]:
    """Root and fingerprint of a cell's data, and its ``trainer.max_epochs`` as text."""
    try:
        data = read_record(folder).get("data")
        text = read_text(folder / CONFIG, LIMITS[CONFIG])
    except SegbenchError:  # `compare` reports damaged cells
        return None, None
    limit = re.search(r"^  max_epochs: (\S+)$", text, re.MULTILINE)
    facts = (data.get("root"), data.get("fingerprint")) if isinstance(data, dict) else None
    return facts, limit[1] if limit else None


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def as_earlier(folder: Path, cfg: DictConfig) -> Earlier | None:
    """The cell in a folder, compared with ``cfg``; None if it is damaged or an evaluation."""
    try:
        cell = Cell(folder, read_record(folder))
        if "evaluated" in cell.record or not cell.config:
            return None
        return Earlier(cell, differences(nested(cell.config), cfg))
    except (SegbenchError, KeyError):  # `compare` reports damaged cells
        return None


def _check_owner(folder: Path, cfg: DictConfig, identity: Identity) -> None:
    """Refuse a folder that holds another cell, as ``hydra.run.dir`` may name any folder."""
    try:
        record: Record = read_record(folder)
    except SegbenchError:
        if cfg.overwrite or folder.name.endswith(f"-{identity.hash}"):
            return  # this cell's folder with a damaged record, which is written again
        raise
    if not record or cfg.overwrite or record.get("hash") == identity.hash:
        return
    cell = Cell(folder, record)
    if not cell.config:  # it ended before its training started
        return
    found = differences(nested(cell.config), cfg)
    named = [f"{key} is {before}, here {now}" for key, (before, now) in found.items()]
    data = record.get("data") or {}
    if not named and data.get("fingerprint", identity.data) == identity.data:
        return  # a cell of a version that computed hashes differently
    what = "; ".join(named[:_SHOWN]) or "its data are other files"
    raise ConfigError(
        f"{short(folder)} holds another cell ({what}); overwrite=true runs this one in its place, "
        "another name= or hydra.run.dir= keeps both"
    )


def _changed(earlier: Earlier, identity: Identity) -> str:
    how = "trained" if earlier.cell.status == "done" else "begun"
    return (
        f"data.root={identity.root}: {what_changed(earlier, identity)} since "
        f"{short(earlier.cell.folder)} was {how}; overwrite=true trains it again in its "
        "place, another name= keeps both"
    )


def what_changed(earlier: Earlier, identity: Identity) -> str:
    """The cases of a data set that differ from those that a cell recorded, as text."""
    before = {case["id"]: case["sha256"] for part in earlier.cell.parts.values() for case in part}
    now = identity.cases
    gone = [id_ for id_ in before if id_ not in now]
    other = [id_ for id_, digest in before.items() if id_ in now and now[id_] != digest]
    count = (earlier.data or {}).get("cases")
    new = len(now) - (count - len(gone)) if isinstance(count, int) else 0
    parts = [_listed(other, "changed"), _listed(gone, "is gone" if len(gone) == 1 else "are gone")]
    parts.append(f"{new} new case{'s' * (new > 1)}" if new > 0 else "")
    return (
        ", ".join(filter(None, parts))
        or "its files, or those of data.split or data.group, have changed"
    )


def _listed(ids: list[str], verb: str) -> str:
    if not ids:
        return ""
    names = ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")
    return f"{len(ids)} case{'s' * (len(ids) > 1)} {verb} ({names})"


def short(folder: Path) -> Path:
    """A folder relative to the current folder where it lies below it, else absolute."""
    folder = folder.absolute()
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
