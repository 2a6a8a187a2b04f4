"""Faults between two commands: damaged files, changed data, moved folders, two sweeps at once."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import injections
from fault_kinds import CELL, EQUAL, VARIANTS, WHY, Kinds, Trial, judge
from forks import Command, Ended, FailedError, run, run_when_free, says_why
from made import make

DATA = tuple(word for word in CELL if not word.startswith("data.count"))
DATA = (*DATA, "data=folder", "data.root=data", "data.mask_values=[0,1]", "keep_state=true")
OTHERS = {
    "compare": ("compare",),
    "predict": ("predict", "run=outputs/default", "input=data/images", "output=masks"),
    "evaluate": ("evaluate", "run=outputs/default"),
}
# What is read back of a cell, of its evaluation, and of the data.
CELLS = (
    *("run.json", "scores.csv", "curves.csv", "config.yaml", "split.json"),
    *("checkpoints/best.ckpt", "checkpoints/last.ckpt", "checkpoints/last-1.ckpt"),
    *("panels/predictions.zip",),
)
CHANGES = ("removed", "truncated", "bit flipped at 70%", "a folder")  # of data
EVALUATED = ("run.json", "scores.csv", "config.yaml", "split.json")
PREPARED = ("images.npy", "masks.npy", "originals.bin", "index.json")


class FileKinds(Kinds):
    """The kinds of faults that befall files."""

    def whole(self, seed: int = 0) -> Path:
        """A folder with data, a finished cell, its masks, its report and its evaluation."""
        folder = self.folder / f"whole{seed}"
        if not folder.exists():
            folder.mkdir()
            make(folder / "data", 20, 32)
            for words in ((*DATA, f"seed={seed}"), *OTHERS.values()):
                ended = run(words, folder)
                if ended.code:
                    raise FailedError(str(ended))
        return folder

    def killed(self, seed: int = 0) -> Path:
        """The same, where the cell was killed after its first epoch."""
        folder = self.folder / f"killed{seed}"
        if not folder.exists():
            shutil.copytree(self.whole(seed) / "data", folder / "data")
            words = (*DATA, f"seed={seed}", "trainer.max_epochs=4")
            command = Command(words, folder)
            while not list(folder.glob("outputs/*/*/checkpoints/last-1.ckpt")):
                if command.wait(0.002) is not None:
                    raise FailedError("it ended before it could be killed")
            command.signal(signal.SIGKILL)
            command.wait()
        return folder

    def damage(self) -> Iterator[Trial]:
        """Damage to each file that is read back, then one of three commands and the cell's own."""
        for place, name in enumerate(self._files(self.whole())):
            for number, damage in enumerate(self._damages(place)):
                kind = list(OTHERS)[(place + number) % len(OTHERS)]
                told = f"{name}: {damage}, then {kind}"
                yield Trial(told, partial(self._damage, name, damage, kind))

    def _damages(self, place: int) -> list[str]:
        """All damages; of a quick run one, another for each file in turn."""
        names = list(injections.DAMAGES)
        return [names[place % len(names)]] if self.quick else names

    def _files(self, folder: Path) -> Iterator[str]:
        """The files that are damaged, from the folder; a quick run takes each third."""
        (cell,) = (path.parent for path in folder.glob("outputs/default/*/run.json"))
        (evaluation,) = folder.glob("outputs/default/evaluations/*-on-*")
        (store,) = (path.parent for path in folder.glob("data/.segbench/*/index.json"))
        found = [*(cell / name for name in CELLS), *(evaluation / name for name in EVALUATED)]
        found += [*(store / name for name in PREPARED), *folder.glob("outputs/*/pictures/*.zip")]
        found += [folder / "data" / part / "3.png" for part in ("images", "masks")]
        names = [str(path.relative_to(folder)) for path in found]
        yield from names[:: 4 if self.quick else 1]

    def _older(self, name: str, other: Path) -> bytes:
        """What a file of the same kind held in another seed's run."""
        parts = Path(name).parts
        for path in other.rglob(parts[-1]):
            if path.parent.name == parts[-2] or parts[-2].count("-") > 1:
                return path.read_bytes()
        return b""

    def _damage(self, name: str, damage: str, kind: str, folder: Path) -> str:
        shutil.copytree(self.whole(), folder, dirs_exist_ok=True)
        older = self._older(name, self.whole(1)) if damage == injections.MIXED else b""
        injections.DAMAGES[damage](folder / name, older)
        results = [self._check(kind, OTHERS[kind], folder)]
        again = run((*DATA, "seed=0"), folder)
        if name.endswith("best.ckpt") and f"{Path(name).name}: missing; the scores" in again.out:
            return WHY  # weights may be removed: scores, and exit code 0, stand
        lost = "curves.csv" if name.endswith("curves.csv") else ""  # they are not drawn anew
        results.append(judge_here(again, folder, self.whole(), lost))
        return WHY if WHY in results else EQUAL

    def _check(self, kind: str, words: tuple[str, ...], folder: Path) -> str:
        """Run a command on damaged files: what it makes must equal what it made of whole ones."""
        made = {"compare": "outputs/default/report/table.csv", "predict": "masks/*.png"}
        pattern = made.get(kind, "outputs/default/evaluations/*-on-*/scores.csv")
        if kind == "predict":
            shutil.rmtree(folder / "masks")
        ended = run(words, folder)
        if ended.code:
            if not says_why(ended, kind):
                raise FailedError(f"no clear line: {ended}")
            return WHY
        for path in self.whole().glob(pattern):
            ours = folder / path.relative_to(self.whole())
            if not ours.is_file() or ours.read_bytes() != path.read_bytes():
                raise FailedError(f"{kind}: {path.name} is not equal: {ended}")
        return EQUAL

    def resumed(self) -> Iterator[Trial]:
        """Damage to a killed cell, then its command again."""
        (cell,) = (path.parent for path in self.killed().glob("outputs/default/*/run.json"))
        for place, name in enumerate(CELLS[:-1][:: 4 if self.quick else 1]):
            if (cell / name).exists():
                for damage in self._damages(place):
                    file = str((cell / name).relative_to(self.killed()))
                    yield Trial(f"{name}: {damage}", partial(self._resume, file, damage))

    def _resume(self, name: str, damage: str, folder: Path) -> str:
        shutil.copytree(self.killed(), folder, dirs_exist_ok=True)
        older = self._older(name, self.killed(1)) if damage == injections.MIXED else b""
        injections.DAMAGES[damage](folder / name, older)
        return self._finish(folder, "curves.csv" if name.endswith("curves.csv") else "")

    def _finish(self, folder: Path, lost: str = "") -> str:
        """Type the killed cell's command again; it says so if a file of it is ``lost`` in part."""
        words = (*DATA, "seed=0", "trainer.max_epochs=4")
        undisturbed = self.folder / "undisturbed"
        if not undisturbed.exists():
            shutil.copytree(self.whole() / "data", undisturbed / "data")
            run(words, undisturbed)
        again = run_when_free(words, folder)
        if lost and re.search(rf"lost: .*{lost}|{lost}: .* lost$", again.out + again.err, re.M):
            judge_here(again, folder, undisturbed, lost)
            return WHY
        return judge_here(again, folder, undisturbed)

    def data(self) -> Iterator[Trial]:
        """Images and masks that vanish or change between two runs, or while one trains."""
        for part in ("images", "masks"):
            for place, damage in enumerate(CHANGES):
                if self.quick and place != (part == "masks"):
                    continue
                file, moment = f"data/{part}/{self.random.randint(0, 19)}.png", self.random.random()
                yield Trial(f"{file}: {damage}, then resumed", partial(self._resume, file, damage))
                told = f"{file}: {damage} at {moment:.2f} of the time"
                yield Trial(told, partial(self._change, file, damage, moment))

    def _change(self, name: str, damage: str, moment: float, folder: Path) -> str:
        shutil.copytree(self.whole() / "data", folder / "data")
        command = Command((*DATA, "seed=0", "trainer.max_epochs=4"), folder)
        command.wait(3 * moment)
        injections.DAMAGES[damage](folder / name, b"")
        ended = command.ended()
        if ended.code and not says_why(ended):
            raise FailedError(f"no clear line: {ended}")
        return self._finish(folder)

    def together(self) -> Iterator[Trial]:
        """Two sweeps of one name at once, one of them killed or not; a folder that moves."""
        for place in range(self.some(6, 0)):
            attempt = partial(self._twice, 3 * self.random.random(), place % 2 == 1)
            yield Trial(f"two sweeps{', one killed' if place % 2 else ''}", attempt)
        for how in ("renamed", "linked", "copied")[: self.some(3, 1)]:
            yield Trial(f"a killed cell's folder, {how}", partial(self._move, how))

    def _twice(self, later: float, kill: bool, folder: Path) -> str:
        words = VARIANTS["sweep"]
        first = Command(words, folder)
        first.wait(later)
        second = Command(words, folder)
        if kill:
            second.wait(later)
            first.signal(signal.SIGKILL)
            first.wait()
        for command in (second,) if kill else (first, second):
            ended = command.ended()
            if ended.code and not says_why(ended):
                raise FailedError(f"no clear line: {ended}")
        return self.again(folder, words)

    def _move(self, how: str, folder: Path) -> str:
        before, now = folder / "before", folder / "now"
        shutil.copytree(self.killed(), before)
        moves: dict[str, Callable[[Path, Path], object]]
        moves = {"renamed": os.rename, "linked": os.symlink, "copied": shutil.copytree}
        moves[how](before, now)
        time.sleep(0.01)
        return self._finish(now)


def judge_here(ended: Ended, folder: Path, reference: Path, but: str = "") -> str:
    """`judge` against another folder's cells."""
    return judge(ended, folder, reference / "outputs" / "default", but)
