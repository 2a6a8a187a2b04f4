"""SegmentationDataModule: the base of all data sets; a subclass finds cases and reads masks."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor

from segbench.colours import ClassColours, class_colours
from segbench.data.decoding.display import check_bands, displayed
from segbench.data.decoding.opening import MAX_PIXELS, is_large
from segbench.data.decoding.reads import recorded_reads, recording
from segbench.data.faults import constant_channels, count_notes, refuse_blank, refuse_faulty
from segbench.data.groups.naming import check_group
from segbench.data.layouts.numbers import numbered_objects
from segbench.data.options import (
    as_size,
    as_texts,
    check_background,
    check_classes,
    check_loading,
    check_normalize,
    check_patches,
    check_reading,
)
from segbench.data.reading import CaseReader
from segbench.data.splits import Part
from segbench.data.splitting import CaseFacts, Split, Splitting
from segbench.data.store.contents import Contents, digest_of, read_contents, source_digest
from segbench.data.store.loading import (
    Augment,
    EpochSampler,
    PreparedCases,
    ScaledAugment,
    TrainingCases,
    processes_for,
)
from segbench.data.store.normalisation import Normalisation, fit
from segbench.data.store.on_disk import VERSION, prepare_on_disk
from segbench.data.store.patches import PatchCases, WholeCases
from segbench.data.store.prepared import Case, Decoded, Prepared
from segbench.data.store.preparing import Form, prepare_in_memory
from segbench.data.store.processes import BatchLoader, make_loader
from segbench.data.store.shifts import Shift, ShiftedImages
from segbench.data.store.transforms import Array, Values, resize_image
from segbench.errors import ConfigError, DataError, SegbenchError
from segbench.names import user_path
from segbench.text.progress import track
from segbench.text.screen import say
from segbench.types import IGNORE_INDEX, Batch

_NO_FACTS = CaseFacts()
# Arguments of the constructor that do not change the prepared images; `options` has the others.
_NOT_PREPARED = {
    *("root", "cache", "download", "split", "split_seed", "stratify", "group", "folds", "fold"),
    *("seed", "augment", "batch_size", "num_workers", "size", "max_pixels", "normalize", "show"),
    *("patch", "scale", "foreground", "patches_per_epoch", "background"),
}


class SegmentationDataModule(CaseReader, LightningDataModule):
    """A data set whose cases are resized once, split by a seed, and loaded as whole batches.

    A subclass sets ``folder_name`` and ``source``, and defines ``find_cases`` and ``merge_masks``.

    Args:
        class_names: a name for each class, background first; whole numbers are turned into text.
        num_classes: number of classes, including the background.
        ignore_index: the label of pixels that losses and scores leave out.
        in_channels: 3 (RGB), 1 (grey), 4 (RGB and alpha or a fourth), or the number of channels
            that the images have.
        size: pixels of the network's input: one number, or (height, width).
        batch_size: images in a batch, in training and evaluation.
        split: for each of ``train``, ``val`` and ``test`` a fraction, a number of cases, or a text
            file of ids; ``test`` may be ``val`` if there is no test part. Instead of all three, a
            ``split.json``, or a name that the data set defines.
        split_seed: the seed of the split.
        stratify: the property that all parts have in equal proportions: ``classes`` (those in a
            mask), ``size`` (of the image) or ``name`` (the id up to its last underscore); None: a
            plain random split.
        group: what groups the cases into patients, slides or videos, of which none stands in two
            parts: a regular expression on the id (the group is its first capturing group, or the
            whole match), or a CSV file with the columns id and group; None: each case by itself.
        folds: number of folds of cross-validation; one fold is the test part, and train and val
            take the others; None: no cross-validation.
        fold: index of the fold, from 0.
        seed: with the epoch, the seed of the order of training batches and of augmentation.
        augment: albumentations transforms of the training images, see `Augmentation`.
        num_workers: number of loading processes; None: 0, but up to 8 for augmentation on a GPU.
        root: the folder of the data set, or its parent folder, which holds ``folder_name``.
        cache: the folder of prepared images; None: ``.segbench`` beside the data.
        exif: ``apply`` rotates images by their EXIF orientation, as viewers do; ``ignore`` takes
            the stored pixels.
        max_pixels: the largest accepted number of pixels, since decoding takes memory.
        normalize: ``imagenet``: images are read as 8 bits, and normalised by ImageNet's mean and
            standard deviation; ``train``, ``percentile`` or ``none``: they are read as stored, see
            `Normalisation`; None: ``imagenet`` for 1, 3 and 4 channels, else ``train``.
        patch: pixels of the random patches that are trained on at the pictures' own resolution: one
            number, or (height, width); None: whole pictures, resized to ``size``. Val and test then
            slide windows of this size over whole pictures.
        scale: with patches, pictures are resized by it first, above 0 and at most 1.
        foreground: the share of patches that are centred on a class other than the background.
        patches_per_epoch: the number of patches of an epoch; None: as many as cover the train part.
        background: 0: the first class is the background, which is black in pictures and not what
            patches are centred on; None: it is a class like the others, of three or more.
        show: the numbers of the channels that pictures show as red, green and blue, from 1; None:
            the first three, or the first one.

    Raises:
        ConfigError: an option has a wrong value.
    """

    folder_name: ClassVar[str] = ""  # of the data set's folder in ``root``
    source: ClassVar[str] = ""  # text of errors: where to get the data and where to put them
    has_instances: bool = False  # whether the objects of its masks are told apart
    shift: Shift | None = None  # a change of the images that are scored and shown
    scores_objects: bool = False  # whether batches of `test_dataloader` have their numbers
    _arguments: Mapping[str, Any] = {}  # of the most derived class's constructor

    def __init_subclass__(cls, **options: Any) -> None:
        """Record the arguments of a data set's constructor, and the files that it reads."""
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = recording(cls.__init__)  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        class_names: Sequence[str],
        num_classes: int,
        size: int | Sequence[int],
        batch_size: int,
        split: Mapping[str, Part] | str,
        split_seed: int = 0,
        stratify: str | None = None,
        group: str | None = None,
        folds: int | None = None,
        fold: int = 0,
        seed: int = 0,
        augment: Mapping[str, Any] | None = None,
        ignore_index: int = IGNORE_INDEX,
        in_channels: int = 3,
        num_workers: int | None = None,
        root: str = "data",
        cache: str | None = None,
        exif: str = "ignore",
        max_pixels: int = MAX_PIXELS,
        normalize: str | None = None,
        background: int | None = 0,
        show: Sequence[int] | None = None,
        patch: int | Sequence[int] | None = None,
        scale: float = 1.0,
        foreground: float = 0.33,
        patches_per_epoch: int | None = None,
    ) -> None:
        LightningDataModule.__init__(self)
        method = check_normalize(normalize, in_channels)
        CaseReader.__init__(self, in_channels, exif, max_pixels, method)
        self.show_option = show
        self.bands = check_bands(show, in_channels)
        self.class_names = as_texts(class_names, "data.class_names")
        check_classes(self.class_names, num_classes, ignore_index)
        check_background(background, num_classes)
        self.background = background
        check_loading(batch_size, num_workers, in_channels, stratify)
        check_group(group)
        check_reading(exif, max_pixels)
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.patches = check_patches(patch, scale, foreground, patches_per_epoch)
        self.size = self.patches.size if self.patches else as_size(size)
        self.batch_size, self.num_workers = batch_size, num_workers
        self.seed, self.augment = seed, _make_augment(augment, seed)
        self.root = user_path(root)
        asked = split if isinstance(split, str) else dict(split)
        options = asked, split_seed, stratify, group, folds, fold
        self.splitting = Splitting(*options, self.root, self.folder_name)
        self.cache = user_path(cache) if cache else None
        self.parts: dict[str, list[int]] = {}
        self.groups: list[str] | None = None  # of each case, once the parts are known
        self.cases: list[Case] = []
        self.contents = Contents()
        self.scored_part = "test"  # the part that test_dataloader loads, or "all"
        self._prepared: Prepared | None = None
        self._normalisation: Normalisation | None = None
        self._has_warned = False  # about pictures that are shown from the prepared store
        self._has_printed_notes = False

    def options(self) -> dict[str, Any]:
        """All settings that change the prepared images, by default the constructor's arguments."""
        names = ("size", "in_channels", "num_classes", "ignore_index", "class_names", "exif")
        given = {name: v for name, v in self._arguments.items() if name not in _NOT_PREPARED}
        values = {"stores_values": True} if self.stores_values else {}
        values |= {"instances": True} if self.has_instances else {}
        found = given | {name: getattr(self, name) for name in names} | values
        if self.patches:
            found |= {"size": None, "scale": self.patches.scale}
            found |= {} if self.background == 0 else {"background": None}
        return found

    @property
    def colours(self) -> ClassColours:
        """How the classes are painted: as in the masks if ``palette`` is given."""
        palette = self._arguments.get("palette")
        return class_colours(self.class_names, self.ignore_index, self.background, palette)

    def show(self, index: int) -> tuple[Array, Array]:
        """Picture (H, W, 3) and mask (H, W) of case number ``index``, at their original size.

        The picture shows the channels of ``data.show``.

        The mask is read from the prepared store, since a case may have hundreds of mask files. If
        the image's file has changed or is missing, the prepared image is enlarged instead, because
        a picture must not end a finished training with an error.
        """
        mask = self.prepared.original(index)
        try:
            image = displayed(self._read_shifted(index), self.bands)
        except (SegbenchError, OSError, ValueError) as error:
            return self._show_prepared(index, " ".join(str(error).split())), mask
        if image.shape[:2] != mask.shape:
            reason = f"{self.cases[index].id}: its image has another size than when it was prepared"
            return self._show_prepared(index, reason), mask
        return image, mask

    def _read_shown(self, case: Case) -> Values:
        return (
            self.read_picture(*case.files[: case.images]) if case.files else self.read(case).image
        )

    def _read_shifted(self, index: int) -> Values:
        image = self._read_shown(self.cases[index])
        return image if self.shift is None else self.shift(image, self.cases[index].id)

    def _prepare_shifted(self, index: int) -> Values:
        """The image of a case as the store would hold it if its file held the changed image."""
        form, size = self.form, self.prepared.sizes[index]
        image = self._read_shifted(index).astype(form.kind, copy=False)
        return resize_image(image, form.size_of(size))

    def _show_prepared(self, index: int, reason: str) -> Array:
        if not self._has_warned:
            self._has_warned = True  # once, because a whole folder may be missing
            warnings.warn(
                f"{reason}; pictures show it, and others like it, at the size of data.size",
                stacklevel=2,
            )
        image = resize_image(self.prepared.images[index], self.prepared.sizes[index])
        return displayed(image, self.bands)

    # Lightning's hooks

    def prepare_data(self) -> None:
        """Decode, check and resize all cases, unless this was done before.

        Raises:
            DataError: the data set is missing, incomplete, or has faults.
        """
        if self._prepared is not None:
            return
        self.look()
        read = self._read_checked
        if not any(case.files for case in self.cases):  # generated images are not stored
            self._prepared = prepare_in_memory(self.cases, read, self.form, self._track)
            return
        code = source_digest(type(self), SegmentationDataModule)
        key = digest_of([VERSION, self.options(), code, self.contents.digest])
        folder = self.cache_folder() / f"{type(self).__name__.lower()}-{key}"
        self._prepared = prepare_on_disk(folder, self.cases, read, self.form, self._track)

    @property
    def form(self) -> Form:
        """The form of the prepared images."""
        kind = "<f4" if self.stores_values else "|u1"
        scale = self.patches.scale if self.patches else 1.0
        size = None if self.patches else self.size
        return Form(self.in_channels, size, scale, kind, self.background, self._is_large)

    def _is_large(self, case: Case) -> bool:
        may_be = self.patches is not None or self.max_pixels > MAX_PIXELS
        return may_be and any(map(is_large, case.files[: case.images]))

    def look(self) -> str:
        """Find the cases and split them, without decoding.

        Returns:
            A fingerprint of 16 hexadecimal digits, which changes with the cases' ids, the content
            of any file, the names of the classes, and the ids and groups in files that ``split``
            and ``group`` name. It does not depend on the data set's path. It is empty for generated
            images without such files.

        Raises:
            DataError: the data set is missing or incomplete.
            ConfigError, ValueError: the split does not fit the cases.
        """
        if not self.cases:
            self._find()
        parts = self.find_split() if self.splitting.names_files else None
        facts = [self.contents.digest, self.class_names, parts]
        if self.splitting.has_table:
            facts.append(self.splitting.find_groups(self.cases))
        has_files = self.contents.digest or self.splitting.depends_on_files
        return digest_of(facts) if has_files else ""

    def _find(self) -> None:
        read = self.__dict__.setdefault("_files_read", set())
        with recorded_reads(read):
            cases = sorted(self.find_cases(), key=lambda case: case.id)
        self.make_parts(cases)  # errors in the split are reported before the images are decoded
        own_reader = type(self).read is not SegmentationDataModule.read
        if own_reader and cases and cases[0].files:
            with recorded_reads(read):
                self.read(cases[0])  # to record the files that it opens besides the case's own
        cache = os.path.abspath(self.cache_folder()) + os.sep
        others = {file for file in read if not file.startswith(cache)}
        if others:  # to avoid making tens of thousands of paths absolute
            others -= {os.path.abspath(file) for case in cases for file in case.files}
        known = self.cache_folder() / f"{type(self).__name__.lower()}-hashes.json"
        self.contents = read_contents(cases, others, self.root, known, self.read_file)
        self.cases = cases

    def setup(self, stage: str | None = None) -> None:
        """Open the prepared cases and split them.

        Raises:
            DataError: the data set has faults, or no mask has foreground.
        """
        self.prepare_data()
        refuse_blank(self.prepared.masks, self.class_names, self.ignore_index)
        facts = CaseFacts(self.prepared.labels, self.prepared.sizes)
        self.groups = self.splitting.find_groups(self.cases)
        self.parts = self.make_parts(self.cases, facts)
        if not self._has_printed_notes:
            counted = count_notes([case.name for case in self.cases], self.prepared.notes)
            told = self.splitting.notices(self.cases, self.find_split(), facts, self.parts)
            told += constant_channels(self.prepared.ranges)
            told += numbered_objects(self.prepared.labels, self.ignore_index)
            for text in (*(text for _, text in counted), *told):
                say(f"notice: {text}")
            self._has_printed_notes = True

    # The split

    def named_split(self, name: str) -> Split:
        """The split that ``data.split=<name>`` means; a subclass may define some.

        Raises:
            ConfigError: there is no split of that name.
        """
        raise ConfigError(
            f"data.split={name}: no such file, nor a split that this data set knows; give "
            "fractions or numbers of train, val and test, text files of ids, or an earlier cell's "
            "split.json"
        )

    def find_split(self) -> Split:
        """The split of the config, with the ids of the files that it names.

        Raises:
            ConfigError: a file does not exist.
        """
        return self.splitting.find_split(self.named_split)

    def make_parts(
        self, cases: Sequence[Case], facts: CaseFacts = _NO_FACTS
    ) -> dict[str, list[int]]:
        """The indices of the sorted ``cases`` of each part."""
        groups = self.splitting.find_groups(cases)
        return self.splitting.make_parts(cases, self.find_split(), facts, groups)

    def keep_split(self, parts: Mapping[str, Sequence[str]]) -> None:
        """Use the parts that an earlier run recorded, as ids, instead of a new split."""
        self.splitting = self.splitting.keeping(parts)

    @property
    def prepared(self) -> Prepared:
        """The prepared cases; they are prepared at the first use."""
        if self._prepared is None:
            self.prepare_data()
        assert self._prepared is not None
        return self._prepared

    def train_dataloader(self) -> BatchLoader:
        """Batches of the train part, shuffled and augmented by seed and epoch."""
        part = self.indices("train")
        augment = self.augment
        if augment is not None and self.stores_values:
            ranges = np.array([self.prepared.ranges[index] for index in part])
            augment = ScaledAugment(augment, ranges[..., 0].min(0), ranges[..., 1].max(0))
        cases: PreparedCases = TrainingCases(self.prepared, part, augment)
        if self.patches:
            first = 0 if self.background is None else 1
            facts = range(first, self.num_classes), self.ignore_index, self.seed
            cases = PatchCases(self.prepared, part, self.patches, *facts, augment)
        if (trainer := self.trainer) is None:
            return self._loader(cases, EpochSampler(len(cases), self.seed))

        def ask_epoch() -> int:  # Lightning restores it before the order is drawn
            progress: Any = trainer.fit_loop.epoch_progress.current
            return int(progress.processed)

        world, rank = trainer.world_size, trainer.global_rank
        return self._loader(cases, EpochSampler(len(cases), self.seed, world, rank, ask_epoch))

    def val_dataloader(self) -> BatchLoader:
        """Batches of the val part, at the network's size."""
        return self._loader(self._whole(self.indices("val")))

    def test_dataloader(self) -> BatchLoader:
        """Batches of the part ``scored_part``, with masks at their original sizes as well."""
        part = self.indices(self.scored_part)
        return self._loader(self._whole(part, originals=True))

    def _whole(self, part: Sequence[int], originals: bool = False) -> PreparedCases:
        prepared = self.prepared
        if self.shift is not None:
            prepared.check(part)
            prepared = replace(
                prepared, images=ShiftedImages(prepared.images, self._prepare_shifted)
            )
        facts = prepared, part, originals, originals and self.scores_objects
        return WholeCases(*facts, self.patches.size) if self.patches else PreparedCases(*facts)

    def batch_of(self, index: int, device: torch.device) -> Batch:
        """Case number ``index`` as a batch on a device, as the network takes it."""
        batch = self._whole([index]).__getitems__([0])
        moved: Batch = {
            **batch,
            "image": batch["image"].to(device),
            "mask": batch["mask"].to(device),
        }
        return self.on_after_batch_transfer(moved, 0)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Normalise on the device, so that only a quarter of the bytes are transferred."""
        if "windows" in batch:  # whole pictures are normalised window by window
            return {**batch, "normalise": self.normalisation}
        image, mask = self.normalisation(batch["image"]), batch["mask"].long()
        return {**batch, "image": image, "mask": mask}

    @property
    def normalisation(self) -> Normalisation:
        """That of ``data.normalize``, from the train part or from `keep_normalisation`."""
        if self._normalisation is None:
            fixed = self.normalize in ("imagenet", "none")
            images = np.empty(0) if fixed else self.prepared.images
            part = [] if fixed else self.indices("train")
            self._normalisation = fit(self.normalize, images, part, self.in_channels)
        return self._normalisation

    def keep_normalisation(self, normalisation: Normalisation) -> None:
        """Normalise as an earlier run did, instead of by this data set's train part."""
        self._normalisation = normalisation

    # Helpers

    def pixel_counts(self) -> Tensor:
        """Pixels of each class in the train part at the network's size, (num_classes,)."""
        counts = torch.zeros(256, dtype=torch.int64)
        for case in self.indices("train"):
            for label, pixels in self.prepared.pixels[case]:
                counts[label] += pixels
        return counts[: self.num_classes]

    def find_root(self) -> Path:
        """The folder of the data set: ``folder_name`` in ``root`` if it exists, else ``root``.

        Raises:
            DataError: neither exists.
        """
        folders = dict.fromkeys((self.root / self.folder_name, self.root))
        found = next((folder for folder in folders if folder.is_dir()), None)
        if found is None:
            raise DataError(f"data.root={self.root}: no such folder; {self.source}")
        return found

    def cache_folder(self) -> Path:
        """The folder of the prepared images."""
        return self.cache or self.root / ".segbench"

    def split_record(self) -> dict[str, Any]:
        """The content of ``split.json``: the cases of each part with their files' SHA-256."""
        options = self.splitting
        made = zip(self.cases, self.prepared.sha256, strict=True)
        hashes = [self.contents.cases.get(case.id, drawn) for case, drawn in made]
        known = [{}] * len(hashes) if self.groups is None else [{"group": g} for g in self.groups]
        cases = [
            {"id": case.id, "sha256": sha256, **group}
            for case, sha256, group in zip(self.cases, hashes, known, strict=True)
        ]
        return {
            "split_seed": options.seed,
            "stratify": options.stratify,
            "group": options.group,
            "folds": options.folds,
            "fold": options.fold if options.folds else None,
            "parts": {name: [cases[i] for i in part] for name, part in self.parts.items()},
            "files": dict(self.contents.files),
        }

    def _read_checked(self, case: Case) -> Decoded:
        decoded = self.read(case)
        refuse_faulty(case, decoded, self.class_names, self.ignore_index)
        return decoded

    def _track(self, decoded: Iterable[Decoded], total: int) -> Iterable[Decoded]:
        return track(decoded, total, f"preparing {total} images")

    def indices(self, part: str) -> list[int]:
        """The indices in ``cases`` of a part's cases; of all cases for ``all``."""
        if not self.parts:
            self.setup()
        return list(range(len(self.cases))) if part == "all" else self.parts[part]

    def _loader(self, cases: PreparedCases, sampler: EpochSampler | None = None) -> BatchLoader:
        workers = self.num_workers
        if workers is None:
            on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
            workers = processes_for(cases) if on_gpu else 0
        size = 1 if isinstance(cases, WholeCases) else self.batch_size
        return make_loader(cases, size, workers, sampler)


def _make_augment(transforms: Mapping[str, Any] | None, seed: int) -> Augment | None:
    if not transforms:
        return None
    from segbench.data.store.augment import Augmentation  # albumentations takes a second to import

    return Augmentation(transforms, seed)
