"""Images made worse: the same on every machine, at the original size, in evaluations and tables."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import only_cell

from segbench.data.store.shifts import STEPS, Shift
from segbench.data.store.transforms import resize_image
from segbench.data.synthetic import SyntheticDataModule
from segbench.errors import ConfigError
from segbench.records.cells import Cell
from segbench.records.record import read_record

TINY = ("model.base_channels=4", "model.depth=2", "trainer.max_epochs=1", "data.size=16")


def picture(channels: int = 3, kind: Any = np.uint8, zoom: int = 1) -> np.ndarray:
    """The same on every machine, since it is computed in whole numbers."""
    rows, columns = np.mgrid[:40, :56]
    top = np.iinfo(kind).max if np.dtype(kind).kind == "u" else 1
    planes = [(rows * rows * (k + 3) + columns * 7 * (k + 1)) % 256 for k in range(channels)]
    found = (np.stack(planes, axis=2) / 255 * top).astype(kind)
    return found.repeat(zoom, axis=0).repeat(zoom, axis=1)


HASHES = {
    "blur": "d8fccc1153cf9aa9",
    "noise": "9c66b9caf8cff9d6",
    "jpeg": "bb532e622f571c82",
    "brightness": "50d5680c5c889ff7",
}


@pytest.mark.parametrize("kind", list(STEPS))
def test_changed_images_are_the_same_on_every_machine(kind: str) -> None:
    digest = hashlib.sha256()
    for severity in range(1, 6):
        digest.update(Shift(kind, severity)(picture(), "an id").tobytes())
    assert digest.hexdigest()[:16] == HASHES[kind]


@pytest.mark.parametrize("kind", list(STEPS))
@pytest.mark.parametrize(
    ("channels", "dtype"), [(3, np.uint8), (1, np.uint8), (6, np.uint16), (2, np.float32)]
)
def test_a_higher_severity_changes_more(kind: str, channels: int, dtype: Any) -> None:
    image = picture(channels, dtype, zoom=6)
    before = image.copy()
    if kind == "jpeg" and dtype != np.uint8:
        with pytest.raises(ConfigError, match=r"shift=jpeg: needs images of (8 bits|1 or 3)"):
            Shift(kind, 1)(image, "a")
        return
    distances = []
    for severity in range(1, 6):
        changed = Shift(kind, severity)(image, "a")
        assert changed.shape == image.shape
        assert changed.dtype == image.dtype
        assert image.min() <= changed.min() <= changed.max() <= image.max() or dtype == np.uint8
        distances.append(np.abs(changed.astype(float) - image).mean())
    assert distances == sorted(distances)
    assert distances[0] > 0
    np.testing.assert_array_equal(image, before)


def test_what_each_kind_does() -> None:
    flat = np.full((30, 30, 3), 100, np.uint8)
    np.testing.assert_array_equal(Shift("blur", 5)(flat, "a"), flat)
    assert (Shift("brightness", 2)(flat, "a") == 100 + 51).all()
    assert (Shift("brightness", 5)(np.full_like(flat, 200), "a") == 255).all()
    wide = np.full((300, 300, 1), 128, np.uint8)
    noise = Shift("noise", 1)(wide, "a").astype(float) - 128
    assert noise.std() == pytest.approx(0.08 * 255, rel=0.02)
    assert (Shift("noise", 1)(wide, "b") != Shift("noise", 1)(wide, "a")).any()
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "JPEG", quality=15)
    np.testing.assert_array_equal(Shift("jpeg", 3)(picture(), "a"), np.array(Image.open(file)))
    dot = np.zeros((448, 448, 1), np.float32)
    dot[224, 224] = 1
    spread = Shift("blur", 1)(dot, "a")[..., 0]
    rows = np.arange(448) - 224
    assert (spread.sum(axis=1) * rows**2).sum() == pytest.approx(2**2, rel=0.02)  # 448 px: σ = 2


def test_batches_hold_the_changed_image_resized() -> None:
    data = SyntheticDataModule(
        class_names=["background", "cell"],
        num_classes=2,
        size=24,
        batch_size=2,
        split={"train": 4, "val": 2, "test": 2},
        count=8,
    )
    data.setup()
    plain = next(iter(data.test_dataloader()))["image"]
    data.shift = Shift("noise", 4)
    batch = next(iter(data.test_dataloader()))
    assert (batch["image"] != plain).any()
    for image, index in zip(batch["image"], batch["index"].tolist(), strict=True):
        case = data.cases[index]
        wanted = resize_image(data.shift(data.read(case).image, case.id), (24, 24))
        np.testing.assert_array_equal(image.permute(1, 2, 0), wanted)
        shown, _ = data.show(index)
        np.testing.assert_array_equal(shown, data.shift(data.read(case).image, case.id))
    train = next(iter(data.train_dataloader()))["image"]
    data.shift = None
    np.testing.assert_array_equal(train, next(iter(data.train_dataloader()))["image"])


@pytest.mark.parametrize("patches", [(), ("data.patch=16",)])
def test_an_evaluation_makes_a_record_for_each_and_compare_shows_them(
    segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], patches: tuple[str, ...]
) -> None:
    words = (*TINY, *patches, "data.count=12", "name=n")
    assert segbench("-m", *words, "loss=bce,dice") == 0
    cells = sorted(each.parent for each in (tmp_path / "outputs" / "n").glob("*/run.json"))
    for cell in cells:
        assert segbench("evaluate", f"run={cell}", "shift=[blur,noise]", "severity=4") == 0
    assert "IoU by severity" in capsys.readouterr().out
    runs = sorted((tmp_path / "outputs" / "n" / "evaluations").glob("*/run.json"))
    found = [Cell(each.parent, read_record(each.parent)) for each in runs]
    assert len(found) == 2 * 3
    shifts = {cell.shift for cell in found}
    assert shifts == {None, ("blur", 4), ("noise", 4)}
    plain = next(cell for cell in found if cell.shift is None)
    own = Cell(cells[0], read_record(cells[0]))
    pd.testing.assert_frame_equal(plain.scores, own.scores)
    losses = {str(cell.averages["loss"]) for cell in found}
    assert len(losses) == len(found)  # each network on each change of the images
    assert segbench("compare", "name=n/evaluations") == 0
    report = tmp_path / "outputs" / "n" / "evaluations" / "report"
    told = json.loads((report / "comparison.json").read_text())
    assert [each["shift"] for each in told["sections"]] == [
        None,
        ["blur", 4],
        ["noise", 4],
    ]
    assert len({each["data"] for each in told["sections"]}) == 3
    assert {each["source"] for each in told["sections"]} == {"synthetic"}
    assert all(len(each["pairs"]) == 1 for each in told["sections"])
    assert not any("was split in" in note for each in told["sections"] for note in each["notes"])
    assert "noise of severity 4" in " ".join(told["sections"][2]["notes"])
    assert (report / "figures" / "severity.svg").is_file()
    assert "Score against severity" in (report / "index.html").read_text()


def test_images_that_jpeg_does_not_have_are_refused_before_anything_is_scored(
    segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(10):
        for name, mode, colour in (("images", "RGBA", (9, 9, 9, 99)), ("masks", "L", 0)):
            made = Image.new(mode, (16, 16), colour)
            made.paste(255 if mode == "L" else (200, 200, 200, 9), (4, 4, 6 + number, 12))
            (tmp_path / "mine" / name).mkdir(parents=True, exist_ok=True)
            made.save(tmp_path / "mine" / name / f"{number}.png")
    words = ("data=folder", "data.root=mine", "data.class_names=[a,b]", "data.in_channels=4")
    assert segbench(*TINY, *words, "data.mask_values=[0,255]", "name=n") == 0
    cell = only_cell(tmp_path, "n")
    assert segbench("evaluate", f"run={cell}", "shift=[blur,jpeg]") == 2
    assert "shift=jpeg: needs images of 1 or 3 channels" in capsys.readouterr().err
    assert not (tmp_path / "outputs" / "n" / "evaluations").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("shift=fog",), "shift=fog: expected some of blur, noise, jpeg, brightness"),
        (("shift=blur", "severity=6"), "severity=6: expected whole numbers from 1 to 5"),
        (("shift=blur", "severity=[1.5]"), "severity=1.5: expected whole numbers"),
        (("severity=2",), "severity: is that of a shift; give shift=[blur,noise] too"),
    ],
)
def test_slips(
    words: tuple[str, ...], message: str, segbench: Any, tmp_path: Path, capsys: Any
) -> None:
    assert segbench(*TINY, "data.count=12", "name=n") == 0
    assert segbench("evaluate", f"run={only_cell(tmp_path, 'n')}", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "outputs" / "n" / "evaluations").exists()
