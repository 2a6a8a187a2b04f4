"""Small pictures for comparisons: each test image and truth once, and each cell's predictions.

With them a report shows the same images for all cells without the data set or a network. Their
longer side has at most ``SIDE`` pixels; scores are never computed from them.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.records.files import MEGABYTE, read_bytes
from segbench.records.record import LIMITS, PREDICTED, atomic_write

Picture = NDArray[np.uint8]
SIDE = 256
PREDICTIONS = Path(PREDICTED)
_IDS = "ids.json"


def truths_path(sweep: Path, data: str, split: str, part: str = "test") -> Path:
    """The zip file in a sweep's folder with scored images and truths of a data set and split."""
    of = "" if part == "test" else f"-{part}"
    return sweep / "pictures" / f"{data.replace('/', '_')}-{split}{of}.zip"


def write_pictures(
    path: Path, ids: Sequence[str], pictures: Iterable[tuple[Picture | None, Picture]]
) -> None:
    """Write an image (H, W, 3), or None, and labels (H, W) for each id."""
    encoded = ((image, encode_labels(labels)) for image, labels in pictures)
    _write(path, ids, encoded)


def write_predictions(path: Path, predictions: Mapping[str, bytes]) -> None:
    """Write predictions, PNGs by id that `encode_labels` made."""
    _write(path, list(predictions), ((None, content) for content in predictions.values()))


def encode_labels(labels: Picture) -> bytes:
    """A small PNG of labels (H, W), resized by nearest neighbour."""
    return _encoded(_shrunk(Image.fromarray(labels), Image.Resampling.NEAREST), "PNG")


def _write(
    path: Path, ids: Sequence[str], pictures: Iterable[tuple[Picture | None, bytes]]
) -> None:
    with atomic_write(path) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
        archive.writestr(_IDS, json.dumps(list(ids)))
        for index, (image, labels) in enumerate(pictures):
            if image is not None:
                shown = _shrunk(Image.fromarray(image), Image.Resampling.BOX)
                archive.writestr(f"{index}.jpg", _encoded(shown, "JPEG", quality=85))
            archive.writestr(f"{index}.png", labels)


def read_pictures(path: Path, ids: Sequence[str]) -> dict[str, tuple[Picture | None, Picture]]:
    """Image (H, W, 3) or None, and labels (H, W), for each of ``ids`` that the file holds.

    Empty where the file is missing or damaged; a report then has no pictures.
    """
    try:
        content = io.BytesIO(read_bytes(path, LIMITS[PREDICTED]))
        with ZipFile(content) as archive:
            indices = {id_: index for index, id_ in enumerate(json.loads(archive.read(_IDS)))}
            kept = set(archive.namelist())
            return {
                id_: (
                    _decoded(archive, f"{index}.jpg", 3) if f"{index}.jpg" in kept else None,
                    _decoded(archive, f"{index}.png", 2),
                )
                for id_ in ids
                if (index := indices.get(id_)) is not None and f"{index}.png" in kept
            }
    except Exception:  # zip, zlib and Pillow raise many kinds of errors for damaged files
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


def _decoded(archive: ZipFile, name: str, axes: int) -> Picture:
    if archive.getinfo(name).file_size > MEGABYTE:
        raise ValueError(f"{name}: larger than a small picture")
    with Image.open(io.BytesIO(archive.read(name))) as opened:
        if max(opened.size) > SIDE:
            raise ValueError(f"{name}: {opened.size} pixels")
        picture = np.array(opened)
    if picture.dtype != np.uint8 or picture.ndim != axes:
        raise ValueError(f"{name}: not a picture that segbench wrote")
    return picture
