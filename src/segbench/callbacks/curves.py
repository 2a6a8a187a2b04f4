"""curves.csv: one row for each epoch, whole at any moment, and right after a resumption."""

import argparse
import csv
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import Logger

from segbench.report.record import whole_file


class CurvesLogger(Logger):
    """Writes each epoch's metrics as a row of ``<save_dir>/curves.csv``.

    Lightning's own CSV logger gives train and val rows of their own and, when a killed run goes
    on, deletes what was there. Here an epoch that is run again takes the place of its first row.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self._path = Path(save_dir) / "curves.csv"
        self._rows: dict[int, dict[str, float]] = {}
        if self._path.is_file():
            # not pandas: its versions differ in whether a number read back is the same to the bit
            with self._path.open(newline="") as file:
                for row in csv.DictReader(file):
                    epoch = int(row.pop("epoch"))
                    self._rows[epoch] = {k: float(v) for k, v in row.items() if v}

    @property
    def name(self) -> str:
        """The file's stem."""
        return "curves"

    @property
    def version(self) -> str:
        """There is one."""
        return ""

    @property
    def save_dir(self) -> str:
        """The cell's folder."""
        return str(self._path.parent)

    def log_hyperparams(self, params: dict[str, Any] | argparse.Namespace, *_: Any) -> None:
        """They stand in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add metrics to the row of their epoch, which counts from 1 here."""
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        if epoch is None or not any(name.startswith(("train/", "val/", "lr")) for name in values):
            return
        self._rows.setdefault(int(epoch) + 1, {}).update(values)

    @rank_zero_only
    def save(self) -> None:
        """Write the file whole."""
        if self._rows:
            table = pd.DataFrame.from_dict(self._rows, orient="index").sort_index()
            with whole_file(self._path) as temporary:
                table[sorted(table, key=str)].to_csv(temporary, index_label="epoch")
