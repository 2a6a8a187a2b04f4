"""What `check` says about groups of cases: those of ``data.group``, or those that are likely.

Ids tell likely groups where several cases each share what stands before the last separator or
before a number at the end. Images tell them where neighbours in the order of the ids are nearly the
same picture: of CamVid, frames of four drives, 15 % of the pictures are in such runs; of 299 pets,
200 lesions and 664 nuclei images none is.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from segbench.data.check.duplicates import Fingerprint, neighbours_alike
from segbench.data.faults import Problem
from segbench.data.groups.naming import groups_in_ids
from segbench.data.groups.notices import Parts, cut_groups, group_sizes

# What stands before the first slash (or the second, after a folder of the split), before the last
# separator, and before the digits at the end.
_PATTERNS = (
    "^([^/]+)/",
    "^[^/]+/([^/]+)/",
    *("([^/]+)_[^/_]*$", "([^/]+)-[^/-]*$", "([^/]+)[.][^/.]*$", "([^/]+) [^/ ]*$"),
    "([^/]*[^/0-9])[0-9]+$",
)
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}
_SHARED = 0.9  # of the cases that share their group with another, for groups to be likely
_IN_RUNS = 0.05  # of the cases in runs of pictures that are alike
_RUN = 3  # pictures, at least
_SHOWN = 3  # groups that a line names


def describe_groups(groups: Sequence[str], parts: Parts) -> dict[str, Any]:
    """The numbers of groups and of their cases, for ``check.json``.

    Args:
        groups: the group of each case.
        parts: the indices of the cases of each part.
    """
    everything: Mapping[str, Sequence[int]] = {"all": range(len(groups)), **parts}
    return {
        "told": group_sizes(groups),
        "number": {name: len({groups[i] for i in part}) for name, part in everything.items()},
        "cases": dict(sorted(Counter(groups).items())),
    }


def likely_groups(
    ids: Sequence[str], parts: Parts, pictures: Sequence[Fingerprint | None]
) -> list[Problem]:
    """A notice where cases seem to come in groups, with what to type; nothing elsewhere.

    Args:
        ids: of the cases, sorted.
        parts: the indices of the cases of each part.
        pictures: the fingerprint of each case's image; None: it cannot be read.
    """
    pattern = likely_pattern(ids)
    alike = _in_runs([picture for picture in pictures if picture is not None])
    seen = f"{alike:.0%} of the pictures are nearly the same as their neighbours by id"
    if pattern is None:
        text = (
            f"{seen}, as frames of a video or slices of a volume are: a CSV file with the columns "
            "id and group keeps each in one part: data.group=groups.csv"
        )
        return [Problem("notice", "likely groups", "", text)] if alike >= _IN_RUNS else []
    groups = _found(ids, pattern)
    most = Counter(groups).most_common(_SHOWN)
    named = ", ".join(f"{name} with {number}" for name, number in most)
    cut = len(cut_groups(parts, groups))
    where = f", {cut} of them in several parts" if cut else ""
    sign = f"; {seen}" if alike >= _IN_RUNS else ""
    text = (
        f"the ids name {group_sizes(groups)}{where} ({named}){sign}; if they are patients, slides, "
        f"plates or videos, keep each in one part: 'data.group=\"{pattern}\"'"
    )
    return [Problem("notice", "likely groups", "", text)]


def likely_pattern(ids: Sequence[str]) -> str | None:
    """A value of ``data.group`` that puts nearly all cases into groups of several; None: none.

    Example:
        >>> likely_pattern(["anna_1", "anna_2", "bert_1", "bert_2"])
        '([^/]+)_[^/_]*$'
    """
    return next((each for each in _PATTERNS if _are_groups(_found(ids, each))), None)


def _found(ids: Sequence[str], pattern: str) -> list[str]:
    """The group of each id; none unless all ids match."""
    return groups_in_ids(ids, pattern) if all(re.search(pattern, id_) for id_ in ids) else []


def _are_groups(groups: Sequence[str]) -> bool:
    sizes = Counter(groups)
    shared = sum(size for size in sizes.values() if size > 1)
    are_parts = bool(_PARTS & {name.lower() for name in sizes})
    return len(sizes) > 1 and shared >= _SHARED * len(groups) and not are_parts


def _in_runs(pictures: Sequence[Fingerprint]) -> float:
    """The fraction of pictures in runs of at least three neighbours that are alike, not copies."""
    alike = neighbours_alike(list(dict(pictures).values()))  # one of each picture
    runs = "".join("x" if each else " " for each in alike).split()
    return sum(len(run) + 1 for run in runs if len(run) + 1 >= _RUN) / max(1, len(pictures))
