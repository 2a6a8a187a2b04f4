"""Draws the reliability diagram: how often pixels of each confidence are right."""

from typing import TYPE_CHECKING

import numpy as np

from segbench.arrays import Values
from segbench.report.figures.drawing import (
    FAINT,
    INK,
    entry_styles,
    new_figure,
    put_legend,
    styled,
)
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.text.numbers import score_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 12  # lines
LEAST = 1e-4  # the smallest share of all pixels for which a bin is drawn


def reliability_bins(entry: Entry) -> Values:
    """Share of all pixels, mean confidence and accuracy ``(bins, 3)`` over an entry's cells.

    Empty where a finished cell was scored without its probabilities, or where they are NaN.
    """
    tables = [cell.reliability for cell in entry.done]
    lengths = {len(table) for table in tables}
    if not tables or len(lengths) > 1 or lengths == {0}:
        return np.empty((0, 3))
    if any(table[table["pixels"] > 0].isna().to_numpy().any() for table in tables):
        return np.empty((0, 3))
    pixels = np.stack([table["pixels"] for table in tables])
    sums = [
        np.nansum(pixels * np.stack([table[name] for table in tables]), axis=0)
        for name in ("confidence", "accuracy")
    ]
    total = pixels.sum(axis=0)
    means = [each / np.maximum(total, 1) for each in sums]
    return np.stack([total / max(total.sum(), 1), *means], axis=1)


@styled
def reliability(section: Section, comparison: Comparison) -> "Figure | None":
    """Accuracy against confidence of the pixels of all images and seeds, a line an entry."""
    found = {entry.label: (entry, reliability_bins(entry)) for entry in section.scored}
    found = {label: each for label, each in found.items() if len(each[1])}
    if not found:
        return None
    chosen, _ = entry_styles(comparison)
    figure = new_figure(f"Reliability, {section.data}", 4.0, 5.2)
    axes = figure.subplots()
    axes.axline((1, 1), slope=1, color=INK, lw=0.8, ls=":")
    handles, names = [], []
    for label, (entry, bins) in list(found.items())[:MOST]:
        shown = bins[bins[:, 0] >= LEAST]
        style = chosen[label].arguments | {"ls": "-"}
        handles += axes.plot(shown[:, 1], shown[:, 2], ms=4, lw=1.1, **style)
        means = [cell.averages.get("ece") for cell in entry.done]
        ece = float(np.mean([mean for mean in means if mean is not None]))
        names.append(f"{label}: ECE {score_text(ece, 'ece')}")
    axes.set_xlim(right=1)
    axes.set_ylim(top=1.01)
    axes.set_xlabel("mean confidence of the pixels of a bin")
    axes.set_ylabel("fraction of these pixels that are right")
    axes.grid(color=INK, alpha=FAINT, lw=0.6)
    put_legend(figure, handles, names, loc="outside lower center", ncols=2)
    return figure
