"""Draws a cell's best, median and worst test image: input, truth, prediction, errors, entropy."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from segbench.colours import IGNORED, PALETTE, ClassColours, Colour
from segbench.records.record import atomic_write
from segbench.text.escape import visible

Picture = NDArray[np.uint8]
Ranked = dict[str, tuple[str, float]]  # "best", "median" and "worst": an id and its score
Legend = Sequence[tuple[str, Colour]]
Box = tuple[int, int, int, int]  # left, top, width, height
SIDE, GAP, CAPTION = 256, 6, 22  # pixels
LARGEST_SIDE = 4096  # pixels of a picture that is drawn from all of its pixels
ENTROPY_KEY = "entropy: blue sure, yellow unsure"
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


def paint_labels(labels: Picture, classes: ClassColours) -> Picture:
    """Class ids (H, W) as colours (H, W, 3); ignored pixels are grey."""
    lookup = np.tile(np.array(IGNORED, np.uint8), (256, 1))
    lookup[: len(classes.colours)] = classes.colours
    lookup[classes.ignored] = IGNORED
    return lookup[labels]


def paint_errors(
    image: Picture, truth: Picture, prediction: Picture, classes: ClassColours
) -> Picture:
    """The image (H, W, 3), darkened, with its wrong pixels coloured.

    Orange: background predicted as another class. Blue: another class predicted as background.
    Purple: any other wrong class. Ignored pixels are not coloured.
    """
    errors: Picture = (image // 3 + 20).astype(np.uint8)
    wrong = (truth != prediction) & (truth != classes.ignored)
    errors[wrong] = OTHER_CLASS
    if classes.background is not None:
        errors[wrong & (truth == classes.background)] = FALSE_POSITIVE
        errors[wrong & (prediction == classes.background)] = FALSE_NEGATIVE
    return errors


def paint_entropy(entropy: Picture) -> Picture:
    """The entropy (H, W) of each pixel's probabilities, 0 to 255, as colours (H, W, 3)."""
    return cv2.applyColorMap(entropy, cv2.COLORMAP_VIRIDIS)[..., ::-1]  # type: ignore[return-value]


def errors_key(classes: ClassColours) -> str:
    """What the colours of `paint_errors` mean."""
    if classes.background is None:
        return "errors: purple"
    further = ", purple other class" if len(classes.colours) > 2 else ""
    return f"errors: orange too much, blue missed{further}"


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
    image: Picture, truth: Picture, prediction: Picture, classes: ClassColours
) -> list[Picture]:
    """The four pictures (H, W, 3) of a panel, at the image's own size."""
    image = as_rgb(image, truth)
    return [
        image,
        paint_labels(truth, classes),
        paint_labels(prediction, classes),
        paint_errors(image, truth, prediction, classes),
    ]


def write_panels(
    path: Path,
    rows: Sequence[tuple[str, Sequence[Picture]]],
    heads: Sequence[str],
    legend: Legend = (),
) -> None:
    """Write rows of pictures as one PNG, which includes the pictures' positions.

    Args:
        path: the PNG to write.
        rows: for each row its caption and its pictures (H, W, 3).
        heads: the titles of the columns.
        legend: the name and the colour of each class, to be shown at the end; empty: no legend.
    """
    width = len(heads) * (SIDE + GAP) + GAP
    height = CAPTION + len(rows) * (SIDE + GAP + CAPTION)
    font = ImageFont.load_default(14)
    placed = placed_legend(legend, width, font)
    below = (placed[-1][1] + CAPTION + GAP) if placed else 0
    sheet = Image.new("RGB", (width, height + below), "white")
    draw = ImageDraw.Draw(sheet)
    draw_legend(draw, placed, height, font)
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


def placed_legend(legend: Legend, width: int, font: Any) -> list[tuple[int, int, str, Colour]]:
    """Left, top, text and colour of each entry of a legend, line by line from the top."""
    found, x, y = [], GAP, 0
    for name, colour in legend:
        text = visible(name)
        needed = 34 + round(font.getlength(text))
        if x > GAP and x + needed > width:
            x, y = GAP, y + CAPTION
        found.append((x, y, text, colour))
        x += needed
    return found


def draw_legend(
    draw: ImageDraw.ImageDraw, placed: Sequence[tuple[int, int, str, Colour]], top: int, font: Any
) -> None:
    """Draw the entries of `placed_legend` below ``top``."""
    for x, y, name, colour in placed:
        draw.rectangle((x, top + y + 4, x + 12, top + y + 16), colour, outline="grey")
        draw.text((x + 18, top + y + 2), name, "black", font)


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
