"""Small pictures kept for a comparison: each test image and truth once, each cell's predictions.

A report shows the same images across all cells, and needs neither the data set nor a network for
it. Pictures are at most ``SIDE`` pixels long; scores never come from them.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.report.record import whole_file

Picture = NDArray[np.uint8]
SIDE = 256
PREDICTIONS = Path("panels") / "predictions.zip"
_IDS = "ids.json"


def truths_path(sweep: Path, data: str, split: str) -> Path:
    """Where a sweep's folder keeps the test images and truths of one data set and split."""
    return sweep / "pictures" / f"{data.replace('/', '_')}-{split}.zip"


def write_pictures(
    path: Path, ids: Sequence[str], pictures: Iterable[tuple[Picture | None, Picture]]
) -> None:
    """Write for each id an image (H, W, 3), if there is one, and labels (H, W)."""
    encoded = ((image, encode_labels(labels)) for image, labels in pictures)
    _write(path, ids, encoded)


def write_predictions(path: Path, predictions: Mapping[str, bytes]) -> None:
    """Write labels that `encode_labels` made, by id."""
    _write(path, list(predictions), ((None, content) for content in predictions.values()))


def encode_labels(labels: Picture) -> bytes:
    """A small PNG of labels (H, W), nearest pixels taken."""
    return _encoded(_shrunk(Image.fromarray(labels), Image.Resampling.NEAREST), "PNG")


def _write(
    path: Path, ids: Sequence[str], pictures: Iterable[tuple[Picture | None, bytes]]
) -> None:
    with whole_file(path) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
        archive.writestr(_IDS, json.dumps(list(ids)))
        for place, (image, labels) in enumerate(pictures):
            if image is not None:
                shown = _shrunk(Image.fromarray(image), Image.Resampling.BOX)
                archive.writestr(f"{place}.jpg", _encoded(shown, "JPEG", quality=85))
            archive.writestr(f"{place}.png", labels)


def read_pictures(path: Path, ids: Sequence[str]) -> dict[str, tuple[Picture | None, Picture]]:
    """Image (H, W, 3), where one was kept, and labels (H, W) of those ids that the file holds.

    Empty where there is no such file, or it is damaged: a report goes without its pictures.
    """
    try:
        with ZipFile(path) as archive:
            places = {id_: place for place, id_ in enumerate(json.loads(archive.read(_IDS)))}
            kept = set(archive.namelist())
            return {
                id_: (
                    _decoded(archive.read(f"{place}.jpg")) if f"{place}.jpg" in kept else None,
                    _decoded(archive.read(f"{place}.png")),
                )
                for id_ in ids
                if (place := places.get(id_)) is not None and f"{place}.png" in kept
            }
    except (OSError, BadZipFile, ValueError):
        return {}


def _shrunk(image: Image.Image, how: Image.Resampling) -> Image.Image:
    scale = SIDE / max(image.size)
    if scale >= 1:
        return image
    return image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), how
    )


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _decoded(content: bytes) -> Picture:
    return np.array(Image.open(io.BytesIO(content)))
