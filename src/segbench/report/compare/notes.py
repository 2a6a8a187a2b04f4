"""What a reader of a section must know beside its numbers, and how the numbers came about."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from segbench.metrics.registry import SURFACE
from segbench.records.cells import Cell
from segbench.report.compare.words import CELLS, Nouns
from segbench.report.sections.comparison import Entry, Section
from segbench.report.sections.entries import FOUND
from segbench.report.sections.image_scores import has_images
from segbench.report.sections.options import BUDGET
from segbench.report.statistics.signed_ranks import smallest_p
from segbench.report.statistics.student import ALPHA
from segbench.text.wording import amount, count, listed

LATE = 0.9  # of its epochs: a best epoch after this share was perhaps not the best to be had


def notes(section: Section, nouns: Nouns = CELLS) -> list[str]:
    """The notes that statistics call for, whatever was compared."""
    scored = section.scored
    found = [_seeds(scored, nouns), _few_images(section, nouns), _width(section, nouns)]
    return [*filter(None, found), *_missing_scores(section, nouns)]


def cell_notes(section: Section, score: str) -> list[str]:
    """The notes that the cells' records and configs call for."""
    makers: tuple[Callable[[Section], str], ...] = (
        _selected_on_test,
        _seen_in_training,
        _missing_seeds,
        _collapsed,
        _late_epochs,
        _budgets,
        _environments,
    )
    found = [_unlike_images(score), _lacking(section, score)]
    found += [maker(section) for maker in makers]
    if score.partition("/")[0] in SURFACE:
        found.append(_surface_failures(section, score))
    return [*filter(None, found)]


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


def _unlike_images(score: str) -> str:
    if has_images(score):
        return ""
    return (
        f"{score} is made from counts summed over all test images and has no value for a single "
        "one: mean and standard deviation over seeds are all there is, no interval and no test."
    )


def _lacking(section: Section, score: str) -> str:
    lacking = {entry.label: len(entry.lacking) for entry in section.entries if entry.lacking}
    if not lacking:
        return ""
    told = listed([f"{label} {number}" for label, number in lacking.items()])
    return (
        f"Finished cells without the score {score}, left out here: {told}. They are of an earlier "
        "version; overwrite=true runs them again, and other scores have them."
    )


def _seen_in_training(section: Section) -> str:
    """Evaluations of images that the weights were trained or selected on."""
    told = []
    for entry in section.scored:
        for cell in entry.done:
            facts = cell.record.get("evaluated") or {}
            seen = facts.get("seen_in_training")
            if isinstance(seen, int) and seen > 0:
                told.append(f"{entry.label} ({cell.run_name}: {seen} of {len(cell.scored_ids)})")
    if not told:
        return ""
    return (
        f"Scored on images that the weights were trained or selected on: {listed(told)}; such "
        "scores are too good."
    )


def _selected_on_test(section: Section) -> str:
    if section.part != "test":
        return ""
    parts = next((c.parts for e in section.entries for c in e.cells if c.split), {})
    val, test = ({case["id"] for case in parts.get(name, [])} for name in ("val", "test"))
    if not test & val:
        return ""
    return (
        "The test part is the val part: weights were selected on the images that they are scored "
        "on, so that all scores are too good."
        if test == val
        else f"{len(test & val)} of the {len(test)} test images are also in the val part, which "
        "selected the weights."
    )


def _missing_seeds(section: Section) -> str:
    cells = [cell for entry in section.entries for cell in entry.cells]
    wanted = {cell.repeat: cell.run_name for cell in cells}
    what = "seeds and folds" if any(cell.fold is not None for cell in cells) else "seeds"
    told = []
    for entry in section.entries:
        states = {cell.repeat: cell.status for cell in entry.cells}
        done = {cell.repeat for cell in entry.done}
        lacking = [
            f"{wanted[repeat]} {states.get(repeat, 'not there')}"
            for repeat in sorted(wanted)
            if repeat not in done
        ]
        if lacking:
            told.append(f"{entry.label} ({listed(lacking)})")
    return f"Without all of the {len(wanted)} {what}: {listed(told)}." if told else ""


def _collapsed(section: Section) -> str:
    """Trainings that went wrong: as outliers they are part of what a configuration does."""
    told = [
        f"{entry.label} ({run}: {listed(classes)})"
        for entry in section.scored
        for run, classes in entry.collapsed.items()
    ]
    if not told:
        return ""
    of = {e.label: f"{len(e.collapsed)} of {count(len(e.done), 'cell')}" for e in section.scored}
    shares = listed([f"{e.label} {of[e.label]}" for e in section.scored if e.collapsed])
    return (
        f"Collapsed, finding less than {FOUND:.0%} of a class's pixels: {listed(told)}; that is "
        f"{shares}. Look at their curves. Neither the mean over seeds nor its interval describes "
        "such a configuration; of several seeds the table gives the median too (Agarwal et al. "
        "2021)."
    )


def _late_epochs(section: Section) -> str:
    def late(cell: Cell) -> bool:
        best, epochs = cell.record.get("best_epoch"), cell.record.get("epochs")
        return bool(best and epochs and best > LATE * epochs)

    labels = [e.label for e in section.scored if any(late(cell) for cell in e.done)]
    if not labels:
        return ""
    return (
        "Not trained to the end, as their best epoch is among the last tenth: "
        f"{listed(labels)}. With more epochs the order may change."
    )


def _budgets(section: Section) -> str:
    return _differing(section, "Training budgets differ, in epochs", _budget)


def _budget(cell: Cell) -> Any:
    return cell.config.get(BUDGET)


def _environments(section: Section) -> str:
    def of(name: str) -> Callable[[Cell], Any]:
        return lambda cell: (cell.record.get("environment") or {}).get(name)

    def torch_version(cell: Cell) -> Any:
        environment = cell.record.get("environment") or {}
        return (environment.get("versions") or {}).get("torch")

    return " ".join(
        filter(
            None,
            (
                _differing(section, "Precisions differ", of("precision")),
                _differing(section, "Devices differ, so times do not compare", of("device")),
                _differing(section, "Versions of torch differ", torch_version),
            ),
        )
    )


def _differing(section: Section, what: str, value: Callable[[Cell], Any]) -> str:
    """``what: a (x, y), b (z)`` where finished cells have several values."""
    holders: dict[str, dict[str, None]] = {}
    for entry in section.scored:
        for cell in entry.done:
            if value(cell) is not None:
                holders.setdefault(str(value(cell)), {})[entry.label] = None
    if len(holders) < 2:
        return ""
    told = "; ".join(f"{each} ({listed(list(labels), 4)})" for each, labels in holders.items())
    return f"{what}: {told}."


def _surface_failures(section: Section, score: str) -> str:
    _, slash, of = score.partition("/")
    told = []
    for entry in section.scored:
        metrics = [cell.averages for cell in entry.done]
        failures = sum(each.get(f"surface_failures{slash}{of}") or 0 for each in metrics)
        if failures:
            told.append(f"{entry.label} {failures:.0f}")
    if not told:
        return ""
    return (
        "Masks of which one alone is empty score the image's diagonal, or 0 in NSD; over all "
        f"seeds there are: {listed(told)}."
    )
