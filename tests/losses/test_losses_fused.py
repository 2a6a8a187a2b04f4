"""Losses that make their own gradients, against autograd on the formula written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segbench.losses import fused
from segbench.losses.boundary import WeighedErrors
from segbench.losses.fused import (
    BinaryFocal,
    PixelCrossEntropy,
    binary_labels,
    sharing_labels,
)
from segbench.losses.lovasz import LovaszSum, lovasz_gradient
from segbench.losses.regions import region_sums

IGNORES = pytest.mark.parametrize("ignore", [255, -1, 0, 1])


def sample(channels: int, ignore: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(channels)
    logits = 3 * torch.randn(3, channels, 7, 8, generator=generator, dtype=torch.float64)
    target = torch.randint(max(channels, 2), (3, 7, 8), generator=generator)
    target[0, :3] = ignore
    target[2] = ignore
    return logits.requires_grad_(), target


def slope(value: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(value, logits, retain_graph=True)[0]


@IGNORES
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_binary_focal_sum_is_its_formula(ignore: int, gamma: float, alpha: float | None) -> None:
    logits, target = sample(1, ignore)
    z, y = logits[:, 0][target != ignore], target[target != ignore].double()
    p = torch.where(y == 1, z.sigmoid(), (-z).sigmoid())
    weight = 1 if alpha is None else torch.where(y == 1, alpha, 1 - alpha)
    expected = (weight * (1 - p) ** gamma * -p.log()).sum()
    for mean, wanted in ((False, expected), (True, expected / len(y))):
        loss = BinaryFocal.apply(logits, target, ignore, gamma, alpha, mean)
        torch.testing.assert_close(loss, wanted)
        for factor in (1, -3, 1):  # the second and third way back find the same
            torch.testing.assert_close(slope(factor * loss, logits), slope(factor * wanted, logits))


def test_the_short_way_without_ignored_pixels_is_the_long_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits, target = sample(1, 1)  # "ignored" foreground, and 255 nowhere
    found = []
    for short in (True, False):
        if not short:
            monkeypatch.setattr(fused, "on_cpu", lambda _: False)
        total = BinaryFocal.apply(logits, target, 255, 2.0, 0.25, True)
        *sums, scored = region_sums(logits, target, 255)
        assert (scored is None) == short
        assert scored is None or scored.all()
        value = total + (torch.stack(sums) * torch.arange(9.0).view(3, 3, 1)).sum()
        found.append((total, *sums, slope(value, logits)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_labels_are_shared_in_a_sum_of_losses_alone_and_by_what_makes_them() -> None:
    logits, target = sample(1, 255)
    with sharing_labels():
        first, _ = binary_labels(logits, target, 255)
        assert binary_labels(logits, target, 255)[0] is first
        other, all_valid = binary_labels(logits, (target == 1).long(), 255)
        assert all_valid
        assert not torch.equal(other, first)
        assert binary_labels(logits.float(), target, 255)[0].dtype == torch.float32
        assert binary_labels(logits, target, 0)[0] is not first
    assert binary_labels(logits, target, 255)[0] is not first


@IGNORES
def test_pixel_cross_entropy_is_torchs(ignore: int) -> None:
    logits, target = sample(4, ignore)
    expected = F.cross_entropy(logits, target, ignore_index=ignore, reduction="none")
    losses = PixelCrossEntropy.apply(logits, target, ignore)
    torch.testing.assert_close(losses, expected)
    weight = torch.rand_like(losses)
    theirs = slope((weight * expected).sum(), logits)
    torch.testing.assert_close(slope((weight * losses).sum(), logits), theirs)


@IGNORES
@pytest.mark.parametrize("channels", [1, 4])
def test_region_sums_are_their_formulas(channels: int, ignore: int) -> None:
    logits, target = sample(channels, ignore)
    valid = (target != ignore)[:, None]
    masks = (target[:, None] == torch.arange(channels).view(-1, 1, 1) + (channels == 1)) & valid
    p = (logits.sigmoid() if channels == 1 else logits.softmax(dim=1)) * valid
    expected = torch.stack([x.sum((2, 3)) for x in (p * masks, p, masks.double())])
    *found, scored = region_sums(logits, target, ignore)
    sums = torch.stack(found)
    assert scored.tolist() == valid.flatten(1).any(1).tolist() != [True] * 3
    torch.testing.assert_close(sums, expected)
    weight = torch.rand_like(sums)
    theirs = slope((weight * expected).sum(), logits)
    torch.testing.assert_close(slope((weight * sums).sum(), logits), theirs)


@pytest.mark.parametrize("hinge", [True, False])
def test_lovasz_sum_is_errors_times_their_gradient(hinge: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(9, 50, generator=generator, dtype=torch.float64)
    values = (values if hinge else values.sigmoid()).requires_grad_()
    region, ignored = (torch.rand(9, 50, generator=generator) < share for share in (0.4, 0.2))
    region &= ~ignored
    sign = 2.0 * region - 1
    errors = 1 - sign * values if hinge else (region.double() - values).abs()
    errors = torch.where(ignored, -1, errors)
    expected = (errors.relu() * lovasz_gradient(errors.detach(), region)).sum(dim=1)
    sums = LovaszSum.apply(values, region, ignored, hinge)
    torch.testing.assert_close(sums, expected)
    weight = torch.rand_like(sums)
    theirs = slope((weight * expected).sum(), values)
    torch.testing.assert_close(slope((weight * sums).sum(), values), theirs)


@pytest.mark.parametrize("channels", [1, 4])
def test_weighed_errors_are_their_formula(channels: int) -> None:
    logits, target = sample(channels, 255)
    distances = torch.randn_like(logits) * (target != 255)[:, None]
    masks = target[:, None] == torch.arange(channels).view(-1, 1, 1) + (channels == 1)
    expected = (distances * (logits - masks.double())).sum()
    total = WeighedErrors.apply(logits, distances, target, 255)
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(slope(2 * total, logits), slope(2 * expected, logits))
