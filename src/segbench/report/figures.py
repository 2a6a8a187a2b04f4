"""The figures of a comparison as files and for the page, each with a sentence on how to read it."""

from dataclasses import dataclass
from pathlib import Path

from segbench.report.comparison import Comparison, Section
from segbench.report.cost_figures import cost
from segbench.report.curve_figures import curves
from segbench.report.drawing import Draw, svg_text, write_figure
from segbench.report.pair_figures import pairs, ranks
from segbench.report.score_figures import boxes, stability

__all__ = ["CAPTIONS", "TITLES", "Drawn", "svg_text", "write_figures"]

FIGURES: dict[str, Draw] = {
    "stability": stability,
    "boxes": boxes,
    "ranks": ranks,
    "pairs": pairs,
    "cost": cost,
    "curves": curves,
}
TITLES = {
    "stability": "Means and intervals",
    "boxes": "Scores of single images",
    "ranks": "Ranks",
    "pairs": "Which pairs differ",
    "cost": "Score against cost",
    "curves": "Training",
    "sheet": "The same images for all",
}
CAPTIONS = {
    "stability": "Each entry's mean (marker), the means of its seeds (ticks) and the 95 % interval "
    "(line), the best first; shaded entries cannot be told from the best (dotted line), and at "
    "the right stands in how many of the bootstrap's replicates each ranks first.",
    "boxes": "For each class and entry a box from the first to the third quartile of the images' "
    "scores, with their median (bar), their mean (diamond), whiskers to the farthest score within "
    "1.5 times the box, and dots for single images: all of them if there are few, else those "
    "beyond the whiskers.",
    "ranks": "The mean of the ranks that each entry has on single images, 1 for the best; a line "
    "at the right joins, dot by dot, entries of which no two can be told apart.",
    "pairs": "How much better the entry in a row is than the one whose number heads the column: "
    "the stronger the colour, the more; a frame or a dot says that the two can be told apart.",
    "cost": "Each entry's score with its 95 % interval against what it costs; nothing is both "
    "cheaper and better than the entries on the dashed line (the Pareto front), which are named.",
    "curves": "Of each entry the loss on train and val and the IoU on val by epoch: thin lines are "
    "seeds, thick ones their mean, dots the epochs whose weights were kept. Losses have one axis "
    "where the loss is the same; those of different losses cannot be compared.",
    "sheet": "The test images on which the entries disagree most, the worst first: input, truth, "
    "and of each entry the errors of its seed with the median score (orange: too much, blue: "
    "missed, purple: another class), each with the image's score.",
}


@dataclass(frozen=True)
class Drawn:
    """A figure that was written."""

    title: str
    caption: str
    svg: str  # for the page: it takes the text's colour
    files: tuple[Path, Path]  # SVG and PNG


def write_figures(comparison: Comparison, folder: Path) -> list[dict[str, Drawn]]:
    """Write ``<kind>-<data>.svg`` and ``.png`` and return of each section its figures by kind.

    A kind that there is nothing to draw of is left out, such as pairs of a single entry.
    """
    return [_write_section(section, comparison, folder) for section in comparison.sections]


def _write_section(section: Section, comparison: Comparison, folder: Path) -> dict[str, Drawn]:
    found = {}
    for kind, draw in FIGURES.items():
        figure = draw(section, comparison)
        if figure is None:
            continue
        stem = file_stem(kind, section, comparison)
        files = (folder / f"{stem}.svg", folder / f"{stem}.png")
        found[kind] = Drawn(TITLES[kind], CAPTIONS[kind], write_figure(figure, *files), files)
    return found


def file_stem(kind: str, section: Section, comparison: Comparison) -> str:
    """``boxes-dsb2018``, with the split where one data set has several."""
    namesakes = [each for each in comparison.sections if each.data == section.data]
    name = f"{section.data}-{section.split}" if len(namesakes) > 1 else section.data
    return f"{kind}-" + "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
