"""A cell's two checkpoints: the selected weights, and all that a resumption needs."""

import os
from pathlib import Path
from typing import IO, Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from segbench.errors import SegbenchError
from segbench.report.record import whole_file

BEST, LAST = "best", "last"
SELECTED = ("epoch", "global_step", "state_dict")
DONE = ("epoch", "global_step", "callbacks", "over")
SEAL = "seal"


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or not there, whenever the process is killed.

    Lightning writes to a temporary file too, but in the system's temporary folder: where that is
    another disk, its move is a copy, which can stop half-way.

    Each epoch's ``last.ckpt`` takes the disk space of the one before the last: a file's first
    writing costs the system several times as much as writing over it.
    """

    def __init__(self) -> None:
        self._hidden: set[Path] = set()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write beside the final name, then rename; of the best epoch the weights are enough.

        Lightning's own ``save_weights_only`` would leave out what callbacks say: averaged weights.
        Once training is over there is nothing to go on with: what it cost stays, a few kB.
        """
        path = Path(path)
        summed = torch.serialization.get_crc32_options()
        torch.serialization.set_crc32_options(False)  # a third of the time; files are renamed whole
        try:
            if path.stem == LAST:
                self._hidden = {_spare(path), _held(path)}  # a killed process may have left them
            if path.stem == LAST and not checkpoint["over"]:
                self._save_over_spare({**checkpoint, SEAL: _seal(checkpoint)}, path)
            else:
                names = {BEST: SELECTED, LAST: DONE}.get(path.stem, checkpoint)
                with whole_file(path) as temporary:
                    torch.save({name: checkpoint[name] for name in names}, temporary)
        finally:
            torch.serialization.set_crc32_options(summed)

    def _save_over_spare(self, checkpoint: dict[str, Any], path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        spare, held = _spare(path), _held(path)
        with _open_over(spare) as file:
            torch.save(checkpoint, file)
            file.truncate()
        held.unlink(missing_ok=True)
        try:
            os.link(path, held)
        except OSError:  # the first one; or a file system without links, and nothing is spared
            os.replace(spare, path)
            return
        os.replace(spare, path)
        os.replace(held, spare)

    def teardown(self) -> None:
        """Give the disk space back when training ends."""
        for path in self._hidden:
            path.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Load, with the folder as it is called now.

        Where it was moved meanwhile, Lightning would forget the best score so far, and a worse
        epoch would take the place of the best.

        Raises:
            SegbenchError: the file is a copy taken while its original was written over.
        """
        checkpoint: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only)
        if SEAL in checkpoint and not torch.equal(checkpoint.pop(SEAL), _seal(checkpoint)):
            raise SegbenchError(
                f"{path}: pieces of two epochs, as in a copy taken while training went on; "
                "copy it again, or delete it to train anew"
            )
        now = os.path.realpath(Path(path).parent)
        for name, state in checkpoint.get("callbacks", {}).items():
            if "dirpath" in state:
                checkpoint["callbacks"][name] = _moved(state, state["dirpath"], now)
        return checkpoint


def _spare(path: Path) -> Path:
    """Where the next checkpoint is written."""
    return path.with_name(f".{path.name}.spare")


def _held(path: Path) -> Path:
    """Another name of the present checkpoint, while the next one takes its own."""
    return path.with_name(f".{path.name}.held")


def _seal(checkpoint: dict[str, Any]) -> torch.Tensor:
    """The step, which the file's first bytes tell, as its last bytes."""
    return torch.tensor(checkpoint["global_step"])


def _open_over(path: Path) -> IO[bytes]:
    """A file to write from its start, over what is there."""
    return open(path, "wb", opener=lambda name, _: os.open(name, os.O_WRONLY | os.O_CREAT, 0o666))


def _moved(value: Any, before: str, now: str) -> Any:
    """A plain state with every path below ``before`` put below ``now``."""
    if isinstance(value, dict):
        return {_moved(k, before, now): _moved(v, before, now) for k, v in value.items()}
    if isinstance(value, str) and value.startswith(before):
        return now + value[len(before) :]
    return value
