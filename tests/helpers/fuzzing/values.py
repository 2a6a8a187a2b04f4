"""Arbitrary values, and changes of trees, tables and bytes: data, so that a failing one prints."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

# What programs that read text trip over: paths, escapes for terminals and pages, interpolations,
# formulas, numbers beyond their type, words that YAML takes for something else.
SPECIAL = (
    *(
        "",
        " ",
        ".",
        "..",
        "../../x",
        "-",
        "--help",
        "~",
        "\0",
        "\n",
        "\r\n",
        "\x1b[31mred",
        "\u202e",
    ),
    *("\ud800", "\udcff", "é", "e\u0301", "😀", "<script>alert(1)</script>", "{{ 7 * 7 }}", "%s%n"),
    *(
        "${seed}",
        "${a}",
        "${oc.env:HOME}",
        "${oc.create:{a: 1}}",
        "${hydra:runtime.cwd}",
        "${",
        "???",
    ),
    *("=1+1", "1e999", "-0", "nan", "inf", "null", "no", "0x10", "1_000", "12:30", "2020-01-01"),
    *(
        "\\textbf{x}",
        "|",
        "`",
        "'",
        '"',
        ",",
        ";",
        "[",
        "]",
        "{",
        "}",
        "x" * 5000,
        "a/b",
        "a.b",
        "_",
    ),
)
CHARACTERS = st.characters(exclude_categories=())  # half surrogate pairs too, as JSON has them
TEXT = st.one_of(st.sampled_from(SPECIAL), st.text(CHARACTERS, max_size=12))
NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.sampled_from((2**31, 2**53, 2**63, -(2**63) - 1, 10**30, 10**400, -1)),
    st.floats(),
    st.sampled_from((0.5, -0.0, 1e300, 5e-324)),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(CHARACTERS, max_size=8), inner, max_size=4),
    ),
    max_leaves=6,
)
PLACE = st.integers(0, 2**16)  # taken modulo the number of places that there are
WAYS = ("replace", "drop", "duplicate", "rename")


@dataclass(frozen=True)
class TreeChange:
    """A change of one value in a tree of lists and mappings."""

    way: str
    place: int
    value: Any = None

    def apply(self, tree: Any) -> Any:
        """A changed copy."""
        made = copy.deepcopy(tree)
        places = list(_places(made))
        if not places:
            return self.value
        parent, key = places[self.place % len(places)]
        if self.way == "drop":
            del parent[key]
        elif self.way == "duplicate" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif self.way == "duplicate":
            parent[f"{key}{self.value}"] = copy.deepcopy(parent[key])
        elif self.way == "rename" and isinstance(parent, dict):
            parent[str(self.value)] = parent.pop(key)
        else:
            parent[key] = self.value
        return made


def _places(tree: Any) -> Any:
    """Each container in a tree with each key or index of it."""
    keys = (
        list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    )
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


@dataclass(frozen=True)
class CellChange:
    """A change of one cell, row or column of a table of words, its names in the first row."""

    way: str
    row: int
    column: int
    value: Any = ""

    def apply(self, rows: Sequence[Sequence[str]]) -> list[list[str]]:
        """A changed copy."""
        made = [list(row) for row in rows]
        if not made or not all(made):
            return made
        row, column = self.row % len(made), self.column % min(map(len, made))
        if self.way == "drop":
            del made[row]
        elif self.way == "duplicate":
            made.insert(row, list(made[row]))
        elif self.way == "rename":
            made[0][column] = str(self.value)
        elif self.way == "drop column":
            made = [[*each[:column], *each[column + 1 :]] for each in made]
        elif self.way == "repeat column":
            made = [[*each, each[column]] for each in made]
        else:
            made[row][column] = str(self.value)
        return made


@dataclass(frozen=True)
class ByteChange:
    """A change of some bytes at a place between 0, the first, and 65536, the last."""

    way: str
    place: int
    content: bytes = b""

    def apply(self, content: bytes) -> bytes:
        """A changed copy."""
        place = self.place * len(content) >> 16
        length = len(self.content)
        if self.way == "cut":
            return content[:place]
        if self.way == "insert":
            return content[:place] + self.content + content[place:]
        if self.way == "delete":
            return content[:place] + content[place + length :]
        if self.way == "repeat":
            return content[:place] + content[place : place + 50] * length + content[place:]
        return content[:place] + self.content + content[place + length :]


TREE_CHANGES = st.builds(TreeChange, st.sampled_from(WAYS), PLACE, JSON)
CELL_CHANGES = st.builds(
    CellChange,
    st.sampled_from((*WAYS, *("replace",) * 8, "drop column", "repeat column")),
    PLACE,
    PLACE,
    st.one_of(SCALARS, TEXT, st.sampled_from(("0", "1", "0.5", "NA", "a"))),
)
BYTE_CHANGES = st.builds(
    ByteChange,
    st.sampled_from(("overwrite", "cut", "insert", "delete", "repeat")),
    PLACE,
    st.one_of(
        st.binary(min_size=1, max_size=12),
        st.text(st.characters(max_codepoint=126), min_size=1, max_size=4).map(str.encode),
    ),
)


def some(changes: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """One to three changes, one after another."""
    return st.lists(changes, min_size=1, max_size=3).map(tuple)


def changed(content: Any, changes: Sequence[Any]) -> Any:
    """What becomes of a content."""
    for each in changes:
        content = each.apply(content)
    return content
