"""A cell's record on disk: ``run.json`` and the files beside it, written whole or not at all."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from segbench.errors import SegbenchError

RUN, SCORES, SPLIT, CONFIG = "run.json", "scores.csv", "split.json", "config.yaml"
LOG = "log.txt"
# What leaves a cell's result as it is, and so its hash: names, places, what is only shown.
NO_EFFECT = (
    "hydra",
    "name",
    "overwrite",
    "retry_failed",
    "debug",
    "logger",
    "experiment",
    "published",
    "data.root",
    "data.download",
    "data.cache",
    "data.num_workers",
    "callbacks.samples",
    "trainer.log_every_n_steps",
    "trainer.default_root_dir",
    "trainer.enable_progress_bar",
)
Record = dict[str, Any]


def package_version(name: str) -> str | None:
    """Of an installed package; None where there is none, or it runs from a checkout."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name to write to; it takes ``path``'s place only when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all; NaN, which JSON does not know, becomes null."""
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_record(folder: Path) -> Record:
    """The record in a cell's folder, ``{}`` where there is none.

    Raises:
        SegbenchError: ``run.json`` is not JSON.
    """
    path = folder / RUN
    if not path.is_file():
        return {}
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SegbenchError(f"{path}: not a record ({error}); remove it to run again") from error
    return record


def write_record(folder: Path, record: Record) -> None:
    """Write ``run.json``."""
    write_json(folder / RUN, record)


def is_done(folder: Path) -> bool:
    """Whether the cell in ``folder`` was finished and its scores are there."""
    return read_record(folder).get("status") == "done" and (folder / SCORES).is_file()
