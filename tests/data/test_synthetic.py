"""The same images on every machine, with something of every class to learn and to score."""

from pathlib import Path

import numpy as np
import pytest

from segbench.data.synthetic import SyntheticDataModule, draw_cells
from segbench.errors import ConfigError


def module(**options: object) -> SyntheticDataModule:
    settings = {
        "count": 12,
        "size": 32,
        "batch_size": 4,
        "split": {"train": 6, "val": 3, "test": 3},
    }
    return SyntheticDataModule(**{**settings, **options})


@pytest.mark.parametrize("num_classes", [2, 5, 8])
def test_every_class_is_drawn_and_nothing_else(num_classes: int) -> None:
    drawn = [draw_cells(index, num_classes) for index in range(20)]
    labels = np.unique(np.concatenate([mask.ravel() for _, mask in drawn]))
    assert labels.tolist() == list(range(num_classes))
    share = np.mean([(mask > 0).mean() for _, mask in drawn])
    assert 0.1 < share < 0.6
    for image, mask in drawn:
        assert image.shape == (*mask.shape, 3)
        assert image.dtype == mask.dtype == np.uint8
        assert all(64 <= side <= 112 for side in mask.shape)


def test_images_follow_from_their_number() -> None:
    one, again, other = draw_cells(3), draw_cells(3), draw_cells(4)
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert one[0].shape != other[0].shape or (one[0] != other[0]).any()


def test_cells_can_be_told_from_the_background() -> None:
    contrast = []
    for index in range(20):
        image, mask = draw_cells(index)
        grey = image.mean(axis=2)
        contrast.append(grey[mask == 1].mean() - grey[mask == 0].mean())
    assert np.mean(contrast) > 10


def test_more_images_leave_the_first_as_they_are(tmp_path: Path) -> None:
    few, many = module(), module(count=14, split={"train": 8, "val": 3, "test": 3})
    few.setup()
    many.setup()
    np.testing.assert_array_equal(few.prepared.images, many.prepared.images[:12])
    assert few.prepared.sha256 == many.prepared.sha256[:12]
    assert not list(tmp_path.iterdir())


def test_grey_images_and_names() -> None:
    data = module(in_channels=1, num_classes=3)
    assert next(iter(data.train_dataloader()))["image"].shape == (4, 1, 32, 32)
    assert data.class_names == ["background", "cell1", "cell2"]
    assert module().class_names == ["background", "cell"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 2}, "data.count=2"),
        ({"num_classes": 1}, "data.num_classes=1: the synthetic data set takes"),
        ({"num_classes": 9}, "2 to 8 classes"),
        ({"in_channels": 4}, "data.in_channels=4: generated with 3, or 1"),
    ],
)
def test_slips(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        module(**options)
