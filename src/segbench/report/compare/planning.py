"""A plan: what it takes to find a difference between the configurations of a section."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from segbench.report.compare.words import nouns_of
from segbench.report.sections.comparison import Entry, Section
from segbench.report.statistics.means import group_codes
from segbench.report.statistics.planning import (
    SEEDS,
    Spread,
    images_needed,
    power,
    spread,
)
from segbench.report.statistics.student import POWER
from segbench.text.wording import amount, count, listed


@dataclass(frozen=True)
class Row:
    """What a number of seeds takes and finds."""

    seeds: int
    images: int | None  # needed for 80 % power, or groups; None: no number is enough
    power: float  # with as many images as now
    cells: int
    seconds: float  # of training all cells; NaN where times are not known


@dataclass(frozen=True)
class Plan:
    """Rows for several numbers of seeds, with what is assumed."""

    sentence: str
    units: str  # "test images" or "groups"
    rows: list[Row]
    notes: list[str]


def plan_section(section: Section, difference: float) -> Plan | None:
    """Plan an experiment like a section; None where its seeds or images do not tell its spread.

    Args:
        section: of a finished comparison.
        difference: the true difference between two configurations that is to be found.
    """
    entries = [e for e in section.scored if _tells(e)]
    if len(entries) < 2:
        return None
    seen = ~np.isnan(np.concatenate([entry.values for entry in entries])).any(axis=0)
    groups = group_codes(section.groups, seen)
    now = int(seen.sum()) if groups is None else int(groups.max()) + 1
    if now < 2:
        return None
    found = spread([entry.values[:, seen] for entry in entries], groups)
    tests = len(entries) * (len(entries) - 1) // 2
    seconds = [entry.cost.get("train_seconds", np.nan) for entry in entries]
    rows = [
        Row(
            seeds,
            images_needed(found, difference, seeds, tests),
            power(found, difference, seeds, now, tests),
            seeds * len(entries),
            float(seeds * np.sum(seconds)),
        )
        for seeds in SEEDS
    ]
    units = "groups" if section.groups else f"{nouns_of(section).image}s"
    sentence = (
        f"{section.data}: to find a true difference of {amount(difference)} between two of "
        f"{len(entries)} configurations with {POWER:.0%} power (Holm's strictest step of "
        f"{count(tests, 'pair')}; there are {now} {units} now)"
    )
    return Plan(sentence, units, rows, list(_notes(section, found, rows, now, units)))


def _notes(section: Section, found: Spread, rows: list[Row], now: int, units: str) -> Iterable[str]:
    yield (
        f"Assumed as in this sweep: standard deviations of {amount(np.sqrt(found.seed))} between "
        f"seeds, {amount(np.sqrt(found.pair))} of a pair's difference between {units}, and "
        f"{amount(np.sqrt(found.residual))} of one of the {units} from seed to seed. Of few seeds "
        "these are rough."
    )
    if not found.seed or not found.pair:
        yield (
            "A standard deviation of 0 means that these cells are too few to show one, not that "
            f"there is none: the numbers of seeds and {units} are then the least that it may take."
        )
    enough = [row for row in rows if row.images is not None]
    if not enough:
        yield f"No number of {units} is enough with {rows[-1].seeds} seeds: seeds vary too much."
    elif enough[0].images is not None and enough[0] is not rows[0]:
        yield (
            f"With fewer than {enough[0].seeds} seeds no number of {units} is enough: training "
            "again changes more than this difference."
        )
    left = [e.label for e in section.scored if not _tells(e)]
    if left:
        yield (
            f"Left out, for want of a second seed or as a training has collapsed: {listed(left)}. "
            "A plan does not reckon with trainings that collapse."
        )


def _tells(entry: Entry) -> bool:
    """Whether an entry's seeds tell how much trainings differ that go well."""
    return len(entry.values) > 1 and bool(entry.values.size) and not entry.collapsed
