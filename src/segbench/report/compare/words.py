"""A pair's sentence, and how numbers and lists stand in sentences."""

from dataclasses import dataclass

import numpy as np

from segbench.report.sections.comparison import Entry, Pair, Section
from segbench.report.statistics.signed_ranks import smallest_p
from segbench.report.statistics.student import ALPHA
from segbench.text.numbers import p_text, share_text
from segbench.text.wording import amount, count


@dataclass(frozen=True)
class Nouns:
    """What is compared: cells, or the rows of somebody's table."""

    image: str = "test image"
    run: str = "trained network"
    seed: str = "seed"
    again: str = "training again"
    ranked_alone: bool = False  # whether the ranks of single runs are worth telling


CELLS = Nouns()
GROUPS = Nouns("group")  # of scores of whole groups
TABLE = Nouns("case", "run", "run", "another run", ranked_alone=True)


def nouns_of(section: Section) -> Nouns:
    """What images and seeds of a section are called."""
    cells = [cell for entry in section.entries for cell in entry.cells]
    if any(cell.of_groups for cell in cells):
        return GROUPS
    return CELLS if cells else TABLE


def of_these(section: Section) -> str:
    """What single seeds restrict every number to, such as `` of these trained networks``."""
    return f" of these {nouns_of(section).run}s" if section.single else ""


def sentence(
    pair: Pair,
    one: Entry,
    other: Entry,
    tests: int,
    bound: float,
    margin: float | None = None,
    nouns: Nouns = CELLS,
) -> str:
    """What a pair's numbers say and do not say.

    Args:
        pair: All of it but the sentence.
        one: The better one.
        other: The worse one.
        tests: How many pairs the p-values are corrected for.
        bound: The largest difference that is possible.
        margin: the largest difference that makes no difference in practice.
        nouns: What images and seeds are called.
    """
    both = f"{one.label} and {other.label}"
    images = count(pair.images, nouns.image)
    images += f" of {count(pair.groups, 'group')}" if pair.groups else ""
    if not pair.images:
        return f"{both} cannot be compared: no {nouns.image} has a score of both."
    if pair.different:
        return _better(pair, one, other, images, margin, nouns)
    if pair.equivalent:
        return _equivalent(pair, one, other, images, margin or 0.0, nouns)
    if not pair.detectable > 0 and not pair.difference:
        return f"{both} have the same score on each of {images}."
    smallest = min(1.0, tests * smallest_p(pair.groups or pair.images))
    if smallest >= ALPHA:
        over = f", over {tests} pairs," if tests > 1 else ""
        return (
            f"{both} cannot be told apart: with {images} no difference can be significant "
            f"(the smallest possible p{over} is {smallest:.3g})."
        )
    if pair.p_images < ALPHA and pair.effect <= 0:
        return (
            f"{one.label} has the better mean, by {amount(pair.difference)}, and {other.label} is "
            f"the better by ranks over {images} (p {_p(pair.p_images)}): neither is better than "
            "the other."
        )
    return _alike(pair, one, other, images, bound, nouns)


def _better(
    pair: Pair, one: Entry, other: Entry, images: str, margin: float | None, nouns: Nouns
) -> str:
    start = (
        f"{one.label} is better than {other.label} by {_between(pair)}, on "
        f"{share_text(pair.wins)} of {images}"
    )
    p = _p(max(pair.p_images, pair.p_means))
    little = ""
    if pair.equivalent and margin is not None:
        little = (
            f" The difference is within the margin of {amount(margin)} (p {_p(pair.p_margin)})."
        )
    if not pair.repeated:
        single = _single(one, other, nouns)
        alone = f"on these two {nouns.run}s; {single}, {nouns.again} might turn it."
        return f"{start} (p {p}), {alone}{little}"
    return f"{start}, over {_seeds(one, other, nouns)} (p {p}).{little}"


def _equivalent(
    pair: Pair, one: Entry, other: Entry, images: str, margin: float, nouns: Nouns
) -> str:
    start = f"{one.label} and {other.label} are equivalent within {amount(margin)}"
    gap = f"they differ by {_between(pair)} (p {_p(pair.p_margin)})"
    if pair.repeated:
        return f"{start} on {images}, over {_seeds(one, other, nouns)}: {gap}."
    single = _single(one, other, nouns)
    alone = f"on these two {nouns.run}s; {single}, {nouns.again} might turn it."
    return f"{start} on {images}: {gap}, {alone}"


def _alike(pair: Pair, one: Entry, other: Entry, images: str, bound: float, nouns: Nouns) -> str:
    both = f"{one.label} and {other.label} cannot be told apart"
    found = f"with 80 % power a difference of about {amount(pair.detectable)} would have been found"
    if not pair.detectable < bound:
        found = "even the largest possible difference might have been missed"
    gap, doubt = f"they differ by {_between(pair)}", _doubt(pair)
    if not pair.repeated:
        single, where = _single(one, other, nouns), f"on these two {nouns.run}s{doubt}"
        return f"{both} on {images}: {gap} {where}; {found}; {single}, {nouns.again} might turn it."
    seeds = _seeds(one, other, nouns)
    if pair.p_images < ALPHA <= pair.p_means:
        return (
            f"{both}: {gap} on {images} (p {_p(pair.p_images)} for these {nouns.run}s), which has "
            f"not been shown to be more than {nouns.again} may change, with {seeds} "
            f"(p {_p(pair.p_means)}); {found}."
        )
    link = "with" if " and " in seeds else "and"
    return f"{both} on {images} {link} {seeds.removesuffix(' each')}: {gap}{doubt}; {found}."


def _doubt(pair: Pair) -> str:
    """Why a pair is not told apart though 0 is outside its interval; empty where 0 is inside."""
    if not pair.low > 0:
        return ""
    by = {"means": pair.p_means, "ranks over images": pair.p_images}
    test = max(by, key=lambda name: np.nan_to_num(by[name]))
    if by[test] < ALPHA:
        return ", while by the ranks over images the other is ahead"
    return f", but p {_p(by[test])} by the {test}, corrected for all pairs"


def _between(pair: Pair) -> str:
    """A difference with its interval: ``0.034 (95 % interval 0.011 to 0.057)``."""
    gap = amount(pair.difference)
    if not np.isfinite(pair.low + pair.high):
        return gap
    digits = len(gap.partition(".")[2])
    name = "adjusted 95 % interval" if pair.adjusted else "95 % interval"
    return f"{gap} ({name} {pair.low:.{digits}f} to {pair.high:.{digits}f})"


def _single(one: Entry, other: Entry, nouns: Nouns) -> str:
    if len(one.seeds) == len(other.seeds):
        return f"with one {nouns.seed} each"
    fewer = one if len(one.seeds) < len(other.seeds) else other
    return f"with one {nouns.seed} of {fewer.label}"


def _seeds(one: Entry, other: Entry, nouns: Nouns) -> str:
    counts = len(one.seeds), len(other.seeds)
    if counts[0] == counts[1]:
        return f"{counts[0]} {nouns.seed}s each"
    return f"{counts[0]} and {counts[1]} {nouns.seed}s"


def _p(value: float) -> str:
    text = p_text(value)
    return text if text.startswith("<") else f"= {text}"
