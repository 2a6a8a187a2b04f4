"""A user's own pictures, as ``images/`` and ``masks/`` with equal names, in one of these layouts.

1. ``masks/<name>.png``: class ids (indexed or grey), grey values, or the colours of a palette.
2. ``masks/<class>/<name>.png``: a black-and-white mask for each class that the image shows.
3. ``train/``, ``val/`` and ``test/``, each with ``images/`` and ``masks/`` of either kind.
4. ``images/train/``, ``images/val/``, ``images/test/``, and the same folders in ``masks/``.

In any other layout, patterns of the paths pair images with masks, see
`segbench.data.layouts.patterns`.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.files import SUFFIXES, find_pictures, is_folder, scan
from segbench.data.decoding.picture_facts import holds_loss
from segbench.data.layouts.patterns import (
    PART_NAMES,
    case_id,
    check_patterns,
    find_files,
    given_parts,
    pair,
)
from segbench.data.mask_files import (
    Palette,
    check_channel,
    check_instances,
    check_palette,
    check_values,
    is_blurred_pair,
    label,
    read_alpha,
    read_ids,
    read_numbers,
    read_set,
)
from segbench.data.splits import PARTS, Part, complete_parts
from segbench.data.store.prepared import Case, Instances
from segbench.data.store.transforms import Array
from segbench.errors import ConfigError, DataError

_LAYOUT = (
    "expected images/ and masks/ with equal names; or train/, val/ and test/ with both in each, or "
    "in each of both; for other layouts give data.images and data.masks, which `segbench check` "
    "with this data.root proposes"
)
_BLURRED = (
    "masks saved with loss (JPEG), set where they are brighter than half; PNG keeps their edges"
)


class FolderDataModule(SegmentationDataModule):
    """Images and masks of any number of classes from a folder, 8 or 16 bits, grey, RGB or RGBA.

    Args:
        root: the folder itself.
        images: a pattern of the images' paths in ``root``, such as ``frames/*.png``; a list of
            patterns if the channels of an image are in several files, in their order; None: the
            layouts above.
        masks: a pattern of the masks' paths, with the same ids.
        mask_channel: ``alpha`` reads two classes from the alpha channel of the masks, which may be
            the images themselves; None: the masks' values or colours.
        mask_values: the grey value of each class in a mask, such as [0, 255]; None: class ids.
        palette: the colour [r, g, b] of each class by its name, ``ignore`` for ignored pixels;
            None: masks are not coloured.
        instances: whether the values of the masks, of 8 or 16 bits, are numbers of objects of the
            second class, 0 for the first one; scores of objects need them.
        white: the value of 16-bit grey images that becomes 255, 1 to 65535.
        exif: ``apply`` or ``ignore``, see `SegmentationDataModule`.
        options: those of `SegmentationDataModule`. Folders train, val and test are the split; if
            val or test is missing, ``split`` tells how train is divided.

    Raises:
        ConfigError: an option has a wrong value, or mask_values and palette are both given.
    """

    source = _LAYOUT

    def __init__(
        self,
        *,
        root: str,
        images: str | Sequence[str] | None = None,
        masks: str | None = None,
        mask_channel: str | None = None,
        mask_values: Sequence[int] | None = None,
        palette: Palette | None = None,
        instances: bool = False,
        white: int = 65535,
        exif: str = "apply",
        **options: Any,
    ) -> None:
        super().__init__(root=root, exif=exif, **options)
        self.has_instances = check_instances(
            instances, self.num_classes, bool(mask_values or palette or mask_channel)
        )
        if mask_values is not None and palette is not None:
            raise ConfigError("data.mask_values and data.palette: a mask has one of them; give one")
        if not 0 < white <= 65535:
            raise ConfigError(f"data.white={white}: expected 1 to 65535")
        self.white = white
        self.patterns = check_patterns(images, masks)
        self.mask_channel = check_channel(
            mask_channel, self.num_classes, mask_values is not None or palette is not None
        )
        self.values = check_values(mask_values, self.num_classes)
        self.palette = check_palette(palette, self.class_names, self.ignore_index)
        self._labels: dict[str, int] = {}  # of the files that show one class
        self._given: dict[str, list[str]] = {}  # the ids in the folders train, val and test

    def find_cases(self) -> list[Case]:
        """A case for each image with a mask; its id is the image's path without suffix."""
        root = self.find_root()
        self._labels, self._given = {}, {}
        if self.patterns:
            return self._find_by_patterns(root)
        outer, inner = _find_parts(root), _find_parts(root / "images")
        if outer and (root / "images").is_dir():
            beside = next(iter(outer.values()))
            raise DataError(
                f"{root}: images/ and {beside}/ beside each other; {_LAYOUT}; move one away"
            )
        if not outer and not inner:
            return self._find_in(root / "images", root / "masks", "")
        if inner:
            self._check_inner(root, inner)
        cases = []
        for part, name in (outer or inner).items():
            pair = [root / name / "images", root / name / "masks"]
            if inner:
                pair = [root / "images" / name, root / "masks" / name]
            found = self._find_in(pair[0], pair[1], f"{name}/")
            self._given[part] = [case.id for case in found]
            cases += found
        return cases

    def _find_by_patterns(self, root: Path) -> list[Case]:
        assert self.patterns is not None
        images = [find_files(pattern, root, self.on_fault) for pattern in self.patterns[0]]
        masks = find_files(self.patterns[1], root, self.on_fault)
        lists = [part for part in super().find_split().values() if part != "val"]
        named = {str(id_) for part in lists if isinstance(part, Sequence) for id_ in part}
        all_named = bool(lists) and all(isinstance(part, Sequence) for part in lists)
        only = named if all_named else None
        paired = pair(images, masks, self.patterns, root, only, self.on_fault)
        self._given = {} if all_named else given_parts([*paired], root)
        count = len(images)
        return [Case(case_id(key), files, images=count) for key, files in paired.items()]

    def _check_inner(self, root: Path, parts: Mapping[str, str]) -> None:
        """Refuse folders in ``images/`` that may have another meaning than the split."""
        there = ", ".join(f"{name}/" for name in parts.values())
        for folder in filter(Path.is_dir, (root / "images", root / "masks")):
            others = [
                entry.name
                for entry in scan(folder)
                if entry.name not in parts.values()
                and (is_folder(entry) or entry.name.lower().endswith(SUFFIXES))
            ]
            if others:
                raise DataError(
                    f"{folder}: {others[0]} beside {there}, which are the split by their names; "
                    "move it into one of them, or give folders that are no parts other names"
                )

    def _find_in(self, images: Path, masks: Path, prefix: str) -> list[Case]:
        """The cases of a pair of folders with images and masks."""
        for folder in (images, masks):
            if not folder.is_dir():
                raise DataError(f"{folder}: no such folder; {_LAYOUT}")
        pictures, found = self._by_stem(images), self._find_masks(images, masks)
        if not pictures:
            raise DataError(f"{images}: holds no pictures ({', '.join(SUFFIXES)})")
        for stem in sorted(set(found) - set(pictures)):
            text = f"no image {images / stem}.*; restore it or remove the mask"
            self.on_fault(DataError(f"{found[stem][0]}: {text}"))
        for stem in sorted(set(pictures) - set(found)):
            text = f"no mask {masks / stem}.*; masks are named as their images are"
            self.on_fault(DataError(f"{pictures[stem]}: {text}"))
        both = sorted(set(pictures) & set(found))
        return [Case(prefix + stem, (pictures[stem], *found[stem])) for stem in both]

    def _find_masks(self, images: Path, masks: Path) -> dict[str, list[str]]:
        """The mask files of each image: one file, or one for each class."""
        names = [entry.name for entry in scan(masks) if is_folder(entry)]
        classes = [name for name in names if not (images / name).is_dir()]
        if not classes:
            return {stem: [file] for stem, file in self._by_stem(masks).items()}
        labels = {"ignore": self.ignore_index}
        labels |= {name: k for k, name in enumerate(self.class_names)}
        found: dict[str, list[str]] = {}
        for name in sorted(classes, key=lambda name: labels.get(name, -1)):
            if name not in labels:
                raise DataError(
                    f"{masks / name}: no class of this name in data.class_names="
                    f"{self.class_names}; name it there, or move the folder away"
                )
            for stem, file in self._by_stem(masks / name).items():
                found.setdefault(stem, []).append(file)
                self._labels[file] = labels[name]
        return found

    def _by_stem(self, folder: Path) -> dict[str, str]:
        """Picture files below a folder by their paths in it without suffix."""
        found: dict[str, str] = {}
        for file in find_pictures(folder, self.on_fault):
            key = Path(os.path.splitext(file)[0]).relative_to(folder).as_posix()
            if key in found:
                self.on_fault(DataError(f"{file}: {found[key]} has its name; remove one"))
            found[key] = file
        return found

    def find_split(self) -> Mapping[str, Part]:
        """The split by the folders train, val and test; without them the split of the config.

        Raises:
            ConfigError: ``split`` names other cases for a part than its folder holds.
        """
        asked = super().find_split()
        if not self._given:
            return asked
        if "train" not in self._given:
            raise DataError(f"{self.root / 'train'}: no such folder; {_LAYOUT}")
        for part, ids in self._given.items():
            wanted = asked.get(part)
            if isinstance(wanted, Sequence) and sorted(map(str, wanted)) != sorted(ids):
                raise ConfigError(
                    f"data.split: {part} names other cases than the folder {part} holds; give the "
                    "folders other names, or leave data.split as it is"
                )
        return complete_parts(self._given, asked)

    def channel_files(self, file: Path) -> tuple[Path, ...]:
        """The files of the channels of an image, by the patterns of ``images``."""
        if not self.patterns or len(self.patterns[0]) == 1:
            return (file,)
        tails = [pattern.text.rpartition("/")[2].split("*") for pattern in self.patterns[0]]
        for number, (head, tail) in enumerate(tails):
            if not (file.name.startswith(head) and file.name.endswith(tail)):
                continue
            id_ = file.name[len(head) : len(file.name) - len(tail)]
            names = [f"{before}{id_}{after}" for before, after in tails]
            return () if number else tuple(file.with_name(name) for name in names)
        first = self.patterns[0][0].text
        raise DataError(f"{file}: the images of this network are files such as {first}")

    def read_truths(
        self, case: Case, files: Sequence[tuple[bytes, Path]]
    ) -> tuple[Array, Instances | None]:
        """Class ids (H, W), and with ``instances`` the number of the object at each pixel."""
        if not self.has_instances:
            return super().read_truths(case, files)
        numbers = read_numbers(*files[0], **self.how)
        return (numbers > 0).astype(np.uint8), numbers

    def read_mask(self, content: bytes, file: Path) -> Array:
        """Class ids (H, W) of a mask; 0 or 1 for a mask of a single class."""
        if self.mask_channel:
            return read_alpha(content, file, **self.how)
        if str(file) in self._labels:
            return read_set(content, file, **self.how)
        return read_ids(content, file, self.values, self.palette, self.ignore_index, **self.how)

    def find_notes(self, contents: Sequence[bytes], files: Sequence[Path]) -> list[str]:
        """Phrases for what reading a case leaves out or changes; the first file is the image."""
        blurred = self._may_blur(files) and any(map(holds_loss, contents[1:]))
        return [*super().find_notes(contents, files), *([_BLURRED] if blurred else [])]

    def _may_blur(self, files: Sequence[Path]) -> bool:
        return is_blurred_pair(self.values) or str(files[-1]) in self._labels

    def merge_masks(self, case: Case, masks: list[Array]) -> Array:
        """Class ids (H, W); where classes overlap, the later one in ``class_names`` wins."""
        if case.files[-1] not in self._labels:
            return masks[0]
        labels = [self._labels[str(file)] for file in case.masks]
        return label(case.masks, masks, labels)


def _find_parts(folder: Path) -> dict[str, str]:
    """The names of the folders of train, val and test, by part and in this order.

    Raises:
        DataError: two folders are the same part.
    """
    found: dict[str, str] = {}
    for entry in scan(folder) if folder.is_dir() else []:
        part = PART_NAMES.get(entry.name.lower())
        if part is None or not is_folder(entry):
            continue
        if part in found:
            raise DataError(
                f"{folder}: {found[part]}/ and {entry.name}/ are both the {part} part by their "
                "names; keep one of them"
            )
        found[part] = entry.name
    return {part: found[part] for part in PARTS if part in found}
