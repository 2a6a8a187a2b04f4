"""Draws a cell's best, median and worst test image: input, truth, prediction, errors."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from segbench.colours import IGNORED, PALETTE, class_colour
from segbench.records.record import atomic_write
from segbench.text.escape import visible

Picture = NDArray[np.uint8]
Ranked = dict[str, tuple[str, float]]  # "best", "median" and "worst": an id and its score
Box = tuple[int, int, int, int]  # left, top, width, height
SIDE, GAP, CAPTION = 256, 6, 22  # pixels
LARGEST_SIDE = 4096  # pixels of a picture that is drawn from all of its pixels
_BOXES = "tiles"  # the PNG's text entry with the positions of the pictures
# Orange and blue of Okabe and Ito, which colour-blind people can distinguish.
FALSE_POSITIVE, FALSE_NEGATIVE, OTHER_CLASS = PALETTE[1], PALETTE[5], PALETTE[7]


def ranked_images(scores: "pd.Series[float]", lower_is_better: bool = False) -> Ranked:
    """Id and score of the ``best``, ``median`` and ``worst`` image; empty where none has a score.

    Of an even number of images the median is the better of the two in the middle; images with equal
    scores are sorted by id.

    Args:
        scores: the score of each image, by its id; NaN where an image has none.
        lower_is_better: whether the lowest score is the best.
    """
    known = scores.dropna().sort_index()
    order = known.sort_values(ascending=lower_is_better, kind="stable")
    if order.empty:
        return {}
    ranks = {"best": 0, "median": (len(order) - 1) // 2, "worst": len(order) - 1}
    return {name: (str(order.index[i]), float(order.iloc[i])) for name, i in ranks.items()}


def chosen_cases(table: pd.DataFrame) -> Ranked:
    """The best, the median and the worst image of a score table by their mean IoU."""
    return ranked_images(table.groupby("id", sort=True)["iou"].mean())


def paint_labels(labels: Picture, num_classes: int, ignore_index: int) -> Picture:
    """Class ids (H, W) as colours (H, W, 3); ignored pixels are grey."""
    lookup = np.tile(np.array(IGNORED, np.uint8), (256, 1))
    for label in range(num_classes):
        lookup[label] = class_colour(label)
    lookup[ignore_index] = IGNORED
    return lookup[labels]


def paint_errors(image: Picture, truth: Picture, prediction: Picture, ignore_index: int) -> Picture:
    """The image (H, W, 3), darkened, with its wrong pixels coloured.

    Orange: background predicted as another class. Blue: another class predicted as background.
    Purple: any other wrong class. Ignored pixels are not coloured.
    """
    errors: Picture = (image // 3 + 20).astype(np.uint8)
    wrong = (truth != prediction) & (truth != ignore_index)
    errors[wrong & (truth == 0)] = FALSE_POSITIVE
    errors[wrong & (prediction == 0)] = FALSE_NEGATIVE
    errors[wrong & (truth > 0) & (prediction > 0)] = OTHER_CLASS
    return errors


def as_rgb(image: Picture, truth: Picture) -> Picture:
    """An image (H, W, C) as (H, W, 3): the first three channels, or the first one repeated."""
    if image.shape[2] < 3:
        return np.broadcast_to(image[..., :1], (*truth.shape, 3))
    return image[..., :3]


def shrunk(image: Picture, *labels: Picture) -> tuple[Picture, ...]:
    """A picture (H, W, C) and its labels (H, W), by whole steps if larger than they are ever shown.

    A panel of a picture of 20,000 pixels a side would take gigabytes.
    """
    step = 1 + max(image.shape[:2]) // LARGEST_SIDE
    return tuple(np.ascontiguousarray(each[::step, ::step]) for each in (image, *labels))


def draw_panel(
    image: Picture, truth: Picture, prediction: Picture, num_classes: int, ignore_index: int
) -> list[Picture]:
    """The four pictures (H, W, 3) of a panel, at the image's own size."""
    image = as_rgb(image, truth)
    return [
        image,
        paint_labels(truth, num_classes, ignore_index),
        paint_labels(prediction, num_classes, ignore_index),
        paint_errors(image, truth, prediction, ignore_index),
    ]


def write_panels(
    path: Path,
    rows: Sequence[tuple[str, Sequence[Picture]]],
    heads: Sequence[str],
    class_names: Sequence[str] = (),
) -> None:
    """Write rows of pictures as one PNG, which includes the pictures' positions.

    Args:
        path: the PNG to write.
        rows: for each row its caption and its pictures (H, W, 3).
        heads: the titles of the columns.
        class_names: background first, for a legend at the end; empty: no legend.
    """
    width = len(heads) * (SIDE + GAP) + GAP
    height = CAPTION + len(rows) * (SIDE + GAP + CAPTION)
    font = ImageFont.load_default(14)
    legend = _placed(class_names, width, font)
    below = (legend[-1][1] + CAPTION + GAP) if legend else 0
    sheet = Image.new("RGB", (width, height + below), "white")
    draw = ImageDraw.Draw(sheet)
    for label, (x, y, name) in enumerate(legend):
        draw.rectangle((x, height + y + 4, x + 12, height + y + 16), class_colour(label))
        draw.text((x + 18, height + y + 2), name, "black", font)
    for column, head in enumerate(heads):
        draw.text((GAP + column * (SIDE + GAP), 3), visible(head), "black", font)
    boxes: list[list[Box]] = [[] for _ in rows]
    for row, (caption, pictures) in enumerate(rows):
        top = CAPTION + row * (SIDE + GAP + CAPTION)
        draw.text((GAP, top + 2), visible(caption), "black", font)
        for column, picture in enumerate(pictures):
            tile, left = fitted(picture, SIDE), GAP + column * (SIDE + GAP)
            sheet.paste(tile, (left, top + CAPTION))
            boxes[row].append((left, top + CAPTION, tile.width, tile.height))
    known = PngInfo()
    known.add_text(_BOXES, json.dumps(boxes))
    with atomic_write(path) as temporary:
        # 4 % larger than at level 6, in half the time
        sheet.save(temporary, "PNG", compress_level=3, pnginfo=known)


def _placed(names: Sequence[str], width: int, font: Any) -> list[tuple[int, int, str]]:
    """Left, top and text of each entry of a legend, line by line; the first is at the top."""
    found, x, y = [], GAP, 0
    for name in names:
        text = visible(name)
        needed = 34 + round(font.getlength(text))
        if x > GAP and x + needed > width:
            x, y = GAP, y + CAPTION
        found.append((x, y, text))
        x += needed
    return found


def cut_panels(sheet: Image.Image) -> list[list[Picture]]:
    """The pictures (H, W, 3) of each row of a sheet; empty for a sheet without their positions.

    Raises:
        ValueError: the sheet's positions are not those that `write_panels` writes.
    """
    boxes = json.loads(getattr(sheet, "text", {}).get(_BOXES, "[]"))
    pixels = np.asarray(sheet.convert("RGB"))
    return [[_cut(pixels, box) for box in row] for row in boxes]


def _cut(pixels: Picture, box: Box) -> Picture:
    left, top, width, height = box
    if not all(isinstance(each, int) and each >= 0 for each in box):
        raise ValueError(f"{box}: expected whole numbers")
    found: Picture = pixels[top : top + height, left : left + width]
    if not found.size or found.shape[:2] != (height, width):
        raise ValueError(f"{box}: outside a sheet of {pixels.shape[:2]}")
    return found


def fitted(picture: Picture, side: int) -> Image.Image:
    """A picture scaled to fit a square, with its aspect ratio; small ones by nearest neighbour."""
    tile = Image.fromarray(np.ascontiguousarray(picture))
    scale = min(side / tile.width, side / tile.height)
    size = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
    return tile.resize(size, Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.NEAREST)
