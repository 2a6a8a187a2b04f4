"""The best, the median and the worst test image of each entry and class, by each score."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from segbench.arrays import Values
from segbench.metrics.registry import find_score
from segbench.records.panels import Ranked, ranked_images
from segbench.report.sections.comparison import Entry, Section
from segbench.report.sections.image_scores import has_images, per_image
from segbench.report.statistics.means import image_means


class RankRow(NamedTuple):
    """An entry's best, median and worst image by its score of one class."""

    entry: Entry
    class_name: str
    images: Ranked


def by_score(section: Section, score: str) -> dict[str, Section]:
    """The section by each of its scores that images have, the compared ``score`` first."""
    found = {score: section, **section.others}
    return {name: each for name, each in found.items() if has_images(name)}


def class_scores(section: Section, entry: Entry, score: str) -> dict[str, Values]:
    """For each class the scores ``(n,)`` of the test images, averaged over the seeds."""
    name, _, only = score.partition("/")
    if not entry.done:  # an entry of a CSV file
        return {only: image_means(entry.values)}
    found: dict[str, Values] = {}
    for label in [only] if only else section.class_names:
        columns = [per_image(cell, f"{name}/{label}") for cell in entry.done]
        seeds = [pd.Series(values, ids).reindex(section.images) for ids, values in columns]
        found[label] = image_means(np.array(seeds, np.float64))
    return found


def rank_rows(section: Section, score: str) -> list[RankRow]:
    """A row for each entry with cells and each class of which an image has the score."""
    lower = find_score(score).lower_is_better
    found = []
    for entry in section.scored:
        for label, values in class_scores(section, entry, score).items() if entry.done else ():
            ranked = ranked_images(pd.Series(values, section.images), lower)
            found += [RankRow(entry, label, ranked)] if ranked else []
    return found
