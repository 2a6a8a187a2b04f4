"""A comparison of scores from elsewhere: a table with the columns task, algorithm, case, value."""

from pathlib import Path

import numpy as np
import pandas as pd

from segbench.errors import DataError
from segbench.report.analysis import analyse
from segbench.report.comparison import Comparison, Entry, Section
from segbench.report.notes import methods, notes
from segbench.report.statistics import seed_means
from segbench.report.words import TABLE

COLUMNS = ("task", "algorithm", "case", "value")  # challengeR's (Wiesenfarth et al. 2021)
SEED = "seed"  # may be there too
_MISSING = ["", "NA", "NaN", "nan"]


def compare_table(
    path: Path, lower_is_better: bool = False, replicates: int = 5000, seed: int = 0
) -> Comparison:
    """Compare the algorithms of a CSV, each task in a section of its own.

    Args:
        path: Its columns are ``COLUMNS`` in any order and case, and ``seed`` where there are
            several runs of an algorithm; an empty value or NA is a case without a score.
        lower_is_better: Whether the smallest value is the best.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        DataError: The file is not such a table.
    """
    table = read_table(path)
    comparison = Comparison(
        names=[path.stem],
        score="value",
        rows=["algorithm"],
        columns=[],
        sections=[],
        lower=lower_is_better,
    )
    for task, part in table.groupby("task", sort=False):
        section = _make_section(str(task), part, lower_is_better)
        analyse(section, lower_is_better, replicates, seed, nouns=TABLE)
        section.notes = notes(section, TABLE)
        section.methods = methods(section, replicates, TABLE)
        comparison.sections.append(section)
    return comparison


def read_table(path: Path) -> pd.DataFrame:
    """The table as words, its value as numbers; without a column ``seed`` all is seed 0.

    Raises:
        DataError: The file is not there or no such table.
    """
    try:
        # blank lines are kept until lines are counted; a case may be called NA
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"input={path}: cannot be read as CSV ({reason})") from error
    found = [str(name) for name in table.columns]
    table.columns = pd.Index([name.strip().lower() for name in found])
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing or table.columns.has_duplicates:
        what = f"no column {', '.join(missing)}" if missing else "a column is there twice"
        raise DataError(
            f"input={path}: {what}; expected {', '.join(COLUMNS)} and, with several runs, {SEED}, "
            f"separated by commas, got {', '.join(found)}"
        )
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first fields for names
        raise DataError(f"input={path}: its rows have more fields than there are column names")
    table = table.fillna("").assign(**({} if SEED in table.columns else {SEED: "0"}))
    table = table.loc[(table[list(COLUMNS)] != "").any(axis=1), [*COLUMNS, SEED]]
    if table.empty:
        raise DataError(f"input={path}: no rows below the column names")
    _check_words(table, path)
    table["value"] = _numbers(table["value"], path)
    _check_doubles(table, path)
    return table


def _line(place: object) -> int:
    return int(str(place)) + 2  # counted from 1, below the column names


def _check_words(table: pd.DataFrame, path: Path) -> None:
    for name in ("task", "algorithm", "case"):
        empty = table.index[table[name].str.strip() == ""]
        if len(empty):
            raise DataError(f"input={path}, line {_line(empty[0])}: no {name}; expected a name")
    wrong = table.index[~table[SEED].str.strip().str.fullmatch(r"-?\d+")]
    if len(wrong):
        raise DataError(
            f"input={path}, line {_line(wrong[0])}: seed={table[SEED][wrong[0]]!r}; expected a "
            "whole number"
        )


def _numbers(words: "pd.Series[str]", path: Path) -> "pd.Series[float]":
    bare = words.str.strip()
    numbers = pd.to_numeric(bare, errors="coerce").astype(np.float64)
    wrong = words.index[~np.isfinite(numbers) & ~bare.isin(_MISSING)]
    if len(wrong):
        raise DataError(
            f"input={path}, line {_line(wrong[0])}: value={words[wrong[0]]!r}; expected a number, "
            "or NA where there is none"
        )
    return numbers


def _check_doubles(table: pd.DataFrame, path: Path) -> None:
    keys = ["task", "algorithm", "case", SEED]
    again = table.index[table.duplicated(keys)]
    if not len(again):
        return
    row = table.loc[again[0], keys]
    first = table.index[(table[keys] == row).all(axis=1)][0]
    told = ", ".join(f"{key} {row[key]!r}" for key in keys)
    raise DataError(
        f"input={path}, line {_line(again[0])}: {told} is in line {_line(first)} already; remove "
        f"one, or number several runs in a column {SEED}"
    )


def _make_section(task: str, table: pd.DataFrame, lower: bool) -> Section:
    cases = list(dict.fromkeys(table["case"]))
    entries = []
    for name, rows in table.groupby("algorithm", sort=False):
        wide = rows.pivot(index=SEED, columns="case", values="value").reindex(columns=cases)
        wide = wide[wide.notna().any(axis=1)]
        wide.index = wide.index.astype(int)
        wide = wide.sort_index()
        entry = Entry(str(name), {"algorithm": str(name)}, seeds=list(map(int, wide.index)))
        entry.values = wide.to_numpy(dtype=np.float64)
        entry.means = seed_means(entry.values)
        entries.append(entry)
    sign = 1 if lower else -1
    entries.sort(key=lambda e: (not len(e.means), sign * e.mean, e.label))
    return Section(task, "", cases, [], entries)
