"""Overlap losses: identities, and MONAI and segmentation_models_pytorch on random inputs."""

import monai.losses
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from torch import Tensor

from segbench.losses.overlap import DiceLoss, FocalTverskyLoss, JaccardLoss, TverskyLoss

IGNORE = 255
channels = pytest.mark.parametrize("channels", [1, 4])
per_image = pytest.mark.parametrize("per_image", [True, False])


def sample(channels: int, ignored: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(3, channels, 8, 9, generator=generator) * 3
    target = torch.randint(max(channels, 2), (3, 8, 9), generator=generator)
    if ignored:
        target[0, :4] = IGNORE
    return logits, target


def monai_options(channels: int) -> dict[str, bool]:
    many = channels > 1
    return {"sigmoid": not many, "softmax": many, "to_onehot_y": many}


@channels
@per_image
@pytest.mark.parametrize("include_background", [True, False])
def test_dice_is_monais(channels: int, per_image: bool, include_background: bool) -> None:
    logits, target = sample(channels)
    theirs = monai.losses.DiceLoss(
        # One channel has no background; MONAI would warn and take it all the same.
        include_background=include_background or channels == 1,
        smooth_nr=1.0,
        smooth_dr=1.0,
        batch=not per_image,
        **monai_options(channels),
    )
    ours = DiceLoss(1.0, per_image, include_background)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target[:, None]))


@channels
@per_image
def test_jaccard_is_monais(channels: int, per_image: bool) -> None:
    logits, target = sample(channels)
    theirs = monai.losses.DiceLoss(
        jaccard=True, smooth_nr=2.0, smooth_dr=2.0, batch=not per_image, **monai_options(channels)
    )
    ours = JaccardLoss(1.0, per_image)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target[:, None]))


@channels
@per_image
def test_tversky_is_monais(channels: int, per_image: bool) -> None:
    logits, target = sample(channels)
    theirs = monai.losses.TverskyLoss(
        alpha=0.2,
        beta=0.9,
        smooth_nr=1.0,
        smooth_dr=1.0,
        batch=not per_image,
        **monai_options(channels),
    )
    ours = TverskyLoss(0.2, 0.9, smooth=1.0, per_image=per_image)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target[:, None]))


@channels
def test_batch_sums_are_smps(channels: int) -> None:
    logits, target = sample(channels, ignored=True)
    mode = "binary" if channels == 1 else "multiclass"
    y = target[:, None] if channels == 1 else target
    dice = smp.DiceLoss(mode, smooth=1.0, ignore_index=IGNORE)  # their s is half of ours
    torch.testing.assert_close(DiceLoss(2.0, per_image=False)(logits, target), dice(logits, y))
    tversky = smp.TverskyLoss(mode, smooth=1.0, alpha=0.2, beta=0.9, ignore_index=IGNORE)
    ours = TverskyLoss(0.2, 0.9, smooth=1.0, per_image=False)
    torch.testing.assert_close(ours(logits, target), tversky(logits, y))


def test_focal_tversky_is_smps() -> None:
    logits, target = sample(1, ignored=True)
    theirs = smp.TverskyLoss(
        "binary", smooth=1.0, ignore_index=IGNORE, alpha=0.2, beta=0.9, gamma=0.75
    )
    ours = FocalTverskyLoss(0.2, 0.9, gamma=0.75, smooth=1.0, per_image=False)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target[:, None]))


@channels
@per_image
def test_tversky_at_a_half_is_dice_and_at_1_jaccard(channels: int, per_image: bool) -> None:
    data = sample(channels, ignored=True)
    dice = TverskyLoss(0.5, 0.5, smooth=0.5, per_image=per_image)(*data)
    assert dice == DiceLoss(1.0, per_image)(*data)
    assert TverskyLoss(1.0, 1.0, per_image=per_image)(*data) == JaccardLoss(per_image=per_image)(
        *data
    )


@channels
def test_focal_tversky_at_1_is_tversky_and_else_its_power(channels: int) -> None:
    data = sample(channels, ignored=True)
    assert FocalTverskyLoss(0.2, 0.9, gamma=1.0)(*data) == TverskyLoss(0.2, 0.9)(*data)
    logits, target = data
    one = logits[:1], target[:1]
    for gamma in (0.5, 2.0):
        focal = FocalTverskyLoss(0.2, 0.9, gamma, include_background=False)(*one)
        if channels == 1:
            torch.testing.assert_close(focal, TverskyLoss(0.2, 0.9)(*one) ** gamma)
        assert (focal > TverskyLoss(0.2, 0.9, include_background=False)(*one)) == (gamma < 1)


def test_jaccard_is_a_function_of_dice_in_each_image() -> None:
    logits, target = sample(1)
    for image in range(3):
        one = logits[image : image + 1], target[image : image + 1]
        dice = 1 - DiceLoss(1e-9)(*one)
        torch.testing.assert_close(1 - JaccardLoss(1e-9)(*one), dice / (2 - dice))


@channels
def test_the_mean_runs_over_images(channels: int) -> None:
    logits, target = sample(channels, ignored=True)
    loss = DiceLoss()
    each = [loss(logits[i : i + 1], target[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(loss(logits, target), torch.stack(each).mean())


def test_alpha_weighs_false_positives_and_beta_false_negatives() -> None:
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    target[0, :2] = 1  # 8 pixels
    more, less = torch.full((1, 1, 4, 4), -50.0), torch.full((1, 1, 4, 4), -50.0)
    more[0, 0, :3] = 50.0  # 4 false positives
    less[0, 0, :1] = 50.0  # 4 false negatives
    loss = TverskyLoss(alpha=0.25, beta=1.0)
    assert loss(more, target).item() == pytest.approx(1 - 8 / (8 + 0.25 * 4), rel=1e-4)
    assert loss(less, target).item() == pytest.approx(1 - 4 / (4 + 1.0 * 4), rel=1e-4)


@pytest.mark.parametrize("loss", [DiceLoss, JaccardLoss, TverskyLoss, FocalTverskyLoss])
def test_absent_class_gives_0_if_not_predicted_else_nearly_1(loss: type[TverskyLoss]) -> None:
    target = torch.zeros(1, 8, 8, dtype=torch.int64)
    assert loss()(torch.full((1, 1, 8, 8), -50.0), target) == pytest.approx(0, abs=1e-6)
    assert loss()(torch.full((1, 1, 8, 8), 50.0), target) == pytest.approx(1, abs=1e-5)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"smooth is above 0 .*, got 0"):
        DiceLoss(smooth=0)
    with pytest.raises(ValueError, match="alpha and beta are at least 0, not both 0, got -1 and 1"):
        TverskyLoss(alpha=-1, beta=1)
    with pytest.raises(ValueError, match="gamma is above 0, got 0"):
        FocalTverskyLoss(gamma=0)
