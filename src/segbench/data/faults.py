"""The faults that a case can have, with messages that `check` and training share.

An error would corrupt results; a notice may point to a mistake, but is harmless.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from segbench.arrays import label_counts
from segbench.data.store.prepared import Case, Decoded
from segbench.data.store.transforms import Array
from segbench.errors import DataError

EMPTY = "empty mask"
_BLACK_AND_WHITE = "Black-and-white masks need data.mask_values='[0, 255]' (data=folder)"
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """One fault; the message begins with the file and ends with what to do."""

    severity: Literal["error", "notice"]
    kind: str
    file: str
    message: str


def case_problems(
    case: Case, decoded: Decoded, class_names: Sequence[str], ignore_index: int
) -> list[Problem]:
    """The faults of a case that can be read."""
    problems = []
    file = str(case.masks[0] if case.masks else case.id)
    image, mask = decoded.image.shape[1::-1], decoded.mask.shape[::-1]
    if image != mask:
        text = f"the mask is {mask} (width, height), its image {image}; both must have one size"
        text += "".join(f". The image was {note}" for note in decoded.notes if "EXIF" in note)
        problems.append(Problem("error", "size", file, f"{file}: {text}"))
    counts = label_counts(decoded.mask)
    if foreign := _foreign_labels(counts, class_names, ignore_index):
        problems.append(Problem("error", "label", file, f"{file}: {foreign}"))
    elif is_blank(counts, ignore_index):
        text = "the mask is empty; correct it unless the image shows nothing but background"
        if counts[ignore_index]:
            text = f"the mask holds 0 and {ignore_index} alone. {_ignored(ignore_index)}"
        problems.append(Problem("notice", EMPTY, file, f"{file}: {text}"))
    return problems


def constant_channels(ranges: Sequence[Sequence[Sequence[float]]]) -> list[str]:
    """A text for each channel that has one and the same value in all images.

    Args:
        ranges: for each image the least and the largest value of each channel, (N, C, 2).
    """
    known = np.array([each for each in ranges if len(each)], np.float64)
    if not known.size:
        return []
    low, high = known[..., 0].min(axis=0), known[..., 1].max(axis=0)
    return [
        f"channel {k + 1} of {len(low)} is {low[k]:g} in every pixel of every image, so that a "
        "network learns nothing from it: check the files and data.in_channels"
        for k in np.flatnonzero(low == high).tolist()
    ]


def count_notes(pictures: Sequence[str], notes: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """For each distinct note the first picture that has it, and a text with their number."""
    first: dict[str, str] = {}
    counts = Counter[str]()
    for picture, found in zip(pictures, notes, strict=True):
        for note in found:
            first.setdefault(note, picture)
            counts[note] += 1
    return [
        (first[note], f"{count} of {len(pictures)} pictures, the first {first[note]}: {note}")
        for note, count in counts.items()
    ]


def refuse_faulty(
    case: Case, decoded: Decoded, class_names: Sequence[str], ignore_index: int
) -> None:
    """Refuse a case with an error, in training.

    Raises:
        DataError: the first of the case's errors.
    """
    for problem in case_problems(case, decoded, class_names, ignore_index):
        if problem.severity == "error":
            raise DataError(problem.message)


def refuse_blank(masks: Iterable[Array], class_names: Sequence[str], ignore_index: int) -> None:
    """Refuse masks of which none has foreground; stops at the first one that has.

    Raises:
        DataError: no mask has foreground.
    """
    total = np.zeros(256, np.int64)
    for mask in masks:
        total += label_counts(mask)
        if not is_blank(total, ignore_index):
            return
    raise DataError(blank_message(total, class_names, ignore_index))


def is_blank(counts: Counts, ignore_index: int) -> bool:
    """Whether only background and ignored pixels were counted."""
    return bool(counts.sum() == counts[sorted({0, ignore_index})].sum())


def blank_message(counts: Counts, class_names: Sequence[str], ignore_index: int) -> str:
    """The message about masks without any foreground."""
    text = f"data: no mask shows {' or '.join(class_names[1:])}"
    if not counts[ignore_index]:
        return f"{text}, only 0 (background): check that these are the masks"
    return f"{text}, only 0 and {ignore_index}. {_ignored(ignore_index)}"


def _ignored(ignore_index: int) -> str:
    text = f"{ignore_index} is data.ignore_index, the label of pixels that are left out"
    return f"{text}. {_BLACK_AND_WHITE}" if ignore_index == 255 else text


def _foreign_labels(counts: Counts, class_names: Sequence[str], ignore_index: int) -> str:
    labels = np.flatnonzero(counts)
    foreign = labels[(labels >= len(class_names)) & (labels != ignore_index)].tolist()
    if not foreign:
        return ""
    names = ", ".join(class_names)
    text = (
        f"labels {foreign} in the mask; expected 0 to {len(class_names) - 1} ({names}) or "
        f"ignore_index {ignore_index}"
    )
    return f"{text}. {_BLACK_AND_WHITE}" if foreign == [255] else text
