"""SegmentationDataModule: what every data set shares; a subclass finds its cases and reads one."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from segbench.data.faults import refuse_blank, refuse_faulty
from segbench.data.loading import (
    Augment,
    EpochSampler,
    PreparedCases,
    TrainingCases,
    as_it_is,
    processes_for,
)
from segbench.data.options import as_size, check_classes, check_loading
from segbench.data.prepared import (
    Case,
    Decoded,
    Prepared,
    prepare_in_memory,
    prepare_on_disk,
    store_key,
)
from segbench.data.ring import PREFETCH, Ring
from segbench.data.splits import Part
from segbench.data.splitting import SplitsCases
from segbench.data.transforms import Array, decode, decode_image, normalise
from segbench.errors import DataError
from segbench.progress import track
from segbench.types import IGNORE_INDEX, Batch


class SegmentationDataModule(SplitsCases, LightningDataModule):
    """Cases prepared once at one size, split by a seed of their own, and loaded by whole batches.

    A subclass sets ``folder_name`` and ``source``, and gives ``find_cases`` and ``merge_masks``.

    Args:
        class_names: one for each class, background first.
        num_classes: their number, background included.
        ignore_index: the label of pixels that neither losses nor scores see.
        in_channels: 3, or 1 for grey, or 4 with the alpha channel.
        size: the network's: one number, or (height, width).
        batch_size: of training; evaluation takes the same.
        split: for each of ``train``, ``val`` and ``test`` a share, a number of cases, or a text
            file of ids; ``val`` as ``test`` where there is no test part; or in place of all three
            a ``split.json``, or a word that the data set knows.
        split_seed: decides the split.
        stratify: parts alike in ``classes`` (which a mask holds), ``size`` (of the image) or
            ``name`` (the id up to its last underscore); None: as chance has it.
        folds: cross-validation: the test part is one of so many; train and val share the rest.
        fold: which one, from 0.
        seed: decides the order of the training batches and their augmentation, with the epoch.
        augment: albumentations transforms of the training images, see `Augmentation`.
        num_workers: loading processes; None: none for images that lie prepared, but up to 8 to
            augment for a GPU, which would wait for it.
        root: the folder of the data set, or the one that holds it under ``folder_name``.
        cache: where prepared images are kept; None: ``.segbench`` beside the data.
    """

    source: ClassVar[str] = ""  # where to get the data and where to put it

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
        folds: int | None = None,
        fold: int = 0,
        seed: int = 0,
        augment: Mapping[str, Any] | None = None,
        ignore_index: int = IGNORE_INDEX,
        in_channels: int = 3,
        num_workers: int | None = None,
        root: str = "data",
        cache: str | None = None,
    ) -> None:
        super().__init__()
        self.class_names = list(class_names)
        check_classes(self.class_names, num_classes, ignore_index)
        check_loading(batch_size, num_workers, in_channels, stratify)
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.in_channels, self.size = in_channels, as_size(size)
        self.batch_size, self.num_workers = batch_size, num_workers
        self.split = split if isinstance(split, str) else dict(split)
        self.split_seed, self.stratify, self.folds, self.fold = split_seed, stratify, folds, fold
        self.seed, self.augment = seed, _make_augment(augment, seed)
        self.root = Path(root).expanduser()
        self.cache = Path(cache).expanduser() if cache else None
        self.parts: dict[str, list[int]] = {}
        self.cases: list[Case] = []
        self.scored_part = "test"  # what test_dataloader gives; val is scored the same way
        self._prepared: Prepared | None = None

    # What a subclass gives

    def find_cases(self) -> list[Case]:
        """All cases of the data set, in any order.

        Raises:
            DataError: the data set is not there or not whole.
        """
        raise NotImplementedError

    def on_fault(self, fault: DataError) -> None:
        """What `find_cases` does with a case that is not whole: stop. A check collects instead."""
        raise fault

    def read(self, case: Case) -> Decoded:
        """A case at its own size, its mask holding class ids."""
        contents = [_read_bytes(file) for file in case.files]
        files = [Path(file) for file in case.files]
        image = self.read_image(contents[0], files[0])
        masks = [self.read_mask(*pair) for pair in zip(contents[1:], files[1:], strict=True)]
        digest = hashlib.sha256(b"".join(contents)).hexdigest()
        return Decoded(image, self.merge_masks(case, masks), digest)

    def show(self, place: int) -> tuple[Array, Array]:
        """Image (H, W, C) and mask (H, W) at place ``place`` of ``cases``, at their own size.

        The mask comes out of the prepared store: a case's may be hundreds of files.
        """
        case = self.cases[place]
        if not case.files:
            image = self.read(case).image
        else:
            image = self.read_image(_read_bytes(case.files[0]), Path(case.files[0]))
        return image, self.prepared.original(place)

    def read_image(self, content: bytes, file: Path) -> Array:
        """A picture (H, W, in_channels) from a file's content."""
        return decode_image(content, file, self.in_channels)

    def read_mask(self, content: bytes, file: Path) -> Array:
        """A mask file as grey values (H, W), a bit's being 0 and 255."""
        return decode(content, file, "L")

    def merge_masks(self, case: Case, masks: list[Array]) -> Array:
        """Class ids (H, W) from the mask files of a case; one file of class ids as it is."""
        return masks[0]

    def options(self) -> dict[str, Any]:
        """Whatever beside the files decides the prepared images."""
        names = ("size", "in_channels", "num_classes", "ignore_index")
        return {name: getattr(self, name) for name in names}

    # Lightning's hooks

    def prepare_data(self) -> None:
        """Decode, check and resize everything, once."""
        if self._prepared is not None:
            return
        self.cases = sorted(self.find_cases(), key=lambda case: case.id)
        self.make_parts(self.cases)  # what is wrong with a split is said before the long work
        shape = (*self.size, self.in_channels)
        if not any(case.files for case in self.cases):  # generated: nothing to keep
            self._prepared = prepare_in_memory(self.cases, self._read_checked, shape, self._track)
            return
        key = store_key(self.cases, self.options())
        folder = self.cache_folder() / f"{type(self).__name__.lower()}-{key}"
        self._prepared = prepare_on_disk(folder, self.cases, self._read_checked, shape, self._track)

    def setup(self, stage: str | None = None) -> None:
        """Open what is prepared and split it."""
        self.prepare_data()
        refuse_blank(self.prepared.masks, self.class_names, self.ignore_index)
        self.parts = self.make_parts(self.cases, self.prepared.labels, self.prepared.sizes)

    @property
    def prepared(self) -> Prepared:
        """The prepared cases."""
        if self._prepared is None:
            self.prepare_data()
        assert self._prepared is not None
        return self._prepared

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled and augmented by seed and epoch."""
        cases = TrainingCases(self.prepared, self._part("train"), self.augment)
        world, rank = 1, 0
        if self.trainer is not None:
            world, rank = self.trainer.world_size, self.trainer.global_rank
        return self._loader(cases, EpochSampler(len(cases), self.seed, world, rank))

    def val_dataloader(self) -> DataLoader[Batch]:
        """The part that selects, at the network's size."""
        return self._loader(PreparedCases(self.prepared, self._part("val")))

    def test_dataloader(self) -> DataLoader[Batch]:
        """The part ``scored_part``, with the masks at their original sizes."""
        part = self._part(self.scored_part)
        return self._loader(PreparedCases(self.prepared, part, originals=True))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Normalise on the device: a quarter of the bytes are moved, and none by the CPU."""
        return {**batch, "image": normalise(batch["image"]), "mask": batch["mask"].long()}

    # Helpers

    def pixel_counts(self) -> Tensor:
        """Pixels of each class in the training part, at the network's size: (num_classes,)."""
        counts = torch.zeros(256, dtype=torch.int64)
        for case in self._part("train"):
            for label, pixels in self.prepared.pixels[case]:
                counts[label] += pixels
        return counts[: self.num_classes]

    def find_root(self) -> Path:
        """The folder of the data set: ``root`` itself or the folder of its name inside.

        Raises:
            DataError: neither exists.
        """
        folders = dict.fromkeys((self.root / self.folder_name, self.root))
        found = next((folder for folder in folders if folder.is_dir()), None)
        if found is None:
            raise DataError(f"data.root={self.root}: no such folder; {self.source}")
        return found

    def cache_folder(self) -> Path:
        """Where prepared images are kept."""
        return self.cache or self.root / ".segbench"

    def split_record(self) -> dict[str, Any]:
        """For ``split.json``: which case, with which files' hash, is in which part."""
        hashes = self.prepared.sha256
        return {
            "split_seed": self.split_seed,
            "stratify": self.stratify,
            "folds": self.folds,
            "fold": self.fold if self.folds else None,
            "parts": {
                name: [{"id": self.cases[i].id, "sha256": hashes[i]} for i in part]
                for name, part in self.parts.items()
            },
        }

    def _read_checked(self, case: Case) -> Decoded:
        decoded = self.read(case)
        refuse_faulty(case, decoded, self.class_names, self.ignore_index)
        return decoded

    def _track(self, decoded: Iterable[Decoded], total: int) -> Iterable[Decoded]:
        return track(decoded, total, f"preparing {total} images")

    def _part(self, name: str) -> list[int]:
        if not self.parts:
            self.setup()
        return self.parts[name]

    def _loader(
        self, cases: PreparedCases, sampler: EpochSampler | None = None
    ) -> DataLoader[Batch]:
        workers = self.num_workers
        if workers is None:
            on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
            workers = processes_for(cases) if on_gpu else 0
        if workers and not cases.originals:
            shape = cases.prepared.images.shape[1:]
            cases.ring = Ring(workers, self.batch_size, shape)
        return DataLoader(
            cases,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=workers,
            prefetch_factor=PREFETCH if workers else None,
            collate_fn=as_it_is,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


def _make_augment(transforms: Mapping[str, Any] | None, seed: int) -> Augment | None:
    if not transforms:
        return None
    from segbench.data.augment import Augmentation  # albumentations takes a second to import

    return Augmentation(transforms, seed)


def _read_bytes(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read ({error.strerror}); mend the file or remove its case"
        ) from error
