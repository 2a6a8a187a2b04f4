"""What a comparison says: entries (a configuration with its seeds), their pairs, their sections.

A section is what can be compared at all: cells of one data set with one split. Everything that is
printed, drawn or put on the page comes from here.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import rankdata

from segbench.arrays import Values
from segbench.metrics.registry import find_score
from segbench.records.cells import Cell
from segbench.records.published import Published
from segbench.report.statistics.data_sets import FEWEST, RankTest, rank_test
from segbench.report.statistics.means import rounded
from segbench.report.statistics.student import ALPHA


def score_title(score: str) -> str:
    """A score's name for people, such as ``Dice`` or ``ASSD, nucleus``."""
    name, _, of = score.partition("/")
    return find_score(name).title + (f", {of}" if of else "")


@dataclass(eq=False)  # equal is who is the same: arrays have no one answer
class Entry:
    """One configuration: its cells differ in the seed alone, and with folds in the fold.

    ``values`` is ``(S, n)``: of each finished seed the score of each test image, NaN where the
    image has none; ``means`` is ``(S,)``, the score as the record prints it, or with folds the mean
    over all images. ``low`` and ``high``
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
    rank_low: float = np.nan  # the ranks between which it stands in 95 % of the replicates
    rank_high: float = np.nan
    lacking: list[str] = field(default_factory=list)  # folders of finished cells without the score
    absent: list[str] = field(default_factory=list)  # images that it was not scored on with a seed
    # the classes that a training hardly found, of those that collapsed, such as "seed 0"
    collapsed: dict[str, list[str]] = field(default_factory=dict)
    like_best: bool = False  # cannot be told from the best (the best itself can not either)
    equals_best: bool = False  # has been shown to be equivalent to the best within the margin
    # parameters, flops, train_seconds, images_per_second, peak_memory_bytes, best_epoch, epochs:
    # means over the finished seeds
    cost: dict[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean over the finished seeds."""
        return float(self.means.mean()) if len(self.means) else np.nan

    @property
    def sd(self) -> float:
        """Standard deviation over the seeds (n − 1); NaN with fewer than two."""
        return float(self.means.std(ddof=1)) if len(self.means) > 1 else np.nan

    @property
    def median(self) -> float:
        """Median over the finished seeds, which a collapsed one hardly moves."""
        return float(np.median(self.means)) if len(self.means) else np.nan

    @property
    def folded(self) -> bool:
        """Whether its cells are folds of a cross-validation."""
        return any(cell.fold is not None for cell in self.cells)

    @property
    def done(self) -> list[Cell]:
        """Its finished cells that have the score: one of each seed, or of each seed and fold."""
        lacking = set(self.lacking)
        done = (cell for cell in self.cells if cell.status == "done")
        return [cell for cell in done if str(cell.folder) not in lacking]


@dataclass
class Pair:
    """Two entries, the better one first; differences are better minus worse, so never negative.

    All numbers are over the images that both have a score of.
    """

    better: int  # indices into the section's entries
    worse: int
    images: int  # that both have a score of
    difference: float  # of the means
    low: float  # its 95 % interval, adjusted for the number of pairs of which the same is said
    high: float
    p_images: float  # Wilcoxon signed-rank over images, Holm-corrected over the section's pairs
    p_means: float  # Student's t over images and, where repeated, seeds; Holm-corrected
    effect: float  # matched-pairs rank-biserial correlation, -1 to 1
    wins: float  # share of the images on which the better one is better; ties count half
    detectable: float  # the difference that would have been found with 80 % power
    different: bool
    sentence: str
    repeated: bool = True  # whether both entries have several seeds
    groups: int = 0  # of images (patients, slides, videos); 0 where images are independent
    adjusted: bool = False  # whether the interval is wider than for this pair alone
    p_margin: float = np.nan  # that the difference is no smaller than the margin; Holm-corrected
    equivalent: bool = False  # whether the two are equivalent within the margin


@dataclass
class Section:
    """Cells of one data set, one split and the same classes, scored on the same part."""

    data: str  # its title; no two sections of a comparison have the same
    split: str
    images: list[str]  # ids of the test images, columns of the entries' values
    class_names: list[str]  # the scored ones
    entries: list[Entry]  # the best first; those without a finished cell last
    pairs: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what a reader must know, in plain words
    methods: list[str] = field(default_factory=list)  # how the numbers came about, with sources
    published: list[Published] = field(default_factory=list)  # by others, of the same experiment
    choice: str = ""  # the option that chose the data set
    source: str = ""  # the data set: its option, with its folder's name where that tells two apart
    part: str = "test"  # that the scores are of
    shift: tuple[str, int] | None = None  # kind and severity of a change of the images
    groups: list[str] = field(default_factory=list)  # of each image, where groups were given
    unranked: str = ""  # why the entries have no order, if so
    margin: float | None = None  # differences below it make no difference in practice
    subgroups: list["Section"] = field(default_factory=list)  # the same entries on some images
    others: dict[str, "Section"] = field(default_factory=dict)  # the same entries by other scores
    scores_tested: int = 1  # whose pairs p-values are corrected for

    @property
    def scored(self) -> list[Entry]:
        """The entries with at least one finished cell, the best first."""
        return [entry for entry in self.entries if len(entry.means)]

    @property
    def best(self) -> list[Entry]:
        """The entries with the best mean, several where they tie; none without a ranking."""
        scored = [] if self.unranked else self.scored
        means = rounded(np.array([entry.mean for entry in scored]))
        return [entry for entry, mean in zip(scored, means, strict=True) if mean == means[0]]

    @property
    def single(self) -> bool:
        """Whether an entry has one seed, so that scores are of networks, not configurations."""
        return any(len(entry.means) == 1 for entry in self.scored)

    def sort(self, lower: bool) -> None:
        """Sort the entries, the best first; ties by label, entries without a score last."""
        sign = 1 if lower else -1

        def key(entry: Entry) -> tuple[bool, bool, float, str]:
            mean = 0.0 if self.unranked or np.isnan(entry.mean) else float(rounded(entry.mean))
            return not len(entry.means), np.isnan(entry.mean), sign * mean, entry.label

        self.entries.sort(key=key)

    def pair(self, one: Entry, other: Entry) -> Pair | None:
        """The pair of two entries, whichever is the better."""
        first, second = self.entries.index(one), self.entries.index(other)
        wanted = ((first, second), (second, first))
        return next((p for p in self.pairs if (p.better, p.worse) in wanted), None)


@dataclass
class Across:
    """One configuration over all sections, in the comparison's order of sections."""

    label: str
    options: dict[str, str]
    means: list[float]
    ranks: list[float]  # 1 is best; equal means share theirs

    @property
    def mean_rank(self) -> float:
        """The mean of its ranks over the sections."""
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
    damaged: list[tuple[str, str]] = field(default_factory=list)  # cell, one line
    left_out: list[str] = field(default_factory=list)  # why cells that are there are not compared
    command: str = ""  # that makes this report
    lower: bool = False  # of a plain table's values: the smallest is the best

    @property
    def label(self) -> str:
        """The score's name for people."""
        return score_title(self.score)

    @property
    def lower_is_better(self) -> bool:
        """Whether the smallest value is the best."""
        return self.lower or find_score(self.score).lower_is_better

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
        ranks = rankdata(rounded(means if self.lower_is_better else -means), axis=0)
        rows = [
            Across(label, tables[0][label].options, mean.tolist(), rank.tolist())
            for label, mean, rank in zip(common, means, ranks, strict=True)
        ]
        return sorted(rows, key=lambda row: row.mean_rank)

    @property
    def rank_test(self) -> RankTest | None:
        """The test over data sets, in the order of ``across``; None where there are too few.

        Several sections of one data set count once, with the mean over them.
        """
        rows = self.across
        if not rows or any(section.unranked for section in self.sections):
            return None
        places: dict[str, list[int]] = {}
        for place, section in enumerate(self.sections):
            places.setdefault(section.source or section.data, []).append(place)
        sign = -1.0 if self.lower_is_better else 1.0
        means = np.array([row.means for row in rows]).T
        by_set = [means[each].mean(axis=0) for each in places.values()]
        return rank_test(sign * np.stack(by_set))

    @property
    def across_note(self) -> str:
        """What the ranks over sections can and cannot say; empty without any."""
        if not (rows := self.across):
            return ""
        sets, few = len({section.source or section.data for section in self.sections}), FEWEST
        note = f"Mean ranks of {len(rows)} configurations over {len(self.sections)} sections"
        note += f" of {sets} data set{'s' if sets > 1 else ''}."
        if sets < len(self.sections):
            note += (
                " Several splits or shifts of one data set share images and count as one data set."
            )
        if test := self.rank_test:
            says = "at least two differ" if test.p < ALPHA else "no difference is found"
            note += (
                f" Friedman's test over {sets} data sets: p {test.p:.2g}, {says}. By Nemenyi's "
                f"test mean ranks that differ by more than {test.critical:.2f} are different "
                "(Demšar 2006)."
            )
        if sets < few:
            note += (
                f" Over fewer than {few} data sets ranks support no test (Demšar 2006): they "
                "describe these sets and say nothing of another."
            )
        return note
