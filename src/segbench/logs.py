"""What libraries say goes to a cell's log; what a user can do something about, to the screen."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TALKATIVE = ("lightning", "lightning.pytorch", "lightning.fabric")


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write what libraries say to ``path`` instead of the screen; warnings go to both."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    # These bring a handler of their own, which prints, and keep their words from the root's.
    talkative = [logging.getLogger(name) for name in TALKATIVE]
    before = [(each, each.handlers, each.propagate) for each in talkative]
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for each in talkative:
        each.handlers, each.propagate = [], True
    try:
        with warnings.catch_warnings():
            _silence_known()
            warnings.showwarning = _show  # type: ignore[assignment]
            yield
    finally:
        root.removeHandler(handler)
        handler.close()
        for each, handlers, propagate in before:
            each.handlers, each.propagate = handlers, propagate


def _show(message: Warning | str, category: type[Warning], *_: object) -> None:
    """A line for the user; Python's own form adds a place in our code."""
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
    logging.getLogger("py.warnings").warning("%s: %s", category.__name__, message)


def _silence_known() -> None:
    """Warnings of a normal run that its user can do nothing about; all others are shown."""
    known = (
        ("The '.*_dataloader' does not have many workers", "images lie prepared: none are needed"),
        ("Checkpoint directory .* exists and is not empty", "that is what resuming means"),
        (".*LeafSpec.*", "Lightning 2.6 asks torch for a class that torch deprecated"),
        ("Using `DistributedSampler` with the dataloaders", "what is seen twice is counted once"),
        ("The number of training batches .* is smaller than the logging interval", "by epoch"),
        ("You're resuming from a checkpoint that ended before the epoch ended", "see last.ckpt"),
    )
    for message, _ in known:
        warnings.filterwarnings("ignore", message=message)
