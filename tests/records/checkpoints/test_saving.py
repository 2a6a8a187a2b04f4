"""Checkpoints are whole or not there, and damage is found and named before anything is read."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TINY, only_cell

from segbench.records.checkpoints.files import read_checkpoint, write_checkpoint
from segbench.records.checkpoints.saving import (
    BEST,
    DONE,
    LAST,
    PREVIOUS,
    SELECTED,
    VERSION,
    WholeCheckpoints,
    _moved,
    resumable_state,
)
from segbench.records.checksums import MARK, TAIL, DamagedError
from segbench.records.record import read_record

Run = Callable[..., int]
Damage = Callable[[bytes, bytes], bytes]


def checkpoint(step: int, over: bool = False) -> dict[str, Any]:
    """As Lightning hands it over, with weights that depend on the step."""
    weights = {str(i): torch.full((50_000,), float(step)) for i in range(4)}
    state = {"epoch": step, "global_step": step, VERSION: "2.6", "callbacks": {}}
    state |= {"state_dict": weights, "optimizer_states": [weights]}
    return {**state, "over": over, "stopped_by": "max_epochs" if over else None}


def save(folder: Path, *steps: int) -> None:
    """The checkpoints of a training that came to the last of the steps."""
    files = WholeCheckpoints()
    for step in steps:
        files.save_checkpoint(checkpoint(step), folder / f"{BEST}.ckpt")
        files.save_checkpoint(checkpoint(step), folder / f"{LAST}.ckpt")
    files.teardown()


def flip(place: float) -> Damage:
    def damage(content: bytes, _: bytes) -> bytes:
        flipped = bytearray(content)
        flipped[min(int(len(content) * place), len(content) - 1)] ^= 1
        return bytes(flipped)

    return damage


def middle_of_before(content: bytes, before: bytes) -> bytes:
    third = len(content) // 3
    return content[:third] + before[third : 2 * third] + content[2 * third :]


def lost_page(content: bytes, _: bytes) -> bytes:
    return content[:8192] + bytes(4096) + content[12288:]


DAMAGES: dict[str, Damage] = {
    **{f"bit at {place:.0%}": flip(place) for place in (0, 0.3, 0.5, 0.7, 0.999, 1)},
    "pages of the file before": middle_of_before,
    "a page of zeros": lost_page,
    "empty": lambda content, _: b"",
    "truncated": lambda content, _: content[: len(content) // 2],
    "without its last byte": lambda content, _: content[:-1],
    "all zeros": lambda content, _: bytes(len(content)),
    "longer": lambda content, _: content + b"\0" * 10,
    "something else": lambda *_: b"half of something" * 2000,
}
damages = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())


def damage_file(path: Path, before: Path, damage: Damage) -> None:
    path.write_bytes(damage(path.read_bytes(), before.read_bytes()))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_last_two_checkpoints_are_there_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path, 10, 11, 12)
    assert names(tmp_path) == {f"{name}.ckpt" for name in (BEST, LAST, PREVIOUS)}
    for name, step in ((LAST, 12), (PREVIOUS, 11)):
        loaded = WholeCheckpoints().load_checkpoint(tmp_path / f"{name}.ckpt")
        assert loaded.keys() == checkpoint(step).keys()
        assert loaded["global_step"] == step
        assert all((weight == step).all() for weight in loaded["state_dict"].values())


def test_a_hard_linked_copy_keeps_what_it_holds(tmp_path: Path) -> None:
    save(tmp_path, 1)
    for name in (LAST, BEST):
        os.link(tmp_path / f"{name}.ckpt", tmp_path / f"{name}.copy")
    save(tmp_path, 2, 3, 4, 5)
    for name in (LAST, BEST):
        assert read_checkpoint(tmp_path / f"{name}.copy")["global_step"] == 1


def test_once_over_only_the_cost_is_kept(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    files = WholeCheckpoints()
    files.save_checkpoint(checkpoint(3, over=True), tmp_path / f"{LAST}.ckpt")
    files.teardown()
    assert names(tmp_path) == {f"{name}.ckpt" for name in (BEST, LAST)}
    assert torch.load(tmp_path / f"{LAST}.ckpt").keys() == set(DONE)
    assert torch.load(tmp_path / f"{BEST}.ckpt").keys() == set(SELECTED)


def test_a_callbacks_own_checkpoint_is_kept_as_it_is(tmp_path: Path) -> None:
    files, path = WholeCheckpoints(), tmp_path / "epoch=3.ckpt"
    files.save_checkpoint(checkpoint(3), path)
    assert files.load_checkpoint(path).keys() == checkpoint(3).keys()
    assert names(tmp_path) == {"epoch=3.ckpt"}


def test_what_a_killed_process_left_behind_is_written_over(tmp_path: Path) -> None:
    (tmp_path / f".{LAST}.ckpt.tmp").write_bytes(b"half of something" * 200_000)
    save(tmp_path, 1)
    assert names(tmp_path) == {f"{name}.ckpt" for name in (BEST, LAST)}
    assert resumable_state(tmp_path) is not None


def test_a_full_disk_leaves_the_files_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, 2)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for where in (
        "segbench.records.checkpoints.files.torch.save",
        "segbench.records.checkpoints.files.os.fsync",
    ):
        with monkeypatch.context() as patched:
            patched.setattr(where, full)
            with pytest.raises(OSError, match="No space left"):
                save(tmp_path, 3)
        assert {f"{name}.ckpt" for name in (BEST, LAST, PREVIOUS)} <= names(tmp_path)
        assert read_checkpoint(tmp_path / f"{LAST}.ckpt")["epoch"] == 2


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(file: int) -> None:
        done.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{file}')).name}")
        fsync(file)

    def note_replace(old: Path, new: Path) -> None:
        done.append(f"{old.name} to {new.name}")
        replace(old, new)

    save(tmp_path, 1)
    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    save(tmp_path, 2)
    assert done == [
        *("fsync .best.ckpt.tmp", ".best.ckpt.tmp to best.ckpt", f"fsync {tmp_path.name}"),
        *("fsync .last.ckpt.tmp", "last.ckpt to last-1.ckpt", ".last.ckpt.tmp to last.ckpt"),
        f"fsync {tmp_path.name}",
    ]


def test_a_checkpoint_is_a_zip_file_that_torch_loads(tmp_path: Path) -> None:
    path = tmp_path / f"{LAST}.ckpt"
    write_checkpoint(checkpoint(4), path)
    assert path.read_bytes()[-TAIL:].startswith(MARK)
    for mmap in (True, False):
        assert (torch.load(path, mmap=mmap)["state_dict"]["3"] == 4).all()
    with path.open("rb") as file:
        assert torch.load(file)["epoch"] == 4
    with zipfile.ZipFile(path) as archive:
        assert any(name.endswith("data.pkl") for name in archive.namelist())


@damages
def test_no_damaged_file_is_read(tmp_path: Path, damage: Damage) -> None:
    path, before = tmp_path / "new.ckpt", tmp_path / "old.ckpt"
    write_checkpoint(checkpoint(1), before)
    write_checkpoint(checkpoint(2), path)
    damage_file(path, before, damage)
    with pytest.raises(DamagedError, match=r"new\.ckpt: damaged") as told:
        read_checkpoint(path)
    assert "\n" not in str(told.value)


def test_a_file_of_before_without_a_checksum_is_read(tmp_path: Path) -> None:
    for name in (LAST, BEST):
        torch.save(checkpoint(3), tmp_path / f"{name}.ckpt")
    state = resumable_state(tmp_path)
    assert state is not None
    assert state["epoch"] == 3
    torch.save([1, 2], tmp_path / f"{LAST}.ckpt")
    with pytest.raises(DamagedError, match="not a checkpoint but a list"):
        read_checkpoint(tmp_path / f"{LAST}.ckpt")


@damages
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Damage
) -> None:
    save(tmp_path, 1, 2)
    damage_file(tmp_path / f"{LAST}.ckpt", tmp_path / f"{PREVIOUS}.ckpt", damage)
    state = resumable_state(tmp_path)
    assert state is not None
    assert state["epoch"] == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"note: {tmp_path / LAST}.ckpt: damaged")
    assert line.endswith("training resumes from the checkpoint before it")
    assert read_checkpoint(tmp_path / f"{LAST}.ckpt")["epoch"] == 1
    assert not (tmp_path / f"{PREVIOUS}.ckpt").exists()


def test_a_rename_that_a_power_cut_took_is_made_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 1, 2)
    (tmp_path / f"{LAST}.ckpt").unlink()
    state = resumable_state(tmp_path)
    assert state is not None
    assert state["epoch"] == 1
    assert "last.ckpt: missing; training resumes from the checkpoint before it" in (
        capsys.readouterr().out
    )


@damages
@pytest.mark.parametrize("name", [LAST, BEST])
def test_training_starts_anew_where_nothing_whole_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Damage, name: str
) -> None:
    save(tmp_path, 0)
    older = (tmp_path / f"{LAST}.ckpt").rename(tmp_path.with_suffix(".older"))
    save(tmp_path, 1, 2)
    for each in (LAST, PREVIOUS) if name == LAST else (BEST,):
        damage_file(tmp_path / f"{each}.ckpt", older, damage)
    assert resumable_state(tmp_path) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"note: {tmp_path / name}.ckpt: damaged")
    assert line.endswith("training starts again")
    assert names(tmp_path) == set()  # else a later resumption would mix the two trainings


def test_without_selected_weights_training_starts_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 1)
    (tmp_path / f"{BEST}.ckpt").unlink()
    assert resumable_state(tmp_path) is None
    assert "best.ckpt: missing; training starts again" in capsys.readouterr().out


def test_a_new_folder_is_no_reason_for_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resumable_state(tmp_path / "none") is None
    assert capsys.readouterr().out == ""


def test_a_folder_is_no_prefix_of_another() -> None:
    state = {"dirpath": "/a/cell-1", "best_k_models": {"/a/cell-1/x.ckpt": "/a/cell-10/x.ckpt"}}
    assert _moved(state, "/a/cell-1", "/b") == {
        "dirpath": "/b",
        "best_k_models": {"/b/x.ckpt": "/a/cell-10/x.ckpt"},
    }


def test_a_cell_with_a_damaged_checkpoint_ends_with_the_same_numbers(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    words = (*TINY[:-1], "trainer.max_epochs=4", "+trainer.deterministic=true")
    killed = KeyboardInterrupt("as if killed")
    save_checkpoint = WholeCheckpoints.save_checkpoint

    def stop_at_the_third(self: Any, state: dict[str, Any], path: Any, **options: Any) -> None:
        if state["epoch"] == 2:
            raise killed
        save_checkpoint(self, state, path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(WholeCheckpoints, "save_checkpoint", stop_at_the_third)
        assert segbench(*words, "name=a") == 130
    shutil.copytree(tmp_path / "outputs" / "a", tmp_path / "outputs" / "b")
    for name in ("a", "b"):
        folder = only_cell(tmp_path, name) / "checkpoints"
        if name == "b":
            damage_file(folder / f"{LAST}.ckpt", folder / f"{PREVIOUS}.ckpt", middle_of_before)
        capsys.readouterr()
        assert segbench(*words, f"name={name}") == 0
        out = capsys.readouterr().out
        assert ("last.ckpt: damaged" in out) == (name == "b")
        assert f"resuming after epoch {2 if name == 'a' else 1}" in out
    cells = [only_cell(tmp_path, name) for name in ("a", "b")]
    assert len({(cell / "scores.csv").read_bytes() for cell in cells}) == 1
    first, second = (read_record(cell)["metrics"] for cell in cells)
    assert first == second
    # predictions of damaged weights are refused in one line
    best = cells[0] / "checkpoints" / f"{BEST}.ckpt"
    best.write_bytes(flip(0.5)(best.read_bytes(), b""))
    for command in ("evaluate", "export"):
        assert segbench(command, f"run={cells[0]}") == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{BEST}.ckpt: damaged: its content does not have its checksum; not loaded" in line


def test_segbench_torch_and_lightning_load_the_selected_weights(
    segbench: Run, tmp_path: Path
) -> None:
    """The lines of docs/using.md."""
    import hydra
    import numpy as np
    from omegaconf import OmegaConf

    import segbench as package
    from segbench.cell.task import SegmentationTask
    from segbench.inference.predictor import Predictor

    assert segbench(*TINY[:-1], "trainer.max_epochs=1") == 0
    cell = only_cell(tmp_path)
    network = hydra.utils.instantiate(OmegaConf.load(f"{cell}/config.yaml").model)
    state = torch.load(f"{cell}/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    network.load_state_dict({k[8:]: v for k, v in state.items() if k.startswith("network.")})
    net = package.load(str(cell))
    assert isinstance(net, Predictor)
    assert net(np.zeros((32, 32, 3), np.uint8)).shape == (32, 32)
    fresh = hydra.utils.instantiate(OmegaConf.load(f"{cell}/config.yaml").model)
    loss = hydra.utils.instantiate(OmegaConf.load(f"{cell}/config.yaml").loss)
    task = SegmentationTask.load_from_checkpoint(
        f"{cell}/checkpoints/best.ckpt", network=fresh, loss=loss, optimizer=torch.optim.Adam
    )
    image = torch.randn(1, 3, 32, 32)
    expected = network.eval()(image)
    assert torch.equal(task.eval().cpu()(image), expected)
    (loaded,) = net.network.networks
    assert torch.allclose(loaded(image), expected, atol=1e-5)


INTERRUPTED = """
import signal, sys
from pathlib import Path
import torch
from segbench.records import checksums
from segbench.records.checkpoints import files as checkpoint_files

def fail(*_):
    raise RuntimeError("from a signal")

def interrupted(self, view):
    signal.raise_signal(signal.SIGUSR1)
    return write(self, view)

signal.signal(signal.SIGUSR1, fail)
write, checksums.DigestingFile._write = checksums.DigestingFile._write, interrupted
try:
    checkpoint_files.write_checkpoint({"epoch": torch.ones(9000)}, Path(sys.argv[1]))
except RuntimeError as error:
    print(error)
"""


def test_a_signal_while_a_checkpoint_is_written_is_an_error_like_any_other(tmp_path: Path) -> None:
    """In a process of its own, because PyTorch would end it if its writing raised the error."""
    words = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "last.ckpt")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "from a signal\n"), done.stderr
    assert torch.equal(read_checkpoint(tmp_path / "last.ckpt")["epoch"], torch.ones(9000))
