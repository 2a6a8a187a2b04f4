"""A cell's checkpoints: the selected weights, and the state that training resumes from."""

import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from segbench.records.checkpoints.files import (
    read_checkpoint,
    settle,
    settle_folder,
    write_checkpoint,
)
from segbench.records.checksums import DamagedError
from segbench.records.record import BEST, LAST, PREVIOUS
from segbench.system_errors import naming
from segbench.text.screen import say

VERSION = "pytorch-lightning_version"  # without it Lightning loads no checkpoint
SELECTED = ("epoch", "global_step", VERSION, "state_dict")
DONE = ("epoch", "global_step", VERSION, "callbacks", "over", "stopped_by")


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints atomically, so that a kill or a power cut leaves none half written.

    A file is first written under a temporary name. While training continues, another thread waits
    until the file is on the disk and renames it, one file after another. The checkpoint before the
    last is kept, in case the last is damaged later.

    Args:
        keep_state: whether that checkpoint is kept after training, as the start of a longer one.
    """

    def __init__(self, keep_state: bool = False) -> None:
        self._keep_state = keep_state
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: dict[Path, Future[None]] = {}

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; that of the best epoch holds the weights alone.

        Lightning's own ``save_weights_only`` would leave out the weights that callbacks average.
        After training, ``last.ckpt`` holds only the state of callbacks (a few kB), because a
        finished training is not resumed.
        """
        path = Path(path)
        over = path.stem == LAST and bool(checkpoint.get("over"))
        names = DONE if over else SELECTED if path.stem == BEST else tuple(checkpoint)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._wait_for(path)
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with naming(path):
                write_checkpoint({name: checkpoint[name] for name in names}, temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._thread = self._thread or ThreadPoolExecutor(1)
        self._under_way[path] = self._thread.submit(
            _finish, temporary, path, over and not self._keep_state
        )

    def _wait_for(self, path: Path) -> None:
        if path in self._under_way:
            self._under_way.pop(path).result()

    def teardown(self) -> None:
        """Wait until all files have their final names."""
        for path in list(self._under_way):
            self._wait_for(path)
        if self._thread:
            self._thread.shutdown()
            self._thread = None

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Load a checkpoint on the CPU, with its paths changed to the folder's present name.

        If the folder was moved, Lightning would otherwise forget the best score so far, and a worse
        epoch would replace the best.

        Raises:
            DamagedError: the file does not hold what was written to it.
        """
        self._wait_for(Path(path))
        checkpoint = read_checkpoint(Path(path))
        now = os.path.realpath(Path(path).parent)
        for name, state in checkpoint.get("callbacks", {}).items():
            if "dirpath" in state:
                checkpoint["callbacks"][name] = _moved(state, state["dirpath"], now)
        return checkpoint


class BestCheckpoint(ModelCheckpoint):
    """Keeps the weights of the best validation, or the newest weights before the first one."""

    @property
    def state_key(self) -> str:
        """The key of Lightning's class, so that checkpoints of older versions can be resumed."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the weights if this epoch's validation is the best so far."""
        if self.monitor in trainer.callback_metrics:
            super().on_train_epoch_end(trainer, pl_module)
        elif not self.best_model_path:
            trainer.save_checkpoint(Path(str(self.dirpath)) / f"{self.filename}.ckpt")


def _finish(temporary: Path, path: Path, alone: bool) -> None:
    previous = path.with_stem(PREVIOUS)
    with naming(path):
        settle(temporary, path, previous if path.stem == LAST else None)
    if alone:
        previous.unlink(missing_ok=True)


def _moved(value: Any, before: str, now: str) -> Any:
    """A nested state in which paths below the folder ``before`` are moved to ``now``."""
    if isinstance(value, dict):
        return {_moved(k, before, now): _moved(v, before, now) for k, v in value.items()}
    if isinstance(value, str) and (value == before or value.startswith(before + os.sep)):
        return now + value[len(before) :]
    return value


def resumable_state(folder: Path) -> dict[str, Any] | None:
    """The state in ``last.ckpt`` to resume from; None if training starts again from the beginning.

    A damaged or missing ``last.ckpt`` is replaced by the checkpoint before it. Without the selected
    weights training cannot be resumed, because the epochs that they were selected from are over.
    Damaged files are removed, and one line names them.

    Args:
        folder: the cell's folder ``checkpoints``.
    """
    last, previous, best = (folder / f"{name}.ckpt" for name in (LAST, PREVIOUS, BEST))
    faults: list[str] = []
    state, then = _whole(last, faults), "training starts again"
    if state is None and previous.is_file():
        faults = faults or [f"{last}: missing"]
        state = _whole(previous, faults) or _whole(last, [])  # the first process may have renamed
        then = "training resumes from the checkpoint before it"
    if state is not None and _whole(best, faults) is None:
        faults += [] if best.exists() else [f"{best}: missing"]
        state = None
    if faults and not getattr(rank_zero_only, "rank", 0):
        then = then if state is not None else "training starts again"
        say(f"note: {'; '.join(faults)}; {then}")
        _tidy(last, previous, best, resumes=state is not None)
    return state


def _whole(path: Path, faults: list[str]) -> dict[str, Any] | None:
    """The content of a checkpoint; None if it is missing or damaged (then added to ``faults``)."""
    if not path.exists():
        return None
    try:
        return read_checkpoint(path, mmap=True)
    except DamagedError as error:
        faults.append(str(error))
        return None


def _tidy(last: Path, previous: Path, best: Path, resumes: bool) -> None:
    """Remove damaged checkpoints, and all of them if training starts again."""
    if resumes:
        _remove(last)
        os.replace(previous, last)
    else:
        for path in (last, previous, best):
            _remove(path)
    settle_folder(last.parent)


def _remove(path: Path) -> None:
    """Remove whatever has a checkpoint's name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
