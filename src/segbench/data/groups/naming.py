"""Names the group of each case, by a regular expression on its id or by a table."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from segbench.errors import ConfigError, DataError, printable

_FORM = (
    "expected null, a regular expression on the ids such as 'data.group=\"^[^_]+\"', or the path "
    "of a CSV file with the columns id and group"
)


def is_table(group: str) -> bool:
    """Whether ``data.group`` is the path of a table, and not a regular expression."""
    return group.lower().endswith(".csv")


def check_group(group: object) -> None:
    """Refuse a value of ``data.group`` that is neither a regular expression nor a path.

    Raises:
        ConfigError: it is not text, or a regular expression that cannot be read.
    """
    if group is None:
        return
    if not isinstance(group, str) or not group:
        raise ConfigError(f"data.group={group!r}: {_FORM}")
    if not is_table(group):
        try:
            re.compile(group)
        except (re.error, OverflowError, RecursionError) as error:
            raise ConfigError(
                f"data.group={group}: not a regular expression ({error}); {_FORM}"
            ) from error


def groups_in_ids(ids: Sequence[str], pattern: str) -> list[str]:
    """The group of each id: the pattern's first capturing group, or without one the whole match.

    Args:
        ids: case ids.
        pattern: a regular expression, searched for in each id.

    Raises:
        ConfigError: an id does not match, or what matches is empty.

    Example:
        >>> groups_in_ids(["p1_a", "p1_b", "p2_a"], "^[^_]+")
        ['p1', 'p1', 'p2']
    """
    expression = re.compile(pattern)
    place = 1 if expression.groups else 0
    groups = []
    for id_ in ids:
        match = expression.search(id_)
        group = match[place] if match else None
        if not group:
            what = "is empty" if match else "does not match"
            raise ConfigError(
                f"data.group={pattern}: {what} in the case {id_!r}; expected a group of each of "
                f"the {len(ids)} cases: correct the expression, or give a CSV file with the "
                "columns id and group"
            )
        groups.append(group)
    return groups


def groups_in_table(ids: Sequence[str], table: Mapping[str, str], file: Path) -> list[str]:
    """The group of each id in a table; the table may have further cases.

    Raises:
        DataError: the table lacks a case.
    """
    missing = next((id_ for id_ in ids if id_ not in table), None)
    if missing is not None:
        raise DataError(
            f"data.group={file}: no row for the case {missing!r}; expected a row for each of the "
            f"{len(ids)} cases, got {len(table)} such as {next(iter(table))!r}: add the rows that "
            "are missing"
        )
    return [table[id_] for id_ in ids]


def parse_groups(text: str, file: Path) -> dict[str, str]:
    """The group of each id in the text of a CSV file with the columns id and group.

    Raises:
        DataError: there are no such columns, a field is empty, or an id occurs twice.
    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise DataError(f"data.group={file}: cannot be read as CSV ({error})") from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    if names.count("id") != 1 or names.count("group") != 1:
        raise DataError(
            f"data.group={file}: expected the columns id and group, separated by commas, got "
            f"{', '.join(names) or 'nothing'}"
        )
    places = names.index("id"), names.index("group")
    groups: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(field.strip() for field in row):
            continue
        id_, group = (row[place].strip() if place < len(row) else "" for place in places)
        _check_row(id_, group, groups, f"data.group={file}, row {number}")
        groups[id_] = group
    if not groups:
        raise DataError(f"data.group={file}: no rows below the column names")
    return groups


def _check_row(id_: str, group: str, known: Mapping[str, str], where: str) -> None:
    if not id_ or not group:
        raise DataError(f"{where}: the case {id_!r} has the group {group!r}; expected both names")
    if printable(group) != group:
        raise DataError(f"{where}: the group {group!r} of the case {id_!r} has control characters")
    if id_ in known:
        raise DataError(
            f"{where}: the case {id_!r} occurs twice, with the groups {known[id_]!r} and "
            f"{group!r}; keep one row"
        )
