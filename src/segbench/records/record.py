"""A cell's record on disk: ``run.json`` and the files beside it, written atomically."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from segbench.errors import SegbenchError
from segbench.records.checksums import digest_bytes
from segbench.records.files import (
    MEGABYTE,
    UnreadableError,
    exists,
    parse_json,
    read_text,
    sha256_of,
)
from segbench.records.record_check import check_record
from segbench.system_errors import naming
from segbench.text.screen import say
from segbench.types import SCHEMA

RUN, SCORES, SPLIT, CONFIG = "run.json", "scores.csv", "split.json", "config.yaml"
CHECKSUM = "checksum"  # of the record itself, its last key
LOG, CURVES = "log.txt", "curves.csv"
CONFUSION = "confusion.csv"  # the pixels of each true and predicted class
RELIABILITY = "reliability.csv"  # how often each confidence is right
BEST, LAST, PREVIOUS = "best", "last", "last-1"  # checkpoints
PREDICTED = "panels/predictions.zip"  # small pictures, for the sheets of a comparison
# The files of a finished cell whose checksums are in its record, and the largest size in bytes.
LIMITS = {
    SCORES: 1024 * MEGABYTE,
    SPLIT: 256 * MEGABYTE,
    CONFIG: 4 * MEGABYTE,
    CURVES: 64 * MEGABYTE,
    CONFUSION: 16 * MEGABYTE,
    RELIABILITY: MEGABYTE,
    PREDICTED: 4096 * MEGABYTE,
}
RUN_LIMIT = 16 * MEGABYTE
_LOST = "removed, and the curves of earlier epochs are lost"
_OPTIONAL = (CURVES, CONFUSION, RELIABILITY, PREDICTED)  # a comparison works without them
# Config keys that change neither a cell's result nor its hash: names, paths, logging.
NO_EFFECT = (
    "hydra",
    "name",
    "overwrite",
    "resume_from",
    "keep_state",
    "retry_failed",
    "score_train",
    "scores",
    "instances",
    "instance_distance",
    "curves",
    "debug",
    "logger",
    "experiment",
    "published",
    "recipes",
    "tune",
    "search",
    "trial.study",
    "trial.number",
    "data.root",
    "data.download",
    "data.cache",
    "data.num_workers",
    "data.max_pixels",
    "callbacks.samples",
    "trainer.log_every_n_steps",
    "trainer.default_root_dir",
    "trainer.enable_progress_bar",
)
# Options that earlier versions lacked, with the value that stands for what those versions did;
# others are null.
ADDED = {
    "data.scale": "1.0",
    "data.foreground": "0.33",
    "data.background": "0",
    "data.instances": "False",
}
Record = dict[str, Any]


def package_version(name: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary file to write to, which replaces ``path`` if no error is raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8.

    A lone surrogate, which stands for a byte of a file's name that is not UTF-8, is written as an
    escape that JSON can read.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically; NaN and infinity, which JSON lacks, become null."""
    text = json.dumps(as_json(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def as_json(value: Any) -> Any:
    """A copy with types of JSON: NaN and infinity become None, NumPy's numbers Python's."""
    if isinstance(value, dict):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if hasattr(value, "dtype") and not getattr(value, "shape", None):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


class NewerError(SegbenchError):
    """A file was written by a newer version of segbench."""


def read_record(folder: Path) -> Record:
    """The record in a cell's folder; ``{}`` where there is none.

    Raises:
        NewerError: a newer version of segbench wrote it.
        SegbenchError: ``run.json`` is not a record.
    """
    path = folder / RUN
    if not exists(path):
        return {}
    try:
        text = read_text(path, RUN_LIMIT)
        _check_text(text)
    except (UnreadableError, ValueError) as error:
        reason = one_line(error).removeprefix(f"{path}: ")
        raise SegbenchError(f"{path}: not a record ({reason}); remove it to run again") from error
    record: Record = json.loads(text)
    _check_schema(path, record)
    return {name: value for name, value in record.items() if name != CHECKSUM}


@lru_cache(maxsize=4096)  # a sweep reads the record of a finished cell several times
def _check_text(text: str) -> None:
    """Refuse a text that is not a record.

    Raises:
        ValueError: it says why.
    """
    record = parse_json(text)
    check_record(record)
    if record.get("schema", 0) <= SCHEMA:
        _check_sum(record)


def _check_schema(path: Path, record: Record) -> None:
    if record.get("schema", 0) > SCHEMA:
        raise NewerError(
            f"{path}: schema={record['schema']}, which a newer segbench wrote; this version reads "
            f"up to {SCHEMA}: update segbench, or give another name"
        )


def _check_sum(record: Record) -> None:
    """Refuse a record that is not as it was written; those of older versions have no checksum.

    Raises:
        ValueError: its checksum is another one.
    """
    rest = {name: value for name, value in record.items() if name != CHECKSUM}
    if CHECKSUM in record and record[CHECKSUM] != _sum(rest):
        raise ValueError(f"damaged or edited: its {CHECKSUM} is not that of its content")


def _sum(plain: Record) -> str:
    return digest_bytes(json.dumps(plain, sort_keys=True).encode())


def one_line(error: Exception, length: int = 300) -> str:
    """An error's text in one line of at most ``length`` characters and an ellipsis.

    YAML and pandas raise errors of several lines.
    """
    text = " ".join(str(error).split())
    return text if len(text) <= length else text[:length] + "…"


def write_record(folder: Path, record: Record) -> None:
    """Write ``run.json`` with its checksum; for a finished cell also those of its files."""
    if record.get("status") == "done":
        record["files"] = {
            name: sha256_of(folder / name, limit)
            for name, limit in LIMITS.items()
            if (folder / name).is_file()
        }
    content = as_json({"schema": SCHEMA, **record})
    write_json(folder / RUN, {**content, CHECKSUM: _sum(content)})


def damaged_files(folder: Path, record: Record) -> dict[str, str]:
    """The files that changed after the cell ended, each with the reason in one line.

    Records of older versions have no checksums, so that their files cannot be compared.
    """
    found = {}
    known = record.get("files") or {}
    for name in (name for name in LIMITS if name in known):
        path = folder / name
        if not exists(path) and name in _OPTIONAL:
            continue
        try:
            if sha256_of(path, LIMITS[name]) != known[name]:
                found[name] = f"{path}: damaged or edited (its SHA-256 is not the one in {RUN})"
        except UnreadableError as error:
            found[name] = str(error)
    return found


def is_done(folder: Path) -> bool:
    """Whether the cell in ``folder`` is finished, and its record and files are undamaged.

    Raises:
        NewerError: a newer version of segbench wrote it.
    """
    try:
        record = read_record(folder)
    except NewerError:
        raise
    except SegbenchError:
        return False
    done = record.get("status") == "done" and (folder / SCORES).is_file()
    return done and not damaged_files(folder, record)


def remove_damaged(folder: Path) -> None:
    """Remove the damaged files of a cell that is about to run again, with a line for each."""
    try:
        found = damaged_files(folder, read_record(folder))
    except NewerError:
        raise
    except SegbenchError as error:
        found = {RUN: str(error)}
    for name, reason in found.items():
        say(f"{_LOST if name == CURVES else 'made again'}: {reason}")
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def status_of(folder: Path, record: Record) -> str:
    """``done``, ``failed``, ``interrupted`` or ``running``; a killed cell stays ``running``."""
    status = str(record["status"])
    return "interrupted" if status == "done" and not exists(folder / SCORES) else status


def scored_part(record: Record) -> str:
    """The part whose scores are in ``scores.csv``: ``test``, that of an evaluation or a trial."""
    return str((record.get("evaluated") or {}).get("part") or record.get("part") or "test")


def part_scores(record: Record) -> dict[str, float | None]:
    """The averages over ``scores.csv`` in a record, by name; empty where there are none.

    Version 0.1.0 recorded the scores of every part under ``test``.
    """
    metrics = record.get("metrics") or {}
    return dict(metrics.get(scored_part(record)) or metrics.get("test") or {})
