"""Focal losses against MONAI, segmentation_models_pytorch and the written-out formula."""

import monai.losses
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from torch import Tensor

from segbench.losses.cross_entropy import BCELoss, CELoss
from segbench.losses.focal import FocalLoss, FocalPositiveLoss

IGNORE = 255


def sample(channels: int, ignored: bool = True) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(3, channels, 8, 9, generator=generator) * 3
    target = torch.randint(max(channels, 2), (3, 8, 9), generator=generator)
    if ignored:
        target[0, :4] = IGNORE
    return logits, target


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gamma_0_is_cross_entropy(channels: int, reduction: str) -> None:
    logits, target = sample(channels)
    focal = FocalLoss(gamma=0, alpha=None, reduction=reduction)(logits, target)
    assert focal == CELoss(reduction=reduction)(logits, target)
    positive = FocalPositiveLoss(gamma=0, reduction=reduction)(logits, target)
    assert positive == BCELoss(reduction=reduction)(logits, target)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
@pytest.mark.parametrize("channels", [1, 4])
def test_focal_is_monais(channels: int, alpha: float | None, gamma: float) -> None:
    logits, target = sample(channels, ignored=False)
    many = channels > 1
    theirs = monai.losses.FocalLoss(
        gamma=gamma, alpha=alpha, use_softmax=many, to_onehot_y=many, reduction="none"
    )
    ours = FocalLoss(gamma, alpha, reduction="sum")
    y = target[:, None] if many else target[:, None].float()
    torch.testing.assert_close(ours(logits, target), theirs(logits, y).sum())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_focal_is_smps(reduction: str) -> None:
    logits, target = sample(1)
    theirs = smp.FocalLoss("binary", alpha=0.3, gamma=1.5, ignore_index=IGNORE, reduction=reduction)
    ours = FocalLoss(gamma=1.5, alpha=0.3, reduction=reduction)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target[:, None]))


@pytest.mark.parametrize("channels", [1, 4])
def test_focal_positive_is_the_studys_formula(channels: int) -> None:
    logits, target = sample(channels, ignored=False)
    p = logits.double().sigmoid()
    y = (target[:, None] == (torch.arange(channels) + (channels == 1)).view(-1, 1, 1)).double()
    expected = -((1 - p) ** 2 * y * p.log() + (1 - y) * (1 - p).log())
    ours = FocalPositiveLoss(gamma=2, reduction="sum")(logits, target)
    torch.testing.assert_close(ours, expected.sum().float())
    ours = FocalPositiveLoss(gamma=2)(logits, target)
    torch.testing.assert_close(ours, expected.mean().float())


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("loss", [FocalLoss(gamma=0.5), FocalPositiveLoss(gamma=0.5)])
def test_gradient_is_finite_at_a_sure_prediction_for_gamma_below_1(
    loss: FocalLoss, channels: int
) -> None:
    logits, target = sample(channels)
    logits = (logits * 1e4).requires_grad_()
    loss(logits, target).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="gamma is at least 0, got -1"):
        FocalLoss(gamma=-1)
    with pytest.raises(ValueError, match="gamma is at least 0, got -1"):
        FocalPositiveLoss(gamma=-1)
    with pytest.raises(ValueError, match=r"alpha is null or in \[0, 1\], got 2"):
        FocalLoss(alpha=2)
    with pytest.raises(ValueError, match="reduction"):
        FocalLoss(reduction="none")
    with pytest.raises(ValueError, match="reduction"):
        FocalPositiveLoss(reduction="none")
