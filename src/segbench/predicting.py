"""Pictures in, masks out: decoding and writing in threads beside the network, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from segbench.data.transforms import Array
from segbench.errors import DataError
from segbench.hardware import available_cores
from segbench.inference import Prediction, Predictor
from segbench.inputs import Input
from segbench.masks import draw_overlay, write_mask, write_overlay, write_probabilities
from segbench.report.panels import SIDE, paint_labels, write_panels

GROUP = 8  # pictures at least that are read together, so that there is work for all threads
ROWS = 8  # of a contact sheet
FOLDERS = {"overlay": "overlays", "probabilities": "probabilities", "show": "sheets"}
Read = Callable[[bytes, Path], Array]
Row = tuple[str, list[Array]]
Written = tuple[DataError | None, Row | None]  # why it was skipped; its row of a sheet


@dataclass(frozen=True)
class Wanted:
    """What to write beside masks: ``png16`` or ``npy`` probabilities, overlays, sheets."""

    output: Path
    probabilities: str | None = None
    overlay: bool = False
    show: bool = False

    @property
    def pictures(self) -> bool:
        """Whether the pictures themselves are needed once their masks are there."""
        return self.overlay or self.show


@dataclass
class Loaded:
    """A decoded picture, as the network takes it; or what is wrong with it."""

    source: Input
    size: tuple[int, ...] = ()
    prepared: Array = field(default_factory=lambda: np.empty(0, np.uint8))
    picture: Array | None = None
    fault: DataError | None = None


class Sheets:
    """Contact sheets, each written as soon as it is full."""

    def __init__(self, output: Path) -> None:
        self._folder, self._rows, self._count = output / FOLDERS["show"], list[Row](), 0

    def add(self, row: Row) -> None:
        """Add a picture's row."""
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self.write()

    def write(self) -> None:
        """Write what is left."""
        if self._rows:
            self._count += 1
            path = self._folder / f"sheet-{self._count:03d}.png"
            write_panels(path, self._rows, ("picture", "mask", "overlay"))
            self._rows = []


def predict_files(
    predictor: Predictor, read: Read, inputs: Sequence[Input], wanted: Wanted
) -> Iterator[DataError | None]:
    """Predict and write all; yields for each picture None, or why it was skipped.

    Group by group, so that two of them are in memory at most. A GPU computes one while threads
    decode the next and write the last. On a CPU these take turns, each with all cores: threads
    beside the network would keep its own waiting for one another.

    Args:
        predictor: predicts.
        read: decodes a file's content, as training did.
        inputs: the pictures.
        wanted: what to write, and where.
    """
    size = max(predictor.batch_size, GROUP) if predictor.window is None else 1  # those may be huge
    groups = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    beside = predictor.device.type != "cpu"
    sheets = Sheets(wanted.output)
    with ThreadPoolExecutor(available_cores()) as pool:

        def read_all(group: Sequence[Input]) -> list[Future[Loaded]]:
            return [pool.submit(load, predictor, read, each, wanted) for each in group]

        writes: list[Future[Written]] = []
        reads = read_all(groups[0])
        for following in [*groups[1:], []]:
            loaded = [each.result() for each in reads]
            if beside:
                reads = read_all(following)
            else:
                wait(writes)
            pairs = _predict(predictor, loaded, wanted.probabilities is not None)
            fresh = [pool.submit(_write, *pair, predictor, wanted) for pair in pairs]
            if not beside:
                reads = read_all(following)
            yield from _finish(writes, sheets)
            writes = fresh
        yield from _finish(writes, sheets)
    sheets.write()


def _finish(writes: Iterable[Future[Written]], sheets: Sheets) -> Iterator[DataError | None]:
    for each in writes:
        fault, row = each.result()
        if row:
            sheets.add(row)
        yield fault


def load(predictor: Predictor, read: Read, source: Input, wanted: Wanted) -> Loaded:
    """Read and decode one picture; what cannot be read says so."""
    try:
        picture = read(source.file.read_bytes(), source.file)
        prepared = predictor.prepare(picture)
    except OSError as error:
        fault = DataError(f"{source.file}: cannot be read ({error.strerror or error})")
        return Loaded(source, fault=fault)
    except DataError as error:
        return Loaded(source, fault=error)
    return Loaded(source, picture.shape[:2], prepared, picture if wanted.pictures else None)


def _predict(
    predictor: Predictor, group: Sequence[Loaded], shares: bool
) -> Iterator[tuple[Loaded, Prediction | None]]:
    """Each picture of a group with its prediction; those that could not be read have none."""
    good = [each for each in group if each.fault is None]
    found = predictor.predict(
        [each.prepared for each in good], [each.size for each in good], shares
    )
    for each in group:
        yield each, None if each.fault else next(found)


def _write(
    loaded: Loaded, prediction: Prediction | None, predictor: Predictor, wanted: Wanted
) -> Written:
    if prediction is None:
        return loaded.fault, None
    name, labels, palette = loaded.source.name, prediction.labels, predictor.palette
    write_mask(wanted.output / f"{name}.png", labels, palette)
    if prediction.probabilities is not None and wanted.probabilities:
        path = wanted.output / FOLDERS["probabilities"] / name
        write_probabilities(
            path, prediction.probabilities, predictor.class_names, wanted.probabilities
        )
    if loaded.picture is None:
        return None, None
    overlay = draw_overlay(loaded.picture, labels, palette)
    if wanted.overlay:
        write_overlay(wanted.output / FOLDERS["overlay"] / f"{name}.jpg", overlay)
    return None, _row(loaded, labels, overlay, len(palette)) if wanted.show else None


def _row(loaded: Loaded, labels: Array, overlay: Array, classes: int) -> Row:
    """A row of a contact sheet, its pictures no larger than shown."""
    height, width = labels.shape
    scale = min(1, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    assert loaded.picture is not None
    painted = paint_labels(labels, classes, 255)
    shown = [_as_rgb(loaded.picture), painted, overlay]
    tiles = [np.asarray(cv2.resize(s, size, interpolation=cv2.INTER_AREA), np.uint8) for s in shown]
    return f"{loaded.source.name}, {width} x {height}", tiles


def _as_rgb(picture: Array) -> Array:
    if picture.shape[2] >= 3:
        return picture[:, :, :3]
    return np.repeat(picture[:, :, :1], 3, axis=2)
