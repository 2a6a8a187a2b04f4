"""Tells masks with numbers of objects from those with classes, by the labels in each mask."""

from collections.abc import Iterable


def are_numbers(labels: Iterable[Iterable[int]]) -> tuple[int, int] | None:
    """Whether masks hold numbers of objects: 1 to n in each of them, with many different n.

    Args:
        labels: the labels in each mask, without the ignored one.

    Returns:
        The least and the largest n; None where the labels may well be classes.
    """
    counts = set()
    for each in labels:
        own = sorted(set(each) - {0})
        if own != list(range(1, len(own) + 1)):
            return None
        counts.add(len(own))
    return (min(counts), max(counts)) if len(counts) > 2 and max(counts) > 3 else None


def numbered_objects(labels: Iterable[Iterable[int]], ignore_index: int) -> list[str]:
    """A text where the masks' labels look like numbers of objects instead of classes."""
    found = are_numbers(set(each) - {ignore_index} for each in labels)
    if found is None:
        return []
    return [
        f"every mask holds the labels 1 to n, with n from {found[0]} to {found[1]}, as masks with "
        "numbers of objects do. Where they are no classes, data.instances=true with two "
        "data.class_names tells the objects of one class apart (data=folder)"
    ]
