"""Out of memory: one line with the ways out, and what each would free."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import TINY, only_cell

from segbench.hardware.oom import GIB, Footprint, advice, is_out_of_memory
from segbench.records.record import read_record


def test_how_much_each_setting_frees() -> None:
    used = Footprint(
        parameters=GIB // 16,
        batch_size=16,
        size=(256, 512),
        precision="32-true",
        peak_bytes=9 * GIB,
    )
    assert used.fixed_bytes == GIB
    said = advice(used)
    assert "out of memory at 9.00 GiB, of which 1.00 GiB" in said
    assert "data.batch_size=8 trainer.accumulate_grad_batches=2 (4.00 GiB" in said
    assert "trainer.precision=16-mixed (up to 4.00 GiB)" in said
    assert "data.size=[128,256] (6.00 GiB)" in said
    assert "half of model.base_channels (4.75 GiB)" in said
    one = advice(Footprint(1000, 1, (64, 64), "bf16-mixed", GIB))
    assert "batch_size" not in one
    assert "precision" not in one


def test_what_counts_as_out_of_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(RuntimeError("could not create a primitive"))
    assert not is_out_of_memory(RuntimeError("could not create a primitive descriptor"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_a_cell_that_runs_out_is_recorded_with_the_advice(
    segbench: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from segbench.cell.task import SegmentationTask

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SegmentationTask, "training_step", full)
    assert segbench(*TINY) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "data.batch_size=4 trainer.accumulate_grad_batches=2" in error
    assert read_record(only_cell(tmp_path))["status"] == "failed"
    assert "CUDA out of memory" in (only_cell(tmp_path) / "log.txt").read_text()
