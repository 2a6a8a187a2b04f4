"""Reads and checks a cell's tables, ``scores.csv`` and ``curves.csv``."""

import io

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.metrics.registry import OF_COUNTS, REGISTRY
from segbench.metrics.scores import COUNTS, GROUP, OVERLAP, scored_classes
from segbench.text.escape import unguarded
from segbench.types import SCHEMA

BOUNDS = {score.name: score.upper for score in REGISTRY if score.column}
NEEDED = ["id", "class", *COUNTS, *OVERLAP]  # surface scores may be missing
MOST_CLASSES, MOST_EPOCHS = 256, 10_000_000
_MOST_BINS = 1000
_LARGEST = 2**53  # a count up to here is the same as a floating-point number
_CLOSE = 1e-6


def parse_scores(text: str) -> pd.DataFrame:
    """The table in the text of a ``scores.csv``: one row per image and class, in one order.

    Raises:
        ValueError: the table has another form, or its scores contradict its counts.
    """
    # an id or a class may be called NA
    table = pd.read_csv(
        io.StringIO(text),
        keep_default_na=False,
        na_values=[""],
        dtype={"id": str, "class": str, GROUP: str},
        encoding_errors="surrogateescape",
    )
    _check_schema(table)
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    if table.empty:
        raise ValueError("no rows")
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("rows have more fields than there are columns")
    for name in ("id", "class", GROUP):
        if name in table and table[name].isna().any():
            raise ValueError(f"row {_first(table[name].isna())}: no {name}")
    _check_numbers(table)
    _check_layout(table)
    _check_agreement(table)
    return table


def _check_schema(table: pd.DataFrame) -> None:
    found = pd.unique(table["schema"]).tolist() if "schema" in table else [0]
    if any(each not in range(SCHEMA + 1) for each in found) or len(found) > 1:
        raise ValueError(
            f"schema={', '.join(map(str, found))[:40]}: a newer segbench wrote it, or it is "
            f"damaged; this version reads up to {SCHEMA}"
        )


def _first(wrong: "pd.Series[bool] | NDArray[np.bool_]") -> int:
    """The line of the first marked row in the file, counted from 1 with the column names."""
    return int(np.flatnonzero(wrong)[0]) + 2


def _check_numbers(table: pd.DataFrame) -> None:
    for name in [*COUNTS, *BOUNDS]:
        if name not in table:
            continue
        column = table[name]
        if column.dtype == bool:
            raise ValueError(f"{name} holds true and false, not numbers")
        values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
        empty = np.isnan(values)
        wrong = np.isinf(values) | (values < 0)
        if empty.any():
            wrong |= empty & column.notna().to_numpy()
        if name in COUNTS:
            wrong |= empty | (values != np.floor(values)) | (values > _LARGEST)
        else:
            wrong |= values > BOUNDS[name] + _CLOSE
        if wrong.any():
            row = _first(wrong)
            raise ValueError(f"row {row}: {name}={str(table[name].iloc[row - 2])[:40]!r}")
        kind = np.int64 if name in COUNTS else np.float64
        if column.dtype != kind:
            table[name] = values.astype(kind)


def _check_layout(table: pd.DataFrame) -> None:
    names = table["class"].unique().tolist()
    if len(names) > MOST_CLASSES:
        raise ValueError(f"{len(names)} classes; at most {MOST_CLASSES} are expected")
    found = table["class"].to_numpy(dtype=object)
    count = len(names)
    if len(found) % count or (found.reshape(-1, count) != names).any():
        raise ValueError(
            f"expected one row of each of {names} for each image, got {len(found)} rows"
        )
    ids = table["id"].to_numpy(dtype=object).reshape(-1, count)
    if (ids != ids[:, :1]).any():
        raise ValueError("the rows of an image's classes have several ids")
    groups = table[GROUP].to_numpy(dtype=object).reshape(-1, count) if GROUP in table else ids
    if (groups != groups[:, :1]).any():
        raise ValueError("the rows of an image's classes have several groups")
    if len(set(ids[:, 0])) < len(ids):
        raise ValueError("an image is there twice")


def _check_agreement(table: pd.DataFrame) -> None:
    """Check that the scores of the scored classes follow from the counts."""
    count = table["class"].nunique()
    scored = scored_classes(count)
    counts = table[COUNTS].to_numpy().reshape(-1, count, 3)[:, scored]
    for name in OVERLAP:
        written = table[name].to_numpy().reshape(-1, count)[:, scored]
        if not np.allclose(written, OF_COUNTS[name](counts), atol=_CLOSE, equal_nan=True):
            raise ValueError(f"{name} does not follow from tp, fp and fn")


def parse_curves(text: str) -> pd.DataFrame:
    """The table in the text of a ``curves.csv``, with the epoch (from 1) as its index.

    Raises:
        ValueError: the table has another form.
    """
    table = pd.read_csv(io.StringIO(text), dtype={"epoch": str})
    if "epoch" not in table:
        raise ValueError("no column epoch")
    epochs = pd.to_numeric(table.pop("epoch"), errors="coerce").astype(np.float64)
    whole = (epochs == np.floor(epochs)) & epochs.between(1, MOST_EPOCHS)
    if not whole.all():
        raise ValueError(f"row {_first(~whole)}: no epoch")
    if (np.diff(epochs) <= 0).any():
        raise ValueError("epochs do not increase")
    for name in table:
        if table[name].dtype == np.float64:
            continue
        values = pd.to_numeric(table[name], errors="coerce").astype(np.float64)
        wrong = values.isna() & table[name].notna()
        if wrong.any():
            raise ValueError(f"row {_first(wrong)}: {name}: not a number")
        table[name] = values
    table.index = pd.Index(epochs.astype(np.int64), name="epoch")
    return table


def parse_confusion(text: str) -> pd.DataFrame:
    """The table in the text of a ``confusion.csv``: pixels by true (rows) and predicted class.

    Raises:
        ValueError: the table has another form.
    """
    read = pd.read_csv(
        io.StringIO(text), keep_default_na=False, dtype={"class": str, "predicted": str}
    )
    table = unguarded(read)
    names = pd.unique(table["class"])
    whole = pd.api.types.is_integer_dtype(table["pixels"]) and (table["pixels"] >= 0).all()
    pairs = pd.MultiIndex.from_product([names, names])
    if not whole or not pairs.equals(pd.MultiIndex.from_frame(table[["class", "predicted"]])):
        raise ValueError("expected the pixels of each pair of classes")
    pixels = table["pixels"].to_numpy().reshape(len(names), len(names))
    return pd.DataFrame(pixels, index=names, columns=names)


def parse_reliability(text: str) -> pd.DataFrame:
    """The table in the text of a ``reliability.csv``: a row for each bin of confidence.

    Raises:
        ValueError: the table has another form.
    """
    table = pd.read_csv(io.StringIO(text))
    columns = ["above", "up_to", "pixels", "confidence", "accuracy"]
    if list(table) != columns or not 1 <= len(table) <= _MOST_BINS:
        raise ValueError(f"expected the columns {', '.join(columns)}, and bins")
    values = pd.DataFrame({name: pd.to_numeric(table[name], errors="coerce") for name in table})
    empty = values["pixels"] == 0
    parts = values.drop(columns="pixels").to_numpy()[~empty]
    # those of a network that diverged are NaN
    outside = (parts < 0) | (parts > 1 + _CLOSE)
    if not (values["pixels"] >= 0).all() or outside.any():
        raise ValueError("expected numbers of pixels, and fractions from 0 to 1")
    return values
