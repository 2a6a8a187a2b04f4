"""What is said about the groups of a split: sizes that are not met, and groups that are cut."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

Parts = Mapping[str, Sequence[int]]
_SHOWN = 3  # groups that a line names


def size_notice(parts: Parts, asked: Parts) -> str | None:
    """A line where parts of whole groups have other sizes than those that were asked for.

    Args:
        parts: the indices of the cases of each part.
        asked: the same of a split without groups.
    """
    if all(len(parts[name]) == len(asked[name]) for name in asked):
        return None
    told = ", ".join(f"{len(parts[name])} {name}" for name in asked)
    wanted = ", ".join(f"{len(asked[name])} {name}" for name in asked)
    return (
        f"data.group: whole groups make parts of {told} cases; without groups there would be "
        f"{wanted}"
    )


def cut_notice(parts: Parts, groups: Sequence[str]) -> str | None:
    """A line where groups stand in several parts, as a published split may have it.

    Args:
        parts: the indices of the cases of each part.
        groups: the group of each case.
    """
    places = cut_groups(parts, groups)
    if not places:
        return None
    told = [f"{group} in {' and '.join(names)}" for group, names in places.items()]
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    verb = "stands" if len(places) == 1 else "stand"
    return (
        f"data.group: {len(places)} of {len(set(groups))} groups {verb} in several parts "
        f"({'; '.join(told[:_SHOWN])}{more}), since data.split or folders name the cases of parts: "
        "scores are too good on groups that were trained on; parts by fractions or numbers keep "
        "groups whole"
    )


def cut_groups(parts: Parts, groups: Sequence[str]) -> dict[str, list[str]]:
    """The parts of each group that stands in several, by its name.

    Args:
        parts: the indices of the cases of each part. A part that repeats an earlier one does not
            count, since ``test`` may be ``val``.
        groups: the group of each case.
    """
    places: dict[str, list[str]] = {}
    known: list[Sequence[int]] = []
    for name, part in parts.items():
        if part in known:
            continue
        known.append(part)
        for group in {groups[case] for case in part}:
            places.setdefault(group, []).append(name)
    return {group: names for group, names in sorted(places.items()) if len(names) > 1}


def group_sizes(groups: Sequence[str]) -> str:
    """How many groups there are, and how many cases they have.

    Example:
        >>> group_sizes(["a", "a", "b"])
        '2 groups of 1 to 2 cases (median 1.5)'
    """
    sizes = sorted(Counter(groups).values())
    return (
        f"{len(sizes)} groups of {sizes[0]} to {sizes[-1]} cases (median {median(sizes):g})"
        if len(sizes) > 1
        else f"1 group of {sizes[0]} cases"
    )
