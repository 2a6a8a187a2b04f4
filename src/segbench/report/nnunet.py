"""Reads ``summary.json`` of nnU-Net, version 2, as a table of scores of cases.

Isensee et al. 2021, https://github.com/MIC-DKFZ/nnUNet: ``metric_per_case`` holds for each case and
label the pixels TP, FP and FN.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segbench.errors import ConfigError, DataError
from segbench.metrics.registry import OF_COUNTS

_MOST_BYTES = 1 << 30


def read_summary(path: Path, score: str) -> pd.DataFrame:
    """A table with the columns task, algorithm, case, value and seed.

    Each label is a task, the algorithm is the folder's name, and a case is named by its prediction.
    A case without the label, in truth and prediction, has no value.

    Args:
        path: the file.
        score: a score of counts, such as ``iou`` or ``dice``.

    Raises:
        ConfigError: the score is not made from counts.
        DataError: the file is not such a summary.
    """
    if score not in OF_COUNTS:
        raise ConfigError(
            f"score={score}: summary.json holds counts of pixels alone; give "
            f"{', '.join(sorted(OF_COUNTS))}"
        )
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [
            {"task": f"label {label}", "case": _case(each), "counts": _counts(metrics)}
            for each in content["metric_per_case"]
            for label, metrics in each["metrics"].items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"input={path}: not a summary.json of nnU-Net ({type(error).__name__}: {error}); "
            "expected metric_per_case with TP, FP and FN of each label"
        ) from error
    if not rows:
        raise DataError(f"input={path}: no cases in metric_per_case")
    table = pd.DataFrame(rows)
    counts = np.array(table.pop("counts").tolist(), np.int64)
    name = path.resolve().parent.name
    return table.assign(algorithm=name, value=OF_COUNTS[score](counts), seed=0)


def _case(entry: dict[str, Any]) -> str:
    name = os.path.basename(str(entry["prediction_file"]))
    return name.removesuffix(".gz").rpartition(".")[0]


def _counts(metrics: dict[str, Any]) -> list[int]:
    found = [int(metrics[name]) for name in ("TP", "FP", "FN")]
    if min(found) < 0:
        raise ValueError(f"a count of {min(found)}")
    return found
