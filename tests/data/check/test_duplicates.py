"""Copies are found, pictures of one kind are not taken for copies."""

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from segbench.data.check import duplicates
from segbench.data.check.duplicates import (
    duplicate_problems,
    fingerprint,
    groups,
    near_duplicates,
    perceptual_hashes,
    thumbnail,
)
from segbench.data.store.transforms import Array
from segbench.data.synthetic import draw_cells

IMAGES = [draw_cells(index)[0] for index in range(60)]
THUMBNAILS = np.stack([thumbnail(image) for image in IMAGES])


def jpeg(image: Array) -> Array:
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def noisy(image: Array) -> Array:
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[Array], Array]] = {
    "same": lambda image: image,
    "jpeg": jpeg,
    "half": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),  # type: ignore[return-value]
    "double": lambda image: cv2.resize(image, None, fx=2, fy=2),  # type: ignore[return-value]
    "brighter": lambda image: (image * 1.15).clip(0, 255).astype(np.uint8),
    "gamma": lambda image: (255 * (image / 255) ** 0.8).astype(np.uint8),
    "noisy": noisy,
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 1),  # type: ignore[return-value]
    "grey": lambda image: image.mean(axis=2, keepdims=True).astype(np.uint8),
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("total", [5, 60])  # without and with the mean taken away
def test_copies_are_found_and_nothing_else(name: str, total: int) -> None:
    copied = [0, 2, 4]
    copies = np.stack([thumbnail(COPIES[name](IMAGES[i])) for i in copied])
    pairs = near_duplicates(np.concatenate([THUMBNAILS[:total], copies]))
    assert sorted(pairs) == [(i, total + place) for place, i in enumerate(copied)]


def test_a_shared_vignette_makes_no_copies() -> None:
    y, x = np.mgrid[-1:1:96j, -1:1:128j]
    vignette = 200 * np.exp(-(x**2 + y**2))
    images = []
    for cy, cx in ((i / 4 - 0.6, j / 6 - 0.6) for i in range(5) for j in range(8)):
        blob = 12 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.02)
        images.append(np.repeat((vignette - blob)[:, :, None], 3, axis=2).clip(0).astype(np.uint8))
    small = np.stack([thumbnail(image) for image in images])
    flat = small.reshape(40, -1)
    assert np.corrcoef(flat).min() > duplicates.MIN_CORRELATION  # by themselves they are alike
    assert near_duplicates(small) == []


def test_flat_pictures_are_like_nothing() -> None:
    flat = np.stack([np.full((32, 32), value, np.float32) for value in (0, 0, 7, 255)])
    assert near_duplicates(flat) == []


def test_flat_pictures_are_copies_only_where_every_pixel_is_the_same() -> None:
    flat = [np.full((40, 40, 3), value, np.uint8) for value in (0, 9, 0)]
    pictures = [(name, "train", fingerprint(f)) for name, f in zip("abc", flat, strict=True)]
    found = duplicate_problems(pictures)
    assert [problem.message.split(";")[0] for problem in found] == [
        "a (train): the same picture as c (train)"
    ]
    assert duplicate_problems([]) == []


def test_hash_survives_brightness_and_tells_pictures_apart() -> None:
    hashes = perceptual_hashes(THUMBNAILS)
    assert hashes.shape == (60,)
    assert len(set(hashes.tolist())) == 60
    moved = perceptual_hashes(0.5 * THUMBNAILS + 20)
    assert np.bitwise_count(hashes ^ moved).max() <= 1


def test_blocks_give_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(0, 2, THUMBNAILS.shape).astype(np.float32)
    twice = np.concatenate([THUMBNAILS, THUMBNAILS + noise, THUMBNAILS - noise])
    whole = near_duplicates(twice)
    assert len(whole) == 180
    monkeypatch.setattr(duplicates, "_BLOCK", 7)
    monkeypatch.setattr(duplicates, "_CHUNK", 3)
    assert sorted(near_duplicates(twice)) == sorted(whole)


def test_ten_thousand_take_seconds() -> None:
    many = np.random.default_rng(0).normal(100, 30, (10_000, 32, 32)).astype(np.float32)
    many[9_999] = many[0] + 1
    start = time.perf_counter()
    assert near_duplicates(many) == [(0, 9_999)]
    assert time.perf_counter() - start < 15  # about one, on an idle core


def test_groups_join_pairs() -> None:
    assert groups(6, [(4, 1), (1, 3), (0, 5), (2, 2)]) == [[0, 5], [1, 3, 4]]
    assert groups(3, []) == []
