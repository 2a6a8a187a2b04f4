"""One input at a time, in this process and under an audit hook: how does segbench end with it?

An input is *accepted*, or *refused* with one clear line of segbench's own. All else is a `Fault`: a
traceback, an error of another class, a line that a terminal would obey, a call of a program or of
the network, a write outside the scratch folder, more than `SECONDS`, more than `MEMORY`.
"""

import contextlib
import faulthandler
import io
import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from watched import foreign

SECONDS = 10.0  # of processor time for one input; a machine shared with others takes longer
WAITING = 6  # times as long may pass on the clock
MEMORY = 6 << 30  # bytes of address space beyond what the process has at its start
ACCEPTED, REFUSED, FAILED = "accepted", "refused", "failed"
_OWN = re.compile(r"(segbench|hydra|omegaconf)\.")  # modules whose errors segbench explains


class Fault(AssertionError):
    """What segbench must not do; the text says what it was and what was printed."""


class TooLong(BaseException):
    """Raised in the middle of an input that takes longer than `SECONDS`."""


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Args:
        name: its name in the table.
        inputs: makes the strategy that draws inputs; called in the scratch folder.
        run: takes an input in an empty current folder and calls segbench; returns the exit code,
            and raises what segbench raises.
    """

    name: str
    inputs: Callable[[], st.SearchStrategy[Any]]
    run: Callable[[Any], int]


def limit_memory() -> None:
    """Let an input that asks for more than `MEMORY` end in a MemoryError, not this machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def fuzz(kind: Kind, scratch: Path, count: int, number: int | None) -> Counter[str]:
    """Try ``count`` inputs; returns how many ended in which way, and prints the smallest failing.

    Args:
        kind: what to try.
        scratch: the folder that may be written to.
        count: of inputs.
        number: of the draw; None: the same at every time.
    """
    found: Counter[str] = Counter()

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=number is None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),  # explaining traces each line, which takes minutes
    )
    @given(kind.inputs())
    def each(value: Any) -> None:
        found[judged(kind.run, value, scratch)] += 1

    try:
        (each if number is None else seed(number)(each))()
    except (Fault, ExceptionGroup) as error:
        found[FAILED] += 1
        traceback.print_exception(error, limit=0)
    return found


def judged(run: Callable[[Any], int], value: Any, scratch: Path) -> str:
    """How segbench ends with an input.

    Raises:
        Fault: in a way that it must not.
    """
    work = scratch / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    os.chdir(work)
    foreign.clear()
    (scratch / "current").write_text(repr(value), errors="backslashreplace")  # should all crash
    start = time.process_time()
    with captured() as said, recorded() as errors, within(SECONDS):
        code = _ended(run, value, errors)
    seconds = time.process_time() - start
    text = said.getvalue()
    _check(code, text, errors)
    if foreign:
        raise Fault(f"foreign calls {foreign}")
    if seconds > SECONDS:
        raise Fault(f"took {seconds:.1f} s")
    return REFUSED if code else ACCEPTED


def _ended(run: Callable[[Any], int], value: Any, errors: list[BaseException]) -> int:
    try:
        return run(value)
    except TooLong as error:
        place = traceback.format_exc()
        raise Fault(f"took more than {SECONDS} s of processor time, or waited:\n{place}") from error
    except Exception as error:
        errors.append(error)
        print(f"error: {error}", file=sys.stderr)
        return 2


def _check(code: int, text: str, errors: list[BaseException]) -> None:
    lines = text.split("\n")
    bad = [error for error in errors if not is_own(error)]
    if bad:
        where = "".join(traceback.format_exception(bad[0])[-12:])
        raise Fault(f"{type(bad[0]).__name__} is no error of segbench's own:\n{where}")
    if "Traceback (most recent" in text or "(traceback: " in text:
        raise Fault(f"shows a traceback:\n{text[-3000:]}")
    if any(unicodedata.category(c) in ("Cc", "Cs") for line in lines for c in line):
        raise Fault(f"prints what a terminal obeys: {text[-3000:]!r}")
    clear = [line for line in lines if re.match("(error|damaged): .{10}", line)]
    if code not in (0, 1, 2) or (code and not clear):
        raise Fault(f"exit code {code} without a clear line:\n{text[-3000:]}")


def is_own(error: BaseException) -> bool:
    """Whether an error is one that segbench raises on purpose, or explains."""
    if any(_OWN.match(f"{kind.__module__}.") for kind in type(error).__mro__):
        cause = error.__cause__  # of what Hydra could not build
        return "Instantiation" not in type(error).__name__ or cause is None or is_own(cause)
    if not isinstance(error, ValueError | ImportError):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    where = set(Path(frames[-1].filename).parts) if frames else set()
    return (
        bool(where & {"segbench", "hydra", "omegaconf"}) and type(error) is not UnicodeDecodeError
    )


@contextlib.contextmanager
def captured() -> Iterator[io.StringIO]:
    """All that is printed, to either stream."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said


@contextlib.contextmanager
def recorded() -> Iterator[list[BaseException]]:
    """The errors that a command turns into lines: it formats the traceback of each."""
    errors: list[BaseException] = []
    original = traceback.format_exception

    def record(error: Any, *more: Any, **options: Any) -> list[str]:
        errors.append(error)
        return original(error, *more, **options)

    traceback.format_exception = record  # type: ignore[assignment]
    try:
        yield errors
    finally:
        traceback.format_exception = original


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `TooLong` after that time; where no Python runs meanwhile, end the process later."""
    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, seconds),
        signal.SIGALRM: (signal.ITIMER_REAL, WAITING * seconds),
    }

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = {number: signal.signal(number, ring) for number in timers}
    for timer, length in timers.values():
        signal.setitimer(timer, length)
    faulthandler.dump_traceback_later(2 * WAITING * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])
