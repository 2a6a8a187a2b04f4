"""Notices on similar finished cells, printed before a cell is trained from its start."""

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from segbench.cell.continuation import obstacle
from segbench.cell.history import EPOCHS, earlier_cells, more_epochs, short
from segbench.config.identity import Identity


def notices(folder: Path, cfg: DictConfig, identity: Identity) -> Iterator[str]:
    """One sentence for each finished cell that a user may have expected to be used."""
    if cfg.get("resume_from"):
        return
    for earlier in earlier_cells(folder, cfg):
        where = short(earlier.cell.folder)
        if earlier.cell.status != "done":
            continue
        if not earlier.differs and earlier.data is None:
            yield (
                f"{where} has the same settings; it was run by an older version, which did not "
                "record its data, so that this cell is run as a further one"
            )
        before, now = earlier.differs.get(EPOCHS, (None, None))
        others = {key for key in earlier.differs if not key.startswith("scheduler.")}
        if others == {EPOCHS} and more_epochs(before, now):
            reason = obstacle(earlier, cfg, identity)
            way = f"it {reason}" if reason else f"resume_from={where} continues its training"
            yield (
                f"{where} has the same settings but {EPOCHS}={before}; this cell is trained from "
                f"its start to {EPOCHS}={now}; {way}"
            )
