"""Normalisation by ImageNet's statistics and by those of the train part."""

import numpy as np
import pytest
import torch

from segbench.data.store.normalisation import Normalisation, fit

IMAGES = np.random.default_rng(0).gamma(2, 300, (9, 6, 8, 5)).astype(np.float32)
TRAIN = [0, 2, 3, 7]


def applied(normalisation: Normalisation, images: np.ndarray) -> np.ndarray:
    moved = torch.from_numpy(images).permute(0, 3, 1, 2)
    return normalisation(moved).permute(0, 2, 3, 1).numpy()


def test_the_train_part_gets_mean_0_and_deviation_1() -> None:
    found = fit("train", IMAGES, TRAIN, 5)
    pixels = IMAGES[TRAIN].reshape(-1, 5).astype(np.float64)
    np.testing.assert_allclose(found.offset, pixels.mean(axis=0))
    np.testing.assert_allclose(found.scale, pixels.std(axis=0))
    np.testing.assert_allclose(applied(found, IMAGES[TRAIN]).mean((0, 1, 2)), 0, atol=1e-5)


def test_percentiles_of_the_train_part_become_0_and_1() -> None:
    found = fit("percentile", IMAGES, TRAIN, 5)
    low, high = np.percentile(IMAGES[TRAIN].reshape(-1, 5), [0.5, 99.5], axis=0)
    expected = ((IMAGES - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(applied(found, IMAGES), expected, atol=1e-6)


def test_none_leaves_values_and_a_constant_channel_is_not_divided_by_0() -> None:
    np.testing.assert_array_equal(applied(fit("none", IMAGES, TRAIN, 5), IMAGES), IMAGES)
    flat = IMAGES.copy()
    flat[..., 3] = 7
    for method in ("train", "percentile"):
        assert (applied(fit(method, flat, TRAIN, 5), flat)[..., 3] == 0).all()


def test_a_record_repeats_it_and_a_damaged_one_does_not_pass() -> None:
    found = fit("percentile", IMAGES, TRAIN, 5)
    again = Normalisation.from_record(found.record)
    assert again == found
    np.testing.assert_array_equal(applied(again, IMAGES), applied(found, IMAGES))
    for damage in ({"scale": [0] * 5}, {"offset": [1]}, {"method": "?"}, {"scale": "abcde"}):
        with pytest.raises(ValueError):
            Normalisation.from_record({**found.record, **damage})
