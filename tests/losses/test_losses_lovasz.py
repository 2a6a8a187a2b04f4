"""Lovász losses against segmentation_models_pytorch, scikit-learn's Jaccard and float64."""

import pytest
import segmentation_models_pytorch.losses as smp
import torch
from sklearn.metrics import jaccard_score
from torch import Tensor

from segbench.losses import fused
from segbench.losses.lovasz import LovaszLoss, lovasz_gradient

IGNORE = 255


def sample(channels: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(3, channels, 8, 9, generator=generator) * 3
    target = torch.randint(max(channels, 2), (3, 8, 9), generator=generator)
    target[0, :4] = IGNORE
    target[1][target[1] == 1] = 0  # absent from one image
    return logits, target


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("per_image", [True, False])
def test_lovasz_is_smps(channels: int, per_image: bool) -> None:
    logits, target = sample(channels)
    mode = "binary" if channels == 1 else "multiclass"
    theirs = smp.LovaszLoss(mode, per_image=per_image, ignore_index=IGNORE)
    torch.testing.assert_close(LovaszLoss(per_image)(logits, target), theirs(logits, target))


@pytest.mark.parametrize("channels", [1, 4])
def test_sorting_on_a_cpu_gives_what_torchs_gives(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, target = sample(channels)
    logits[2, 0, 0, :3] = torch.tensor([-0.0, 1.0, -1.0])  # a hinge's errors of 1, 0 and 2
    found = []
    for on_cpu in (True, False):
        monkeypatch.setattr(fused, "on_cpu", lambda _, here=on_cpu: here)
        leaf = logits.clone().requires_grad_()
        loss = LovaszLoss()(leaf, target)
        loss.backward()
        found.append((loss.detach(), leaf.grad))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("per_image", [True, False])
def test_hard_softmax_gives_the_jaccard_loss(per_image: bool) -> None:
    logits, target = sample(4)
    predicted = logits.argmax(dim=1)
    hard = 1e4 * torch.nn.functional.one_hot(predicted, 4).movedim(-1, 1).float()
    groups = [[0], [1], [2]] if per_image else [[0, 1, 2]]
    losses = []
    for group in groups:
        truth, guess = target[group].flatten(), predicted[group].flatten()
        truth, guess = truth[truth != IGNORE], guess[truth != IGNORE]
        labels = truth.unique()
        losses.append(1 - jaccard_score(truth, guess, labels=labels, average="macro"))
    assert LovaszLoss(per_image)(hard, target).item() == pytest.approx(sum(losses) / len(losses))


def test_hinge_at_1_gives_twice_the_jaccard_loss() -> None:
    logits, target = sample(1)
    target[1, 0, 0] = 1
    losses = [
        1 - jaccard_score(t[t != IGNORE], (z > 0)[t != IGNORE])
        for z, t in zip(logits[:, 0], target, strict=True)
    ]
    value = LovaszLoss()(logits.sign(), target).item()
    assert value == pytest.approx(2 * sum(losses) / 3)


def test_hinge_without_foreground_is_the_largest_error() -> None:
    logits = torch.tensor([-3.0, 0.5, 2.0, -1.0]).view(1, 1, 2, 2)
    assert LovaszLoss()(logits, torch.zeros(1, 2, 2, dtype=torch.int64)) == 3.0


def test_gradient_is_as_exact_for_a_million_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    errors = torch.rand(1, 2**20, generator=generator)
    region = torch.rand(1, 2**20, generator=generator) < 0.3
    exact = lovasz_gradient(errors.double(), region)
    torch.testing.assert_close(lovasz_gradient(errors, region).double(), exact, rtol=1e-6, atol=0)
    # The definition: differences of the Jaccard loss of the first 1, 2, … errors.
    order = errors[0].argsort(descending=True)
    hits = region[0][order].double().cumsum(0)
    rank = torch.arange(1, 2**20 + 1)
    jaccard = 1 - (hits[-1] - hits) / (hits[-1] + rank - hits)
    steps = torch.diff(jaccard, prepend=torch.zeros(1))
    torch.testing.assert_close(exact[0][order], steps, rtol=1e-6, atol=1e-15)
