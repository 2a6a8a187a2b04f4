"""Loads whole batches from the prepared store, and defines the order of training."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler

from segbench.data.store.prepared import Prepared
from segbench.data.store.transforms import Array, Values
from segbench.hardware.device import available_cores
from segbench.types import Batch

# 16,000 images/s of 96² with `standard` (2,000 each on the cores of docs/speed.md)
MOST_PROCESSES = 8
Place = tuple[int, int]  # (epoch, index in the part)
# (image (H, W, C), mask (H, W), epoch, index) → augmented image and mask
Augment = Callable[[Values, Array, int, int], tuple[Values, Array]]


class PreparedCases(Dataset[Batch]):
    """Reads a whole batch from the store at once, without collating single items.

    Args:
        prepared: the prepared cases of the data set.
        indices: the indices in it of the cases of this part.
        originals: whether batches include the masks at their original sizes.
        instances: whether they include the numbers of the objects at each pixel.
    """

    def __init__(
        self,
        prepared: Prepared,
        indices: Sequence[int],
        originals: bool = False,
        instances: bool = False,
    ) -> None:
        self.prepared, self.indices = prepared, np.asarray(indices)
        self.originals, self.instances = originals, instances

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, items: list[Any]) -> Batch:
        chosen = self.indices[items]
        self.prepared.check(chosen)
        found = _as_batch(self.prepared.images[chosen], self.prepared.masks[chosen], chosen)
        if self.originals:
            found["original"] = [torch.from_numpy(self.prepared.original(i)) for i in chosen]
        if self.instances:
            found["instances"] = self.numbers(chosen.tolist())
        return found

    def numbers(self, indices: Sequence[int]) -> list[Tensor]:
        """The numbers (H_i, W_i) int32 of the objects at each pixel of cases."""
        found = []
        for index in indices:
            numbers = self.prepared.instances(index)
            assert numbers is not None
            found.append(torch.from_numpy(numbers.astype(np.int32)))
        return found

    def batch_bytes(self, batch_size: int) -> int:
        """Bytes of the largest batch of ``batch_size`` cases."""
        count = min(batch_size, len(self))
        pixels = int(np.prod(self.prepared.masks.shape[1:]))
        depth = self.prepared.images.shape[3] * self.prepared.images.itemsize
        size: int = count * (pixels * (depth + 1) + 8)
        if self.originals:
            areas = sorted(h * w for h, w in (self.prepared.sizes[i] for i in self.indices))
            size += sum(areas[len(areas) - count :])
        return size


@dataclass(frozen=True)
class ScaledAugment:
    """Augments images of floats, for which transforms expect 0 to 1.

    Args:
        augment: the augmentation.
        low: the least value of each channel in the train part, which becomes 0.
        high: the largest one, which becomes 1.
    """

    augment: Augment
    low: Values
    high: Values

    def __call__(self, image: Values, mask: Array, epoch: int, index: int) -> tuple[Values, Array]:
        """The augmented image, in its own units, and the mask."""
        span = np.where(self.high > self.low, self.high - self.low, 1).astype(np.float32)
        low = self.low.astype(np.float32)
        scaled = ((image - low) / span).clip(0, 1)
        changed, labels = self.augment(scaled, mask, epoch, index)
        return changed * span + low, labels


class TrainingCases(PreparedCases):
    """Cases augmented by (epoch, case), so that batches do not depend on the loading process.

    Args:
        prepared: the prepared cases of the data set.
        indices: the indices in it of the cases of this part.
        augment: the augmentation, or None.
    """

    def __init__(
        self, prepared: Prepared, indices: Sequence[int], augment: Augment | None = None
    ) -> None:
        super().__init__(prepared, indices)
        self.augment = augment

    def __getitems__(self, items: list[Any]) -> Batch:
        # Lightning's own sampler (overfit_batches) gives plain numbers
        pairs = [item if isinstance(item, tuple) else (0, item) for item in items]
        if self.augment is None:
            return super().__getitems__([position for _, position in pairs])
        images, masks, chosen = [], [], self.indices[[position for _, position in pairs]]
        self.prepared.check(chosen)
        for (epoch, _), index in zip(pairs, chosen.tolist(), strict=True):
            case = self.prepared.images[index], self.prepared.masks[index]
            image, mask = self.augment(*case, epoch, index)
            images.append(image)
            masks.append(mask)
        return _as_batch(images, masks, chosen)


def _as_batch(images: ArrayLike, masks: ArrayLike, chosen: Array) -> Batch:
    """A batch of N images ``(H, W, C)`` and masks ``(H, W)``, in channels_last memory."""
    return {
        "image": torch.from_numpy(np.asarray(images)).permute(0, 3, 1, 2),
        "mask": torch.from_numpy(np.asarray(masks)),
        "index": torch.from_numpy(chosen),
    }


def processes_for(cases: PreparedCases) -> int:
    """Number of loading processes for a GPU: 0 without augmentation, which prepared images need."""
    augmented = isinstance(cases, TrainingCases) and cases.augment is not None
    return min(MOST_PROCESSES, available_cores() - 1) if augmented else 0


class EpochSampler(DistributedSampler[Place]):
    """A random order that depends only on seed and epoch, so that a resumed run repeats it.

    It yields (epoch, index), because persistent workers have no other way to learn the epoch. As a
    `DistributedSampler` it is not replaced by Lightning: each of ``world`` processes takes every
    ``world``-th index of the same order.

    Args:
        length: number of cases in the part.
        seed: with the epoch, the seed of the order.
        world: number of processes that divide the order.
        rank: index of this process, from 0.
        ask_epoch: returns the epoch when an order is drawn. Lightning also calls ``set_epoch``, but
            in a resumed run only after loading processes have drawn their first indices. None: the
            epoch of the last ``set_epoch``.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        world: int = 1,
        rank: int = 0,
        ask_epoch: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(range(length), num_replicas=world, rank=rank, seed=seed)  # type: ignore[arg-type]
        self.length, self.ask_epoch = length, ask_epoch

    def __iter__(self) -> Iterator[Place]:
        epoch = self.epoch if self.ask_epoch is None else self.ask_epoch()
        order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        # repeats the first indices, so that all processes take the same number of steps
        mine = np.resize(order, self.total_size)[self.rank :: self.num_replicas]
        return iter([(epoch, index) for index in mine.tolist()])
