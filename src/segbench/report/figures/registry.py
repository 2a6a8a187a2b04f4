"""The kinds of figures of a comparison, with titles and captions, and writing them as files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from segbench.report.figures.across_figures import (
    RANKS_CAPTION,
    RANKS_TITLE,
    SEVERITY_CAPTION,
    SEVERITY_TITLE,
    critical_differences,
    severities,
)
from segbench.report.figures.cost_figures import cost
from segbench.report.figures.curve_figures import curves
from segbench.report.figures.drawing import Draw, write_figure
from segbench.report.figures.pair_figures import pairs, ranks
from segbench.report.figures.reliability_figures import reliability
from segbench.report.figures.score_figures import boxes, stability
from segbench.report.figures.size_figures import sizes
from segbench.report.figures.track import Track, no_progress
from segbench.report.figures.tuning_figures import tuning
from segbench.report.sections.comparison import Comparison, Section, score_title
from segbench.report.sections.image_scores import has_images

if TYPE_CHECKING:
    from matplotlib import figure as matplotlib_figure


LEGIBLE = 30  # entries; of more, figures draw the best ones


@dataclass(frozen=True)
class Figure:
    """A kind of figure: the name of its files, its title, and how to read it."""

    name: str
    title: str
    caption: str
    draw: Draw | None = None  # None: pictures, see sheets.py and image_panels.py
    for_each_score: bool = False  # whether it is drawn for each score of a comparison
    most: int = LEGIBLE  # the most entries, the best ones, where there are more than LEGIBLE


FIGURES = (
    Figure(
        "stability",
        "Means and intervals",
        "Each entry's mean (marker), the means of its seeds (ticks) and the 95 % interval "
        "(line), the best first. Shaded entries cannot be told from the best (dotted line). With "
        "one seed, intervals are of these trained networks, not of the configurations. The numbers "
        "at the right give the fraction of bootstrap replicates in which each ranks first.",
        stability,
    ),
    Figure(
        "boxes",
        "Scores of single images",
        "For each class and entry a box from the first to the third quartile of the images' "
        "scores, with median (bar), mean (diamond), and whiskers to the farthest score within "
        "1.5 times the length of the box. Dots are single images: all if there are few, otherwise "
        "those beyond the whiskers.",
        boxes,
        for_each_score=True,
    ),
    Figure(
        "ranks",
        "Ranks",
        "The mean rank of each entry over the images; 1 is the best. A line at the right joins, "
        "dot by dot, a group of entries of which no two can be told apart.",
        ranks,
    ),
    Figure(
        "pairs",
        "Which pairs differ",
        "By how much the entry of a row is better than the entry with the number of the column. "
        "Stronger colours are larger differences; a frame or a dot marks pairs that can be told "
        "apart.",
        pairs,
    ),
    Figure(
        "cost",
        "Score against cost",
        "Each entry's score with its 95 % interval (with one seed, of this trained network) "
        "against its cost. No entry is both cheaper and better than the named entries on the "
        "dashed line (the Pareto front).",
        cost,
    ),
    Figure(
        "sizes",
        "Score by training images",
        "Each configuration's score with its 95 % interval against the number of training images. "
        "Smaller training parts are subsets of larger ones; val and test are the same.",
        sizes,
    ),
    Figure(
        "tuning",
        "Score by trials of the search",
        "The best score on val that each entry's search finds with so many trials: of a random "
        "search the expected best of as many of its trials (Dodge et al. 2019), else the best so "
        "far. Lines that still rise call for more trials; lines that cross say that the order "
        "depends on their number.",
        tuning,
    ),
    Figure(
        "curves",
        "Training",
        "For each entry the loss on train and val and the IoU on val by epoch. Thin lines are "
        "seeds, thick lines their mean, and dots the epochs with the selected weights. Entries "
        "with the same loss share an axis; the values of different losses cannot be compared.",
        curves,
        most=10,
    ),
    Figure(
        "reliability",
        "Are the probabilities right?",
        "Of each bin of confidence (the probability of the most probable class, in 15 equally "
        "wide bins) the fraction of its pixels that are right, over the pixels of all images and "
        "seeds. Below the dotted line a network is surer than it is right, above it less sure. "
        "Bins with less than 1 in 10,000 pixels are left out, and entries after the twelfth. ECE "
        "is the expected calibration error, a mean over images.",
        reliability,
    ),
    Figure(
        "sheet",
        "The same images for all",
        "The test images on which the entries disagree most, in this order: input, truth, and "
        "for each entry the errors of its seed with the median score (orange: false positive, "
        "blue: false negative, purple: another class) with the image's score.",
    ),
    Figure(
        "images",
        "Best, median and worst image by class",
        "The test image with the best, the median and the worst score of each class: input, truth, "
        "prediction and errors (orange: false positive, blue: false negative, purple: another "
        "class). Scores are means over the seeds; the predictions are of the seed with the median "
        "score.",
    ),
)
SHEET, IMAGES = FIGURES[-2:]
MOST = 12  # the most tasks of a CSV file that are drawn; each takes a second


@dataclass(frozen=True)
class Drawing:
    """A figure of a comparison that is drawn when asked; ``draw`` gives None without content."""

    name: str  # such as "boxes", or "boxes-dice" of another score
    stem: str  # the name with that of the data set, which no two have in common
    title: str
    caption: str
    draw: "Callable[[], matplotlib_figure.Figure | None]"


@dataclass(frozen=True)
class Drawn:
    """A figure that has been written."""

    title: str
    caption: str
    svg: str  # for the page, in its text colour
    files: tuple[Path, Path]  # SVG and PNG


def write_figures(
    comparison: Comparison, folder: Path, track: Track = no_progress
) -> list[dict[str, Drawn]]:
    """Write ``<kind>-<data>.svg`` and ``.png``; returns each section's figures by kind.

    Kinds without content are left out, such as the pairs of a single entry. Of a CSV file with many
    tasks only the first ones are drawn, see `drawn_sections`.
    """
    sections = drawn_sections(comparison)
    shown = track(sections, len(sections), "drawing the figures")
    return [_write_section(section, comparison, folder) for section in shown]


def write_across(comparison: Comparison, folder: Path) -> list[Drawn]:
    """Write the figures over all sections.

    They are the critical-difference diagram, where the data sets are enough for a test, and the
    score against severity, where images were made worse.
    """
    return [drawn for each in across_drawings(comparison) if (drawn := _written(each, folder))]


def across_drawings(comparison: Comparison) -> list[Drawing]:
    """The figures over all sections, not drawn yet."""
    return [
        Drawing(name, name, title, caption, partial(draw, comparison))
        for name, title, caption, draw in (
            ("across", RANKS_TITLE, RANKS_CAPTION, critical_differences),
            ("severity", SEVERITY_TITLE, SEVERITY_CAPTION, severities),
        )
    ]


def _written(drawing: Drawing, folder: Path) -> Drawn | None:
    figure = drawing.draw()
    if figure is None:
        return None
    files = (folder / f"{drawing.stem}.svg", folder / f"{drawing.stem}.png")
    return Drawn(drawing.title, drawing.caption, write_figure(figure, *files), files)


def drawn_sections(comparison: Comparison) -> list[Section]:
    """The sections that get figures: all of cells, or the first ``MOST`` tasks of a CSV file."""
    plain = not any(entry.cells for section in comparison.sections for entry in section.entries)
    return comparison.sections[: MOST if plain else None]


def _write_section(section: Section, comparison: Comparison, folder: Path) -> dict[str, Drawn]:
    written = {each.name: _written(each, folder) for each in drawings(section, comparison)}
    return {name: drawn for name, drawn in written.items() if drawn}


def drawings(section: Section, comparison: Comparison) -> Iterator[Drawing]:
    """The figures of a section, not drawn yet; pictures of images are not among them."""
    for kind in FIGURES:
        for score, part in _by_score(kind, section, comparison).items():
            if kind.draw is None:
                continue
            best = best_of(part, kind.most if len(part.scored) > LEGIBLE else LEGIBLE)
            left = len(part.scored) - len(best.scored)
            rest = f" The best {kind.most} of {len(part.scored)} entries." if left else ""
            name = kind.name if part is section else f"{kind.name}-{score.replace('/', '-')}"
            several = kind.for_each_score and section.others
            title = f"{kind.title}: {score_title(score)}" if several else kind.title
            draw = partial(kind.draw, best, replace(comparison, score=score))
            stem = file_stem(name, section, comparison)
            yield Drawing(name, stem, title, kind.caption + rest, draw)


def best_of(section: Section, most: int) -> Section:
    """A section with its best entries alone, and with their pairs."""
    if len(section.scored) <= most:
        return section
    pairs = [pair for pair in section.pairs if max(pair.better, pair.worse) < most]
    return replace(section, entries=section.entries[:most], pairs=pairs)


def _by_score(kind: Figure, section: Section, comparison: Comparison) -> dict[str, Section]:
    others = section.others.items() if kind.for_each_score else ()
    found = {score: each for score, each in others if has_images(score)}
    return {comparison.score: section, **found}


def file_stem(kind: str, section: Section, comparison: Comparison) -> str:
    """A unique file name such as ``boxes-dsb2018``; split and number are added if needed."""
    name = section.choice or section.data
    alike = [each for each in comparison.sections if (each.choice or each.data) == name]
    if len(alike) > 1:
        name = f"{name}-{section.split}"
        alike = [each for each in alike if each.split == section.split]
    if len(alike) > 1:
        name = f"{name}-{1 + [id(each) for each in alike].index(id(section))}"
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in f"{kind}-{name}")
