"""The sheet shows what training sees, and draws outlines where masks end."""

import numpy as np
import pytest

from segbench.colours import IGNORED, ClassColours, class_colour, class_colours
from segbench.data.check import contact_sheet as sheets
from segbench.data.check.contact_sheet import contact_sheet, draw_grid, outlined
from segbench.data.store.transforms import Array
from segbench.data.synthetic import SyntheticDataModule

FLIPS = {"HorizontalFlip": {"p": 0.5}, "VerticalFlip": {"p": 0.5}}


def module(**options: object) -> SyntheticDataModule:
    split = {"train": 0.6, "val": 0.2, "test": 0.2}
    data = SyntheticDataModule(count=15, size=32, batch_size=4, split=split, **options)
    data.setup()
    return data


def drawn(monkeypatch: pytest.MonkeyPatch, data: SyntheticDataModule) -> list[tuple[Array, Array]]:
    """The images and masks that the sheet of a module's train part outlines."""
    shown: list[tuple[Array, Array]] = []

    def spy(image: Array, mask: Array, classes: ClassColours) -> Array:
        shown.append((image, mask))
        return outlined(image, mask, classes)

    monkeypatch.setattr(sheets, "outlined", spy)
    contact_sheet(data, {i: data.cases[i] for i in data.parts["train"]})
    return shown


def test_rows_show_what_the_first_epochs_train_on(monkeypatch: pytest.MonkeyPatch) -> None:
    data = module(augment=FLIPS)
    shown = drawn(monkeypatch, data)
    assert len(shown) == sheets.ROWS * sheets.COLUMNS
    loader = data.train_dataloader()
    trained: dict[tuple[int, int], tuple[Array, Array]] = {}
    for epoch in range(sheets.COLUMNS - 1):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        for batch in loader:
            images, masks = batch["image"].permute(0, 2, 3, 1).numpy(), batch["mask"].numpy()
            for place, index in enumerate(batch["index"].tolist()):
                trained[epoch, index] = (images[place], masks[place])
    places = data.parts["train"]
    rows = [places[i] for i in np.linspace(0, len(places) - 1, sheets.ROWS).round().astype(int)]
    for row, index in enumerate(rows):
        first, *epochs = shown[row * sheets.COLUMNS : (row + 1) * sheets.COLUMNS]
        assert (first[0] == data.prepared.images[index]).all()
        for epoch, (image, mask) in enumerate(epochs):
            assert (image == trained[epoch, index][0]).all()
            assert (mask == trained[epoch, index][1]).all()


def test_without_augmentation_each_tile_is_another_case(monkeypatch: pytest.MonkeyPatch) -> None:
    data = module()
    shown = drawn(monkeypatch, data)
    assert len(shown) == len(data.parts["train"])
    for (image, _), index in zip(shown, data.parts["train"], strict=True):
        assert (image == data.prepared.images[index]).all()


def test_outlines_run_along_the_inside_of_a_class() -> None:
    mask = np.zeros((96, 64), np.uint8)
    mask[20:40, 10:30] = 2
    mask[60:70, 10:30] = 255
    tile = outlined(np.full((96, 64, 3), 100, np.uint8), mask, class_colours("abc"))
    assert tile.shape == (192, 128, 3)  # each pixel twice as wide and high
    coloured = (tile == class_colour(2)).all(axis=2)
    assert coloured[40, 20:60].all()
    assert coloured[40:80, 20].all()
    assert coloured.sum() == 4 * 39  # one pixel thin
    assert ((tile == IGNORED).all(axis=2)).sum() == 2 * 39 + 2 * 19
    assert (tile[0] == 100).all()


def test_large_images_are_shrunk() -> None:
    mask = np.ones((1000, 2000), np.uint8)
    tile = outlined(np.zeros((1000, 2000, 3), np.uint8), mask, class_colours("ab"))
    assert tile.shape == (192, 384, 3)
    assert (tile[0, :, :] == class_colour(1)).all()


def test_long_names_do_not_run_into_the_next() -> None:
    tiles = [(np.zeros((40, 60, 3), np.uint8), "w" * 80), (np.zeros((40, 60, 3), np.uint8), "")]
    sheet = np.asarray(draw_grid(tiles, ["background", "cell"], class_colours("ab")))
    assert (sheet[45:60, 70:] == 255).all()
    assert (sheet[45:60, :60] < 255).any()


def test_a_legend_of_many_classes_is_whole() -> None:
    names = [f"a class with a name {k}" for k in range(30)]
    tiles = [(np.zeros((40, 60, 3), np.uint8), "")] * 6
    classes = class_colours(names)
    sheet = np.asarray(draw_grid(tiles, names, classes))
    drawn = {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in classes.colours[1:]} <= drawn
