"""A store of twenty made-up cases; imports little, since tests start processes with it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.store.on_disk import prepare_on_disk
from segbench.data.store.prepared import Case, Decoded, Prepared
from segbench.data.store.preparing import Form

CASES = [Case(f"{k:02d}") for k in range(20)]
FORM = Form(3, (8, 10))


def read(case: Case) -> Decoded:
    rng = np.random.default_rng(int(case.id))
    height, width = rng.integers(12, 30, 2)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    return Decoded(image, rng.integers(0, 3, (height, width)).astype(np.uint8), f"hash {case.id}")


def quiet(items: Iterable[Any], total: int) -> Iterable[Any]:
    return items


def prepare(folder: Path, read: Callable[[Case], Decoded] = read) -> Prepared:
    return prepare_on_disk(folder, CASES, read, FORM, quiet)
