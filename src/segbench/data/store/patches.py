"""Random patches of the train part at its own resolution, and whole pictures for scoring."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from segbench.data.store.loading import Augment, PreparedCases
from segbench.data.store.prepared import Prepared
from segbench.data.store.transforms import Array, Values
from segbench.types import Batch

Size = tuple[int, int]


@dataclass(frozen=True)
class PatchOptions:
    """How patches are drawn.

    Args:
        size: (height, width) of a patch in pixels.
        scale: pictures are resized by it first.
        foreground: the share of patches that are centred on a pixel of a class other than the
            background; the class is drawn evenly (nnU-Net, Isensee et al. 2021).
        per_epoch: the number of patches of an epoch; None: as many as cover the train part.
    """

    size: Size
    scale: float = 1.0
    foreground: float = 0.33
    per_epoch: int | None = None

    def count(self, sizes: Sequence[tuple[int, ...]]) -> int:
        """The number of patches of an epoch.

        Args:
            sizes: (height, width) of each picture of the train part.
        """
        return self.per_epoch or sum(_covering(size, self.size) for size in sizes)


def _covering(size: tuple[int, ...], patch: Size) -> int:
    """The number of patches that cover a picture."""
    return -(-size[0] // patch[0]) * -(-size[1] // patch[1])


class PatchCases(PreparedCases):
    """Patches that depend only on (seed, epoch, number), whichever process loads them.

    Args:
        prepared: the prepared cases, at their own sizes.
        indices: of the cases of the train part.
        options: how patches are drawn.
        labels: of the classes that patches are centred on.
        ignore_index: the label of pixels beyond a picture's border.
        seed: of the patches.
        augment: the augmentation, or None.
    """

    def __init__(
        self,
        prepared: Prepared,
        indices: Sequence[int],
        options: PatchOptions,
        labels: Sequence[int],
        ignore_index: int,
        seed: int,
        augment: Augment | None = None,
    ) -> None:
        super().__init__(prepared, indices)
        self.options, self.ignore_index, self.seed = options, ignore_index, seed
        self.augment = augment
        sizes = [prepared.images[i].shape for i in indices]
        self._count = options.count(sizes)
        areas = np.cumsum([_covering(size, options.size) for size in sizes], dtype=np.float64)
        self._shares = areas / areas[-1]
        self._with_label: list[tuple[int, list[int]]] = []
        for label in labels:
            found = [i for i in indices if any(each == label for each, _ in prepared.pixels[i])]
            if found:
                self._with_label.append((label, found))

    def __len__(self) -> int:
        return self._count

    def __getitems__(self, items: list[Any]) -> Batch:
        pairs = [item if isinstance(item, tuple) else (0, item) for item in items]
        images, masks, chosen = [], [], []
        for epoch, number in pairs:
            index, image, mask = self.draw(epoch, number)
            if self.augment is not None:
                image, mask = self.augment(image, mask, epoch, number)
            images.append(image)
            masks.append(mask)
            chosen.append(index)
        return {
            "image": torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
            "mask": torch.from_numpy(np.stack(masks)),
            "index": torch.tensor(chosen),
        }

    def draw(self, epoch: int, number: int) -> tuple[int, Values, Array]:
        """The index of the case, the patch (h, w, C) and its mask (h, w)."""
        chance = np.random.default_rng([self.seed, epoch, number])
        centred = chance.random() < self.options.foreground and bool(self._with_label)
        if centred:
            label, owners = self._with_label[chance.integers(len(self._with_label))]
            index = owners[chance.integers(len(owners))]
            assert self.prepared.locations is not None
            rows = self.prepared.locations[index]
            rows = rows[rows[:, 0] == label]
            _, *centre = rows[chance.integers(len(rows))].tolist()
        else:
            index = int(self.indices[np.searchsorted(self._shares, chance.random(), "right")])
        self.prepared.check([index])
        image, mask = self.prepared.images[index], self.prepared.masks[index]
        start = []
        for axis in (0, 1):
            room = max(0, mask.shape[axis] - self.options.size[axis])
            at = chance.integers(room + 1)
            if centred:
                at = min(max(0, centre[axis] - self.options.size[axis] // 2), room)
            start.append(int(at))
        window = tuple(slice(a, a + b) for a, b in zip(start, self.options.size, strict=True))
        return index, *padded(image[window], mask[window], self.options.size, self.ignore_index)

    def batch_bytes(self, batch_size: int) -> int:
        """Bytes of a batch of ``batch_size`` patches."""
        height, width = self.options.size
        depth = int(self.prepared.images[0].shape[2] * self.prepared.images.itemsize)
        return batch_size * (height * width * int(depth + 1) + 8)


class WholeCases(PreparedCases):
    """Whole pictures at their own sizes, one in each batch, to be predicted window by window.

    Args:
        prepared: the prepared cases, at their own sizes.
        indices: of the cases of a part.
        originals: whether batches include the masks at their original sizes.
        instances: whether they include the numbers of the objects at each pixel.
        size: of the windows. Smaller pictures are padded, their masks are not.
    """

    def __init__(
        self,
        prepared: Prepared,
        indices: Sequence[int],
        originals: bool,
        instances: bool,
        size: Size,
    ) -> None:
        super().__init__(prepared, indices, originals, instances)
        self.size = size

    def __getitems__(self, items: list[Any]) -> Batch:  # of one picture
        (position,) = items
        index = int(self.indices[position])
        self.prepared.check([index])
        image, mask = self.prepared.images[index], self.prepared.masks[index]
        larger = padded(image, mask, self.size, 0)[0]
        found: Batch = {
            "image": torch.from_numpy(larger).permute(2, 0, 1)[None],
            "mask": torch.from_numpy(mask)[None],
            "index": torch.tensor([index]),
            "windows": self.size,
        }
        if self.originals:
            found["original"] = [torch.from_numpy(self.prepared.original(index))]
        if self.instances:
            found["instances"] = self.numbers([index])
        return found

    def batch_bytes(self, batch_size: int) -> int:
        """Bytes of the largest picture with its masks."""
        depth = len(self.prepared.ranges[0]) * int(self.prepared.images.itemsize)
        return 3 * depth * max(int(self.prepared.masks[int(i)].size) for i in self.indices)


def padded(image: Values, mask: Array, size: Size, ignore_index: int) -> tuple[Values, Array]:
    """An image (H, W, C) and its mask, enlarged at the right and bottom to at least ``size``.

    New pixels have the image's mean, and the ignored label.
    """
    add = [max(0, side - length) for side, length in zip(size, mask.shape, strict=True)]
    if not any(add):
        return image, mask
    mean = image.mean(axis=(0, 1))
    mean = mean.round() if image.dtype.kind == "u" else mean
    larger = np.empty((mask.shape[0] + add[0], mask.shape[1] + add[1], image.shape[2]), image.dtype)
    larger[:] = mean.astype(image.dtype)
    larger[: mask.shape[0], : mask.shape[1]] = image
    labels = np.full(larger.shape[:2], ignore_index, mask.dtype)
    labels[: mask.shape[0], : mask.shape[1]] = mask
    return larger, labels
