"""Finds the folder of a finished cell by its path, its hash, or its sweep."""

import re
from pathlib import Path

from segbench.errors import ConfigError, SegbenchError
from segbench.records.record import BEST, CONFIG, RUN, read_record
from segbench.text.screen import say

WEIGHTS = Path("checkpoints") / f"{BEST}.ckpt"
HASH = "[0-9a-f]{8}"
HOW = "give a cell's folder, its hash, or outputs/<name> for the best cell in there"


def find_cell(name: str, option: str = "run") -> Path:
    """The folder of a cell: itself, that with a hash, or the best one on val in ``outputs/<name>``.

    Args:
        name: the folder, hash or sweep.
        option: the option that gave it, for messages.

    Raises:
        ConfigError: there is no such cell.
    """
    folder = Path(name).expanduser()
    if (folder / CONFIG).is_file() or (folder / RUN).is_file():
        return folder
    if folder.is_dir():
        return _best_in(folder, option)
    if re.fullmatch(HASH, name):
        return _of_hash(name, option)
    raise ConfigError(f"{option}={name}: no such folder; {HOW}")


def _best_in(folder: Path, option: str) -> Path:
    scores: dict[Path, float] = {}
    for file in sorted(folder.glob(f"*/{RUN}")):
        try:
            record = read_record(file.parent)
        except SegbenchError as error:
            say(f"note: passed over: {error}")
            continue
        score = (record.get("metrics") or {}).get("val", {}).get("iou")
        done = record.get("status") == "done" and (file.parent / WEIGHTS).is_file()
        if done and score is not None:
            scores[file.parent] = score
    if not scores:
        raise ConfigError(f"{option}={folder}: holds no finished cell with its weights; {HOW}")
    best = max(scores, key=lambda cell: scores[cell])
    say(f"{option}: {best}, val IoU {scores[best]:.4f}, the best of {len(scores)}")
    return best


def _of_hash(digest: str, option: str) -> Path:
    cells = [file.parents[1] for file in Path("outputs").glob(f"*/*-{digest}/{WEIGHTS}")]
    if not cells:
        raise ConfigError(f"{option}={digest}: no cell outputs/*/*-{digest} with weights; {HOW}")
    if len(cells) > 1:
        found = ", ".join(map(str, sorted(cells)))
        raise ConfigError(f"{option}={digest}: {found}; name one of them")
    return cells[0]
