"""Which pictures `predict` takes, and what their masks are called."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from segbench.data.folder import SUFFIXES
from segbench.errors import ConfigError, DataError


@dataclass(frozen=True)
class Input:
    """A picture's file, and its name below the output folder, without the suffix."""

    file: Path
    name: str


def find_inputs(words: Sequence[str], output: Path) -> list[Input]:
    """The pictures of files, folders (with all below them) and patterns, sorted.

    Folders below the given one, or below a pattern's fixed beginning, are kept in the names. Of
    two pictures whose names differ in the suffix alone, both keep it. What lies in ``output`` is
    no input, so that a second run does not take the masks of the first.

    Raises:
        DataError: a word finds nothing, or two pictures would have one mask.
        ConfigError: a mask would take its picture's place.
    """
    found: dict[Path, Path] = {}  # the file, and its path in what was asked for
    for word in words:
        base, pictures = _find(word)
        if output.resolve() == base.resolve() and len(pictures) > 1:
            raise ConfigError(f"output={output}: the pictures lie there; name another folder")
        if output.resolve().is_relative_to(base.resolve()):
            pictures = [file for file in pictures if not _is_below(file, output)] or pictures
        if not pictures:
            raise DataError(f"input={word}: no picture there ({', '.join(SUFFIXES)})")
        found |= {file: file.relative_to(base) for file in pictures}
    stems = Counter(_key(inside.with_suffix("")) for inside in found.values())
    inputs = []
    for file, inside in sorted(found.items()):
        alone = stems[_key(inside.with_suffix(""))] == 1
        inputs.append(Input(file, (inside.with_suffix("") if alone else inside).as_posix()))
    _refuse_clashes(inputs, output)
    return inputs


def _find(word: str) -> tuple[Path, list[Path]]:
    """The folder that names begin after, and the pictures that a word names."""
    path = Path(word).expanduser()
    if path.is_dir():
        return path, [file for file in path.rglob("*") if _is_picture(file, path)]
    if path.is_file():
        return path.parent, [path]
    files = [Path(name) for name in glob(str(path), recursive=True)]
    return Path(*_fixed_parts(path)), [file for file in files if file.is_file()]


def _is_picture(file: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
    return file.suffix.lower() in SUFFIXES and not hidden and file.is_file()


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
