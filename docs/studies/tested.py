"""Prints the ids of the images that all cells of a sweep have tested, or those with a word in them.

    python docs/studies/tested.py outputs/<name> [WORD]

With WORD, such as the name of a drive, the images that any of the cells has tested.
"""

import json
import sys
from pathlib import Path

from segbench.text.screen import say


def tested(split: Path) -> set[str]:
    """The ids of a cell's test part."""
    parts = json.loads(split.read_text(encoding="utf-8"))["parts"]
    return {case["id"] for case in parts["test"]}


def main(sweep: Path, word: str = "") -> None:
    """Print one id on each line."""
    parts = [tested(split) for split in sweep.glob("*/split.json")]
    found = set.union(*parts) if word else set.intersection(*parts)
    say("\n".join(sorted(each for each in found if word in each)), keep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
