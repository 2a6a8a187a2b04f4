"""Hashes of a data set's content, by which a change since a cell's training is detected.

The hashes of files are stored beside the prepared images, with each file's path, size and times, so
that only new and changed files are read again.
"""

import hashlib
import inspect
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segbench.data.store.prepared import Case
from segbench.errors import DataError
from segbench.records.record import write_text


@dataclass(frozen=True)
class Contents:
    """Hashes of a data set's files.

    Args:
        cases: by the case's id, the SHA-256 of its concatenated files; of a slice, that of this
            and of its number.
        files: the SHA-256 of each other file that the data set's class read, such as a list.
    """

    cases: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of all hashes, 16 hexadecimal digits; empty for a data set without files."""
        if not self.cases and not self.files:
            return ""
        return digest_of([sorted(self.cases.items()), sorted(self.files.items())])


def digest_of(value: Any) -> str:
    """Digest of a value of plain types, 16 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def read_contents(
    cases: Iterable[Case],
    others: Iterable[str],
    root: Path,
    known: Path,
    read: Callable[[str], bytes],
) -> Contents:
    """The hashes of all files of a data set.

    Args:
        cases: all cases.
        others: paths of the other files that the data set's class read.
        root: the folder of the data set, to which the names of its files are relative.
        known: the file in which hashes are stored for the next run.
        read: returns the content of a file.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    hashes = _Hashes(known, read)
    cases = [case for case in cases if case.files]
    found = {case.id: hashes.of(f"case {case.id}", case.files) for case in cases}
    owners = Counter(case.files for case in cases)
    for case in cases:
        if owners[case.files] > 1:  # slices of one volume, which differ in their numbers alone
            both = f"{found[case.id]} {case.id.rpartition('/')[2]}"
            found[case.id] = hashlib.sha256(both.encode()).hexdigest()
    extra: dict[str, str] = {}
    for file in sorted(others):
        name = _short_name(file, root)
        name = name if name not in extra else f"{name} ({len(extra)})"
        extra[name] = hashes.of(f"file {file}", (file,))
    hashes.keep()
    return Contents(found, extra)


def _short_name(file: str, root: Path) -> str:
    """A file's path relative to the data set's folder; outside of it, only its name."""
    name = os.path.relpath(file, root)
    return os.path.basename(file) if name.startswith(os.pardir) else name


class _Hashes:
    """SHA-256 of groups of files, stored while their paths, sizes and times do not change."""

    def __init__(self, file: Path, read: Callable[[str], bytes]) -> None:
        self._file, self._read = file, read
        self._before: dict[str, list[str]] = _load(file)
        self._now: dict[str, list[str]] = {}
        self._read_now: dict[str, str] = {}

    def of(self, name: str, files: Sequence[str]) -> str:
        """The SHA-256 of a group of files, from the stored hashes if nothing changed.

        Raises:
            DataError: a file is missing or cannot be read.
        """
        try:
            facts = _facts(files)
            before = self._before.get(name)
            if before is None or before[0] != facts:
                if facts not in self._read_now:  # the slices of a volume have the same files
                    self._read_now[facts] = self._sha256(files)
                before = [facts, self._read_now[facts]]
        except OSError as error:
            raise DataError(
                f"{error.filename}: {error.strerror}; restore the file or remove its case"
            ) from error
        self._now[name] = before
        return before[1]

    def _sha256(self, files: Sequence[str]) -> str:
        digest = hashlib.sha256()
        for file in files:
            digest.update(self._read(file))
        return digest.hexdigest()

    def keep(self) -> None:
        """Store the hashes if they changed and the folder is writable."""
        if self._now == self._before:
            return
        try:
            write_text(self._file, json.dumps(self._now))
        except OSError:  # a read-only folder: the files are read again the next time
            return


def _load(file: Path) -> dict[str, list[str]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): [str(pair[0]), str(pair[1])] for name, pair in found.items()}
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        return {}


def _facts(files: Sequence[str]) -> str:
    """A digest of the paths, sizes and times of files."""
    stat, lines = os.stat, []
    for file in files:
        facts = stat(file)
        lines.append(f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ctime_ns}")
    text = "\n".join(lines).encode(errors="surrogateescape")
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def source_digest(cls: type, base: type) -> str:
    """Digest of the code of a class and of its parents that derive from ``base``.

    It covers their modules, and the modules of the same package from which these import names.
    """
    modules = {parent.__module__ for parent in cls.__mro__ if issubclass(parent, base)}
    modules -= {base.__module__}
    modules |= {near for name in modules for near in _imported(name)} - {base.__module__}
    return digest_of([(name, _code(name)) for name in sorted(modules)])


def _imported(name: str) -> set[str]:
    """The modules of the same package, outside segbench, from which a module imports names."""
    package = name.partition(".")[0]
    if package == "segbench":
        return set()
    used = vars(sys.modules[name]).values()
    homes = {v.__name__ if inspect.ismodule(v) else getattr(v, "__module__", None) for v in used}
    return {home for home in homes if isinstance(home, str) and home.partition(".")[0] == package}


def _code(name: str) -> str:
    file = getattr(sys.modules.get(name), "__file__", None)
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    except OSError:
        return ""
