"""The data validator: reads every case once and lists all faults of the data set."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from segbench.arrays import label_counts
from segbench.data.base import SegmentationDataModule
from segbench.data.check.duplicates import Fingerprint, duplicate_problems, fingerprint
from segbench.data.check.likely_groups import describe_groups, likely_groups
from segbench.data.faults import (
    EMPTY,
    Counts,
    Problem,
    blank_message,
    case_problems,
    constant_channels,
    count_notes,
    is_blank,
)
from segbench.data.layouts.numbers import numbered_objects
from segbench.data.splitting import CaseFacts
from segbench.data.store.prepared import Case
from segbench.errors import DataError, SegbenchError

Parts = Mapping[str, Sequence[int]]
NO_FOREGROUND = "no foreground"


@dataclass(frozen=True)
class CheckedCase:
    """The result of checking a case; an unreadable case has only problems."""

    problems: list[Problem]
    size: tuple[int, int] = (0, 0)  # height, width
    stored: str = ""  # format and mode of the image's file, such as "PNG RGBA"
    counts: Counts = field(default_factory=lambda: np.zeros(256, np.int64))  # pixels of each label
    fingerprint: Fingerprint | None = None
    notes: tuple[str, ...] = ()  # what reading left out or changed
    ranges: Sequence[Sequence[float]] = ()  # the least and largest value of each channel


def check_data(
    data: SegmentationDataModule,
    progress: Callable[[Iterable[CheckedCase], int], Iterable[CheckedCase]],
) -> tuple[dict[str, Any], dict[int, Case]]:
    """Check every case of a data set.

    Returns:
        The content of ``check.json``: the numbers of ``cases``, ``errors`` and ``notices``;
        ``parts``, the descriptions of ``all`` and of each part; ``groups``, those of
        ``data.group``, None without it; and ``problems``. Secondly the train part's cases without
        problems by their index, for a `contact_sheet`.
    """
    cases, problems = find_all(data)
    threads = 1 if any(map(data.form.is_large, cases)) else None  # only one in memory
    with ThreadPoolExecutor(threads) as pool:  # decoders release the interpreter's lock
        checked = list(progress(pool.map(lambda case: check_case(data, case), cases), len(cases)))
    problems += [problem for each in checked for problem in each.problems]
    counted = count_notes([case.name for case in cases], [each.notes for each in checked])
    problems += [Problem("notice", "how pictures are read", *each) for each in counted]
    constant = constant_channels([each.ranges for each in checked])
    problems += [Problem("notice", "constant channel", "", text) for text in constant]
    present = [np.flatnonzero(each.counts).tolist() for each in checked]
    numbered = numbered_objects(present, data.ignore_index)
    problems += [Problem("notice", "numbers of objects", "", text) for text in numbered]
    parts, groups, unsplit = split_cases(data, cases, checked)
    problems += [
        *unsplit,
        *missing_classes(data, parts, checked),
        *duplicates(cases, parts, checked),
    ]
    if data.splitting.group is None:
        pictures = [each.fingerprint for each in checked]
        problems += likely_groups([case.id for case in cases], parts, pictures)
    if any(problem.kind == NO_FOREGROUND for problem in problems):  # one problem for all masks
        problems = [problem for problem in problems if problem.kind != EMPTY]
    problems.sort(key=lambda problem: (problem.severity, problem.kind, problem.file))
    severities = Counter(problem.severity for problem in problems)
    everything = {"all": range(len(cases)), **parts}
    found = {
        "cases": len(cases),
        "errors": severities["error"],
        "notices": severities["notice"],
        "parts": {
            name: describe([checked[i] for i in part], data.class_names, data.ignore_index)
            for name, part in everything.items()
        },
        "groups": describe_groups(groups, parts) if groups else None,
        "problems": [asdict(problem) for problem in problems],
    }
    return found, {i: cases[i] for i in parts.get("train", ()) if not checked[i].problems}


def find_all(data: SegmentationDataModule) -> tuple[list[Case], list[Problem]]:
    """The complete cases, sorted by id, and a problem for each incomplete one."""
    faults: list[DataError] = []
    data.faults = faults
    cases = sorted(data.find_cases(), key=lambda case: case.id)
    return cases, [
        Problem("error", "incomplete", message.partition(": ")[0], message)
        for message in map(str, faults)
    ]


def split_cases(
    data: SegmentationDataModule, cases: Sequence[Case], checked: Sequence[CheckedCase]
) -> tuple[Parts, list[str], list[Problem]]:
    """The parts of the split, the group of each case, and notices on both.

    If training could not split the cases, there are neither, and the problem.
    """
    labels = [np.flatnonzero(each.counts).tolist() for each in checked]
    facts = CaseFacts(labels, [each.size for each in checked])
    try:
        parts = data.make_parts(cases, facts)
        told = data.splitting.notices(cases, data.find_split(), facts, parts)
        found = [Problem("notice", "groups", "", text) for text in told]
        return parts, data.splitting.find_groups(cases) or [], found
    except (SegbenchError, ValueError) as error:  # for example, a list names an unreadable case
        return {}, [], [Problem("error", "split", "", str(error))]


def check_case(data: SegmentationDataModule, case: Case) -> CheckedCase:
    """Read one case; an error becomes a problem of the case and does not end the check."""
    try:
        decoded = data.read(case)
        stored = data.stored_as(case, decoded.image)
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        text = str(error)
        file = next((f for f in case.files if text.startswith(f)), (*case.files, case.id)[0])
        if not isinstance(error, DataError):
            text = f"{file}: {type(error).__name__}: {text}"
        return CheckedCase([Problem("error", "unreadable", file, text)])
    return CheckedCase(
        case_problems(case, decoded, data.class_names, data.ignore_index),
        decoded.mask.shape,
        stored,
        label_counts(decoded.mask),
        fingerprint(decoded.image),
        decoded.notes,
        [[band.min(), band.max()] for band in np.moveaxis(decoded.image, 2, 0)],
    )


def missing_classes(
    data: SegmentationDataModule, parts: Parts, checked: Sequence[CheckedCase]
) -> list[Problem]:
    """A notice for each part without some class; an error if no mask has foreground."""
    total = sum((each.counts for each in checked), start=np.zeros(256, np.int64))
    if total.any() and is_blank(total, data.ignore_index):
        text = blank_message(total, data.class_names, data.ignore_index)
        return [Problem("error", NO_FOREGROUND, "", text)]
    problems = []
    for part, indices in parts.items():
        counts = sum((checked[i].counts for i in indices), start=np.zeros(256, np.int64))
        absent = [name for label, name in enumerate(data.class_names) if not counts[label]]
        if absent and counts.any():
            effect = "cannot be learnt" if part == "train" else "gets no score there"
            text = f"{part}: no mask shows {', '.join(absent)}, which {effect}"
            problems.append(Problem("notice", "absent class", "", text))
    return problems


def duplicates(
    cases: Sequence[Case], parts: Parts, checked: Sequence[CheckedCase]
) -> list[Problem]:
    """A problem for each group of duplicate pictures."""
    part_of = {i: part for part, indices in parts.items() for i in indices}
    pictures = [
        (str(case.image or case.id), part_of.get(i), each.fingerprint)
        for i, (case, each) in enumerate(zip(cases, checked, strict=True))
        if each.fingerprint is not None
    ]
    return duplicate_problems(pictures)


def describe(
    checked: Sequence[CheckedCase], class_names: Sequence[str], ignore_index: int
) -> dict[str, Any]:
    """The numbers of cases, sizes (width x height) and file formats, and each class's pixels,
    fraction of all pixels, and images.
    """
    seen = [each for each in checked if each.stored]
    counts = np.array([each.counts for each in seen], np.int64).reshape(-1, 256)
    labels = {name: label for label, name in enumerate(class_names)}
    if counts[:, ignore_index].any():
        labels["(ignored)"] = ignore_index
    return {
        "cases": len(checked),
        "sizes": _tally(f"{width}x{height}" for height, width in (each.size for each in seen)),
        "stored": _tally(each.stored for each in seen),
        "classes": {
            name: {
                "pixels": int(counts[:, label].sum()),
                "share": float(counts[:, label].sum() / max(1, counts.sum())),
                "images": int((counts[:, label] > 0).sum()),
            }
            for name, label in labels.items()
        },
    }


def _tally(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
