"""`python -m segbench export` as its user meets it, on a folder copied to nowhere."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from made_run import make_run
from PIL import Image

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A cell's folder alone, with a panel to verify with."""
    made = make_run(tmp_path / "made" / "unet-bce_dice-s0-00000001")
    copied = tmp_path / "copied"
    shutil.move(made, copied)
    sheet = np.random.default_rng(0).integers(0, 256, (860, 1054, 3), np.uint8)
    (copied / "panels").mkdir()
    Image.fromarray(sheet).save(copied / "panels" / "test.png")
    return copied


@pytest.mark.parametrize(("kind", "name"), [("onnx", "model.onnx"), ("torch_export", "model.pt2")])
def test_a_copied_folder_exports_verified(
    segbench: Run, run: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    assert segbench("export", f"run={run}", f"format={kind}") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "largest difference on a random picture, 32 x 32: " in said.out
    assert "largest difference on a real picture, 237 x 221: " in said.out
    assert f"exported: {run / name}" in said.out
    assert "background, cell" in said.out


def test_a_mean_of_cells_and_a_picture_of_ones_own(
    segbench: Run, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_run(tmp_path / "other", seed=1)
    Image.new("L", (31, 17), 90).save("photo.png")
    words = ("export", f"run=[{run},{other}]", "picture=photo.png")
    assert segbench(*words) == 1 or "output: missing" in capsys.readouterr().err
    assert segbench(*words, "output=mean.onnx") == 0
    assert "real picture, 31 x 17" in capsys.readouterr().out
    session = onnxruntime.InferenceSession("mean.onnx", providers=["CPUExecutionProvider"])
    image = np.full((1, 3, 20, 24), 90, np.float32)
    assert session.run(None, {"image": image})[0].shape == (1, 2, 20, 24)


def test_a_file_for_one_size(segbench: Run, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segbench("export", f"run={run}", "size=fixed", "output=one.onnx") == 0
    assert "largest difference on a real picture, 32 x 32: " in capsys.readouterr().out
    session = onnxruntime.InferenceSession("one.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[2:] == [32, 32]
    assert session.get_modelmeta().custom_metadata_map["any_size"] == "false"


def test_a_file_that_does_not_run_is_removed_and_the_way_out_named(
    segbench: Run,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: object) -> float:
        raise RuntimeError("Reshape failed")

    monkeypatch.setattr("segbench.inference.export.largest_difference", fails)
    assert segbench("export", f"run={run}") == 1
    told = capsys.readouterr().err
    assert "model.onnx: cannot be run on a random picture (Reshape failed): removed; try " in told
    assert "try size=fixed, for images of 32 x 32 alone, or format=torch_export" in told
    assert not (run / "model.onnx").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("format=onnx",), 2, "run: missing"),
        (("run=nowhere",), 2, "run=nowhere: no such folder"),
        (("run={run}", "format=tflite"), 2, "format=tflite: expected onnx, torch_export"),
        (("run={run}", "size=32"), 2, "size=32: expected any, fixed"),
        (("run={run}", "output=net.bin"), 2, "expected a name that ends in .onnx"),
        (("run={run}", "picture=none.jpg"), 2, "none.jpg: cannot be read"),
        (("run={run}", "-m"), 2, "export takes no -m"),
    ],
)
def test_a_slip_is_one_line(
    segbench: Run,
    run: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert segbench("export", *(word.format(run=run) for word in words)) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(run.glob("model*"))
