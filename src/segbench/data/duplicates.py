"""Finds pictures that are the same, or nearly: re-encoded, rescaled, brightened, touched up.

Candidates share all but `MAX_BITS` bits of a perceptual hash, the signs of a thumbnail's lowest
frequencies (pHash: Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
Functions"); the thumbnails themselves then have to agree, less what the whole data set shares (a
vignette, a table, a fixed camera), so that pictures of one kind are not taken for one picture.

The thresholds were tuned on 664 nuclei images (2018 Data Science Bowl), the 200 dermoscopies of PH2
and 299 pictures of Oxford-IIIT Pet, every pair found being looked at. They give three pairs, all
true: two pets stored twice at different sizes (correlation 1.000) and one embryo taken twice
(0.977). The likest two pictures of different things have 0.924: dermoscopies with their lesions in
one place. Of 203 pictures copied as JPEG of quality 50, at half the size, 15 % brighter, with gamma
0.8, noise (σ = 3 levels) or blur (σ = 2 px), all copies were found but 3 of the brighter ones;
cropped by 1 % on each side 171, by 2 % 34. Mirrored and turned copies are not looked for.
"""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from segbench.data.faults import Problem
from segbench.data.transforms import Array

Floats = npt.NDArray[np.float32]
Fingerprint = tuple[bytes, Floats]  # a hash of all pixels, a thumbnail
SIDE = 32  # of a thumbnail, pixels
MAX_BITS = 10  # of 64 that may differ
MIN_CORRELATION = 0.97
_SHOWN = 4  # files of a group in its message
# Of fewer pictures the mean tells nothing about what the data set shares: it is the pictures.
_ENOUGH_FOR_A_MEAN = 20
_BLOCK = 1024  # hashes compared with all at a time: 80 MB for 10,000 pictures
_CHUNK = 1 << 14  # pairs of thumbnails compared at a time: 134 MB


def fingerprint(image: Array) -> Fingerprint:
    """What duplicates of a picture (H, W, C) are known by."""
    content = repr(image.shape).encode() + image.tobytes()
    return hashlib.sha256(content).digest(), thumbnail(image)


def duplicate_problems(
    pictures: Sequence[tuple[str, str | None, Fingerprint]],
) -> list[Problem]:
    """Pictures that are there twice: an error where parts share one, a notice within one part.

    Args:
        pictures: of each its file, its part (None: in none), and its fingerprint.
    """
    if not pictures:
        return []
    pairs = near_duplicates(np.stack([thumbnail for _, _, (_, thumbnail) in pictures]))
    first: dict[bytes, int] = {}
    for place, (_, _, (digest, _)) in enumerate(pictures):  # so that flat ones are found too
        pairs.append((first.setdefault(digest, place), place))
    return [_problem([pictures[i] for i in group]) for group in groups(len(pictures), pairs)]


def _problem(group: Sequence[tuple[str, str | None, Fingerprint]]) -> Problem:
    words = [f"{file} ({part or 'no part'})" for file, part, _ in group]
    same = len({digest for _, _, (digest, _) in group}) == 1
    more = f" and {len(group) - _SHOWN} more" if len(group) > _SHOWN else ""
    likeness = "the same picture as" if same else "nearly the same picture as"
    text = f"{words[0]}: {likeness} {', '.join(words[1:_SHOWN])}{more}"
    if len({part for _, part, _ in group if part}) < 2:
        return Problem("notice", "duplicate", group[0][0], f"{text}; it counts more than once")
    way_out = (
        "what is learnt from one is scored on another; remove all but one, or name them in one "
        "part of data.split"
    )
    return Problem("error", "leak", group[0][0], f"{text}; {way_out}")


def thumbnail(image: Array) -> Floats:
    """The grey (32, 32) thumbnail of a picture (H, W, C), each pixel the mean of what it covers."""
    grey = image.astype(np.float32).mean(axis=2)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def perceptual_hashes(thumbnails: Floats) -> npt.NDArray[np.uint64]:
    """(N,) hashes of 64 bits of (N, 32, 32) thumbnails: which low frequencies exceed the median."""
    low = dctn(thumbnails, axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)  # the first is the mean grey
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def near_duplicates(thumbnails: Floats) -> list[tuple[int, int]]:
    """Pairs i < j of (N, 32, 32) thumbnails that show nearly the same; 10,000 take seconds."""
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


def _distinctive(thumbnails: Floats) -> Floats:
    """Thumbnails as unit vectors (N, 1024), less what all share; flat ones become zero."""
    unit = _unit(thumbnails.reshape(len(thumbnails), -1))
    return _unit(unit - unit.mean(axis=0)) if len(unit) >= _ENOUGH_FOR_A_MEAN else unit


def _unit(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: Floats = np.where(length > 1e-3, centred / np.maximum(length, 1e-3), 0)
    return unit


def groups(count: int, pairs: list[tuple[int, int]]) -> list[list[int]]:
    """The sets of two or more among ``count`` items that the pairs join, each sorted."""
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    joined = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    total, label = connected_components(joined, directed=False)
    order = np.argsort(label, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(label, minlength=total))[:-1])
    return sorted(part.tolist() for part in parts if len(part) > 1)
