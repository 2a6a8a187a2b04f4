"""Tables of scores from elsewhere for ``compare input=``: changed ones, drawn ones, any bytes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzing.records import as_csv, report
from fuzzing.values import BYTE_CHANGES, CELL_CHANGES, JSON, SCALARS, changed, some
from fuzzing.ways import DRAWN, FUNCTIONS, WAYS, figures
from hypothesis import strategies as st

from segbench.__main__ import main
from segbench.report.plain import compare_table

NAMES = ("task", "algorithm", "case", "value", "seed", "group")
GOOD = [
    list(NAMES),
    *(
        [
            "nuclei",
            name,
            f"{case}.png",
            str(0.5 + 0.01 * case + 0.1 * seed),
            str(seed),
            f"p{case // 2}",
        ]
        for name in ("unet", "segnet", "fcn")
        for case in range(4)
        for seed in (0, 1)
    ),
]
STARTS = ("", "\ufeff", "#", "sep=;\n", "[", '{"task": [', "PK\x03\x04", '"')


@dataclass(frozen=True)
class Table:
    """A file to compare."""

    content: bytes
    name: str = "table.csv"
    lower: bool = False
    way: str = FUNCTIONS


def _rows() -> st.SearchStrategy[bytes]:
    """A table of any words below good names, in any order."""
    words = st.one_of(SCALARS.map(str), st.sampled_from(("a", "b", "0", "1", "0.5", "NA", "")))
    rows = st.lists(st.lists(words, min_size=4, max_size=6), max_size=6)
    heads = st.permutations(NAMES).map(list)
    return st.builds(lambda head, rows: as_csv([head, *rows]), heads, rows)


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def inputs() -> st.SearchStrategy[Table]:
    """Tables in each of these ways."""
    contents = st.one_of(
        *[some(CELL_CHANGES).map(lambda changes: as_csv(changed(GOOD, changes)))] * 5,
        some(BYTE_CHANGES).map(lambda changes: changed(as_csv(GOOD), changes)),
        _rows(),
        JSON.map(_as_json),
        st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, SCALARS)), max_size=3).map(_as_json),
        st.builds(lambda start, rest: start.encode() + rest, st.sampled_from(STARTS), st.binary()),
    )
    names = st.sampled_from(("table.csv", "table.json", "a b.csv", "é.tsv", "-x.csv", "table"))
    return st.builds(Table, contents, names, st.booleans(), WAYS)


def run(table: Table) -> int:
    """Compare it."""
    Path(table.name).write_bytes(table.content)
    with figures(table.way == DRAWN):
        if table.way == FUNCTIONS:
            return report(compare_table(Path(table.name), table.lower, replicates=50))
        lower = f"lower_is_better={str(table.lower).lower()}"
        return main(["compare", f"input='{table.name}'", lower])
