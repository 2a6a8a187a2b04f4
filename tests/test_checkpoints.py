"""Checkpoints are whole or not there, and a torn copy of one is found out."""

from pathlib import Path
from typing import Any

import pytest
import torch

from segbench.checkpoints import BEST, LAST, WholeCheckpoints
from segbench.errors import SegbenchError


def checkpoint(step: int, over: bool = False) -> dict[str, Any]:
    """As Lightning hands it over, with weights that tell the step."""
    weights = {str(i): torch.full((50_000,), float(step)) for i in range(4)}
    state = {"epoch": step, "global_step": step, "callbacks": {}, "state_dict": weights}
    return {**state, "optimizer_states": [weights], "over": over}


def hidden(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir() if f.name.startswith("."))


def test_each_last_checkpoint_is_whole_and_the_space_is_used_again(tmp_path: Path) -> None:
    files, path = WholeCheckpoints(), tmp_path / f"{LAST}.ckpt"
    places = set()
    for step in range(10, 16):
        files.save_checkpoint(checkpoint(step), path)
        loaded = files.load_checkpoint(path)
        assert loaded.keys() == checkpoint(step).keys()
        assert loaded["global_step"] == step
        assert all((w == step).all() for w in loaded["state_dict"].values())
        places.add(path.stat().st_ino)
    assert len(places) == 2
    assert hidden(tmp_path) == [f".{LAST}.ckpt.spare"]
    files.teardown()
    assert hidden(tmp_path) == []


def test_a_smaller_checkpoint_leaves_nothing_of_the_larger_one(tmp_path: Path) -> None:
    files, path = WholeCheckpoints(), tmp_path / f"{LAST}.ckpt"
    for step in range(3):
        files.save_checkpoint(checkpoint(step), path)
    small = {**checkpoint(3), "state_dict": {}, "optimizer_states": []}
    files.save_checkpoint(small, path)
    assert files.load_checkpoint(path)["state_dict"] == {}
    assert path.stat().st_size < 10_000


def test_once_over_only_the_cost_is_kept(tmp_path: Path) -> None:
    files, path = WholeCheckpoints(), tmp_path / f"{LAST}.ckpt"
    files.save_checkpoint(checkpoint(1), path)
    files.save_checkpoint(checkpoint(2, over=True), path)
    assert torch.load(path).keys() == {"epoch", "global_step", "callbacks", "over"}
    files.save_checkpoint(checkpoint(2, over=True), tmp_path / f"{BEST}.ckpt")
    assert torch.load(tmp_path / f"{BEST}.ckpt").keys() == {"epoch", "global_step", "state_dict"}


def test_a_callbacks_own_checkpoint_is_kept_as_it_is(tmp_path: Path) -> None:
    files, path = WholeCheckpoints(), tmp_path / "epoch=3.ckpt"
    files.save_checkpoint(checkpoint(3), path)
    assert files.load_checkpoint(path).keys() == checkpoint(3).keys()
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("over", [True, False])
def test_what_a_killed_process_left_behind_is_in_nobodys_way(tmp_path: Path, over: bool) -> None:
    path = tmp_path / f"{LAST}.ckpt"
    WholeCheckpoints().save_checkpoint(checkpoint(1), path)
    for word in ("spare", "held"):
        (tmp_path / f".{LAST}.ckpt.{word}").write_bytes(b"half of something" * 200_000)
    files = WholeCheckpoints()
    files.save_checkpoint(checkpoint(2, over), path)
    assert torch.load(path)["global_step"] == 2
    files.teardown()
    assert hidden(tmp_path) == []


def test_without_hard_links_it_writes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("segbench.checkpoints.os.link", refuse)
    files, path = WholeCheckpoints(), tmp_path / f"{LAST}.ckpt"
    for step in (1, 2):
        files.save_checkpoint(checkpoint(step), path)
        assert files.load_checkpoint(path)["global_step"] == step
        assert hidden(tmp_path) == []


def test_a_copy_of_two_halves_is_refused(tmp_path: Path) -> None:
    files, contents = WholeCheckpoints(), []
    for step in (10, 12):
        files.save_checkpoint(checkpoint(step), tmp_path / f"{LAST}.ckpt")
        contents.append((tmp_path / f"{LAST}.ckpt").read_bytes())
    torn = tmp_path / "copy" / f"{LAST}.ckpt"
    torn.parent.mkdir()
    half = len(contents[0]) // 2
    torn.write_bytes(contents[0][:half] + contents[1][half:])
    with pytest.raises(SegbenchError, match="pieces of two epochs"):
        files.load_checkpoint(torn)
