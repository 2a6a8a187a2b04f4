"""Reads files of a cell's folder with limits: regular files only, of bounded size and nesting.

A folder may come from anyone and may be damaged. No function here waits for a FIFO, expands YAML
aliases, or reads more bytes than a cell can have written.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from segbench.errors import SegbenchError

MEGABYTE = 2**20
NESTING = 32  # levels; a record has 4 and a config fewer than 10
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if built


class UnreadableError(SegbenchError):
    """A file cannot be read or has the wrong content; the text names the file."""


def exists(path: Path) -> bool:
    """Whether a file, a folder or a link has this name; the link may be broken."""
    return os.path.lexists(path)


@contextmanager
def open_regular(path: Path, limit: int) -> Iterator[BinaryIO]:
    """Open a regular file of at most ``limit`` bytes.

    Raises:
        UnreadableError: it is not a regular file, is larger, or cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # because opening a device can have effects
            raise UnreadableError(f"{path}: not a regular file")
        with open(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UnreadableError(f"{path}: not a regular file")
            if found.st_size > limit:
                size = f"{found.st_size / MEGABYTE:,.0f} MB"
                raise UnreadableError(
                    f"{path}: has {size}; at most {limit / MEGABYTE:,.0f} MB are expected"
                )
            yield file
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror})") from error


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes.

    Raises:
        UnreadableError: see `open_regular`.
    """
    with open_regular(path, limit) as file:
        return file.read(limit)


def read_text(path: Path, limit: int, errors: str = "strict") -> str:
    """The text of a regular file, in UTF-8 with or without a byte order mark.

    Args:
        path: the file.
        limit: the largest size in bytes.
        errors: how bytes that are not UTF-8 are handled, as in `bytes.decode`.

    Raises:
        UnreadableError: see `open_regular`; or it is not UTF-8, or holds NUL characters.
    """
    try:
        text = read_bytes(path, limit).decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path}: not UTF-8 (byte {error.start})") from error
    if "\0" in text:
        raise UnreadableError(f"{path}: holds NUL characters")
    return text


def sha256_of(path: Path, limit: int) -> str:
    """The SHA-256 of a regular file's content, in hexadecimal digits.

    Raises:
        UnreadableError: see `open_regular`.
    """
    with open_regular(path, limit) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not JSON, holds NaN or Infinity, or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_nesting(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_nesting(value: Any) -> None:
    level = [value]
    for _ in range(NESTING):
        inner: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                inner += node.values()
            elif isinstance(node, list):
                inner += node
        if not inner:
            return
        level = inner
    raise ValueError(f"nested more than {NESTING} levels deep")


def parse_yaml(text: str) -> Any:
    """The value of a YAML text without aliases; no cell writes them, and they can expand endlessly.

    Raises:
        ValueError: it is not YAML, holds an alias or a tag, or is nested too deeply.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > NESTING:
                raise ValueError(f"nested more than {NESTING} levels deep")
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"alias *{event.anchor}")
            if tag := getattr(event, "tag", None):
                raise ValueError(f"tag {tag}")
        return yaml.load(text, _LOADER)
    except (yaml.YAMLError, RecursionError, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error
