"""Records of finished cells, changed and then read by ``compare``."""

import csv
import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fuzzing.values import BYTE_CHANGES, CELL_CHANGES, TREE_CHANGES, changed, some
from fuzzing.ways import DRAWN, FUNCTIONS, WAYS, figures
from hypothesis import strategies as st
from made_folders import write_cell

from segbench.__main__ import main
from segbench.commands.compare import say_damaged
from segbench.records.cells import find_cells
from segbench.report.compare.build import compare_cells
from segbench.report.sections.comparison import Comparison
from segbench.report.write import print_report, write_report

TREES = ("run.json", "config.yaml", "split.json")
TABLES = ("scores.csv", "curves.csv")
FILES = (*TREES, *TABLES)
CURVES = "epoch,train/loss,val/loss,val/iou,train/iou,lr\n1,1,1,0.5,0.5,0.1\n2,0.5,1,0.6,0.6,0.1\n"
MADE = Path("../records/made")


@dataclass(frozen=True)
class Changed:
    """Changes of one file of one cell; ``sealed``: its checksum in the record is made to fit."""

    cell: int
    file: str
    changes: tuple[Any, ...]
    sealed: bool


@dataclass(frozen=True)
class Asked:
    """Changes of some files, and what is asked of ``compare``."""

    changed: tuple[Changed, ...]
    score: str = "iou"
    way: str = FUNCTIONS


def _changed(file: str) -> st.SearchStrategy[Changed]:
    fitting = TREE_CHANGES if file in TREES else CELL_CHANGES
    changes = st.one_of(some(fitting), some(fitting), some(BYTE_CHANGES))
    sealed = st.sampled_from((True, True, True, False))
    return st.builds(Changed, st.integers(0, 2), st.just(file), changes, sealed)


def inputs() -> st.SearchStrategy[Asked]:
    """Make the sweep that is changed; one or two files of it are."""
    make_sweep(MADE)
    one = st.sampled_from(("run.json", *FILES)).flatmap(_changed)
    scores = st.sampled_from(("iou", "iou", "iou", "dice", "assd", "iou/cell"))
    return st.builds(Asked, st.lists(one, min_size=1, max_size=2).map(tuple), scores, WAYS)


def make_sweep(folder: Path) -> None:
    """Three finished cells of two configurations, with every table and tree that is read."""
    for model, seed in (("unet", 0), ("unet", 1), ("segnet", 0)):
        ious = np.linspace(0.4, 0.9, 5) + 0.01 * seed
        config = {"data.class_names": ["background", "cell"], "data.root": "data"}
        record = {"command": "python -m segbench", "hash": "0" * 8, "flops": 10**9}
        record |= {"peak_memory_bytes": 10**8, "images_per_second": 40.5}
        options: dict[str, Any] = {"config": config, "tag": "cell", "record": record}
        cell = write_cell(folder, ious, model=model, seed=seed, **options)
        (cell / "curves.csv").write_text(CURVES)
        seal(cell, FILES[1:])


def run(asked: Asked) -> int:
    """Change a copy of the sweep and compare it."""
    sweep = Path("outputs/made")
    shutil.copytree("../records/made", sweep)
    cells = sorted(sweep.iterdir())
    for each in asked.changed:
        cell = cells[each.cell]
        change(cell / each.file, each.changes)
        if each.sealed and each.file != "run.json":
            seal(cell, (each.file,))
    with figures(asked.way == DRAWN):
        if asked.way != FUNCTIONS:
            return main(["compare", "name=made", f"score={asked.score}"])
        comparison = compare_cells(find_cells([sweep]), ["made"], asked.score, replicates=50)
        return report(comparison)


def report(comparison: Comparison) -> int:
    """Write and print it as ``compare`` does."""
    write_report(comparison, Path("report"))
    print_report(comparison, Path("report"))
    return int(say_damaged(comparison))


def change(file: Path, changes: tuple[Any, ...]) -> None:
    """Apply changes to a file as what it is, or to its bytes."""
    content = file.read_bytes()
    if any(type(each).__name__ == "ByteChange" for each in changes):
        file.write_bytes(changed(content, changes))
    elif file.suffix == ".csv":
        file.write_bytes(as_csv(changed(list(csv.reader(io.StringIO(content.decode()))), changes)))
    elif file.suffix == ".json":
        file.write_text(json.dumps(changed(json.loads(content), changes)))
    else:
        text = yaml.safe_dump(changed(yaml.safe_load(content), changes), allow_unicode=True)
        file.write_text(text, "utf-8", "surrogatepass")


def as_csv(rows: list[list[str]]) -> bytes:
    """Rows of words as the bytes of a CSV; half a surrogate pair becomes what is no UTF-8."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode("utf-8", "surrogatepass")


def seal(cell: Path, names: tuple[str, ...]) -> None:
    """Write the checksums of files into the record, where it can still be read."""
    try:
        record = json.loads((cell / "run.json").read_text())
        record["files"] |= {name: _sha256(cell / name) for name in names}
    except KeyError:
        record["files"] = {name: _sha256(cell / name) for name in names}
    except (ValueError, TypeError):
        return
    (cell / "run.json").write_text(json.dumps(record))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
