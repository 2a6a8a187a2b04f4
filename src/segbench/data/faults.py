"""What can be wrong with a case, in words that `check` and training share.

An error would corrupt a result; a notice is worth a look and harms nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from segbench.data.prepared import Case, Decoded
from segbench.data.transforms import Array
from segbench.errors import DataError

EMPTY = "empty mask"
_BLACK_AND_WHITE = "Of black-and-white masks say so: data.mask_values='[0, 255]' (data=folder)"
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """One fault; the message begins with the file and ends with the way out."""

    severity: Literal["error", "notice"]
    kind: str
    file: str
    message: str


def label_counts(mask: Array) -> Counts:
    """How many pixels of a mask have each label: (256,)."""
    return np.bincount(mask.ravel(), minlength=256)


def case_problems(
    case: Case, decoded: Decoded, class_names: Sequence[str], ignore_index: int
) -> list[Problem]:
    """What is wrong with a case that can be read."""
    problems = []
    file = str(case.masks[0] if case.masks else case.id)
    image, mask = decoded.image.shape[1::-1], decoded.mask.shape[::-1]
    if image != mask:
        text = f"the mask is {mask} (width, height), its image {image}; both must have one size"
        problems.append(Problem("error", "size", file, f"{file}: {text}"))
    counts = label_counts(decoded.mask)
    if foreign := _foreign_labels(counts, class_names, ignore_index):
        problems.append(Problem("error", "label", file, f"{file}: {foreign}"))
    elif is_blank(counts, ignore_index):
        text = "the mask is empty; mend it unless the image shows nothing but background"
        if counts[ignore_index]:
            text = f"the mask holds 0 and {ignore_index} alone. {_ignored(ignore_index)}"
        problems.append(Problem("notice", EMPTY, file, f"{file}: {text}"))
    return problems


def refuse_faulty(
    case: Case, decoded: Decoded, class_names: Sequence[str], ignore_index: int
) -> None:
    """What training asks of each case.

    Raises:
        DataError: the first of the case's errors.
    """
    for problem in case_problems(case, decoded, class_names, ignore_index):
        if problem.severity == "error":
            raise DataError(problem.message)


def refuse_blank(masks: Iterable[Array], class_names: Sequence[str], ignore_index: int) -> None:
    """What training asks of all masks together; it stops looking at the first with foreground.

    Raises:
        DataError: no mask has any.
    """
    total = np.zeros(256, np.int64)
    for mask in masks:
        total += label_counts(mask)
        if not is_blank(total, ignore_index):
            return
    raise DataError(blank_message(total, class_names, ignore_index))


def is_blank(counts: Counts, ignore_index: int) -> bool:
    """Whether nothing but background and ignored pixels was counted."""
    return bool(counts.sum() == counts[sorted({0, ignore_index})].sum())


def blank_message(counts: Counts, class_names: Sequence[str], ignore_index: int) -> str:
    """What to say of masks that hold no foreground at all."""
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
