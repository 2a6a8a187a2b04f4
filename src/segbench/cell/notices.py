"""Notices on finished cells: similar to one that is trained, or done without what is asked for."""

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from segbench.cell.continuation import obstacle
from segbench.cell.history import EPOCHS, earlier_cells, more_epochs, short
from segbench.config.identity import Identity
from segbench.config.score_options import optional_scores
from segbench.records.record import part_scores, read_record
from segbench.text.wording import listed


def lacks_scores(folder: Path, cfg: DictConfig) -> Iterator[str]:
    """A sentence for each kind of scores that is asked for and that a finished cell lacks."""
    record, again = read_record(folder), "or overwrite=true trains again"
    lacking = [name for name in optional_scores(cfg).names if name not in part_scores(record)]
    if lacking:
        yield (
            f"finished cells were scored without {listed(lacking)}; `segbench evaluate` with these "
            f"scores=… adds them, {again}"
        )
    if cfg.get("score_train") and "train" not in (record.get("metrics") or {}):
        yield (
            "finished cells were scored without their train part; `segbench evaluate part=train` "
            f"scores it, {again}"
        )


def notices(folder: Path, cfg: DictConfig, identity: Identity) -> Iterator[str]:
    """One sentence for each finished cell that a user may have expected to be used."""
    if cfg.get("resume_from"):
        return
    for earlier in earlier_cells(folder, cfg, identity):
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
