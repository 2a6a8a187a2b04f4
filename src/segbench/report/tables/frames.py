"""A comparison as tables of pandas, beside those of exports.py: its table, and all scores."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.tables.grid import across, digits, is_best, make_grid, mean_sd, sign

_DATA = "data"  # the outer level of rows, where there are several sections


def table_frame(comparison: Comparison) -> pd.DataFrame:
    """The table of the report: rows and columns of options, and means ± SD as text.

    Several sections, such as data sets, stand below one another.
    """
    frames = {section.data: _section_frame(comparison, section) for section in comparison.sections}
    if len(frames) == 1:
        return next(iter(frames.values()))
    return pd.concat(frames, names=[_DATA]).fillna("–") if frames else pd.DataFrame()


def _section_frame(comparison: Comparison, section: Section) -> pd.DataFrame:
    grid, decimals = make_grid(comparison, section), digits(section)

    def field(entry: Entry | None) -> str:
        if entry is None:
            return "–"
        mark = "(best)" if is_best(section, entry) else sign(entry)
        return f"{mean_sd(entry, decimals)} {mark}".rstrip()

    fields = [
        [field(grid.entries.get((r, c))) for c in across(grid)] for r in range(len(grid.rows))
    ]
    names = grid.heads or [""]
    index = pd.MultiIndex.from_tuples([row or ("",) for row in grid.rows], names=names)
    columns = [name or comparison.label for name in grid.columns]
    rows = index.get_level_values(0) if len(names) == 1 else index
    return pd.DataFrame(fields, index=rows, columns=columns)


def scores_frame(comparison: Comparison) -> pd.DataFrame:
    """A row for each entry, seed and image, with the image's score, NaN where it has none.

    Its columns are ``data``, ``split``, those of the entries' options, ``seed``, ``image``, where
    images have groups ``group``, and a column named like each score of the comparison.
    """
    return pd.DataFrame(_score_rows(comparison))


def _score_rows(comparison: Comparison) -> Iterable[dict[str, Any]]:
    for section in comparison.sections:
        by_score = {comparison.score: section, **section.others}
        images = list(dict.fromkeys(id_ for part in by_score.values() for id_ in part.images))
        groups = dict(zip(section.images, section.groups, strict=False))  # or there are none
        for entry in section.scored:
            known = {score: _values(part, entry) for score, part in by_score.items()}
            where = {"data": section.data, "split": section.split, **entry.options}
            for seed, image in product(entry.seeds, images):
                group = {"group": groups[image]} if image in groups else {}
                found = {score: each.get((seed, image), np.nan) for score, each in known.items()}
                yield {**where, "seed": seed, "image": image, **group, **found}


def _values(section: Section, entry: Entry) -> dict[tuple[int, str], float]:
    """The values of an entry's namesake in a section, by seed and image; none of sums over all."""
    same = next((each for each in section.entries if each.label == entry.label), None)
    if same is None or not same.values.size:
        return {}
    rows = zip(same.seeds, same.values, strict=True)
    return {
        (seed, image): float(value)
        for seed, values in rows
        for image, value in zip(section.images, values, strict=True)
    }
