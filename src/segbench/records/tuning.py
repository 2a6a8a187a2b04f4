"""What a search found: the trials of each combination, kept beside the cells of the winners."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.errors import SegbenchError
from segbench.records.files import MEGABYTE, exists, parse_json, read_text
from segbench.records.record import write_json

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

TUNING = "tuning.json"  # in the folder of the winners' cells
JOURNAL = Path("tune") / "journal.log"  # of the search, in the folder of its trials
_LIMIT = 64 * MEGABYTE


@dataclass
class Tuning:
    """The search of one combination.

    Args:
        trials: number of trials, whatever became of them.
        sampler: that proposed them.
        seed: with which they were trained.
        space: for each option its form and limits.
        score: on val, by which the best was chosen.
        chosen: the options of the best trial.
        best: its score.
        scores: of the trials that were trained to their end, in their order.
        failed: number of trials that failed.
        pruned: number of trials that were ended early.
    """

    trials: int
    sampler: str
    seed: int
    space: dict[str, str]
    score: str
    chosen: dict[str, str]
    best: float
    scores: list[float] = field(default_factory=list)
    failed: int = 0
    pruned: int = 0


def write_tuning(sweep: Path, found: dict[str, Tuning]) -> None:
    """Add searches, by the digest in their cells' config, to those in a sweep's folder."""
    known = read_tuning(sweep) | found
    write_json(sweep / TUNING, {key: asdict(each) for key, each in known.items()})


def read_tuning(sweep: Path) -> dict[str, Tuning]:
    """The searches whose winners are in a sweep's folder; empty without any, or if damaged."""
    if not exists(sweep / TUNING):
        return {}
    try:
        tree = parse_json(read_text(sweep / TUNING, _LIMIT))
        return {str(key): _checked(Tuning(**node)) for key, node in tree.items()}
    except (SegbenchError, ValueError, TypeError, AttributeError):
        return {}


def _checked(found: Tuning) -> Tuning:
    """The search, if its values are of the right kinds.

    Raises:
        ValueError: one is not.
    """
    numbers = (found.trials, found.seed, found.failed, found.pruned)
    texts: list[Any] = [found.sampler, found.score, *found.space.values(), *found.chosen.values()]
    if not all(type(each) is int for each in numbers):
        raise ValueError("a number of trials is no whole number")
    if not all(isinstance(each, str) for each in texts):
        raise ValueError("an option is no text")
    if not all(type(each) in (int, float) for each in (found.best, *found.scores)):
        raise ValueError("a score is no number")
    return found


def open_storage(journal: Path) -> "BaseStorage":
    """Optuna's storage of a search: a file that several processes may write to."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    journal.parent.mkdir(parents=True, exist_ok=True)
    # its lock is held for milliseconds; that of a killed process is broken after some seconds
    lock = JournalFileOpenLock(str(journal), grace_period=5)
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
