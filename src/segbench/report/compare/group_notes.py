"""The groups of a section's images, and what must be known of groups that its split cuts."""

import hashlib
from collections.abc import Sequence

from segbench.records.cells import Cell
from segbench.text.wording import count, listed


def groups_of(cells: Sequence[Cell], images: Sequence[str]) -> tuple[list[str], list[str]]:
    """The group of each image, and notes where the cells do not tell them all alike.

    Groups are a fact about the images, so that those of one cell hold for all. They are left out
    where two cells tell different ones, or where an image has none.

    Args:
        cells: finished ones, scored on the images.
        images: the ids of the images.
    """
    tables = [cell.groups for cell in cells]
    told = [groups for groups in tables if groups]
    known = {image: group for groups in told for image, group in groups.items()}
    unlike = any(known[image] != group for groups in told for image, group in groups.items())
    missing = [image for image in images if image not in known]
    if not known or not images:
        return [], []
    if unlike or missing:
        reason = "cells name them differently" if unlike else f"{missing[0]} has none"
        return [], [
            f"The groups of images in data.group are left out here, because {reason}: images count "
            "as independent of one another. The same data.group for all cells gives groups."
        ]
    if len(told) == len(tables):
        return [known[image] for image in images], []
    return [known[image] for image in images], [
        f"{count(len(tables) - len(told), 'cell')} ran without data.group; the groups that the "
        "others name are used for all."
    ]


def cut_groups_note(cells: Sequence[Cell]) -> str:
    """A note where networks were trained on groups that they were tested on; empty without any.

    Args:
        cells: those of a section, whatever their status.
    """
    tested: set[str] = set()
    cut: set[str] = set()
    for cell in cells:
        if cell.part != "test" or not _was_trained_on(cell):
            continue
        train, test = (_groups_in(cell, part) for part in ("train", "test"))
        tested |= test
        cut |= train & test
    if not cut:
        return ""
    which = f"of {count(len(tested), 'group')} of test images {len(cut)}"
    verb = "is" if len(cut) == 1 else "are"
    return (
        f"The split cuts groups apart: {which} {verb} in the training part too "
        f"({listed(sorted(cut))}). Images of one group are alike, so that these scores are too "
        "good, and say little of groups that no network was trained on. With data.group, parts by "
        "fractions or numbers keep groups whole."
    )


def _groups_in(cell: Cell, part: str) -> set[str]:
    return {case["group"] for case in cell.parts.get(part, []) if "group" in case}


def _was_trained_on(cell: Cell) -> bool:
    """Whether the train part of a cell's split is what its network was trained on."""
    if not cell.evaluated:
        return True
    digest = hashlib.sha256(cell.split.encode()).hexdigest()[:8]
    trained = cell.config.get("evaluation.trained_on")
    return isinstance(trained, list) and any(str(each).endswith(digest) for each in trained)
