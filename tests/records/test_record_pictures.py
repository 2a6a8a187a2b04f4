"""Small pictures: what goes in comes out, smaller where it was large."""

from pathlib import Path

import numpy as np

from segbench.records.pictures import (
    SIDE,
    encode_labels,
    read_pictures,
    write_pictures,
    write_predictions,
)

LABELS = np.array([[0, 1], [2, 255]], np.uint8).repeat(10, 0).repeat(12, 1)


def test_small_ones_keep_every_pixel(tmp_path: Path) -> None:
    path = tmp_path / "kept.zip"
    grey = np.full((20, 24, 3), 128, np.uint8)
    write_pictures(path, ["a/b", "c"], [(grey, LABELS), (grey, LABELS.T)])
    found = read_pictures(path, ["c", "a/b", "not there"])
    assert list(found) == ["c", "a/b"]
    np.testing.assert_array_equal(found["a/b"][1], LABELS)
    np.testing.assert_array_equal(found["c"][1], LABELS.T)
    image = found["a/b"][0]
    assert image is not None
    assert np.abs(image.astype(int) - 128).max() <= 2  # JPEG


def test_large_ones_are_shrunk_without_new_labels(tmp_path: Path) -> None:
    path = tmp_path / "kept.zip"
    large = LABELS.repeat(40, 0).repeat(40, 1)  # 800 × 960
    write_predictions(path, {"a": encode_labels(large)})
    image, labels = read_pictures(path, ["a"])["a"]
    assert image is None
    assert labels.shape == (round(800 * SIDE / 960), SIDE)
    assert set(np.unique(labels)) == {0, 1, 2, 255}
    assert [labels[0, 0], labels[0, -1], labels[-1, 0], labels[-1, -1]] == [0, 1, 2, 255]


def test_none_or_a_damaged_file_is_no_picture(tmp_path: Path) -> None:
    assert read_pictures(tmp_path / "none.zip", ["a"]) == {}
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 torn")
    assert read_pictures(tmp_path / "bad.zip", ["a"]) == {}
