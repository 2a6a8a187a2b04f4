"""Decodes cases and brings them to the form in which the store holds them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from segbench.arrays import label_counts
from segbench.data.store.prepared import Case, Decoded, Prepared, case_sum, with_facts
from segbench.data.store.ragged import Ragged
from segbench.data.store.transforms import Array, Values, resize_image, resize_mask
from segbench.hardware.device import available_cores

LOCATIONS = 1000  # pixels of each class that patches may be centred on, of each image
Read = Callable[[Case], Decoded]
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Form:
    """The form of prepared images.

    Args:
        channels: the number of channels.
        size: (height, width) of all images; None: each keeps its own size times ``scale``.
        scale: above 0 and at most 1.
        kind: the NumPy type of images, ``|u1`` or ``<f4``.
        background: the label that patches are not centred on, or None.
        is_large: whether a case is so large that only one should be in memory.
    """

    channels: int
    size: tuple[int, int] | None
    scale: float = 1.0
    kind: str = "|u1"
    background: int | None = 0
    is_large: Callable[[Case], bool] = lambda case: False

    def size_of(self, original: tuple[int, ...]) -> tuple[int, int]:
        """The size of a prepared image of (height, width)."""
        height, width = (max(1, round(side * self.scale)) for side in original)
        return self.size or (height, width)


@dataclass(frozen=True)
class Ready:
    """A case with the arrays and bytes that are stored."""

    image: Values
    mask: Array
    png: bytes
    facts: dict[str, Any]  # the case's entry in index.json
    locations: Values  # (n, 3), see `Prepared`; none where all images have one size


def prepare_in_memory(cases: list[Case], read: Read, form: Form, progress: Progress) -> Prepared:
    """Decode all cases and bring them to a form, without a store."""
    made = progress(prepare_all(cases, read, form), len(cases))
    if form.size is None:
        ready = [*made]
        return with_facts(
            Ragged.of([each.image for each in ready], form.kind),
            Ragged.of([each.mask for each in ready], "|u1"),
            np.frombuffer(b"".join(each.png for each in ready), np.uint8),
            [each.facts for each in ready],
            locations=Ragged.of([each.locations for each in ready], "<i4"),
        )
    images = np.empty((len(cases), *form.size, form.channels), form.kind)
    masks = np.empty((len(cases), *form.size), np.uint8)
    pngs, facts = [], []
    for index, each in enumerate(made):
        images[index], masks[index] = each.image, each.mask
        pngs.append(each.png)
        facts.append(each.facts)
    return with_facts(images, masks, np.frombuffer(b"".join(pngs), np.uint8), facts)


def prepare_all(cases: list[Case], read: Read, form: Form) -> Iterator[Ready]:
    """The cases in their form, decoded by all cores."""
    cores = available_cores()  # more threads would be slower, since most of the time is computation
    if any(map(form.is_large, cases)):  # one after another, to have only one in memory
        yield from (prepare(read(case), form) for case in cases)
        return
    with ThreadPoolExecutor(cores) as pool:  # decoders release the interpreter's lock
        window = 4 * cores  # so that a large data set is never completely in memory
        for start in range(0, len(cases), window):
            chosen = cases[start : start + window]
            yield from pool.map(lambda case: prepare(read(case), form), chosen)


def prepare(case: Decoded, form: Form) -> Ready:
    """A decoded case in the form of the store."""
    size = form.size_of(case.mask.shape)
    png = cv2.imencode(".png", case.mask)[1].tobytes()
    instances = b""
    if case.instances is not None:
        instances = cv2.imencode(".png", case.instances)[1].tobytes()
    mask = np.ascontiguousarray(resize_mask(case.mask, size))
    counts = label_counts(mask)
    labels = np.flatnonzero(counts)
    image = np.ascontiguousarray(resize_image(case.image.astype(form.kind, copy=False), size))
    pixels = case.image.reshape(-1, case.image.shape[2])
    facts: dict[str, Any] = {
        "bytes": len(png) + len(instances),
        "sha256": case.sha256,
        "size": case.mask.shape,
        "labels": np.flatnonzero(label_counts(case.mask)).tolist(),
        "pixels": list(zip(labels.tolist(), counts[labels].tolist(), strict=True)),
        "range": np.stack([pixels.min(axis=0), pixels.max(axis=0)], 1).astype(float).tolist(),
        "notes": list(case.notes),
    }
    if instances:
        facts["instance_bytes"] = len(instances)
    png += instances
    stored, found = [image, mask, np.frombuffer(png, np.uint8)], np.empty((0, 3), "<i4")
    if form.size is None:
        found = _locations(mask, [each for each in labels.tolist() if each != form.background])
        facts |= {"stored": image.shape, "kind": form.kind, "locations": len(found)}
        stored.append(found)
    facts["sum"] = case_sum(*stored)
    return Ready(image, mask, png, facts, found)


def _locations(mask: Array, labels: list[int]) -> Values:
    """Up to `LOCATIONS` pixels of each label, (n, 3): label, row, column."""
    chance, rows = np.random.default_rng(0), [np.empty((0, 3), "<i4")]
    for label in labels:
        in_rows = np.count_nonzero(mask == label, axis=1)
        total = int(in_rows.sum())
        chosen = np.arange(min(total, LOCATIONS))
        if total > LOCATIONS:
            chosen = np.sort(chance.choice(total, LOCATIONS, replace=False))
        rows.append(_places(mask, label, in_rows, chosen))
    return np.concatenate(rows)


def _places(mask: Array, label: int, in_rows: Values, chosen: Values) -> Values:
    """Label, row and column (n, 3) of the pixels of a label with the numbers ``chosen``, sorted."""
    ends = np.cumsum(in_rows)
    at = np.searchsorted(ends, chosen, "right")
    found = []
    for row in np.unique(at).tolist():
        numbers = chosen[at == row] - (ends[row] - in_rows[row])
        columns = np.flatnonzero(mask[row] == label)[numbers]
        found += [(label, row, column) for column in columns.tolist()]
    return np.array(found, "<i4").reshape(-1, 3)
