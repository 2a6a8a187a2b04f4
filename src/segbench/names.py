"""Checks the names and folders that a user gives for output, before anything is written."""

import os
from pathlib import Path
from typing import Any

from segbench.errors import ConfigError, printable

MAX_BYTES = 200  # of a name; file systems allow 255, and suffixes and temporary names are added


def as_folder_name(value: Any, option: str = "name") -> str:
    """``value`` as the name of a folder that cannot lead outside its parent folder.

    Args:
        value: the name that the user gave; it may have several parts.
        option: the name of the option, for messages.

    Raises:
        ConfigError: the name is empty, too long, absolute, has ``..``, or has control characters.
    """
    text = str(value)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ConfigError(f"{option}={text}: expected text; quote it: '{option}=\"{text}\"'")
    if not text.strip() or printable(text) != text:
        raise ConfigError(f"{option}={value!r}: expected a name, without control characters")
    parts = text.replace(os.sep, "/").split("/")
    if Path(text).is_absolute() or {"", ".", ".."} & set(parts):
        raise ConfigError(f"{option}={text}: leads outside its folder; expected a name, without ..")
    _check_length(text, text, option)
    return text


def user_path(text: str) -> Path:
    """A path in which ``~`` is the home folder; a user that does not exist is left as it is.

    Example:
        >>> user_path("~no-such-user/masks").as_posix()
        '~no-such-user/masks'
    """
    return Path(os.path.expanduser(text))


def as_path(value: Any, option: str) -> Path:
    """``value`` as a path to write to, in which ``~`` is the home folder.

    Args:
        value: the path that the user gave.
        option: the name of the option, for messages.

    Raises:
        ConfigError: the path is empty, has a part that is too long, or has control characters.
    """
    text = str(value)
    if value is None or not text.strip() or printable(text) != text:
        raise ConfigError(f"{option}={value!r}: expected a path, without control characters")
    path = user_path(text)
    for part in path.parts:
        _check_length(part, text, option)
    return path


def is_long(name: str) -> bool:
    """Whether a name is longer than ``MAX_BYTES``, so that no suffix could be added."""
    return len(name.encode(errors="surrogateescape")) > MAX_BYTES


def _check_length(name: str, text: str, option: str) -> None:
    if is_long(name):
        raise ConfigError(
            f"{option}={text[:20]}…: a name of {len(name)} letters; at most {MAX_BYTES} bytes "
            "are possible: give a shorter one"
        )
