"""Finds equal or nearly equal pictures: re-encoded, rescaled, brightened or retouched.

Candidates share all but `MAX_BITS` bits of a perceptual hash, the signs of a thumbnail's lowest
frequencies (pHash: Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
Functions"). The thumbnails of a pair must then correlate after the mean of the whole data set (a
vignette, a table, a fixed camera) is subtracted, so that similar pictures do not count as equal.

The thresholds were tuned on 664 nuclei images (2018 Data Science Bowl), the 200 images of PH2 and
299 pictures of Oxford-IIIT Pet, and every pair found was inspected. They give three pairs, all
correct: two pets stored twice at different sizes (correlation 1.000) and one embryo imaged twice
(0.977). The largest correlation of pictures of different objects is 0.924, for two lesions at the
same position. 203 pictures were copied as JPEG of quality 50, at half the size, 15 % brighter, with
gamma 0.8, noise (σ = 3 levels) or blur (σ = 2 px): all copies were found except 3 of the brighter
ones. Of copies cropped by 1 % on each side 171 were found, by 2 % 34. Mirrored and rotated copies
are not searched for.
"""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from segbench.data.decoding.opening import LARGE
from segbench.data.faults import Problem
from segbench.data.store.transforms import Array, resize_image

Floats = npt.NDArray[np.float32]
Fingerprint = tuple[bytes, Floats]  # a hash of all pixels, a thumbnail
SIDE = 32  # of a thumbnail, pixels
MAX_BITS = 10  # of 64 that may differ
MIN_CORRELATION = 0.97
_SHOWN = 4  # files of a group in its message
# The mean of fewer pictures is dominated by the pictures themselves.
_ENOUGH_FOR_A_MEAN = 20
_BLOCK = 1024  # hashes compared with all at a time: 80 MB for 10,000 pictures
LESS = 32  # sides of a large picture are first made so many times those of its thumbnail
_CHUNK = 1 << 14  # pairs of thumbnails compared at a time: 134 MB


def fingerprint(image: Array) -> Fingerprint:
    """The hash and the thumbnail of a picture (H, W, C), by which duplicates are found."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest(), thumbnail(image)


def duplicate_problems(
    pictures: Sequence[tuple[str, str | None, Fingerprint]],
) -> list[Problem]:
    """A problem for each group of duplicates: an error across parts, a notice within one part.

    Args:
        pictures: the file, the part (None: in no part) and the fingerprint of each picture.
    """
    if not pictures:
        return []
    pairs = near_duplicates(np.stack([thumbnail for _, _, (_, thumbnail) in pictures]))
    first: dict[bytes, int] = {}
    for index, (_, _, (digest, _)) in enumerate(pictures):  # to find uniform pictures too
        pairs.append((first.setdefault(digest, index), index))
    return [_problem([pictures[i] for i in group]) for group in groups(len(pictures), pairs)]


def _problem(group: Sequence[tuple[str, str | None, Fingerprint]]) -> Problem:
    named = [f"{file} ({part or 'no part'})" for file, part, _ in group]
    same = len({digest for _, _, (digest, _) in group}) == 1
    more = f" and {len(group) - _SHOWN} more" if len(group) > _SHOWN else ""
    likeness = "the same picture as" if same else "nearly the same picture as"
    text = f"{named[0]}: {likeness} {', '.join(named[1:_SHOWN])}{more}"
    if len({part for _, part, _ in group if part}) < 2:
        return Problem("notice", "duplicate", group[0][0], f"{text}; it counts more than once")
    way_out = (
        "what is learnt from one is scored on another; remove all but one, or name them in one "
        "part of data.split"
    )
    return Problem("error", "leak", group[0][0], f"{text}; {way_out}")


def thumbnail(image: Array) -> Floats:
    """The grey thumbnail (32, 32) of a picture (H, W, C), by area averages."""
    if image.shape[0] * image.shape[1] > LARGE:  # floats of all pixels would take gigabytes
        image = resize_image(image, (LESS * SIDE, LESS * SIDE))
    grey = image.astype(np.float32).mean(axis=2)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def perceptual_hashes(thumbnails: Floats) -> npt.NDArray[np.uint64]:
    """64-bit hashes (N,) of thumbnails (N, 32, 32): the low frequencies above the median."""
    low = dctn(thumbnails, axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    bits = low > np.median(
        low[:, 1:], axis=1, keepdims=True
    )  # the first coefficient is the mean grey
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def near_duplicates(thumbnails: Floats) -> list[tuple[int, int]]:
    """Pairs i < j of nearly equal thumbnails (N, 32, 32); 10,000 take seconds."""
    hashes, unit = perceptual_hashes(thumbnails), _distinctive(thumbnails)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK, None]
        bits = np.bitwise_count(block ^ hashes[None, start:])
        rows, columns = np.nonzero(np.triu(bits <= MAX_BITS, k=1))
        for chunk in range(0, len(rows), _CHUNK):
            i = start + rows[chunk : chunk + _CHUNK]
            j = start + columns[chunk : chunk + _CHUNK]
            alike = np.einsum("nd,nd->n", unit[i], unit[j]) >= MIN_CORRELATION
            pairs += zip(i[alike].tolist(), j[alike].tolist(), strict=True)
    return pairs


def neighbours_alike(thumbnails: Sequence[Floats]) -> list[bool]:
    """Whether each of N thumbnails (32, 32) but the last is nearly equal to the next, (N - 1,).

    Of fewer pictures than give a mean, none is: they may resemble one another for another reason.
    """
    if len(thumbnails) < _ENOUGH_FOR_A_MEAN:
        return [False] * max(0, len(thumbnails) - 1)
    unit = _distinctive(np.stack(thumbnails))
    alike: list[bool] = ((unit[:-1] * unit[1:]).sum(axis=1) >= MIN_CORRELATION).tolist()
    return alike


def _distinctive(thumbnails: Floats) -> Floats:
    """Thumbnails as unit vectors (N, 1024) without their mean; uniform ones become zero."""
    unit = _unit(thumbnails.reshape(len(thumbnails), -1))
    return _unit(unit - unit.mean(axis=0)) if len(unit) >= _ENOUGH_FOR_A_MEAN else unit


def _unit(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: Floats = np.where(length > 1e-3, centred / np.maximum(length, 1e-3), 0)
    return unit


def groups(count: int, pairs: list[tuple[int, int]]) -> list[list[int]]:
    """The connected sets of two or more among ``count`` items, by pairs; each is sorted."""
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    joined = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    total, label = connected_components(joined, directed=False)
    order = np.argsort(label, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(label, minlength=total))[:-1])
    return sorted(part.tolist() for part in parts if len(part) > 1)
