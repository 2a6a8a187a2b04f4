"""Shared memory through which loading processes hand their batches over."""

import math
from collections.abc import Sequence
from itertools import count
from multiprocessing.sharedctypes import RawArray
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch

from segbench.data.transforms import Array
from segbench.types import Batch

PREFETCH = 2  # batches that a loading process is ahead: DataLoader's own default

_keys = count()
_rings: "WeakValueDictionary[int, Ring]" = WeakValueDictionary()


class Ring:
    """Places for the batches of each loading process, used over and over.

    torch would make a shared file for each tensor of each batch, map it, and unmap it, which takes
    the training process longer than to copy the batch. Through the pipe goes only where it lies;
    it is copied as soon as that is read. A process gets another batch to load only after one of
    its ``PREFETCH`` was read, so with as many places none is written over too early.

    Args:
        workers: Loading processes.
        batch_size: Images of a batch, at most.
        shape: (H, W, C) of an image.
    """

    def __init__(self, workers: int, batch_size: int, shape: tuple[int, ...]) -> None:
        self.places, self.shape = (workers, PREFETCH, batch_size), shape
        self.pixels = math.prod((*self.places, *shape[:2]))
        self.memory = RawArray("B", self.pixels * (shape[2] + 1))
        self.turn = 0  # of the process that this copy is in
        self.key = next(_keys)
        _rings[self.key] = self

    def put(
        self, worker: int, images: Sequence[Array], masks: Sequence[Array], chosen: Array
    ) -> "InRing":
        """Lay a batch of a loading process down; what is returned turns into it when unpickled."""
        place, self.turn = self.turn, (self.turn + 1) % PREFETCH
        for shelf, arrays in zip(self._shelves(worker, place), (images, masks), strict=True):
            for slot, array in zip(shelf, arrays, strict=False):
                slot[...] = array
        return InRing(self.key, worker, place, chosen.tolist())

    def take(self, worker: int, place: int, chosen: list[int]) -> Batch:
        """A copy of what lies there."""
        images, masks = (shelf[: len(chosen)].copy() for shelf in self._shelves(worker, place))
        return as_batch(images, masks, np.asarray(chosen))

    def _shelves(self, worker: int, place: int) -> tuple[Array, Array]:
        memory = np.frombuffer(self.memory, np.uint8)
        masks = memory[: self.pixels].reshape(*self.places, *self.shape[:2])
        images = memory[self.pixels :].reshape(*self.places, *self.shape)
        return images[worker, place], masks[worker, place]


class InRing:
    """Where a batch lies; unpickled, it is the batch."""

    def __init__(self, *where: Any) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return _taken, self.where


def _taken(key: int, *where: Any) -> Batch:
    return _rings[key].take(*where)


def as_batch(images: Array, masks: Array, chosen: Array) -> Batch:
    """A batch of arrays ``(N, H, W, C)`` and ``(N, H, W)``, its images in channels_last memory."""
    return {
        "image": torch.from_numpy(images).permute(0, 3, 1, 2),
        "mask": torch.from_numpy(masks),
        "index": torch.from_numpy(chosen),
    }
