"""Proposes the options of data=folder for a folder whose layout is unknown.

All pictures are grouped by what their paths have in common. Two groups with the same ids are images
and masks if the pictures of one are photographs, and those of the other have few values.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segbench.data.decoding.files import find_pictures, list_names, read_text
from segbench.data.layouts.mask_values import Values, describe_masks, looks_like_mask
from segbench.data.layouts.patterns import PART, PART_NAMES
from segbench.errors import DataError

_MOST_FILES = 50_000
_MOST_GROUPS = 400
_LEAST = 2  # pairs of a proposal
_COMPLETE = 0.9  # the least share of a group's ids that the other one has
_SAMPLED = 4  # files of a group that are opened to tell masks from photographs
_WORDS = "annot|mask|masks|label|labels|gt|images?|img|truth"
_PARTS = "|".join(sorted(PART_NAMES, key=len, reverse=True))
# A folder's name that is a part, alone or with another word before or after it
_FOLDER = re.compile(rf"(?i)(?P<before>.*[_-])?(?P<part>{_PARTS})(?P<after>[_-].*|{_WORDS})?")
_LISTS = ("train", "val", "test")
Key = tuple[str, str]  # part and id


@dataclass(frozen=True)
class Proposal:
    """Options that would read a folder.

    Args:
        images: the pattern of the images.
        masks: that of the masks.
        count: the number of pairs.
        values: what the masks hold.
        lists: a file of ids for parts, by the part's name.
        ids: of the pairs, sorted.
    """

    images: str
    masks: str
    count: int
    values: Values
    lists: Mapping[str, str] = field(default_factory=dict)
    ids: Sequence[str] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The options of ``data`` by their names."""
        found: dict[str, Any] = {"images": self.images, "masks": self.masks}
        found |= self.values.options
        found |= {f"split.{part}": file for part, file in self.lists.items()}
        return found


@dataclass
class _Group:
    """Pictures whose paths have the same beginning and end."""

    pattern: str
    files: dict[Key, str] = field(default_factory=dict)

    @property
    def fixed(self) -> int:
        """The length of what the paths have in common; the longer, the more a pattern says."""
        return len(self.pattern)


def propose(root: Path) -> Proposal | None:
    """The options that pair most pictures below ``root`` with masks; None if there are none."""
    files = find_pictures(root, lambda fault: None)[:_MOST_FILES]
    groups = _grouped([Path(file).relative_to(root).as_posix() for file in files])
    is_mask: dict[str, bool] = {}

    def holds_masks(group: _Group) -> bool:
        sampled = sorted(group.files.values())[:: max(1, len(group.files) // _SAMPLED)]
        for name in sampled[:_SAMPLED]:
            if name not in is_mask:
                is_mask[name] = looks_like_mask(root / name)
        return all(is_mask[name] for name in sampled[:_SAMPLED])

    best: tuple[tuple[int, ...], Proposal] | None = None
    for images, masks in _pairs(groups):
        common = sorted(images.files.keys() & masks.files.keys())
        if best and len(common) < best[0][0]:  # pairs come with the most common ids first
            break
        if not holds_masks(masks) or holds_masks(images):
            continue
        values = describe_masks([root / masks.files[key] for key in common])
        if values is None:
            continue
        ids = {key[1] for key in common}
        lists = _lists(root, ids)  # which tell how much of a name is the id
        rank = (len(common), -values.rank, len(lists), images.fixed + masks.fixed)
        if best is None or rank > best[0]:
            patterns = images.pattern, masks.pattern
            found = Proposal(*patterns, len(common), values, lists, sorted(ids))
            best = rank, found
    return best[1] if best else None


def _pairs(groups: Sequence[_Group]) -> list[tuple[_Group, _Group]]:
    """Pairs of groups with the same ids, those with most of them first."""
    found = []
    for images in groups:
        for masks in groups:
            if images is masks or not any(key in images.files for key in list(masks.files)[:5]):
                continue
            common = images.files.keys() & masks.files.keys()
            apart = all(images.files[key] != masks.files[key] for key in common)
            if apart and len(common) >= max(_LEAST, _COMPLETE * len(masks.files)):
                found.append((len(common), images.fixed + masks.fixed, images, masks))
    found.sort(key=lambda each: (-each[0], -each[1]))
    return [(images, masks) for _, _, images, masks in found]


def _grouped(paths: Sequence[str]) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for path in paths:
        for pattern, key in _patterns_of(path):
            groups.setdefault(pattern, _Group(pattern)).files[key] = path
    large = [group for group in groups.values() if len(group.files) >= _LEAST]
    large.sort(key=lambda group: (-len(group.files), -group.fixed))
    return large[:_MOST_GROUPS]


def _patterns_of(path: str) -> Iterator[tuple[str, Key]]:
    """Patterns that find a path, each with the part and the id that it gives."""
    *folders, name = path.split("/")
    part, shown = "", []
    for folder in folders:
        found = _FOLDER.fullmatch(folder)
        if found and (not part or found["part"] == part):
            part = found["part"]
            folder = f"{found['before'] or ''}{PART}{found['after'] or ''}"
        shown.append(folder)
    last = max((k for k, folder in enumerate(shown) if PART in folder), default=-1)
    for depth in range(last + 1, len(folders) + 1):
        before = "".join(f"{folder}/" for folder in shown[:depth])
        inside = "".join(f"{folder}/" for folder in folders[depth:])
        for head, tail in _ends(name):
            if head and inside:  # the star stands for folders, which come before it
                continue
            id_ = inside + name[len(head) : len(name) - len(tail)]
            if part:
                tail = re.sub(rf"(?<=[_-]){re.escape(part)}(?=[._-])", PART, tail)
            yield f"{before}{head}*{tail}", (part, id_)
    for depth in range(last + 1, len(folders)):  # a folder for each case
        after = "/".join([*shown[depth + 1 :], name])
        yield "/".join([*shown[:depth], "*", after]), (part, folders[depth])


def _ends(name: str) -> Iterator[tuple[str, str]]:
    """Beginnings and ends of a file's name that its neighbours may share, such as ``_mask.png``."""
    stem, dot, suffix = name.rpartition(".")
    tails, rest = [dot + suffix], stem
    while found := re.fullmatch(r"(.*[^_-])([_-][^_-]*[A-Za-z][^_-]*)", rest):
        rest = found[1]
        tails.append(name[len(rest) :])
    heads = [""]
    if found := re.match(r"[A-Za-z]+[_-]?(?=\w)", stem):
        heads.append(found[0])
    for tail in tails:
        for head in heads:
            if len(head) + len(tail) < len(name):
                yield head, tail


def _lists(root: Path, ids: set[str]) -> dict[str, str]:
    """Files ``train.txt``, ``val.txt`` and ``test.txt`` that name ids, in one folder below root."""
    for folder in sorted({file.parent for file in root.rglob("train.txt")}):
        found = {}
        for part in _LISTS:
            if f"{part}.txt" not in list_names(folder, ".txt"):
                continue
            try:
                lines = read_text(folder / f"{part}.txt").split("\n")
            except DataError:
                continue
            named = {line.split()[0] for line in lines if line.strip()}
            if named and named <= ids:
                found[part] = (folder / f"{part}.txt").relative_to(root).as_posix()
        if {"train", "val"} <= set(found):
            return {"test": "val", **found}
    return {}
