"""Draws the learning curve: score against the number of training images."""

from typing import TYPE_CHECKING

import numpy as np

from segbench.report.compare.words import of_these
from segbench.report.figures.drawing import (
    COLOURS,
    FAINT,
    INK,
    MARKERS,
    WIDE,
    new_figure,
    put_legend,
    styled,
)
from segbench.report.sections.comparison import Comparison, Entry, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPLIT = "data.split"


def training_size(entry: Entry) -> int:
    """The number of training images of an entry's cells, rounded; 0 where it is not known."""
    sizes = [len(cell.parts.get("train", [])) for cell in entry.done]
    return round(float(np.mean(sizes))) if sizes else 0


def learning_curves(section: Section) -> dict[str, list[Entry]]:
    """The entries that differ in nothing but the training part, by what they share, by size."""
    found: dict[str, list[Entry]] = {}
    for entry in section.scored:
        if training_size(entry):
            own = {key: value for key, value in entry.options.items() if value}
            shared = [value for key, value in own.items() if not key.startswith(SPLIT)]
            found.setdefault(" · ".join(shared), []).append(entry)
    curves = {name: sorted(entries, key=training_size) for name, entries in found.items()}
    return {
        name: entries
        for name, entries in curves.items()
        if training_size(entries[0]) < training_size(entries[-1])
    }


@styled
def sizes(section: Section, comparison: Comparison) -> "Figure | None":
    """Score with its interval against the number of training images, a line a configuration."""
    curves = learning_curves(section)
    if not curves:
        return None
    figure = new_figure(f"{comparison.label} by training images, {section.data}", 3.2)
    axes = figure.subplots()
    handles = []
    for place, entries in enumerate(curves.values()):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        xs = [training_size(entry) for entry in entries]
        lows, highs = ([getattr(e, name) for e in entries] for name in ("low", "high"))
        axes.vlines(xs, lows, highs, colour, lw=0.9, alpha=0.55)
        ys = [entry.mean for entry in entries]
        handles += axes.plot(xs, ys, color=colour, marker=marker, ms=5.5, lw=1.2)
    every = [training_size(entry) for entries in curves.values() for entry in entries]
    if max(every) / min(every) > WIDE:
        axes.set_xscale("log")
    axes.set_xticks(sorted(set(every)), [f"{size:,}" for size in sorted(set(every))])
    axes.minorticks_off()
    axes.set_xlabel("training images")
    axes.set_ylabel(f"{comparison.label}{of_these(section)}")
    axes.grid(color=INK, alpha=FAINT, lw=0.6)
    put_legend(figure, handles, list(curves), loc="outside lower center", ncols=3)
    return figure
