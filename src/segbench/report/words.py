"""A pair's sentence, and how numbers and lists stand in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segbench.report.comparison import Entry, Pair
from segbench.report.statistics import ALPHA, smallest_p
from segbench.report.units import p_text, share_text


@dataclass(frozen=True)
class Nouns:
    """What is compared: cells, or the rows of somebody's table."""

    image: str = "test image"
    run: str = "trained network"
    seed: str = "seed"
    again: str = "training again"


CELLS = Nouns()
TABLE = Nouns("case", "run", "run", "another run")


def sentence(
    pair: Pair, one: Entry, other: Entry, tests: int, bound: float, nouns: Nouns = CELLS
) -> str:
    """What a pair's numbers say and do not say.

    Args:
        pair: All of it but the sentence.
        one: The better one.
        other: The worse one.
        tests: How many pairs the p-values are corrected for.
        bound: The largest difference that is possible.
        nouns: What images and seeds are called.
    """
    both = f"{one.label} and {other.label}"
    images = count(pair.images, nouns.image)
    if not pair.images:
        return f"{both} cannot be compared: no {nouns.image} has a score of both."
    if pair.different:
        return _better(pair, one, other, images, nouns)
    smallest = min(1.0, tests * smallest_p(pair.images))
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


def _better(pair: Pair, one: Entry, other: Entry, images: str, nouns: Nouns) -> str:
    gap = amount(pair.difference)
    digits = len(gap.partition(".")[2])
    start = (
        f"{one.label} is better than {other.label} by {gap} "
        f"(95 % interval {pair.low:.{digits}f} to {pair.high:.{digits}f}), on "
        f"{share_text(pair.wins)} of {images}"
    )
    if np.isnan(pair.p_seeds):
        single = _single(one, other, nouns)
        where = f" (p {_p(pair.p_images)}), on these two {nouns.run}s"
        return f"{start}{where}; {single}, {nouns.again} might turn it."
    return f"{start}, over {_seeds(one, other, nouns)} (p {_p(max(pair.p_images, pair.p_seeds))})."


def _alike(pair: Pair, one: Entry, other: Entry, images: str, bound: float, nouns: Nouns) -> str:
    both = f"{one.label} and {other.label} cannot be told apart"
    seen = f"a difference of {amount(pair.detectable)} would have been seen"
    if not pair.detectable < bound:
        seen = "even the largest possible difference might have been missed"
    if np.isnan(pair.p_seeds):
        single = _single(one, other, nouns)
        where = f"on these two {nouns.run}s"
        return f"{both} on {images}; {seen} {where}; {single}, {nouns.again} might turn it."
    seeds = _seeds(one, other, nouns)
    if pair.p_images < ALPHA:
        return (
            f"{both}: their difference of {amount(pair.difference)} on {images} "
            f"(p {_p(pair.p_images)} for these {nouns.run}s) is no more than {nouns.again} may "
            f"change, as {seeds} show (p {_p(pair.p_seeds)}); {seen}."
        )
    link = "with" if " and " in seeds else "and"
    return f"{both} on {images} {link} {seeds.removesuffix(' each')}; {seen}."


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


def amount(value: float) -> str:
    """A difference, with two digits that count: 0.034, 1.2, 130."""
    if not np.isfinite(value):
        return "–"
    if abs(value) >= 10:
        return f"{value:.0f}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def count(number: int, noun: str) -> str:
    """``1 test image``, ``133 test images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str], shown: int = 6) -> str:
    """``a, b and c``; of many the first, and how many more."""
    words = list(words)
    if len(words) > shown:
        words = [*words[: shown - 1], f"{len(words) - shown + 1} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""
