"""Draws a sheet of training samples with the outlines of their masks, for visual inspection."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segbench.colours import IGNORED, ClassColours
from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.display import displayed
from segbench.data.store.loading import Augment, ScaledAugment
from segbench.data.store.patches import padded
from segbench.data.store.prepared import Case, Decoded
from segbench.data.store.transforms import Array, Values, resize_image, resize_mask
from segbench.records.panels import CAPTION, draw_legend, placed_legend
from segbench.text.escape import visible

ROWS, COLUMNS = 8, 6
_TILE = 192  # approximate height of a tile in pixels
_GAP, _LINE = 4, 18  # pixels between tiles, and of a line of text


def contact_sheet(data: SegmentationDataModule, cases: Mapping[int, Case]) -> Image.Image:
    """Draw readable cases, selected at equal distances among those given.

    Each row shows a prepared case, and then the same case augmented as in the first epochs; without
    augmentation each tile shows a different case.

    Args:
        data: the data set, which reads, resizes and augments the cases.
        cases: the cases by their index in the data set, which seeds their augmentation.
    """
    count = ROWS if data.augment else ROWS * COLUMNS
    indices = list(cases)
    chosen = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)
    tiles: list[tuple[Array, str]] = []
    for index in (indices[i] for i in chosen):
        for pixels, labels, caption in _versions(data, cases[index], index):
            shown = displayed(pixels, data.bands)
            tile = outlined(shown, labels, data.colours)
            tiles.append((tile, caption))
    return draw_grid(tiles, data.class_names, data.colours)


def _versions(
    data: SegmentationDataModule, case: Case, index: int
) -> list[tuple[Values, Array, str]]:
    """A case as it is prepared, and as it is augmented in the first epochs, each with a caption."""
    image, mask = _as_trained(data, data.read(case))
    augment = data.augment
    if augment is not None and data.stores_values:
        augment = _scaled(augment, image)
    return [(image, mask, case.id), *_epochs(image, mask, index, augment)]


def _as_trained(data: SegmentationDataModule, decoded: Decoded) -> tuple[Values, Array]:
    """The image and mask of a case at the network's size; of patches one in the middle."""
    if data.patches is None:
        return resize_image(decoded.image, data.size), resize_mask(decoded.mask, data.size)
    height, width = (max(1, round(side * data.patches.scale)) for side in decoded.mask.shape)
    image = resize_image(decoded.image, (height, width))
    mask = resize_mask(decoded.mask, (height, width))
    top, left = (
        max(0, side - part) // 2 for side, part in zip(mask.shape, data.patches.size, strict=True)
    )
    inside = slice(top, top + data.patches.size[0]), slice(left, left + data.patches.size[1])
    middle = image[inside].copy(), mask[inside].copy()  # which do not keep the whole picture
    return padded(*middle, data.patches.size, data.ignore_index)


def _scaled(augment: Augment, image: Values) -> Augment:
    """An augmentation of an image of floats (H, W, C) by its own least and largest values."""
    return ScaledAugment(augment, image.min(axis=(0, 1)), image.max(axis=(0, 1)))


def _epochs(
    image: Values, mask: Array, index: int, augment: Augment | None
) -> list[tuple[Values, Array, str]]:
    if augment is None:
        return []
    epochs = range(COLUMNS - 1)
    return [(*augment(image, mask, epoch, index), f"epoch {epoch + 1}") for epoch in epochs]


def outlined(image: Array, mask: Array, classes: ClassColours) -> Array:
    """An RGB tile (h, w, 3) of a picture (H, W, 3) near 192 pixels high, its classes outlined."""
    height, width = _tile_size(mask.shape)
    how = cv2.INTER_NEAREST if height >= mask.shape[0] else cv2.INTER_AREA
    tile = np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
    labels = resize_mask(mask, (height, width))
    painted = dict(enumerate(classes.colours))
    painted.pop(classes.background, None)  # type: ignore[arg-type]
    for label, colour in {**painted, classes.ignored: IGNORED}.items():
        inside = (labels == label).astype(np.uint8)
        contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, contours, -1, colour, 1)
    return tile


def _tile_size(size: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of a tile: an integer multiple of a small size, or a large size reduced."""
    height, width = size
    if height <= _TILE:
        factor = max(1, round(_TILE / height))
        return height * factor, width * factor
    return _TILE, max(1, round(width * _TILE / height))


def draw_grid(
    tiles: Sequence[tuple[Array, str]], class_names: Sequence[str], classes: ClassColours
) -> Image.Image:
    """Tiles (h, w, 3) of equal size in rows of six, with captions and a legend at the end."""
    height, width = tiles[0][0].shape[:2]
    step_x, step_y = width + _GAP, height + _LINE
    rows, columns = -(-len(tiles) // COLUMNS), min(COLUMNS, len(tiles))
    font, names = ImageFont.load_default(12), classes.legend(class_names)
    shown = [entry for k, entry in enumerate(names) if k != classes.background]
    wide, top = columns * step_x + _GAP, rows * step_y + _GAP
    placed = placed_legend([*shown, ("ignored", IGNORED)], wide, font)
    sheet = Image.new("RGB", (wide, top + placed[-1][1] + CAPTION + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw_legend(draw, placed, top, font)
    for number, (tile, name) in enumerate(tiles):
        caption = visible(name)
        x, y = _GAP + number % COLUMNS * step_x, _GAP + number // COLUMNS * step_y
        sheet.paste(Image.fromarray(tile), (x, y))
        while draw.textlength(caption, font) > width:
            caption = caption[:-2] + "…"
        draw.text((x, y + height + 1), caption, "black", font)
    return sheet
