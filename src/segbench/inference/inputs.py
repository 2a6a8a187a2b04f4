"""Finds the pictures that `predict` takes, and names their masks."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import NoReturn

from segbench.data.decoding.files import SUFFIXES, OnFault, check_name, check_regular, find_pictures
from segbench.errors import ConfigError, DataError
from segbench.names import is_long, user_path


@dataclass(frozen=True)
class Input:
    """A picture's file, and its mask's path in the output folder without the suffix."""

    file: Path
    name: str


def _refuse(fault: DataError) -> NoReturn:
    raise fault


def find_inputs(
    paths: Sequence[str],
    output: Path,
    on_fault: OnFault = _refuse,
    suffixes: tuple[str, ...] = SUFFIXES,
) -> list[Input]:
    """The pictures of files, folders (with all below them) and patterns, sorted.

    Folders below the given one, or below a pattern's fixed beginning, are kept in the names. If the
    names of two pictures differ only in the suffix, both keep it. Files in ``output`` are not
    inputs, so that a second run does not take the masks of the first.

    Args:
        paths: files, folders and patterns.
        output: the folder of the masks.
        on_fault: called with an error for each file that cannot be read.
        suffixes: those of the files that are found in folders.

    Raises:
        DataError: one of the paths finds nothing, or two pictures would have the same mask.
        ConfigError: a mask would replace its picture, or a pattern has ``..`` after a star.
    """
    found: dict[Path, Path] = {}  # the file, and its path below the given folder
    for given in paths:
        faults: list[DataError] = []
        base, pictures = _find(given, faults.append, suffixes)
        if output.resolve() == base.resolve() and len(pictures) > 1:
            raise ConfigError(f"output={output}: the pictures lie there; name another folder")
        if output.resolve().is_relative_to(base.resolve()):
            pictures = [file for file in pictures if not _is_below(file, output)] or pictures
        if not pictures and not faults:
            raise DataError(f"input={given}: no picture there ({', '.join(suffixes)})")
        for fault in faults:
            on_fault(fault)
        found |= {file: file.relative_to(base) for file in pictures}
    stems = Counter(_key(_stem(inside)) for inside in found.values())
    inputs = []
    for file, inside in sorted(found.items()):
        alone = stems[_key(_stem(inside))] == 1
        named = _stem(inside) if alone else inside
        if is_long(named.name):
            on_fault(DataError(f"{file}: its name is too long for that of a mask; shorten it"))
        else:
            inputs.append(Input(file, named.as_posix()))
    _refuse_clashes(inputs, output)
    return inputs


def _stem(path: Path) -> Path:
    """A path without its suffix, of which ``.nii.gz`` is one."""
    plain = path.with_suffix("")
    return plain.with_suffix("") if path.name.lower().endswith(".nii.gz") else plain


def _find(given: str, on_fault: OnFault, suffixes: tuple[str, ...]) -> tuple[Path, list[Path]]:
    """The folder that masks' names are relative to, and the pictures of one given path."""
    path = user_path(given)
    if path.is_dir():
        return path, [Path(file) for file in find_pictures(path, on_fault, suffixes)]
    if os.path.lexists(path):
        return path.parent, _readable([path], on_fault)
    base = Path(*_fixed_parts(path))
    if ".." in path.parts[len(base.parts) :]:
        raise ConfigError(
            f"input={given}: '..' after a star, which would write outside output=; give the folder "
            "itself"
        )
    for folder in (folder for parent in _patterns(path, base) for folder in parent):
        if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
            on_fault(DataError(f"{folder}: the folder cannot be read (Permission denied)"))
    return base, _readable([Path(name) for name in glob(str(path), recursive=True)], on_fault)


def _patterns(path: Path, base: Path) -> list[list[str]]:
    """The folders that match each parent of a pattern, including its fixed beginning."""
    parents = [parent for parent in path.parents if len(parent.parts) >= len(base.parts)]
    return [glob(str(parent), recursive=True) for parent in parents]


def _readable(files: Sequence[Path], on_fault: OnFault) -> list[Path]:
    """The regular files among ``files``; folders that match a pattern are skipped."""
    kept = []
    for file in files:
        if file.is_dir() and file.suffix.lower() not in SUFFIXES:
            continue
        fault = check_name(str(file), str(file)) or check_regular(str(file))
        if fault:
            on_fault(fault)
        else:
            kept.append(file)
    return kept


def _fixed_parts(pattern: Path) -> list[str]:
    """The folders of a pattern before its first star."""
    parts = []
    for part in pattern.parts[:-1]:
        if has_magic(part):
            break
        parts.append(part)
    return parts


def _is_below(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _key(path: Path) -> str:
    return path.as_posix().lower()  # some file systems do not tell A from a


def _refuse_clashes(inputs: Sequence[Input], output: Path) -> None:
    taken: dict[str, Path] = {}
    for each in inputs:
        other = taken.setdefault(_key(Path(each.name)), each.file)
        if other != each.file:
            raise DataError(
                f"{each.file} and {other} would both have the mask {output / each.name}.png; "
                "predict them in two runs with two output folders"
            )
    files = {each.file.resolve() for each in inputs}
    for each in inputs:
        mask = output / f"{each.name}.png"
        if mask.resolve() in files:
            raise ConfigError(f"output={output}: {mask} is a picture; name another folder")
