"""A user's own pictures: ``images/`` and ``masks/`` with equal names, in one of three layouts.

1. ``masks/<name>.png``: class ids (indexed or grey), grey values, or the colours of a palette.
2. ``masks/<class>/<name>.png``: a black-and-white mask for each class that the image shows.
3. ``train/``, ``val/`` and ``test/``, each with ``images/`` and ``masks/`` of either kind.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segbench.data.base import SegmentationDataModule
from segbench.data.mask_files import Palette, check_palette, check_values, label, read_ids, read_set
from segbench.data.prepared import Case
from segbench.data.splits import PARTS, Part
from segbench.data.transforms import Array, decode_image
from segbench.errors import ConfigError, DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm")
_LAYOUT = (
    "expected images/ and masks/ with equal names, or train/, val/ and test/ with both in each"
)


class FolderDataModule(SegmentationDataModule):
    """Images and masks of any number of classes from a folder, 8 or 16 bits, grey, RGB or RGBA.

    Args:
        root: the folder itself.
        mask_values: the grey value of each class in a mask, such as [0, 255]; None: class ids.
        palette: the colour [r, g, b] of each class by its name, ``ignore`` for ignored pixels;
            None: masks are not coloured.
        white: the value of a 16-bit grey image that becomes 255.
        options: those of `SegmentationDataModule`. Folders train, val and test are the split;
            where val or test is not among them, ``split`` says how train is shared.
    """

    source = _LAYOUT

    def __init__(
        self,
        *,
        root: str,
        mask_values: Sequence[int] | None = None,
        palette: Palette | None = None,
        white: int = 65535,
        **options: Any,
    ) -> None:
        super().__init__(root=root, **options)
        if mask_values is not None and palette is not None:
            raise ConfigError("data.mask_values and data.palette: a mask has one of them; give one")
        if not 0 < white <= 65535:
            raise ConfigError(f"data.white={white}: expected 1 to 65535")
        self.white = white
        self.values = check_values(mask_values, self.num_classes)
        self.palette = check_palette(palette, self.class_names, self.ignore_index)
        self._labels: dict[str, int] = {}  # of the files that show one class
        self._given: dict[str, list[str]] = {}  # the ids in the folders train, val and test

    def find_cases(self) -> list[Case]:
        """One case for each image with its mask; the id is the image's path without suffix."""
        root = self.find_root()
        self._labels, self._given = {}, {}
        parts = [part for part in PARTS if (root / part).is_dir()]
        if parts and (root / "images").is_dir():
            raise DataError(
                f"{root}: images/ and {parts[0]}/ beside each other; {_LAYOUT}; move one away"
            )
        cases = [] if parts else self._find_in(root, "")
        for part in parts:
            found = self._find_in(root / part, f"{part}/")
            self._given[part] = [case.id for case in found]
            cases += found
        return cases

    def _find_in(self, folder: Path, prefix: str) -> list[Case]:
        """The cases of one pair of ``images`` and ``masks``."""
        for name in ("images", "masks"):
            if not (folder / name).is_dir():
                raise DataError(f"{folder / name}: no such folder; {_LAYOUT}")
        images, masks = self._pictures(folder / "images"), self._find_masks(folder)
        if not images:
            raise DataError(f"{folder / 'images'}: holds no pictures ({', '.join(SUFFIXES)})")
        for stem in sorted(set(masks) - set(images)):
            text = f"no image {folder / 'images' / stem}.*; restore it or remove the mask"
            self.on_fault(DataError(f"{masks[stem][0]}: {text}"))
        for stem in sorted(set(images) - set(masks)):
            text = f"no mask {folder / 'masks' / stem}.*; masks are named as their images are"
            self.on_fault(DataError(f"{images[stem]}: {text}"))
        both = sorted(set(images) & set(masks))
        return [Case(prefix + stem, (images[stem], *masks[stem])) for stem in both]

    def _find_masks(self, folder: Path) -> dict[str, list[str]]:
        """The mask files of each image, one of them or one for each class."""
        images, masks = folder / "images", folder / "masks"
        names = [e.name for e in os.scandir(masks) if e.is_dir() and not e.name.startswith(".")]
        classes = [name for name in names if not (images / name).is_dir()]
        if not classes:
            return {stem: [file] for stem, file in self._pictures(masks).items()}
        labels = {"ignore": self.ignore_index}
        labels |= {name: k for k, name in enumerate(self.class_names)}
        found: dict[str, list[str]] = {}
        for name in sorted(classes, key=lambda name: labels.get(name, -1)):
            if name not in labels:
                raise DataError(
                    f"{masks / name}: no class of this name in data.class_names="
                    f"{self.class_names}; name it there, or move the folder away"
                )
            for stem, file in self._pictures(masks / name).items():
                found.setdefault(stem, []).append(file)
                self._labels[file] = labels[name]
        return found

    def _pictures(self, folder: Path) -> dict[str, str]:
        """Picture files below a folder by their paths in it without suffix."""
        found: dict[str, str] = {}
        for where, folders, names in os.walk(folder, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() not in SUFFIXES or name.startswith("."):
                    continue
                file = os.path.join(where, name)
                key = Path(where, stem).relative_to(folder).as_posix()
                if key in found:
                    self.on_fault(DataError(f"{file}: {found[key]} has its name; remove one"))
                found[key] = file
        return found

    def find_split(self) -> Mapping[str, Part]:
        """The folders train, val and test, where they are there; else the split asked for."""
        asked = super().find_split()
        if not self._given:
            return asked
        if "train" not in self._given:
            raise DataError(f"{self.root / 'train'}: no such folder; {_LAYOUT}")
        open_parts = [name for name in PARTS if name not in self._given]
        if not open_parts:
            return self._given
        shares = {name: asked[name] for name in ("train", *open_parts)}
        numbers = [value for value in shares.values() if isinstance(value, int | float)]
        if any(isinstance(value, float) for value in numbers):
            shares = {name: v / sum(numbers) for name, v in shares.items()}  # type: ignore[operator]
        return {**self._given, **shares}

    def read_image(self, content: bytes, file: Path) -> Array:
        """A picture (H, W, in_channels) from a file's content."""
        return decode_image(content, file, self.in_channels, self.white, upright=True)

    def read_mask(self, content: bytes, file: Path) -> Array:
        """Class ids (H, W) of a mask; of one that shows a single class, where it is set."""
        if str(file) in self._labels:
            return read_set(content, file)
        return read_ids(content, file, self.values, self.palette, self.ignore_index)

    def merge_masks(self, case: Case, masks: list[Array]) -> Array:
        """Class ids; where classes overlap, the later one in ``class_names`` stands."""
        if case.files[1] not in self._labels:
            return masks[0]
        return label(case.masks, masks, [self._labels[file] for file in case.files[1:]])

    def options(self) -> dict[str, Any]:
        """Whatever beside the files decides the prepared images."""
        own = {"values": self.values, "palette": self.palette, "white": self.white}
        return {**super().options(), **own, "class_names": self.class_names}
