"""Draws the score on val that a search would have found with fewer trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from segbench.arrays import Values
from segbench.metrics.registry import find_score
from segbench.report.compare.tuning_notes import tuned_entries
from segbench.report.figures.drawing import (
    FAINT,
    INK,
    entry_styles,
    new_figure,
    put_legend,
    styled,
)
from segbench.report.sections.comparison import Comparison, Section, score_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def expected_best(scores: Sequence[float], lower_is_better: bool = False) -> Values:
    """The expected best of 1, 2 … n of n independent scores, drawn with replacement.

    Of sorted scores v₁ ≤ … ≤ vₙ the expected maximum of k is Σ vᵢ ((i/n)ᵏ − ((i−1)/n)ᵏ), see Dodge
    et al. 2019, https://arxiv.org/abs/1909.03004.

    Args:
        scores: of the trials, at least one.
        lower_is_better: whether the best is the smallest.

    Example:
        >>> expected_best([0.0, 1.0])
        array([0.5 , 0.75])
    """
    sign = -1.0 if lower_is_better else 1.0
    values = np.sort(sign * np.asarray(scores, np.float64))
    n = len(values)
    shares = np.arange(n + 1) / n
    trials = np.arange(1, n + 1)[:, None]
    found: Values = sign * (np.diff(shares**trials, axis=1) @ values)
    return found


@styled
def tuning(section: Section, comparison: Comparison) -> "Figure | None":
    """The best score on val against the number of trials, a line for each entry."""
    tuned = tuned_entries(section)
    if not tuned:
        return None
    from matplotlib.ticker import MaxNLocator

    name = tuned[0][1].score
    lower = find_score(name).lower_is_better
    figure = new_figure(f"{score_title(name)} on val by trials, {section.data}", 3.2)
    axes, styles = figure.subplots(), entry_styles(comparison)[0]
    handles = []
    for entry, found in tuned:
        if found.sampler == "random":
            best = expected_best(found.scores, lower)
        else:
            best = (np.minimum if lower else np.maximum).accumulate(found.scores)
        style = styles[entry.label]
        trials = np.arange(1, len(best) + 1)
        handles += axes.plot(trials, best, color=style.colour, marker=style.marker, ms=3.5, lw=1.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trials")
    axes.set_ylabel(f"best {score_title(name)} on val")
    axes.grid(color=INK, alpha=FAINT, lw=0.6)
    labels = [entry.label for entry, _ in tuned]
    put_legend(figure, handles, labels, loc="outside lower center", ncols=3)
    return figure
