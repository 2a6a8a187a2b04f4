"""What a reader of a section must know beside its numbers, and how the numbers came about."""

from collections.abc import Iterable, Sequence

import numpy as np

from segbench.report.compare.words import CELLS, Nouns
from segbench.report.sections.comparison import Entry, Section
from segbench.report.statistics.signed_ranks import smallest_p
from segbench.report.statistics.student import ALPHA
from segbench.text.wording import amount, count, listed


def notes(section: Section, nouns: Nouns = CELLS) -> list[str]:
    """The notes that statistics call for, whatever was compared."""
    scored = section.scored
    found = [_seeds(scored, nouns), _few_images(section, nouns), _width(section, nouns)]
    return [*filter(None, found), *_missing_scores(section, nouns)]


def methods(section: Section, replicates: int, nouns: Nouns = CELLS) -> list[str]:
    """How the numbers came about, with sources; nothing where nothing was tested."""
    told = [f"Means and standard deviations (n − 1) are over the {nouns.seed}s of a configuration."]
    if not any(np.isfinite(entry.low) for entry in section.entries):
        return told
    several = any(len(entry.seeds) > 1 for entry in section.entries)
    seeds = f", and the {nouns.seed}s of each configuration" if several else ""
    told.append(
        f"95 % intervals: percentiles of {replicates:,} bootstrap replicates; {nouns.image}s are "
        f"drawn with replacement, the same for all{seeds} (Owen 2007; Rao & Wu 1988), widened by "
        "Student's t where few are drawn from (Hesterberg 2015)."
    )
    if any(np.isfinite(entry.first) for entry in section.entries):
        told.append(
            "First in, and ranks: how stable this ranking is when images and seeds are drawn again "
            "from those at hand: the share of the replicates in which a configuration comes first, "
            "and the ranks that it has in 95 % of them (Wiesenfarth et al. 2021). Of equal "
            "configurations one may come first in most replicates by chance."
        )
    if section.pairs:
        told += _pair_methods(section, several, nouns)
    return told


def _pair_methods(section: Section, several: bool, nouns: Nouns) -> Iterable[str]:
    holm = f", Holm-corrected over {count(len(section.pairs), 'pair')}"
    if section.scores_tested > 1:
        holm += f" and multiplied by {section.scores_tested} scores"
    what = f"means of groups of {nouns.image}s" if section.groups else f"scores of {nouns.image}s"
    yield (
        f"Pairs by ranks: Wilcoxon's signed ranks of the {what}, averaged over "
        f"{nouns.seed}s, zeros after Pratt (1959){holm} (Holm 1979)."
    )
    if section.groups:
        yield (
            f"{nouns.image.capitalize()}s of one group are not independent: variances are of whole "
            "groups (Liang & Zeger 1986), and the bootstrap draws groups (Field & Welsh 2007)."
        )
    if several:
        yield (
            f"Pairs over {nouns.image}s and {nouns.seed}s at once: t with Satterthwaite's degrees "
            f"of freedom, as min F′ (Clark 1973){holm}; a configuration's variance between "
            f"{nouns.seed}s is at least the mean of all configurations (after Smyth 2004)."
        )
    else:
        yield f"Means of pairs: paired t over {nouns.image}s{holm}."
    yield (
        "Different is what both tests find. Intervals of differences: Student's t, at a level "
        "adjusted for the number of pairs of which the same is said (Benjamini & Yekutieli 2005): "
        "of several differences those that are found are the ones that came out large. Effect: "
        "matched-pairs rank-biserial correlation (Kerby 2014). Would have been found: with 80 % "
        "power by the noncentral t, at the strictest step of Holm's correction."
    )
    if section.margin:
        yield (
            "Equivalent: two one-sided t tests find the difference smaller than "
            f"{section.margin:g} (Schuirmann 1987){holm}."
        )


def _seeds(scored: Sequence[Entry], nouns: Nouns) -> str:
    counts = {entry.label: len(entry.seeds) for entry in scored}
    single = [label for label, number in counts.items() if number == 1]
    if single and len(single) == len(counts):
        which = "Each configuration has" if len(counts) > 1 else f"{single[0]} has"
    elif single:
        which = f"{listed(single)} {'has' if len(single) == 1 else 'have'}"
    elif len(set(counts.values())) > 1:
        fewest, most = min(counts.values()), max(counts.values())
        return f"The numbers of {nouns.seed}s differ, from {fewest} to {most}."
    else:
        return ""
    return (
        f"{which} a single {nouns.seed}: tests say whether these very {nouns.run}s differ on "
        f"other {nouns.image}s, not whether the configurations do; {nouns.again} might turn any "
        f"order. Three {nouns.seed}s or more tell."
    )


def _few_images(section: Section, nouns: Nouns) -> str:
    images = max((pair.groups or pair.images for pair in section.pairs), default=0)
    smallest = min(1.0, len(section.pairs) * smallest_p(images))
    if not images or smallest < ALPHA:
        return ""
    what = count(images, "group" if section.groups else nouns.image)
    return (
        f"With {what} and {count(len(section.pairs), 'pair')} no difference "
        f"can be significant: the smallest possible p is {smallest:.3g}."
    )


def _width(section: Section, nouns: Nouns) -> str:
    if len(section.scored) < 2 or section.unranked:
        return ""
    best, second = section.scored[:2]
    width, gap = best.high - best.low, abs(best.mean - second.mean)
    if not width > gap:  # NaN: no interval
        return ""
    return (
        f"The interval of the best is {amount(width)} wide, the gap to the second {amount(gap)}: "
        f"more {nouns.image}s or {nouns.seed}s could change the order."
    )


def _missing_scores(section: Section, nouns: Nouns) -> list[str]:
    entries = [entry for entry in section.scored if entry.values.size]
    if not entries or section.unranked:
        return []
    missing = {entry.label: int(np.isnan(entry.values).any(axis=0).sum()) for entry in entries}
    if not any(missing.values()):
        return []
    total = len(section.images)
    if len(set(missing.values())) == 1:
        number = next(iter(missing.values()))
        return [f"Without a score and left out of means: {number} of {count(total, nouns.image)}."]
    told = listed([f"{label} {number}" for label, number in missing.items()])
    return [
        f"Of {count(total, nouns.image)} a different number has no score and is left out of means: "
        f"{told}. Means are over different {nouns.image}s, tests over those that both have."
    ]
