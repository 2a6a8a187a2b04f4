"""Compares scores in CSV files, long or wide, and in summaries of nnU-Net."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from segbench.errors import DataError
from segbench.report.compare.analysis import analyse
from segbench.report.compare.missing import Missing, treat_missing
from segbench.report.compare.notes import methods, notes
from segbench.report.compare.subgroups import add_subgroups, subgroup_names
from segbench.report.compare.words import TABLE
from segbench.report.figures.registry import MOST
from segbench.report.figures.track import Track, no_progress
from segbench.report.nnunet import read_summary
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.statistics.means import seed_means

COLUMNS = ("task", "algorithm", "case", "value")  # challengeR's (Wiesenfarth et al. 2021)
SEED, GROUP = "seed", "group"  # optional columns
_MISSING = ["", "NA", "NaN", "nan"]


def compare_table(
    paths: Path | Sequence[Path],
    lower_is_better: bool = False,
    replicates: int = 5000,
    seed: int = 0,
    track: Track = no_progress,
    missing: Missing = None,
    margin: float | None = None,
    by: str | None = None,
    score: str = "iou",
) -> Comparison:
    """Compare the algorithms of a CSV file, with a section for each task.

    Args:
        paths: a CSV file with the columns ``COLUMNS`` in any order and case, and with ``seed`` if
            an algorithm has several runs, and ``group`` for the patient, slide or video that a case
            comes from; an empty value or NA is a case without a score. Without ``task`` the file is
            one task; without ``algorithm`` and ``value`` each further column is an algorithm. Or a
            ``summary.json`` of nnU-Net; or several files.
        lower_is_better: whether lower values are better.
        replicates: number of replicates of the bootstrap.
        seed: the seed of the bootstrap.
        track: shows the progress of a loop, see `segbench.report.figures.track`.
        missing: as what a case counts that not every algorithm has a score of.
        margin: the largest difference that makes no difference in practice, for equivalence.
        by: what makes subgroups of cases: ``group``, or a CSV file with ``id`` and one column.
        score: what is made from the counts of a ``summary.json``.

    Raises:
        DataError: a file is missing or not such a table.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    table = _read_all(files, score)
    parts = list(table.groupby("task", sort=False))
    comparison = Comparison(
        names=[file.stem for file in files[:1]],
        score="value",
        rows=["algorithm"],
        columns=[],
        sections=[],
        lower=lower_is_better,
    )
    for task, part in track(parts, len(parts), "comparing the tasks"):
        section = _make_section(str(task), part)
        section.margin = margin
        told = treat_missing(section, missing, lower_is_better, nouns=TABLE)
        section.sort(lower_is_better)
        analyse(section, lower_is_better, replicates, seed, nouns=TABLE)
        section.notes = [*filter(None, [told]), *notes(section, TABLE)]
        section.methods = methods(section, replicates, TABLE)
        if by:
            names = subgroup_names(by, section, None)
            add_subgroups(section, names, lower_is_better, (-np.inf, np.inf), TABLE)
        comparison.sections.append(section)
    if len(parts) > MOST:
        comparison.left_out.append(
            f"Figures show only the first {MOST} of {len(parts)} tasks; tables and tests include "
            "all tasks. For figures of other tasks, compare a file that holds only those."
        )
    return comparison


def _read_all(files: Sequence[Path], score: str) -> pd.DataFrame:
    """The tables of all files as one; a case that two of them name for one algorithm is refused."""
    tables = [
        read_summary(file, score) if file.suffix.lower() == ".json" else read_table(file)
        for file in files
    ]
    for number, one in enumerate(tables):
        for place, other in enumerate(tables[:number]):
            common = one.merge(other, on=["task", "algorithm", "case", SEED])
            if len(common):
                row = common.iloc[0]
                raise DataError(
                    f"input={files[number]}: task {row['task']!r}, algorithm {row['algorithm']!r}, "
                    f"case {row['case']!r} is in {files[place]} too; name the algorithms "
                    "differently, or number the runs in a column seed"
                )
    return pd.concat(tables, ignore_index=True)


def _lengthened(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A table in the long form, from the wide one with a column for each algorithm."""
    if "task" not in table.columns:
        table = table.assign(task=path.stem)
    if "case" not in table.columns or {"algorithm", "value"} & set(table.columns):
        return table
    fixed = [name for name in ("task", "case", SEED, GROUP) if name in table.columns]
    algorithms = [name for name in table.columns if name not in fixed]
    if len(algorithms) < 2:
        return table
    long = table.melt(fixed, algorithms, "algorithm", "value", ignore_index=False)
    # rows of one line are numbered 0.0, 0.5 …, so that each has an index of its own
    long.index += np.arange(len(algorithms)).repeat(len(table)) / len(algorithms)
    return long.sort_index()


def read_table(path: Path) -> pd.DataFrame:
    """Read a table: names as text, values as numbers; the default of ``seed`` is 0.

    Raises:
        DataError: the file is missing or not such a table.
    """
    if not (path.is_file() or path.is_fifo()):
        what = "no such file" if not path.exists() else "not a file"
        raise DataError(f"input={path}: cannot be read as CSV ({what})")
    try:
        # blank lines are kept so that line numbers are right; a case may be called NA
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise DataError(
            f"input={path}: not UTF-8 (byte {error.start}); save it as CSV in UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"input={path}: cannot be read as CSV ({reason})") from error
    found = [str(name) for name in table.columns]
    known = {*COLUMNS, SEED, GROUP}
    names = [name.strip() for name in found]
    names = [name.lower() if name.lower() in known else name for name in names]
    table.columns = pd.Index(names)
    plain = isinstance(table.index, pd.RangeIndex)
    if not table.columns.has_duplicates:
        table = _lengthened(table, path)
    missing = [name for name in COLUMNS if name not in table.columns]
    for sign, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(found) == 1 and sign in found[0]:
            raise DataError(
                f"input={path}: separated by {word}, got {found[0]}; save it separated by commas, "
                "with a point in numbers"
            )
    if missing or table.columns.has_duplicates:
        what = f"no column {', '.join(missing)}" if missing else "a column occurs twice"
        raise DataError(
            f"input={path}: {what}; expected {', '.join(COLUMNS)} and, with several runs, {SEED}, "
            f"with patients or videos {GROUP}, separated by commas, got {', '.join(found)}"
        )
    if not plain:  # pandas read the first fields as names of rows
        raise DataError(f"input={path}: its rows have more fields than there are column names")
    table = table.fillna("").assign(**({} if SEED in table.columns else {SEED: "0"}))
    columns = [*COLUMNS, SEED, *([GROUP] if GROUP in table.columns else [])]
    table = table.loc[(table[list(COLUMNS)] != "").any(axis=1), columns]
    if table.empty:
        raise DataError(f"input={path}: no rows below the column names")
    _check_names(table, path)
    table[SEED] = _seeds(table[SEED], path)
    table["value"] = _numbers(table["value"], path)
    _check_doubles(table, path)
    if GROUP in table.columns:
        _check_groups(table, path)
    return table


def _line(row: object) -> int:
    return int(float(str(row))) + 2  # counted from 1, below the column names


def _check_names(table: pd.DataFrame, path: Path) -> None:
    for column in ("task", "algorithm", "case", *([GROUP] if GROUP in table.columns else [])):
        empty = [name for name in table[column].unique() if not name.strip()]
        if empty:
            row = table.index[table[column].isin(empty)][0]
            raise DataError(f"input={path}, line {_line(row)}: no {column}; expected a name")


def _seeds(texts: "pd.Series[str]", path: Path) -> "pd.Series[int]":
    """Seeds as integers, so that 1 and 01 are equal."""
    numbers = {}
    for text in texts.unique():
        bare = text.strip()
        if not re.fullmatch(r"-?[0-9]{1,18}", bare):
            line = _line(texts.index[texts == text][0])
            raise DataError(
                f"input={path}, line {line}: seed={text[:40]!r}; expected a whole number of at "
                "most 18 digits"
            )
        numbers[text] = int(bare)
    return texts.map(numbers)


def _numbers(texts: "pd.Series[str]", path: Path) -> "pd.Series[float]":
    bare = texts.str.strip()
    numbers = pd.to_numeric(bare, errors="coerce").astype(np.float64)
    wrong = texts.index[~np.isfinite(numbers) & ~bare.isin(_MISSING)]
    if len(wrong):
        raise DataError(
            f"input={path}, line {_line(wrong[0])}: value={texts[wrong[0]]!r}; expected a number, "
            "or NA for a case without a score"
        )
    return numbers


def _check_doubles(table: pd.DataFrame, path: Path) -> None:
    keys = ["task", "algorithm", "case", SEED]
    repeated = table.index[table.duplicated(keys)]
    if not len(repeated):
        return
    row = table.loc[repeated[0], keys]
    first = table.index[(table[keys] == row).all(axis=1)][0]
    named = ", ".join(f"{key} {row[key]!r}" for key in keys[:-1]) + f", {SEED} {row[SEED]}"
    raise DataError(
        f"input={path}, line {_line(repeated[0])}: {named} is already in line {_line(first)}; "
        f"remove one, or number the runs in a column {SEED}"
    )


def _check_groups(table: pd.DataFrame, path: Path) -> None:
    first = table.groupby(["task", "case"], sort=False)[GROUP].transform("first")
    wrong = table.index[table[GROUP] != first]
    if len(wrong):
        row = table.loc[wrong[0]]
        raise DataError(
            f"input={path}, line {_line(wrong[0])}: the case {row['case']!r} has the group "
            f"{row[GROUP]!r}, and {first[wrong[0]]!r} in an earlier line; expected one group of a "
            "case in all its rows"
        )


def _make_section(task: str, table: pd.DataFrame) -> Section:
    cases = list(dict.fromkeys(table["case"]))
    entries = []
    for name, rows in table.groupby("algorithm", sort=False):
        wide = rows.pivot(index=SEED, columns="case", values="value").reindex(columns=cases)
        wide = wide[wide.notna().any(axis=1)]
        wide = wide.sort_index()
        entry = Entry(str(name), {"algorithm": str(name)}, seeds=list(map(int, wide.index)))
        entry.values = wide.to_numpy(dtype=np.float64)
        entry.means = seed_means(entry.values)
        absent = np.flatnonzero(np.isnan(entry.values).any(axis=0))
        entry.absent = [cases[index] for index in absent]
        entries.append(entry)
    known = dict(zip(table["case"], table[GROUP], strict=True)) if GROUP in table else {}
    return Section(task, "", cases, [], entries, groups=[known[case] for case in cases if known])
