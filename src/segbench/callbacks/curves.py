"""Writes curves.csv: one row for each epoch, never half written, correct after a resumption."""

import argparse
import csv
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import Logger

from segbench.errors import SegbenchError
from segbench.records.checksums import digest_bytes
from segbench.records.files import read_text
from segbench.records.record import CURVES, LIMITS, write_text
from segbench.text.screen import say


class CurvesLogger(Logger):
    """Writes each epoch's metrics as a row of ``<save_dir>/curves.csv``.

    Lightning's own CSV logger writes separate rows for train and val and, when a killed run
    resumes, deletes the earlier rows. Here an epoch that is run again replaces its earlier row.

    Args:
        save_dir: the cell's folder; rows of a file in it are kept.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self._path = Path(save_dir) / "curves.csv"
        self._rows: dict[int, dict[str, float]] = {}
        self._digest = ""
        if self._path.is_file():
            try:
                text = read_text(self._path, LIMITS[CURVES])
                self._digest = digest_bytes(text.encode())
                self._check()
                self._rows = _parse(text)
            except (SegbenchError, csv.Error, ValueError, KeyError, TypeError) as error:
                say(f"note: {self._path}: cannot be read ({error}); a new file is begun")

    @property
    def _sums(self) -> Path:
        """The file with the checksums of the table before and after its last change."""
        return self._path.with_name(".curves.sum")

    def _check(self) -> None:
        known = read_text(self._sums, LIMITS[CURVES]).split() if self._sums.is_file() else []
        if known and self._digest not in known:
            raise ValueError("it is damaged")

    @property
    def name(self) -> str:
        """Always ``curves``, the stem of the file's name."""
        return "curves"

    @property
    def version(self) -> str:
        """Always empty: a cell has one log."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder that the file is written to."""
        return str(self._path.parent)

    def log_hyperparams(self, params: dict[str, Any] | argparse.Namespace, *_: Any) -> None:
        """Ignore hyperparameters: ``config.yaml`` holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add metrics to the row of their epoch; the file counts epochs from 1."""
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        if epoch is None or not any(name.startswith(("train/", "val/", "lr")) for name in values):
            return
        row = int(epoch) + 1
        if row > 1 and not self._rows:
            say(f"note: {self._path}: without the epochs before {row}, which are lost")
        self._rows.setdefault(row, {}).update(values)

    @rank_zero_only
    def save(self) -> None:
        """Replace the file in one atomic write."""
        if self._rows:
            table = pd.DataFrame.from_dict(self._rows, orient="index").sort_index()
            text = table[sorted(table, key=str)].to_csv(index_label="epoch")
            digest = digest_bytes(text.encode())
            if digest != self._digest:
                write_text(self._sums, f"{self._digest} {digest}\n")
                write_text(self._path, text)
                self._digest = digest


def _parse(text: str) -> dict[int, dict[str, float]]:
    """The metrics in the text of a ``curves.csv``, by epoch (from 1) and name."""
    rows = {}
    # not pandas: its versions differ in whether a number read back is the same to the bit
    for row in csv.DictReader(text.splitlines()):
        epoch = int(row.pop("epoch"))
        rows[epoch] = {name: float(value) for name, value in row.items() if value}
    return rows
