"""Pairs images with masks by patterns of their paths, such as ``<part>/*`` and ``<part>annot/*``.

A pattern is a path below the data set's folder. One ``*`` in it stands for the case's id, which may
contain folders. ``<part>`` stands for the name of a part: train, val or test, or another spelling
of them in `PART_NAMES`. A pattern whose file name has no suffix finds pictures with any suffix.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from segbench.data.decoding.files import SUFFIXES, OnFault, find_pictures, is_folder, scan
from segbench.errors import ConfigError, DataError

# Folders that are parts of the split, by their names in lower case.
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
PART = "<part>"
VOLUMES = (".nii", ".nii.gz")  # suffixes of NIfTI
_ANY_PART = "|".join(PART_NAMES)


@dataclass(frozen=True)
class Pattern:
    """A checked pattern.

    Args:
        text: the pattern.
        option: the option that gave it, for messages.
        suffixes: those of the files, in lower case.

    Raises:
        ConfigError: it is no relative path with one ``*``.
    """

    text: str
    option: str
    suffixes: tuple[str, ...] = SUFFIXES

    def __post_init__(self) -> None:
        parts = self.text.split("/")
        if self.text.count("*") != 1 or "" in parts or ".." in parts or os.path.isabs(self.text):
            raise ConfigError(
                f"{self.option}={self.text}: expected a path below data.root with one * for the "
                "case's id, such as images/*_rgb.png"
            )

    @property
    def folder(self) -> str:
        """The path before the first component that varies."""
        parts = self.text.split("/")
        varies = next(k for k, part in enumerate(parts) if "*" in part or PART in part)
        return "/".join(parts[:varies])

    def folders(self, root: Path) -> list[str]:
        """The folders below ``root`` in which files may match, which are all that is searched."""
        fixed = root / self.folder
        rest = self.text[len(self.folder) :].lstrip("/").split("/")
        if len(rest) == 1 or "*" in rest[0]:
            return [str(fixed)]
        before, _, after = rest[0].partition(PART)
        found = re.compile(f"{re.escape(before)}(?i:{_ANY_PART}){re.escape(after)}")
        entries = [entry for entry in scan(fixed) if found.fullmatch(entry.name)]
        return [entry.path for entry in entries if is_folder(entry)]

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        pieces = [re.escape(piece) for piece in self.text.split(PART)]
        first = f"(?P<part>(?i:{_ANY_PART}))".join(pieces[:2])
        found = "(?P=part)".join([first, *pieces[2:]]).replace(r"\*", "(?P<id>.+)")
        known = "|".join(map(re.escape, sorted(self.suffixes, key=len, reverse=True)))
        any_suffix = "" if self._names_suffix else f"(?i:{known})"
        return re.compile(found + any_suffix)

    @property
    def _names_suffix(self) -> bool:
        return self.text.lower().endswith(self.suffixes)

    def match(self, path: str) -> tuple[str, str] | None:
        """The part's name in a path and the id; None for a path that does not match.

        Args:
            path: relative to the data set's folder, with slashes.
        """
        found = self._regex.fullmatch(path)
        return (found.groupdict().get("part") or "", found["id"]) if found else None

    def path_of(self, part: str, id_: str) -> str:
        """The path that a case would have; ``.*`` stands for a suffix that is not named."""
        text = self.text.replace(PART, part).replace("*", id_)
        return text if self._names_suffix else f"{text}.*"


def check_patterns(
    images: str | Sequence[str] | None,
    masks: str | None,
    suffixes: tuple[str, ...] = SUFFIXES,
) -> tuple[list[Pattern], Pattern] | None:
    """``data.images`` and ``data.masks``; None where neither is given.

    Raises:
        ConfigError: one is given without the other, or is no pattern, or only one has ``<part>``.
    """
    if images is None and masks is None:
        return None
    if not images or not masks:
        raise ConfigError(
            "data.images and data.masks: patterns of both are needed, such as "
            "data.images=frames/* data.masks=labels/*; give the other one too"
        )
    several = [images] if isinstance(images, str) else [str(each) for each in images]
    found = (
        [Pattern(text, "data.images", suffixes) for text in several],
        Pattern(masks, "data.masks", suffixes),
    )
    with_part = {PART in pattern.text for pattern in (*found[0], found[1])}
    if len(with_part) > 1:
        raise ConfigError(
            f"data.images={images}, data.masks={masks}: {PART} stands in some of them; it has to "
            "stand in all or in none"
        )
    return found


Key = tuple[str, str]  # the name of a part in the path, and the id


def find_files(
    pattern: Pattern, root: Path, on_fault: OnFault, suffixes: tuple[str, ...] = SUFFIXES
) -> dict[Key, str]:
    """The files that match a pattern, by their part and id.

    Args:
        pattern: the pattern.
        root: the data set's folder.
        on_fault: called with an error for each file that cannot be taken.
        suffixes: those of the files.

    Raises:
        DataError: the pattern's folder is missing, or no file matches.
    """
    folder = root / pattern.folder
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; {pattern.option}={pattern.text} names it")
    found: dict[Key, str] = {}
    files = [
        file
        for inside in pattern.folders(root)
        for file in find_pictures(inside, on_fault, suffixes)
    ]
    for file in files:
        key = pattern.match(Path(file).relative_to(root).as_posix())
        if key is None:
            continue
        if key in found:
            on_fault(DataError(f"{file}: {found[key]} has its name; remove one"))
        found[key] = file
    if not found:
        raise DataError(
            f"{folder}: no picture matches {pattern.option}={pattern.text}; "
            "`segbench check data=folder data.root=…` without patterns proposes some"
        )
    return found


def pair(
    images: Sequence[Mapping[Key, str]],
    masks: Mapping[Key, str],
    patterns: tuple[Sequence[Pattern], Pattern],
    root: Path,
    only: set[str] | None,
    on_fault: OnFault,
) -> dict[Key, tuple[str, ...]]:
    """The files of each complete case, its images first.

    Args:
        images: for each pattern of images, the files that match.
        masks: the mask files.
        patterns: those of the images and of the masks.
        root: the data set's folder, for messages.
        only: ids of the cases that the split names; None: all are wanted.
        on_fault: called with an error for each incomplete case.
    """
    columns = [*images, masks]
    all_patterns = [*patterns[0], patterns[1]]
    cases: dict[Key, tuple[str, ...]] = {}
    for key in sorted(set().union(*columns)):
        if only is not None and case_id(key) not in only:
            continue
        there = [column.get(key) for column in columns]
        if all(there):
            cases[key] = tuple(file for file in there if file)
            continue
        lost = next(p for p, file in zip(all_patterns, there, strict=True) if not file)
        what = "mask" if lost is patterns[1] else "image"
        known = next(file for file in there if file)
        on_fault(
            DataError(
                f"{known}: no {what} {root / lost.path_of(*key)}; restore it, remove this file, "
                "or name the wanted cases in lists (data.split.train=train.txt …)"
            )
        )
    return cases


def case_id(key: Key) -> str:
    """The id of a case: that of the pattern, after the part's name if it has one."""
    return "/".join(filter(None, key))


def given_parts(keys: Sequence[Key], root: Path) -> dict[str, list[str]]:
    """The ids of each part whose name stands in the paths; empty where no path names a part.

    Ids whose first folder is the name of a part name it too.

    Raises:
        DataError: some paths name a part and others do not, or two names stand for one part.
    """
    names = {key: key[0] or key[1].partition("/")[0] for key in keys}
    parts = {key: PART_NAMES.get(name.lower()) for key, name in names.items()}
    if not any("/" in key[1] or key[0] for key in keys) or not any(parts.values()):
        return {}
    if not all(parts.values()):
        named = next(case_id(key) for key, part in parts.items() if part)
        other = next(case_id(key) for key, part in parts.items() if not part)
        raise DataError(
            f"{root}: {named} is in a folder that is a part of the split by its name, {other} is "
            "not; name the part by <part> in data.images and data.masks, or move the files"
        )
    found: dict[str, list[str]] = {}
    spelt: dict[str, str] = {}
    for key, part in parts.items():
        if spelt.setdefault(str(part), names[key]) != names[key]:
            raise DataError(
                f"{root}: {spelt[str(part)]}/ and {names[key]}/ are both the {part} part by their "
                "names; keep one of them"
            )
        found.setdefault(str(part), []).append(case_id(key))
    return found
