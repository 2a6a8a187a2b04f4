"""Predicts masks of many pictures, with decoding and writing in threads and bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from segbench.colours import ClassColours
from segbench.data.store.transforms import Array, Values
from segbench.errors import DataError
from segbench.hardware.device import available_cores
from segbench.inference.inputs import Input
from segbench.inference.masks import draw_overlay, write_mask, write_overlay, write_probabilities
from segbench.inference.predictor import Prediction, Predictor
from segbench.records.panels import SIDE, Legend, paint_labels, write_panels

GROUP = 8  # the least number of pictures that are read together, to use all threads
ROWS = 8  # of a contact sheet
FOLDERS = {"overlay": "overlays", "probabilities": "probabilities", "show": "sheets"}
Read = Callable[[Path], Values]
Row = tuple[str, list[Array]]
Written = tuple[DataError | None, Row | None]  # reason of skipping; row of a contact sheet


@dataclass(frozen=True)
class Wanted:
    """The files to write beside the masks.

    Args:
        output: the folder of the masks.
        probabilities: ``png16``, ``npy`` or None.
        overlay: whether to write overlays.
        show: whether to write contact sheets.
    """

    output: Path
    probabilities: str | None = None
    overlay: bool = False
    show: bool = False

    @property
    def pictures(self) -> bool:
        """Whether the pictures are still needed after prediction."""
        return self.overlay or self.show


@dataclass
class Loaded:
    """A picture, prepared for the network and as it is shown, or the error of reading it."""

    source: Input
    size: tuple[int, ...] = ()
    prepared: Values = field(default_factory=lambda: np.empty(0, np.uint8))
    picture: Array | None = None
    fault: DataError | None = None


class Sheets:
    """Contact sheets, each written as soon as it is full.

    Args:
        output: the folder of the masks, in which the sheets' folder is created.
        legend: the name and the colour of each class.
    """

    def __init__(self, output: Path, legend: Legend = ()) -> None:
        self._legend = legend
        self._folder, self._rows, self._count = output / FOLDERS["show"], list[Row](), 0

    def add(self, row: Row) -> None:
        """Add the row of a picture, and write the sheet if it is full."""
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self.write()

    def write(self) -> None:
        """Write the rows of the last, incomplete sheet."""
        if self._rows:
            self._count += 1
            path = self._folder / f"sheet-{self._count:03d}.png"
            write_panels(path, self._rows, ("picture", "mask", "overlay"), self._legend)
            self._rows = []


def predict_files(
    predictor: Predictor, read: Read, inputs: Sequence[Input], wanted: Wanted
) -> Iterator[DataError | None]:
    """Predict and write the masks of all pictures, group by group.

    At most two groups are in memory. While a GPU computes one group, threads decode the next and
    write the previous one. On a CPU these steps alternate, each with all cores, because other
    threads would make those of the network wait for one another.

    Args:
        predictor: predicts masks.
        read: reads and decodes a file as training did.
        inputs: the pictures.
        wanted: the files to write.

    Yields:
        For each picture None, or the error for which it was skipped.
    """
    size = (
        max(predictor.batch_size, GROUP) if predictor.window is None else 1
    )  # windows are for huge pictures
    groups = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    beside = predictor.device.type != "cpu"
    sheets = Sheets(wanted.output, predictor.colours.legend(predictor.class_names))
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
    """Read and decode one picture; an error is returned in ``fault``."""
    try:
        picture = read(source.file)
        prepared = predictor.prepare(picture)
    except DataError as error:
        return Loaded(source, fault=error)
    shown = predictor.displayed(picture) if wanted.pictures else None
    return Loaded(source, picture.shape[:2], prepared, shown)


def _predict(
    predictor: Predictor, group: Sequence[Loaded], with_probabilities: bool
) -> Iterator[tuple[Loaded, Prediction | None]]:
    """Each picture of a group with its prediction, or None if it could not be read."""
    good = [each for each in group if each.fault is None]
    found = predictor.predict(
        [each.prepared for each in good], [each.size for each in good], with_probabilities
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
    overlay = draw_overlay(loaded.picture, labels, predictor.colours)
    if wanted.overlay:
        write_overlay(wanted.output / FOLDERS["overlay"] / f"{name}.jpg", overlay)
    return None, _row(loaded, labels, overlay, predictor.colours) if wanted.show else None


def _row(loaded: Loaded, labels: Array, overlay: Array, classes: ClassColours) -> Row:
    """A row of a contact sheet, with its pictures at the size at which they are shown."""
    height, width = labels.shape
    scale = min(1, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    assert loaded.picture is not None
    painted = paint_labels(labels, classes)
    shown = [loaded.picture, painted, overlay]
    tiles = [np.asarray(cv2.resize(s, size, interpolation=cv2.INTER_AREA), np.uint8) for s in shown]
    return f"{loaded.source.name}, {width} x {height}", tiles
