"""Prints the scores of several sweeps' cells on the images that all of them have tested.

    python docs/studies/common.py SCORE CLASS RECORDS RECORDS … > table.csv
    python -m segbench compare input=table.csv

RECORDS are the sweeps' folders of records, and SCORE is a column of their ``scores.csv``. Only
networks and losses that stand in all of these folders are listed. No cell may have been trained on
an image that is listed, nor chosen its weights by it.
"""

import sys
from pathlib import Path

import pandas as pd

from segbench.records.cells import Cell, find_cells
from segbench.text.screen import say


def named(cell: Cell) -> str:
    """The network and the loss of a cell."""
    return f"{cell.choices['model']} · {cell.choices['loss']}"


def table(score: str, of_class: str, folders: list[Path]) -> pd.DataFrame:
    """The columns task, algorithm, case, value and seed of `segbench compare input=`.

    Raises:
        SystemExit: a cell has seen an image in training that another one was tested on.
    """
    sweeps = [find_cells([folder]) for folder in folders]
    names = set.intersection(*({named(cell) for cell in cells} for cells in sweeps))
    found = [cell for cells in sweeps for cell in cells if named(cell) in names]
    common = set.intersection(*(cell.scored_ids for cell in found))
    for cell in found:
        seen = {case["id"] for part in ("train", "val") for case in cell.parts[part]}
        if seen & common:
            sys.exit(f"{cell.folder}: {len(seen & common)} of these images are in train or val")
    rows = []
    for cell in found:
        scores = cell.scores.query("`class` == @of_class and id in @common")
        facts = {"task": str(cell.choices["data"]), "seed": cell.seed}
        facts["algorithm"] = f"{named(cell)}, {len(cell.parts['train'])} to train"
        rows.append(pd.DataFrame({**facts, "case": scores["id"], "value": scores[score]}))
    return pd.concat(rows)


if __name__ == "__main__":
    say(table(*sys.argv[1:3], [*map(Path, sys.argv[3:])]).to_csv(index=False), keep="\n")
