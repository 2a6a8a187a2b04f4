"""Cross-entropies against torch's own and scikit-learn's."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss
from torch import Tensor

from segbench.losses.class_weights import needs_pixel_counts
from segbench.losses.cross_entropy import BCELoss, CELoss

IGNORE = 255


def sample(channels: int, ignored: bool = True) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(3, channels, 8, 9, generator=generator) * 3
    target = torch.randint(max(channels, 2), (3, 8, 9), generator=generator)
    if ignored:
        target[0, :4] = IGNORE
    return logits, target


def two_logits(logits: Tensor) -> Tensor:
    """A sigmoid's logit as the two of a softmax."""
    return torch.cat([torch.zeros_like(logits), logits], dim=1)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_ce_is_torchs(channels: int, weighted: bool, smoothing: float, reduction: str) -> None:
    logits, target = sample(channels)
    weights = [0.5, 2.0, 0.0, 3.0][: max(channels, 2)] if weighted else None
    expected = F.cross_entropy(
        two_logits(logits) if channels == 1 else logits,
        target,
        torch.tensor(weights) if weights else None,
        ignore_index=IGNORE,
        label_smoothing=smoothing,
        reduction=reduction,
    )
    loss = CELoss(weights, smoothing, reduction)
    torch.testing.assert_close(loss(logits, target), expected)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("pos_weight", [None, 3.0, "each"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_bce_is_torchs(channels: int, pos_weight: float | str | None, reduction: str) -> None:
    logits, target = sample(channels)
    weight = [0.5, 2.0, 0.0, 3.0][:channels] if pos_weight == "each" else pos_weight
    classes = torch.arange(channels) + (channels == 1)
    per_pixel = F.binary_cross_entropy_with_logits(
        logits.movedim(1, -1)[target != IGNORE],
        (target[target != IGNORE][:, None] == classes).float(),
        pos_weight=None if weight is None else torch.tensor(weight),
        reduction=reduction,
    )
    torch.testing.assert_close(BCELoss(weight, reduction)(logits, target), per_pixel)


@pytest.mark.parametrize("channels", [1, 4])
def test_ce_is_scikit_learns_log_loss(channels: int) -> None:
    logits, target = sample(channels)
    valid = target != IGNORE
    wide = two_logits(logits) if channels == 1 else logits
    probabilities = wide.double().softmax(1).movedim(1, -1)[valid].numpy()
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0][: max(channels, 2)])
    labels = target[valid].numpy()
    expected = log_loss(labels, probabilities, sample_weight=weights.numpy()[labels])
    assert CELoss(weights.tolist())(logits, target).item() == pytest.approx(expected, rel=1e-6)


def test_ce_and_bce_are_one_on_a_binary_task() -> None:
    logits, target = sample(1)
    assert CELoss()(logits, target) == BCELoss()(logits, target)
    # A weight on the positives is a pair of class weights, but for the mean's divisor.
    pair, one = CELoss([1.0, 3.0], reduction="sum"), BCELoss(3.0, reduction="sum")
    torch.testing.assert_close(pair(logits, target), one(logits, target))


def test_class_of_weight_0_alone_gives_0() -> None:
    logits, _ = sample(4)
    target = torch.full((3, 8, 9), 2)
    assert CELoss([1.0, 1.0, 0.0, 1.0])(logits, target) == 0


def test_balanced_class_weights_make_classes_equal() -> None:
    logits, target = sample(4)
    counts = torch.bincount(target[target != IGNORE], minlength=4)
    loss = CELoss("balanced")
    assert needs_pixel_counts(loss)
    loss.set_pixel_counts(counts)
    assert not needs_pixel_counts(loss)
    per_pixel = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    by_class = torch.stack([per_pixel[target == c].mean() for c in range(4)])
    torch.testing.assert_close(loss(logits, target), by_class.mean())


def test_balanced_pos_weight_makes_both_sides_equal() -> None:
    logits, target = sample(1)
    counts = torch.bincount(target[target != IGNORE], minlength=2)
    loss = BCELoss("balanced", reduction="sum")
    loss.set_pixel_counts(counts)
    positive = F.softplus(-logits[:, 0])[target == 1]
    negative = F.softplus(logits[:, 0])[target == 0]
    expected = counts[0] * positive.mean() + counts[0] * negative.mean()
    torch.testing.assert_close(loss(logits, target), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reduction": "none"}, "reduction is 'mean' or 'sum', got 'none'"),
        ({"label_smoothing": 1.5}, "label_smoothing is in \\[0, 1\\], got 1.5"),
        ({"class_weights": [1.0, -1.0]}, "class_weights is null, 'balanced' or finite"),
    ],
)
def test_ce_names_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CELoss(**arguments)


def test_bce_names_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="reduction"):
        BCELoss(reduction="batch")
    with pytest.raises(ValueError, match="pos_weight is null, 'balanced' or finite"):
        BCELoss(float("inf"))
    with pytest.raises(ValueError, match="pos_weight needs 1 numbers for these logits, got 2"):
        BCELoss([1.0, 2.0])(*sample(1))


def test_class_weights_have_one_number_for_each_class() -> None:
    with pytest.raises(ValueError, match="class_weights needs 4 numbers for these logits, got 2"):
        CELoss([1.0, 2.0])(*sample(4))
    with pytest.raises(ValueError, match="class_weights needs 2 numbers for these logits, got 1"):
        CELoss([1.0])(*sample(1))
