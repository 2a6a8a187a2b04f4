"""`python -m segbench predict` as its user meets it: odd files, folders, everything it writes."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import blobs, make_run
from PIL import Image

import segbench as package
from segbench.inference.inputs import find_inputs
from segbench.inference.pixels import as_pixels

Run = Callable[..., int]
RNG = np.random.default_rng(0)


def photo(path: Path, width: int, height: int, mode: str = "RGB", kind: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (blobs(height, width, 3) * 60 + 120).clamp(0, 255).to(torch.uint8)
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).convert(mode).save(path, kind)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    photo(folder / "a.jpg", 116, 130)
    photo(folder / "gif.jpg", 70, 40, "P", "GIF")
    photo(folder / "alpha.jpg", 33, 64, "RGBA", "PNG")
    photo(folder / "cats" / "grey.png", 1, 9, "L")
    photo(folder / "cats" / "old" / "bits.tif", 90, 20, "1")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copied folder, its data set nowhere."""
    made = make_run(tmp_path / "made")
    return Path(shutil.move(made, tmp_path / "run"))


def masks(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for file in folder.rglob("*.png"):
        with Image.open(file) as mask:
            assert mask.mode == "P"
            assert mask.getpalette()[:6] == [0, 0, 0, 0xE6, 0x9F, 0]  # type: ignore[index]
            found[file.relative_to(folder).as_posix()] = mask.size
    return found


def test_pictures_of_every_kind_in_folders(
    segbench: Run, run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", f"run={run}", f"input={photos}", "output=masks", "batch_size=2")
    assert segbench(*words) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "predicting 5 pictures" in said.out
    assert "images/s" in said.out
    assert masks(Path("masks")) == {
        "a.png": (116, 130),
        "gif.png": (70, 40),
        "alpha.png": (33, 64),
        "cats/grey.png": (1, 9),
        "cats/old/bits.png": (90, 20),
    }
    with Image.open("masks/a.png") as mask, Image.open(photos / "a.jpg") as picture:
        expected = package.load(run)(picture)
        np.testing.assert_array_equal(np.asarray(mask), expected)
    assert segbench(*words) == 0
    assert "masks: masks, 5 in place of earlier ones" in capsys.readouterr().out


def test_a_bad_file_is_told_and_the_rest_is_done(
    segbench: Run, run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "b.jpg").write_bytes((photos / "a.jpg").read_bytes()[:300])
    (photos / "empty.png").write_bytes(b"")
    assert segbench("predict", f"run={run}", f"input={photos}", "output=masks") == 1
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"skipped: {photos / 'b.jpg'}: cannot be read as a picture")
    assert lines[1].startswith(f"skipped: {photos / 'empty.png'}: cannot be read as a picture")
    assert lines[2] == f"error: input={photos}: 2 could not be read; the lines above name them"
    assert len(masks(Path("masks"))) == 5
    assert "5 pictures in" in said.out


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_overlays_and_sheets(
    segbench: Run, tmp_path: Path, photos: Path, classes: int
) -> None:
    run = make_run(tmp_path / "run", f"data.num_classes={classes}")
    words = ("predict", f"run={run}", f"input={photos}/*.jpg", "overlay=true", "show=true")
    assert segbench(*words, "output=out", "probabilities=true") == 0
    assert segbench(*words, "output=out", "probabilities=npy") == 0
    shares = np.load("out/probabilities/a.npy")
    assert shares.shape == (classes, 130, 116)
    assert shares.dtype == np.float16
    np.testing.assert_allclose(shares.astype(np.float32).sum(0), 1, atol=2e-3)
    mask = np.asarray(Image.open("out/a.png"))
    sure = np.abs(np.diff(np.sort(shares.astype(np.float32), axis=0)[-2:], axis=0))[0] > 2e-3
    np.testing.assert_array_equal(mask[sure], shares.argmax(0)[sure])
    name = "a.png" if classes == 2 else "a.cell1.png"
    with Image.open(f"out/probabilities/{name}") as grey:
        assert grey.mode.startswith("I")
        deep = np.asarray(grey).astype(float)
    np.testing.assert_allclose(deep / 65535, shares[1], atol=1e-3)
    with Image.open("out/overlays/a.jpg") as overlay:
        assert overlay.size == (116, 130)
    with Image.open("out/sheets/sheet-001.png") as sheet:
        assert sheet.width == 3 * 262 + 6
    assert len(list(Path("out/sheets").iterdir())) == 1


def test_names_are_kept_apart(tmp_path: Path, photos: Path) -> None:
    photo(photos / "a.png", 5, 5)
    photo(photos / "cats" / "A.jpg", 5, 5)
    names = [each.name for each in find_inputs([str(photos)], tmp_path / "out")]
    assert names == ["a.jpg", "a.png", "alpha", "cats/A", "cats/grey", "cats/old/bits", "gif"]
    below = [each.name for each in find_inputs([f"{photos}/**/*.png"], tmp_path / "out")]
    assert below == ["a", "cats/grey"]
    deeper = [each.name for each in find_inputs([f"{photos}/c*/*.jpg"], tmp_path / "out")]
    assert deeper == ["cats/A"]


def test_a_second_run_does_not_take_the_masks_of_the_first(
    segbench: Run, run: Path, photos: Path
) -> None:
    words = ("predict", f"run={run}", f"input={photos}", f"output={photos}/masks")
    assert segbench(*words) == 0
    assert segbench(*words) == 0
    assert len(masks(photos / "masks")) == 5


@pytest.mark.parametrize("words", [("window=32", "overlap=0.25"), ("tta=flips",), ("size=48",)])
def test_ways_to_predict(segbench: Run, run: Path, photos: Path, words: tuple[str, ...]) -> None:
    options = dict(word.split("=") for word in words)
    assert segbench("predict", f"run={run}", f"input={photos}/a.jpg", "output=masks", *words) == 0
    numbers = {k: v if k == "tta" else float(v) if "." in v else int(v) for k, v in options.items()}
    with Image.open(photos / "a.jpg") as picture:
        expected = package.load(run, **numbers)(picture)
        plain = package.load(run)(picture)
    found = np.asarray(Image.open("masks/a.png"))
    np.testing.assert_array_equal(found, expected)
    assert (found != plain).any()


def test_a_mean_of_cells(segbench: Run, run: Path, photos: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", seed=1)
    assert segbench("predict", f"run=[{run},{other}]", f"input={photos}/a.jpg") == 0
    picture = np.asarray(Image.open(photos / "a.jpg"))
    single = [package.load(each).probabilities(picture) for each in (run, other)]
    mean = package.load([run, other]).probabilities(picture)
    np.testing.assert_allclose(mean.sum(0), 1, atol=1e-5)
    low, high = np.minimum(*single), np.maximum(*single)
    assert ((mean >= low - 0.05) & (mean <= high + 0.05)).all()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("input=photos",), 2, "run: missing"),
        (("run={run}",), 2, "input: missing"),
        (("run={run}", "input=none"), 1, "input=none: no picture there"),
        (("run={run}", "input=photos", "output=photos"), 2, "the pictures lie there"),
        (("run={run}", "input=photos/cats/grey.png", "output=photos/cats"), 2, "is a picture"),
        (("run={run}", "input=photos", "probabilities=jpg"), 2, "probabilities=jpg: expected"),
        (("run={run}", "input=photos", "overlay=3"), 2, "overlay=3: expected true or false"),
        (("run={run}", "input=photos", "window=-1"), 2, "window=-1: expected one positive"),
        (("run={run}", "input=[photos/a.jpg,more/a.jpg]"), 1, "would both have the mask"),
        (("run={run}", "input=photos", "device=cuda:77"), 2, "device=cuda:77"),
        (("run={run}", "inputs=photos"), 2, "no option 'inputs'"),
    ],
)
def test_a_slip_is_one_line(
    segbench: Run,
    run: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    photo(Path("more/a.jpg"), 9, 9)
    before = sorted(photos.rglob("*"))
    assert segbench("predict", *(word.format(run=run) for word in words)) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert sorted(photos.rglob("*")) == before


def test_load_takes_a_list_and_a_hash(segbench: Run, tmp_path: Path) -> None:
    make_run(tmp_path / "outputs" / "mine" / "unet-dice-s0-12345678")
    net = package.load("12345678")
    pictures = [RNG.integers(0, 256, (20, 30, 3), np.uint8), Image.new("L", (8, 9))]
    assert [mask.shape for mask in net(pictures)] == [(20, 30), (9, 8)]
    assert net.class_names == ["background", "cell"]
    assert net.palette[0] == (0, 0, 0)
    photo(tmp_path / "one.jpg", 12, 7)
    assert segbench("predict", "run=12345678", "input=one.jpg") == 0  # not read as a number
    assert masks(tmp_path / "masks") == {"one.png": (12, 7)}


def test_whatever_cannot_be_read_is_reported(
    segbench: Run, run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").symlink_to("gone.png")
    (photos / "loop").symlink_to(photos)
    (photos / "zero.png").symlink_to("/dev/zero")
    (photos / "folder.png").mkdir()
    os.mkfifo(photos / "cats" / "pipe.png")
    (photos / os.fsdecode(b"a\xff.png")).write_bytes(b"")
    photo(photos / ("x" * 240 + ".png"), 5, 5)
    for words, skipped in (
        ((f"input={photos}",), 7),
        ((f"input={photos}/*.png",), 5),
        ((f"input=[{photos}/broken.png,{photos}/a.jpg]",), 1),
        ((f"input={photos}/cats/pipe.png",), 1),
    ):
        assert segbench("predict", f"run={run}", *words, "output=out") == 1
        error = capsys.readouterr().err.splitlines()
        told = f"{words[0]}: {skipped} could not be read; the lines above name them"
        assert error[-1] == f"error: {told}"
        assert len([line for line in error if line.startswith("skipped: ")]) == skipped
        assert all(line.isprintable() for line in error)
    assert len(masks(Path("out"))) == 5


def test_no_mask_is_written_outside_the_output_folder(
    segbench: Run, run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "x.png", 5, 5)
    for word in (f"{photos}/*/../../x.png", f"{photos}/**/../a.jpg"):
        assert segbench("predict", f"run={run}", f"input={word}", "output=deep/out") == 2
        assert "'..' after a star" in capsys.readouterr().err
    assert not (tmp_path / "deep").exists()
    relative = os.path.relpath(photos / "cats" / ".." / "cats" / "*.png")
    assert [each.name for each in find_inputs([relative], tmp_path / "out")] == ["grey"]
    for output in ("''", '"' + "x" * 300 + '"', "x.png"):
        assert segbench("predict", f"run={run}", f"input={photos}", f"output={output}") == 2


def test_folders_of_a_pattern_that_cannot_be_read(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("cats"))
    faults: list[Exception] = []
    find_inputs([f"{photos}/*/*.png"], tmp_path / "out", faults.append)
    assert [str(fault) for fault in faults] == [
        f"{photos}/cats: the folder cannot be read (Permission denied)"
    ]


def test_pictures_are_bounded_and_what_is_left_out_is_said(
    segbench: Run, run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("b", "c"):
        photo(photos / f"{name}.jpg", 30, 20)
        Image.open(photos / f"{name}.jpg").save(photos / f"{name}.jpg", exif=exif)
    words = ("predict", f"run={run}", f"input={photos}/*.jpg")
    assert segbench(*words, "max_pixels=5000") == 1
    said = capsys.readouterr()
    assert "a.jpg: 116 x 130 pixels, more than the limit of 5,000" in said.err
    assert f"2 of 4 pictures, the first {photos}/b.jpg: taken as stored" in said.out
    assert segbench(*words, "max_pixels=20000", "window=32") == 0
    assert segbench(*words, "max_pixels=0") == 2
    assert "max_pixels=0: expected a whole number" in capsys.readouterr().err


def test_pictures_from_python_that_are_not_what_they_seem(tmp_path: Path) -> None:
    turned = Image.new("RGB", (8, 9))
    turned.getexif()[0x0112] = 6
    with pytest.warns(UserWarning, match="EXIF orientation is taken as stored"):
        as_pixels(turned, 3)
    with pytest.warns(UserWarning, match="without alpha"):
        as_pixels(np.zeros((4, 4, 3), np.uint8), 4)
