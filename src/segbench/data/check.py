"""The doctor: looks at every case once, and at all together, and lists all that is wrong."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segbench.data.base import SegmentationDataModule
from segbench.data.duplicates import Fingerprint, duplicate_problems, fingerprint
from segbench.data.faults import (
    EMPTY,
    Counts,
    Problem,
    blank_message,
    case_problems,
    is_blank,
    label_counts,
)
from segbench.data.prepared import Case
from segbench.errors import DataError, SegbenchError

Parts = Mapping[str, Sequence[int]]
NO_FOREGROUND = "no foreground"


@dataclass(frozen=True)
class Look:
    """What one look at a case tells; one that cannot be read has a problem and nothing else."""

    problems: list[Problem]
    size: tuple[int, int] = (0, 0)  # height, width
    stored: str = ""  # format and mode of the image's file, such as "PNG RGBA"
    counts: Counts = field(default_factory=lambda: np.zeros(256, np.int64))  # pixels of each label
    fingerprint: Fingerprint | None = None


def check_data(
    data: SegmentationDataModule, progress: Callable[[Iterable[Look], int], Iterable[Look]]
) -> tuple[dict[str, Any], dict[int, Case]]:
    """Check every case of a data set.

    Returns:
        What ``check.json`` holds: the numbers of ``cases``, ``errors`` and ``notices``; ``parts``,
        that is ``all`` and each part of the split, as `describe` gives them; and ``problems``.
        And the train part's faultless cases by their places, for a `contact_sheet`.
    """
    cases, problems = find_all(data)
    with ThreadPoolExecutor() as pool:  # decoders release the interpreter's lock
        looks = list(progress(pool.map(lambda case: look_at(data, case), cases), len(cases)))
    problems += [problem for look in looks for problem in look.problems]
    parts, unsplit = split_cases(data, cases, looks)
    problems += [*unsplit, *missing_classes(data, parts, looks), *duplicates(cases, parts, looks)]
    if any(problem.kind == NO_FOREGROUND for problem in problems):  # says it for all masks
        problems = [problem for problem in problems if problem.kind != EMPTY]
    problems.sort(key=lambda problem: (problem.severity, problem.kind, problem.file))
    severities = Counter(problem.severity for problem in problems)
    everything = {"all": range(len(cases)), **parts}
    found = {
        "cases": len(cases),
        "errors": severities["error"],
        "notices": severities["notice"],
        "parts": {
            name: describe([looks[i] for i in part], data.class_names, data.ignore_index)
            for name, part in everything.items()
        },
        "problems": [asdict(problem) for problem in problems],
    }
    return found, {i: cases[i] for i in parts.get("train", ()) if not looks[i].problems}


def find_all(data: SegmentationDataModule) -> tuple[list[Case], list[Problem]]:
    """The cases, sorted, and a problem for each that is not whole."""
    faults: list[DataError] = []
    data.on_fault = faults.append  # type: ignore[assignment, method-assign]
    cases = sorted(data.find_cases(), key=lambda case: case.id)
    return cases, [
        Problem("error", "incomplete", message.partition(": ")[0], message)
        for message in map(str, faults)
    ]


def split_cases(
    data: SegmentationDataModule, cases: Sequence[Case], looks: Sequence[Look]
) -> tuple[Parts, list[Problem]]:
    """The parts that training would make; none, and the problem, where it could not."""
    labels = [np.flatnonzero(look.counts).tolist() for look in looks]
    try:
        return data.make_parts(cases, labels, [look.size for look in looks]), []
    except (SegbenchError, ValueError) as error:  # a case that a list names is broken, say
        return {}, [Problem("error", "split", "", str(error))]


def look_at(data: SegmentationDataModule, case: Case) -> Look:
    """Read one case; whatever goes wrong is a problem of the case, and never ends the check."""
    try:
        decoded = data.read(case)
        stored = stored_as(case.image) if case.image else "generated"
    except Exception as error:  # a decoder may raise anything on a broken file
        text = str(error)
        file = next((f for f in case.files if text.startswith(f)), (*case.files, case.id)[0])
        if not isinstance(error, DataError):
            text = f"{file}: {type(error).__name__}: {text}"
        return Look([Problem("error", "unreadable", file, text)])
    return Look(
        case_problems(case, decoded, data.class_names, data.ignore_index),
        decoded.mask.shape,
        stored,
        label_counts(decoded.mask),
        fingerprint(decoded.image),
    )


def stored_as(file: Path) -> str:
    """Format and mode of a picture's file, whatever its name says: ``"PNG RGBA"``."""
    try:
        with Image.open(file) as picture:
            return f"{picture.format} {picture.mode}"
    except OSError:  # what another decoder than Pillow's reads
        return file.suffix.lstrip(".").upper()


def missing_classes(
    data: SegmentationDataModule, parts: Parts, looks: Sequence[Look]
) -> list[Problem]:
    """Classes that no mask of a part shows; that none of the data set's shows any is an error."""
    total = sum((look.counts for look in looks), start=np.zeros(256, np.int64))
    if total.any() and is_blank(total, data.ignore_index):
        text = blank_message(total, data.class_names, data.ignore_index)
        return [Problem("error", NO_FOREGROUND, "", text)]
    problems = []
    for part, places in parts.items():
        counts = sum((looks[i].counts for i in places), start=np.zeros(256, np.int64))
        absent = [name for label, name in enumerate(data.class_names) if not counts[label]]
        if absent and counts.any():
            effect = "cannot be learnt" if part == "train" else "gets no score there"
            text = f"{part}: no mask shows {', '.join(absent)}, which {effect}"
            problems.append(Problem("notice", "absent class", "", text))
    return problems


def duplicates(cases: Sequence[Case], parts: Parts, looks: Sequence[Look]) -> list[Problem]:
    """Pictures that are there more than once."""
    part_of = {i: part for part, places in parts.items() for i in places}
    pictures = [
        (str(case.image or case.id), part_of.get(i), look.fingerprint)
        for i, (case, look) in enumerate(zip(cases, looks, strict=True))
        if look.fingerprint is not None
    ]
    return duplicate_problems(pictures)


def describe(
    looks: Sequence[Look], class_names: Sequence[str], ignore_index: int
) -> dict[str, Any]:
    """Numbers of cases, sizes (width x height), file kinds, and of each class its pixels,
    their share of all, and the images that show it.
    """
    seen = [look for look in looks if look.stored]
    counts = np.array([look.counts for look in seen], np.int64).reshape(-1, 256)
    labels = {name: label for label, name in enumerate(class_names)}
    if counts[:, ignore_index].any():
        labels["(ignored)"] = ignore_index
    return {
        "cases": len(looks),
        "sizes": _tally(f"{width}x{height}" for height, width in (look.size for look in seen)),
        "stored": _tally(look.stored for look in seen),
        "classes": {
            name: {
                "pixels": int(counts[:, label].sum()),
                "share": float(counts[:, label].sum() / max(1, counts.sum())),
                "images": int((counts[:, label] > 0).sum()),
            }
            for name, label in labels.items()
        },
    }


def _tally(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())
