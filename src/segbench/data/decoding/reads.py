"""Records the files that a piece of code reads, by a Python audit hook for opened files."""

import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_CODE = (".py", ".pyc", ".pyd", ".so", ".pth")
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/")
_thread = threading.local()


@contextmanager
def recorded_reads(found: set[str]) -> Iterator[None]:
    """Add the absolute path of each file that this thread opens for reading to ``found``.

    Program code and files of installed packages and of the operating system are left out. Files
    that a library opens without Python (`cv2.imread`) are not recorded.
    """
    _install()
    before = getattr(_thread, "opened", None)
    opened: list[Any] = []
    _thread.opened = opened
    try:
        yield
    finally:
        _thread.opened = before
        found.update(path for path in map(_as_path, opened) if path and _is_data(path))
        if before is not None:
            before.extend(opened)


@cache
def _install() -> None:
    sys.addaudithook(_note)  # audit hooks cannot be removed


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and (opened := getattr(_thread, "opened", None)) is not None:
        path, _, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR) == 0:
            opened.append(path)


def _as_path(opened: Any) -> str:
    if isinstance(opened, int):  # a descriptor of a file that was opened before
        return ""
    return os.path.abspath(os.fsdecode(opened))


def _is_data(path: str) -> bool:
    installed = (f"{Path(prefix)}{os.sep}" for prefix in (sys.prefix, sys.base_prefix))
    if path.endswith(_CODE) or path.startswith((*_SYSTEM, *installed)):
        return False
    return os.path.isfile(path)


def recording(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that keeps its arguments in ``_arguments``, its files in ``_files_read``."""

    @functools.wraps(init)
    def wrapped(self: Any, *values: Any, **options: Any) -> None:
        if "_arguments" not in vars(self):
            bound = inspect.signature(init).bind(self, *values, **options)
            bound.apply_defaults()
            named = {p.name: p.kind for p in bound.signature.parameters.values()}
            rest = next(
                (n for n, kind in named.items() if kind is inspect.Parameter.VAR_KEYWORD), ""
            )
            given = dict(list(bound.arguments.items())[1:])
            self._arguments = {**given.pop(rest, {}), **given}
        with recorded_reads(vars(self).setdefault("_files_read", set())):
            init(self, *values, **options)

    return wrapped
