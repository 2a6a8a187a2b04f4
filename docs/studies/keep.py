"""Copies the records of a sweep's finished cells, without weights, pictures and local paths.

    python docs/studies/keep.py outputs/<name>[/evaluations] DATA RECORDS

DATA is the folder of the data sets, which the copies call ``data``; RECORDS gets a folder <name>.
"""

import json
import sys
from pathlib import Path

from segbench.records.record import write_record

FILES = (
    "run.json",
    "scores.csv",
    "curves.csv",
    "confusion.csv",
    "reliability.csv",
    "split.json",
    "config.yaml",
)


def keep(cell: Path, data: Path, target: Path) -> None:
    """Copy a cell's files; the record's checksums are those of the copies."""
    target.mkdir(parents=True, exist_ok=True)
    outputs = next(folder for folder in cell.resolve().parents if folder.name == "outputs")
    words = {str(outputs): "outputs", str(data.resolve()): "data", str(data): "data"}
    for name in FILES:
        if not (cell / name).is_file():
            continue
        text = (cell / name).read_text(encoding="utf-8", errors="surrogateescape")
        for local, word in words.items():
            text = text.replace(local, word)
        (target / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    record = json.loads((target / "run.json").read_text(encoding="utf-8"))
    record.pop("checksum", None)
    if record.get("weights"):
        record["weights"]["file"] = Path(record["weights"]["file"]).name
    write_record(target, record)


def main(sweep: Path, data: Path, records: Path) -> None:
    """Keep the finished cells of a sweep's folder, or its evaluations."""
    name = sweep.parts[sweep.parts.index("outputs") + 1]
    for run in sorted(sweep.glob("*/run.json")):
        if json.loads(run.read_text(encoding="utf-8")).get("status") == "done":
            keep(run.parent, data, records / name / run.parent.name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
