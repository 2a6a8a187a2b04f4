"""Sends the messages of libraries to a cell's log, and warnings to the screen as well."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segbench.text.screen import say

log = logging.getLogger(__name__)
TALKATIVE = ("lightning", "lightning.pytorch", "lightning.fabric")


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write messages of libraries to ``path`` instead of the screen; warnings go to both."""
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    # These have handlers of their own, which print, and do not pass messages to the root logger.
    talkative = [logging.getLogger(name) for name in TALKATIVE]
    before = [(each, each.handlers, each.propagate) for each in talkative]
    hook = threading.excepthook
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for each in talkative:
        each.handlers, each.propagate = [], True
    try:
        with warnings.catch_warnings():
            _silence_known()
            warnings.showwarning = _show  # type: ignore[assignment]
            threading.excepthook = _log_thread
            yield
    finally:
        threading.excepthook = hook
        root.removeHandler(handler)
        with suppress(OSError):  # a full disk, about which a warning was printed
            handler.close()
        for each, handlers, propagate in before:
            each.handlers, each.propagate = handlers, propagate


class _LogFile(logging.FileHandler):
    """A log file; if it cannot be written (a full disk), a warning is printed and the cell runs."""

    has_warned = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Print one warning; logging would print a traceback for each line."""
        if not self.has_warned:
            self.has_warned = True
            say(f"warning: {self.baseFilename}: {sys.exc_info()[1]}", sys.stderr)


def _log_thread(what: threading.ExceptHookArgs) -> None:
    """Log the error of a thread; loggers raise it again when they wait for their thread."""
    if what.exc_value is not None:
        log.error("a thread failed", exc_info=what.exc_value)


def _show(message: Warning | str, category: type[Warning], *_: object) -> None:
    """Print a warning in one line, without the line of code that Python adds."""
    say(f"warning: {' '.join(str(message).split())}", sys.stderr)
    logging.getLogger("py.warnings").warning("%s: %s", category.__name__, message)


def _silence_known() -> None:
    """Suppress warnings of normal runs that the user cannot act on; all others are shown."""
    known = (
        ("The '.*_dataloader' does not have many workers", "images lie prepared: none are needed"),
        ("Checkpoint directory .* exists and is not empty", "that is what resuming means"),
        (".*LeafSpec.*", "Lightning 2.6 asks torch for a class that torch deprecated"),
        ("Using `DistributedSampler` with the dataloaders", "what is seen twice is counted once"),
        ("The number of training batches .* is smaller than the logging interval", "by epoch"),
        ("The `srun` command is available on your system", "launchers submit cells, not srun"),
        ("You're resuming from a checkpoint that ended before the epoch ended", "see last.ckpt"),
    )
    for message, _ in known:
        warnings.filterwarnings("ignore", message=message)
