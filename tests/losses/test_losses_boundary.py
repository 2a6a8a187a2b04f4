"""The boundary loss against brute-force and SciPy's distances."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from scipy.spatial.distance import cdist

from segbench.losses.boundary import BoundaryLoss, signed_distance

IGNORE = 255


def test_signed_distance_is_that_to_the_nearest_pixel_of_the_other_side() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (9, 11))
    region, rest = labels == 1, labels == 0  # 2 is of neither side
    pixels = np.argwhere(np.ones_like(region))
    to_region = cdist(pixels, np.argwhere(region)).min(axis=1).reshape(region.shape)
    to_rest = cdist(pixels, np.argwhere(rest)).min(axis=1).reshape(region.shape)
    expected = np.where(region, 0.5 - to_rest, to_region - 0.5) * (labels != 2)
    np.testing.assert_allclose(signed_distance(region, rest), expected, rtol=1e-5)


def test_distances_of_a_large_mask_are_exact() -> None:
    region = np.zeros((600, 800), dtype=bool)
    region[3, 5] = region[400:420, 700:] = True
    expected = np.where(
        region, 0.5 - distance_transform_edt(region), distance_transform_edt(~region) - 0.5
    )
    np.testing.assert_allclose(signed_distance(region, ~region), expected, rtol=1e-5)


@pytest.mark.parametrize("value", [True, False])
def test_no_border_no_distance(value: bool) -> None:
    region = np.full((4, 5), value)
    assert not signed_distance(region, ~region).any()


def test_value_is_the_mean_distance_of_wrong_pixels() -> None:
    target = torch.zeros(1, 1, 10, dtype=torch.int64)
    target[..., 5:] = 1
    logits = torch.where(target == 1, 50.0, -50.0)[:, None]
    logits[..., 2] = 50.0  # 3 pixels from the region: 2.5 from its border
    logits[..., 5] = -50.0  # half a pixel from the border
    assert BoundaryLoss()(logits, target).item() == pytest.approx((2.5 + 0.5) / 10)


def test_gradient_is_that_of_the_papers_formula() -> None:
    """Theirs is the sum of φ p, ours the sum of φ (p - y): the same but for a constant."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 7, 8, generator=generator, requires_grad=True)
    target = torch.randint(3, (2, 7, 8), generator=generator)
    phi = torch.stack(
        [
            torch.stack([torch.from_numpy(signed_distance(y, ~y)) for y in image])
            for image in ((t[None] == np.arange(3)[:, None, None]) for t in target.numpy())
        ]
    )
    (ours,) = torch.autograd.grad(BoundaryLoss()(logits, target), logits)
    (theirs,) = torch.autograd.grad((phi * logits.softmax(dim=1)).mean(), logits)
    torch.testing.assert_close(ours, theirs)
