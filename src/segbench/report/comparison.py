"""What a comparison says: entries (a configuration with its seeds), their pairs, their sections.

A section is what can be compared at all: cells of one data set with one split. Everything that is
printed, drawn or put on the page comes from here.
"""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from segbench.report.cells import Cell
from segbench.report.published import Published

Values = NDArray[np.float64]

# Score names for people; all but surface distances are better when higher.
LABELS = {
    "iou": "IoU",
    "dice": "Dice",
    "precision": "precision",
    "recall": "recall",
    "iou_thresholded": "thresholded IoU",
    "iou_dataset": "IoU over the data set",
    "dice_dataset": "Dice over the data set",
    "pixel_accuracy": "pixel accuracy",
    "mean_pixel_accuracy": "mean pixel accuracy",
    "assd": "ASSD (px)",
    "hd95": "HD95 (px)",
    "nsd": "NSD",
}
LOWER_IS_BETTER = ("assd", "hd95")


@dataclass(eq=False)  # equal is who is the same: arrays have no one answer
class Entry:
    """One configuration: its cells differ in the seed alone.

    ``values`` is ``(S, n)``: of each finished seed the score of each test image, NaN where the
    image has none; ``means`` is ``(S,)``, the score as the record prints it. ``low`` and ``high``
    bound the mean's 95 % interval. Numbers are NaN where there is nothing to make them of.
    """

    label: str
    options: dict[str, str]  # of each thing that varies, such as {"model": "unet", "loss": "dice"}
    cells: list[Cell] = field(default_factory=list)  # one for each seed, whatever its status
    seeds: list[int] = field(default_factory=list)  # of the rows of values
    values: Values = field(default_factory=lambda: np.empty((0, 0)))
    means: Values = field(default_factory=lambda: np.empty(0))
    low: float = np.nan
    high: float = np.nan
    first: float = np.nan  # share of bootstrap replicates in which it ranks first
    like_best: bool = False  # cannot be told from the best (the best itself can not either)
    # parameters, flops, train_seconds, images_per_second, peak_memory_bytes, best_epoch, epochs:
    # means over the finished seeds
    cost: dict[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(self.means.mean()) if len(self.means) else np.nan

    @property
    def sd(self) -> float:
        """Standard deviation over the seeds (n − 1); NaN with fewer than two."""
        return float(self.means.std(ddof=1)) if len(self.means) > 1 else np.nan

    @property
    def done(self) -> list[Cell]:
        """Its finished cells, one for each row of ``values``."""
        return [cell for cell in self.cells if cell.status == "done"]


@dataclass
class Pair:
    """Two entries, the better one first; differences are better minus worse, so never negative."""

    better: int  # places in the section's entries
    worse: int
    images: int  # that both have a score of
    difference: float  # of the means
    low: float  # its 95 % interval
    high: float
    p_images: float  # Wilcoxon signed-rank over images, Holm-corrected over the section's pairs
    p_seeds: float  # over images and seeds at once, Holm-corrected; NaN with a single seed
    effect: float  # matched-pairs rank-biserial correlation, -1 to 1
    wins: float  # share of the images on which the better one is better; ties count half
    detectable: float  # the difference that would have been seen, with 80 % power
    different: bool
    sentence: str


@dataclass
class Section:
    """Cells of one data set and one split."""

    data: str
    split: str
    images: list[str]  # ids of the test images, columns of the entries' values
    class_names: list[str]  # the scored ones
    entries: list[Entry]  # the best first; those without a finished cell last
    pairs: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what a reader must know, in plain words
    methods: list[str] = field(default_factory=list)  # how the numbers came about, with sources
    published: list[Published] = field(default_factory=list)  # by others, of the same experiment

    @property
    def scored(self) -> list[Entry]:
        """The entries with at least one finished cell, the best first."""
        return [entry for entry in self.entries if len(entry.means)]

    def pair(self, one: Entry, other: Entry) -> Pair | None:
        """The pair of two entries, whichever is the better."""
        wanted = {self.entries.index(one), self.entries.index(other)}
        return next((p for p in self.pairs if {p.better, p.worse} == wanted), None)


@dataclass
class Across:
    """One configuration over all sections, in the comparison's order of sections."""

    label: str
    options: dict[str, str]
    means: list[float]
    ranks: list[float]  # 1 is best; equal means share theirs

    @property
    def mean_rank(self) -> float:
        """Over the sections."""
        return float(np.mean(self.ranks))


@dataclass
class Comparison:
    """All that is compared in one report."""

    names: list[str]  # the sweeps
    score: str  # such as "iou" or "dice/nucleus"
    rows: list[str]  # the options that make the table's rows, such as ["model"]
    columns: list[str]
    sections: list[Section]
    failures: list[tuple[str, str]] = field(default_factory=list)  # cell, one line
    unfinished: list[str] = field(default_factory=list)  # cells running or stopped
    command: str = ""  # that makes this report
    lower: bool = False  # of a plain table's values: the smallest is the best

    @property
    def label(self) -> str:
        """The score's name for people."""
        name, _, of = self.score.partition("/")
        return LABELS.get(name, name) + (f", {of}" if of else "")

    @property
    def lower_is_better(self) -> bool:
        """Whether the smallest value is the best."""
        return self.lower or self.score.partition("/")[0] in LOWER_IS_BETTER

    @property
    def across(self) -> list[Across]:
        """The configurations that every section has scored, the lowest mean rank first.

        Empty with fewer than two sections or configurations.
        """
        tables = [{entry.label: entry for entry in each.scored} for each in self.sections]
        if len(tables) < 2:
            return []
        common = [label for label in tables[0] if all(label in each for each in tables)]
        if len(common) < 2:
            return []
        means = np.array([[table[label].mean for table in tables] for label in common])
        ranks = rankdata(means if self.lower_is_better else -means, axis=0)
        rows = [
            Across(label, tables[0][label].options, mean.tolist(), rank.tolist())
            for label, mean, rank in zip(common, means, ranks, strict=True)
        ]
        return sorted(rows, key=lambda row: row.mean_rank)

    @property
    def across_note(self) -> str:
        """What the ranks over sections can and cannot say; empty without any."""
        if not (rows := self.across):
            return ""
        sets, few = len({section.data for section in self.sections}), 5
        note = f"Mean ranks of {len(rows)} configurations over {len(self.sections)} sections"
        note += f" of {sets} data set{'s' if sets > 1 else ''}."
        if sets < len(self.sections):
            note += " Several splits of one data set share images and count as one data set."
        if sets < few:
            note += (
                f" Over fewer than {few} data sets ranks support no test (Demšar 2006): they "
                "describe these sets and say nothing of another."
            )
        return note


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Plain numbers and words of a comparison, for ``comparison.json`` and the page.

    NaN is None. Scores of single images are left out: they stand in each cell's ``scores.csv``.
    """
    told = {
        each.name: getattr(comparison, each.name)
        for each in fields(comparison)
        if each.name not in ("sections", "lower", "failures")
    }
    told |= {"label": comparison.label, "lower_is_better": comparison.lower_is_better}
    told["failures"] = [{"cell": cell, "error": line} for cell, line in comparison.failures]
    told["sections"] = [_section(section) for section in comparison.sections]
    told["across"] = [asdict(row) | {"mean_rank": row.mean_rank} for row in comparison.across]
    told["across_note"] = comparison.across_note
    return dict(_plain(told))


def _section(section: Section) -> dict[str, Any]:
    told = {each.name: getattr(section, each.name) for each in fields(section)}
    told["entries"] = [_entry(entry) for entry in section.entries]
    told["pairs"] = [vars(pair) for pair in section.pairs]
    told["published"] = [vars(table) for table in section.published]
    return told


def _entry(entry: Entry) -> dict[str, Any]:
    told = {each.name: getattr(entry, each.name) for each in fields(entry) if each.name != "values"}
    told |= {"mean": entry.mean, "sd": entry.sd, "means": entry.means.tolist()}
    told["cells"] = [
        {"name": cell.name, "sweep": cell.sweep, "seed": cell.seed, "status": cell.status}
        for cell in entry.cells
    ]
    return told


def _plain(value: Any) -> Any:
    """Copies without NaN and without NumPy's numbers."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
