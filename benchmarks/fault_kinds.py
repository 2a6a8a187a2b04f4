"""Faults that end a command, or meet it while it runs: kills, signals, full disks, limits."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import injections
from forks import Command, Ended, FailedError, Fault, differences, run, run_when_free, says_why

CELL = (
    *("model.base_channels=4", "model.depth=2", "model.dropout=0.3", "data.count=20"),
    *("data.size=32", "data.batch_size=7", "augment=hflip", "trainer.max_epochs=2"),
    *("trainer.precision=32-true", "trainer.accelerator=cpu"),
)
VARIANTS: dict[str, tuple[str, ...]] = {
    "plain": (*CELL, "data.num_workers=0"),
    "two loading processes": (*CELL, "data.num_workers=2"),
    "ema": (*CELL, "callbacks=ema"),
    "onecycle": (*CELL, "scheduler=onecycle", "optimizer=sgd"),
    "mid-epoch": (*CELL, "+trainer.val_check_interval=0.5", "data.num_workers=2"),
    "sweep": ("-m", *CELL, "seed=0,1"),
}
POOLS = {
    "joblib": (*VARIANTS["sweep"], "hydra/launcher=joblib"),
    "submitit": (*VARIANTS["sweep"], "hydra/launcher=submitit_local"),
}
EQUAL, WHY = "equal results", "one line"


@dataclass(frozen=True)
class Trial:
    """One fault: what is done in an empty folder; returns how it ended, or raises an error."""

    name: str
    attempt: Callable[[Path], str]


class Kinds:
    """The kinds of faults, with the undisturbed runs that disturbed ones are compared with."""

    def __init__(self, folder: Path, random: Random, quick: bool = False) -> None:
        self.folder, self.random, self.quick = folder, random, quick
        self._seconds: dict[tuple[str, ...], float] = {}

    def some(self, count: int, quick: int) -> int:
        """How many faults of a sort are tried."""
        return quick if self.quick else count

    def reference(self, words: tuple[str, ...]) -> Path:
        """The cells of an undisturbed run."""
        folder = self.folder / f"reference{abs(hash(words))}"
        if words not in self._seconds:
            folder.mkdir()
            start = time.monotonic()
            ended = run(words, folder)
            self._seconds[words] = time.monotonic() - start
            if ended.code:
                raise FailedError(str(ended))
        return folder / "outputs" / "default"

    def seconds(self, words: tuple[str, ...]) -> float:
        """How long an undisturbed run takes."""
        self.reference(words)
        return self._seconds[words]

    def operations(self, words: tuple[str, ...]) -> int:
        """How often an undisturbed run changes something on the disk."""
        folder, count = self.folder / "counting", self.folder / f"count{abs(hash(words))}"
        if not count.exists():
            folder.mkdir()
            run(words, folder, lambda: injections.watch(folder, injections.count_into(count)))
            self.remove(folder)
        return int(count.read_text())

    @staticmethod
    def remove(folder: Path) -> None:
        import shutil

        shutil.rmtree(folder)

    def again(self, folder: Path, words: tuple[str, ...]) -> str:
        """Type the command again, and compare what it comes to with the undisturbed run."""
        return judge(run_when_free(words, folder), folder, self.reference(words))

    def kills(self) -> Iterator[Trial]:
        """SIGKILL: up to three times at random moments, and before operations on the disk."""
        for name, words in VARIANTS.items():
            often = 3 if name == "sweep" else 8
            for _ in range(self.some(often, int(name == "mid-epoch"))):
                moments = [self.random.random() for _ in range(self.random.randint(1, 3))]
                told = ", ".join(f"{moment:.2f}" for moment in moments)
                yield Trial(f"{name}, at {told} of its time", partial(self._kill, words, moments))
        for name in ("plain", "ema", "sweep"):
            words = VARIANTS[name]
            total = self.operations(words)
            often = 5 if name == "sweep" else 20
            for chosen in self._spread(total, self.some(often, int(name == "plain"))):
                act = injections.kill_at(chosen)
                yield Trial(
                    f"{name}, before operation {chosen} of {total}",
                    partial(self._disturb, words, act, may_die=True),
                )

    def _spread(self, total: int, count: int) -> list[int]:
        """Numbers from 1 to ``total``, one at random in each of ``count`` equal parts."""
        return [1 + int((place + self.random.random()) * total / count) for place in range(count)]

    def _kill(self, words: tuple[str, ...], moments: list[float], folder: Path) -> str:
        for moment in moments:
            seconds = moment * self.seconds(words)
            command = Command(words, folder)
            if command.wait(seconds) is not None:
                break
            command.signal(signal.SIGKILL, alone=self.random.random() < 0.5)
            command.wait()
        return self.again(folder, words)

    def _disturb(
        self, words: tuple[str, ...], act: injections.Act, folder: Path, may_die: bool = False
    ) -> str:
        ended = run(words, folder, lambda: injections.watch(folder, act))
        if not (may_die and ended.code == -signal.SIGKILL):
            judge(ended, folder, self.reference(words))
        return self.again(folder, words)

    def pools(self) -> Iterator[Trial]:
        """SIGKILL to a sweep in several processes: to all, the first, or one of the pool."""
        for name, words in POOLS.items():
            for whom in ("all", "first", "one")[: self.some(3, 0)]:
                moment = self.random.random()
                told = f"{name}, {whom}, at {moment:.2f} of its time"
                yield Trial(told, partial(self._kill_pool, words, whom, moment))

    def _kill_pool(self, words: tuple[str, ...], whom: str, moment: float, folder: Path) -> str:
        seconds = moment * self.seconds(words)
        command = Command(words, folder)
        if command.wait(seconds) is None:
            if whom == "one":
                for process in _below(command.process)[-1:]:
                    os.kill(process, signal.SIGKILL)
                command.ended()
            else:
                command.signal(signal.SIGKILL, alone=whom == "first")
                command.wait()
        time.sleep(2)  # processes of a pool end with the first one within a second or two
        return self.again(folder, words)

    def signals(self) -> Iterator[Trial]:
        """SIGINT, SIGTERM and SIGHUP at random moments, as from a terminal or from `kill`."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[: self.some(3, 2)]
        for number in numbers:
            for name in ("plain", "mid-epoch", "sweep")[: self.some(3, 1)]:
                for place in range(self.some(2 if name == "sweep" else 6, 1)):
                    moment, alone = self.random.random(), place % 2 == 0
                    told = f"{number.name}, {name}, at {moment:.2f} of its time"
                    attempt = partial(self._signal, VARIANTS[name], number, moment, alone)
                    yield Trial(f"{told}{' alone' if alone else ''}", attempt)

    def _signal(
        self, words: tuple[str, ...], number: int, moment: float, alone: bool, folder: Path
    ) -> str:
        seconds = moment * self.seconds(words)
        command = Command(words, folder)
        if command.wait(seconds) is None:
            command.signal(number, alone)
            ended = command.ended()
            if ended.code not in (0, 128 + number, -number):
                raise FailedError(f"expected {128 + number}: {ended}")
        return self.again(folder, words)

    def disk(self) -> Iterator[Trial]:
        """A disk that is full from an operation on, or at one alone."""
        for name in ("plain", "sweep")[: self.some(2, 1)]:
            total = self.operations(VARIANTS[name])
            for lasts in (True, False):
                for chosen in self._spread(total, self.some(5 if name == "sweep" else 20, 1)):
                    act = injections.fail_at(chosen, lasts=lasts)
                    told = "from" if lasts else "at"
                    attempt = partial(self._disturb, VARIANTS[name], act)
                    yield Trial(f"{name}, {told} operation {chosen} of {total}", attempt)

    def limits(self) -> Iterator[Trial]:
        """Limits of a file's size, of open files and of memory, which the command meets."""
        draw = self.random.randint
        for _ in range(self.some(10, 1)):
            size, files, memory = draw(0, 120_000), draw(2, 40), draw(1, 400) * 2**20
            yield self._limited(f"files of {size} bytes", injections.limit_file_size, size)
            yield self._limited(f"{files} more open files", injections.limit_files, files)
            told = f"{memory // 2**20} MB more memory"
            yield self._limited(told, injections.limit_memory, memory)

    def _limited(self, name: str, limit: Callable[[int], None], value: int) -> Trial:
        words = VARIANTS["two loading processes"]
        return Trial(name, partial(self._limit, words, lambda: limit(value)))

    def _limit(self, words: tuple[str, ...], fault: Fault, folder: Path) -> str:
        judge(run(words, folder, fault), folder, self.reference(words))
        return self.again(folder, words)


def judge(ended: Ended, folder: Path, reference: Path, but: str = "") -> str:
    """Whether a command ended as the undisturbed one, or said why it did not.

    Args:
        ended: the command.
        folder: where it ran.
        reference: the cells of the undisturbed run.
        but: a part of the cells that cannot be equal.

    Raises:
        FailedError: neither.
    """
    if ended.code:
        if says_why(ended):
            return WHY
        raise FailedError(f"no clear line: {ended}")
    if differing := differences(folder / "outputs" / "default", reference, but):
        raise FailedError(f"not equal ({', '.join(differing)}): {ended}")
    return EQUAL


def _below(process: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    path = Path(f"/proc/{process}/task/{process}/children")
    found = [int(child) for child in path.read_text().split()] if path.exists() else []
    return [*found, *(each for child in found for each in _below(child))]
