"""The table of a section, rows × columns, and what stands in its fields, whatever prints it."""

from dataclasses import dataclass

from segbench.report.comparison import Comparison, Entry, Section

ALIKE = "≈"  # stands beside what cannot be told from the best


@dataclass(frozen=True)
class Grid:
    """The table of a section: an entry, or none, for each row and column."""

    heads: list[str]  # of the columns that name the rows
    rows: list[tuple[str, ...]]
    columns: list[str]
    entries: dict[tuple[int, int], Entry]


def make_grid(comparison: Comparison, section: Section) -> Grid:
    """Lay a section's entries out; rows and columns by name, numbers by size."""
    rows = _distinct(section, comparison.rows)
    columns = _distinct(section, comparison.columns)
    places = {
        (rows.index(_key(e, comparison.rows)), columns.index(_key(e, comparison.columns))): e
        for e in section.entries
    }
    return Grid(comparison.rows, rows, [" · ".join(c) for c in columns], places)


def _distinct(section: Section, names: list[str]) -> list[tuple[str, ...]]:
    return sorted({_key(entry, names) for entry in section.entries}, key=_natural)


def _natural(words: tuple[str, ...]) -> list[tuple[bool, float, str]]:
    """Sorts 8 before 16, numbers before words."""
    parts: list[tuple[bool, float, str]] = []
    for word in words:
        try:
            parts.append((False, float(word), ""))
        except ValueError:
            parts.append((True, 0.0, word))
    return parts


def _key(entry: Entry, names: list[str]) -> tuple[str, ...]:
    return tuple(entry.options.get(name, "") for name in names)


def digits(section: Section) -> int:
    """Four places for scores up to 1, two for pixels."""
    return 4 if max((entry.mean for entry in section.scored), default=0) <= 1 else 2


def mean_sd(entry: Entry, places: int, joint: str = " ± ") -> str:
    """Mean and standard deviation over the seeds; what became of it where there is none."""
    if not len(entry.means):
        states = [cell.status for cell in entry.cells]
        return ", ".join(dict.fromkeys(states)) or "–"
    text = f"{entry.mean:.{places}f}"
    if len(entry.means) > 1:
        text += f"{joint}{entry.sd:.{places}f}"
    missing = len(entry.cells) - len(entry.means)
    return text + (f" ({len(entry.means)} of {len(entry.cells)} seeds)" if missing else "")


def is_best(section: Section, entry: Entry) -> bool:
    """Whether its mean is the best of the section."""
    return bool(section.scored) and entry is section.scored[0]


def legend(comparison: Comparison, section: Section) -> str:
    """What the signs in the table mean."""
    seeds = {len(entry.means) for entry in section.scored}
    over = "one seed" if seeds == {1} else "mean ± SD over seeds"
    return (
        f"{comparison.label}, {over}, {len(section.images)} test images; best in bold, "
        f"{ALIKE} cannot be told from the best"
    )


def across(grid: Grid) -> range:
    """The places of its columns."""
    return range(len(grid.columns))
