"""Cases that not every entry was scored on: whether entries can be ranked, and as what they count.

An entry whose hard cases are missing looks better than it is. So there is no ranking of entries
with different cases, unless the user says as what a missing case counts (challengeR's `na.treat`,
Wiesenfarth et al. 2021).
"""

from collections.abc import Sequence

import numpy as np

from segbench.errors import ConfigError
from segbench.report.compare.words import CELLS, Nouns
from segbench.report.sections.comparison import Entry, Section
from segbench.report.statistics.means import seed_means
from segbench.text.wording import amount, count, listed

DROP, WORST = "drop", "worst"
Missing = str | float | None


def check_missing(missing: object) -> Missing:
    """The option ``missing``: null, ``drop``, ``worst`` or a score.

    Raises:
        ConfigError: it is something else.
    """
    number = isinstance(missing, int | float) and not isinstance(missing, bool)
    if missing in (None, DROP, WORST) or (number and np.isfinite(float(str(missing)))):
        return missing if missing is None or isinstance(missing, str) else float(str(missing))
    raise ConfigError(
        f"missing={missing}: expected drop (compare over the cases that all have), worst (a "
        "missing case counts as the worst score) or a score such as 0, or null for no ranking "
        "while cases are missing"
    )


def treat_missing(
    section: Section,
    missing: Missing,
    lower: bool,
    worst: float = np.nan,
    nouns: Nouns = CELLS,
) -> str:
    """Drop or fill the cases that an entry lacks, or forbid a ranking; returns a note on it.

    Args:
        section: its entries' values and ``absent`` are known; both may be changed.
        missing: as `check_missing` returns it.
        lower: whether the smallest value is the best.
        worst: the worst value that a score can have; NaN where it has no such bound, and the worst
            value in the section is taken.
        nouns: what images are called.
    """
    entries = [entry for entry in section.scored if entry.values.size]
    absent = {image for entry in entries for image in entry.absent}
    if not absent:
        return ""
    cases = f"{nouns.image}s"
    who = listed([f"{e.label} lacks {len(e.absent)}" for e in entries if e.absent])
    what = f"{count(len(absent), nouns.image)} of {len(section.images)} missing for some: {who}"
    named = listed([image for image in section.images if image in absent])
    if missing is None:
        section.unranked = f"not every entry was scored on the same {cases}"
        return (
            f"No ranking, {what} ({named}). Means are over different {cases}; each pair is "
            f"compared over the {cases} that both have. missing=drop compares over those that all "
            "have, missing=worst counts a missing one as the worst score, missing=0 as that score."
        )
    if missing == DROP:
        _drop(section, entries, absent)
        return f"Left out for all, {what} ({named})."
    value = float(missing) if missing != WORST else _worst(entries, lower, worst)
    for entry in entries:
        _fill(entry, section.images, value)
    return f"Counted as {amount(value)} (missing={missing}), {what} ({named})."


def _drop(section: Section, entries: Sequence[Entry], absent: set[str]) -> None:
    kept = [image not in absent for image in section.images]
    for entry in entries:
        entry.values = entry.values[:, kept]
        entry.means = seed_means(entry.values)
    if section.groups:
        section.groups = [g for g, keep in zip(section.groups, kept, strict=True) if keep]
    section.images = [image for image in section.images if image not in absent]
    if not section.images:
        section.unranked = "no case has a score of every entry"


def _worst(entries: Sequence[Entry], lower: bool, worst: float) -> float:
    if not np.isnan(worst):
        return worst
    extreme = np.nanmax if lower else np.nanmin
    return float(extreme([extreme(entry.values) for entry in entries]))


def _fill(entry: Entry, images: Sequence[str], value: float) -> None:
    absent = set(entry.absent)
    columns = np.array([image in absent for image in images])
    there = entry.values
    entry.values = np.where(columns & np.isnan(there), value, there)
    entry.means = seed_means(entry.values)
