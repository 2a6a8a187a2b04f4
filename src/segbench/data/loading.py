"""Whole batches straight from the prepared store, and the order in which training meets them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info
from torch.utils.data.distributed import DistributedSampler

from segbench.data.prepared import Prepared
from segbench.data.ring import InRing, Ring, as_batch
from segbench.data.transforms import Array
from segbench.hardware import available_cores
from segbench.types import Batch

# 16,000 images/s of 96² with `standard` (2,000 each on the cores of docs/speed.md)
MOST_PROCESSES = 8
Place = tuple[int, int]  # (epoch, place in the part)
# (image (H, W, C), mask (H, W), epoch, index) → the two, changed
Augment = Callable[[Array, Array, int, int], tuple[Array, Array]]


class PreparedCases(Dataset[Batch]):
    """Fetches a whole batch at once: a single read of the store, and nothing to collate."""

    ring: Ring | None = None  # of loading processes

    def __init__(self, prepared: Prepared, indices: Sequence[int], originals: bool = False) -> None:
        self.prepared, self.indices, self.originals = prepared, np.asarray(indices), originals

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, places: list[Any]) -> Batch | InRing:
        chosen = self.indices[places]
        found = self._batch(self.prepared.images[chosen], self.prepared.masks[chosen], chosen)
        if self.originals and isinstance(found, dict):
            found["original"] = [torch.from_numpy(self.prepared.original(i)) for i in chosen]
        return found

    def _batch(self, images: Any, masks: Any, chosen: Array) -> Batch | InRing:
        worker = get_worker_info()
        if self.ring is not None and worker is not None:
            return self.ring.put(worker.id, images, masks, chosen)
        return as_batch(np.asarray(images), np.asarray(masks), chosen)


class TrainingCases(PreparedCases):
    """The same, augmented by (epoch, case): whichever process loads a batch, it is the same one."""

    def __init__(
        self, prepared: Prepared, indices: Sequence[int], augment: Augment | None = None
    ) -> None:
        super().__init__(prepared, indices)
        self.augment = augment

    def __getitems__(self, places: list[Any]) -> Batch | InRing:
        # plain numbers come where Lightning puts its own sampler (overfit_batches)
        pairs = [place if isinstance(place, tuple) else (0, place) for place in places]
        if self.augment is None:
            return super().__getitems__([place for _, place in pairs])
        images, masks, chosen = [], [], self.indices[[place for _, place in pairs]]
        for (epoch, _), index in zip(pairs, chosen.tolist(), strict=True):
            case = self.prepared.images[index], self.prepared.masks[index]
            image, mask = self.augment(*case, epoch, index)
            images.append(image)
            masks.append(mask)
        return self._batch(images, masks, chosen)


def processes_for(cases: PreparedCases) -> int:
    """Loading processes that keep a GPU from waiting: to augment; what lies prepared needs none."""
    augmented = isinstance(cases, TrainingCases) and cases.augment is not None
    return min(MOST_PROCESSES, available_cores() - 1) if augmented else 0


def as_it_is(batch: Any) -> Any:
    """Collate what is a batch already."""
    return batch


class EpochSampler(DistributedSampler[Place]):
    """A random order that only seed and epoch decide, so that a resumed run draws the same.

    Each place travels with its epoch, which workers that outlive an epoch learn in no other way.
    Lightning calls ``set_epoch`` before each epoch, and leaves a `DistributedSampler` in its
    place: of ``world`` processes each takes every ``world``-th place of the one order.
    """

    def __init__(self, length: int, seed: int, world: int = 1, rank: int = 0) -> None:
        super().__init__(range(length), num_replicas=world, rank=rank, seed=seed)  # type: ignore[arg-type]
        self.length = length

    def __iter__(self) -> Iterator[Place]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        # the last places of uneven shares are filled from the front: all processes step alike
        mine = np.resize(order, self.total_size)[self.rank :: self.num_replicas]
        return iter([(self.epoch, place) for place in mine.tolist()])
