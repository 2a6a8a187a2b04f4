"""Subgroups of a section's images: the same comparison within each, and whether the order holds."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from segbench.errors import ConfigError, DataError
from segbench.records.cells import Cell
from segbench.report.compare.analysis import analyse
from segbench.report.compare.words import CELLS, Nouns
from segbench.report.sections.comparison import Entry, Section
from segbench.report.statistics.means import seed_means
from segbench.text.wording import amount, count, listed

SIZE, GROUP = "size", "group"
MOST = 20  # subgroups that a table has room for
_SIZES = ("small", "medium", "large")


def subgroup_names(by: str, section: Section, cell: Cell | None) -> dict[str, str]:
    """The subgroup of each image of a section; images that are in none are not there.

    Args:
        by: ``size`` (thirds by the pixels of the scored classes in the truth), ``group``, or the
            path of a CSV file with the columns ``id`` and one other.
        section: the section.
        cell: a finished cell of it, which knows the sizes; None for a table of somebody's scores.

    Raises:
        ConfigError: ``by`` is none of these, or the section lacks what it needs.
        DataError: the file is not such a table.
    """
    if by == SIZE:
        if cell is None:
            raise ConfigError("by=size: a table of scores has no sizes; give by=<a CSV file>")
        return _by_size(section, cell)
    if by == GROUP:
        if not section.groups:
            raise ConfigError(f"by=group: {section.data} has no groups; data.group gives some")
        return dict(zip(section.images, section.groups, strict=True))
    return _from_file(Path(by), section)


def _by_size(section: Section, cell: Cell) -> dict[str, str]:
    table = cell.scores[cell.scores["class"].isin(section.class_names)]
    pixels = (table["tp"] + table["fn"]).groupby(table["id"].astype(str)).sum()
    pixels = pixels.reindex(section.images)
    bounds = np.unique(np.quantile(pixels, (1 / 3, 2 / 3), method="lower"))
    names = [f"{size}, up to {bound:,.0f} px" for size, bound in zip(_SIZES, bounds, strict=False)]
    names.append(f"{_SIZES[len(bounds)]}, above {bounds[-1]:,.0f} px")
    places = np.searchsorted(bounds, pixels.to_numpy())
    return {str(image): names[place] for image, place in zip(pixels.index, places, strict=True)}


def _from_file(path: Path, section: Section) -> dict[str, str]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"by={path}: expected size, group, or a CSV file with the columns id and one other "
            f"({' '.join(str(error).split())})"
        ) from error
    others = [str(name) for name in table.columns if name != "id"]
    if "id" not in table or len(others) != 1:
        found = ", ".join(map(str, table.columns))
        raise DataError(f"by={path}: expected the columns id and one other, got {found}")
    names: dict[str, str] = dict(zip(table["id"], table[others[0]], strict=True))
    missing = [image for image in section.images if image not in names]
    if len(missing) == len(section.images):
        raise DataError(f"by={path}: names none of the images of {section.data}, as {missing[0]}")
    return {image: names[image] for image in section.images if image in names}


def add_subgroups(
    section: Section,
    names: Mapping[str, str],
    lower: bool,
    bounds: tuple[float, float],
    nouns: Nouns = CELLS,
    replicates: int = 1000,
) -> None:
    """Compare a section's entries within each subgroup; the notes say whether the order changes.

    Raises:
        ConfigError: there are more subgroups than a table has room for.
    """
    known = list(dict.fromkeys(names.values()))
    if len(known) > MOST:
        raise ConfigError(f"by: {len(known)} subgroups in {section.data}; expected at most {MOST}")
    for name in sorted(known, key=_order):
        kept = np.array([names.get(image) == name for image in section.images])
        part = replace(
            section,
            data=name,
            images=[image for image, keep in zip(section.images, kept, strict=True) if keep],
            groups=[g for g, keep in zip(section.groups, kept, strict=False) if keep],
            entries=[_within(e, kept) for e in section.scored if e.values.size],
            pairs=[],
            notes=[],
            methods=[],
            published=[],
            subgroups=[],
            others={},
        )
        part.sort(lower)
        analyse(part, lower, replicates, bounds=bounds, nouns=nouns)
        section.subgroups.append(part)
    section.notes.append(_note(section, nouns))
    left = len(section.images) - len(names)
    if left:
        section.notes.append(f"In no subgroup: {count(left, nouns.image)}.")


def _order(name: str) -> tuple[int, str]:
    size = name.partition(",")[0]
    return (_SIZES.index(size) if size in _SIZES else len(_SIZES)), name


def _within(entry: Entry, kept: np.ndarray) -> Entry:
    values = entry.values[:, kept]
    there = np.flatnonzero(~np.isnan(values).all(axis=1))
    return replace(
        entry,
        values=values[there],
        means=seed_means(values[there]),
        seeds=[entry.seeds[index] for index in there],
        like_best=False,
        equals_best=False,
    )


def _note(section: Section, nouns: Nouns) -> str:
    """Whether the best entry is the best in each subgroup too, and whether a test says so."""
    best = {entry.label for entry in section.best}
    told = []
    for part in section.subgroups:
        here = [entry.label for entry in part.best]
        if here and not best.intersection(here):
            apart = _behind_here(part, best)
            told.append(f"in {part.data} {listed(here, 3)} is ahead{apart}")
    corrected = "Tests within a subgroup are corrected for its own pairs alone"
    advice = f"{corrected}: name subgroups before you look at them."
    if not told:
        parts = count(len(section.subgroups), "subgroup")
        return f"The best entry has the best mean in each of {parts}. {advice}"
    return f"The order changes with the subgroup: {'; '.join(told)}. {advice}"


def _behind_here(part: Section, best: set[str]) -> str:
    for pair in part.pairs:
        one, other = part.entries[pair.better], part.entries[pair.worse]
        if one in part.best and other.label in best:
            how = "told apart" if pair.different else "not told apart"
            return f" of {other.label} by {amount(pair.difference)} ({how})"
    return ""
