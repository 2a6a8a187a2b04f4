"""Weighted sums of losses."""

import pytest
import torch

from segbench.losses.compound import CompoundLoss
from segbench.losses.cross_entropy import BCELoss
from segbench.losses.overlap import DiceLoss


def test_value_is_the_weighted_sum() -> None:
    logits, target = torch.randn(2, 1, 8, 8), torch.randint(2, (2, 8, 8))
    bce, dice = BCELoss(), DiceLoss()
    loss = CompoundLoss({"bce": bce, "dice": dice}, {"dice": 1.0, "bce": 0.5})
    expected = 0.5 * bce(logits, target) + dice(logits, target)
    torch.testing.assert_close(loss(logits, target), expected)


def test_sums_nest() -> None:
    logits, target = torch.randn(2, 1, 8, 8), torch.randint(2, (2, 8, 8))
    inner = CompoundLoss({"dice": DiceLoss()}, {"dice": 2.0})
    outer = CompoundLoss({"inner": inner}, {"inner": 3.0})
    torch.testing.assert_close(outer(logits, target), 6 * DiceLoss()(logits, target))


def test_term_of_weight_0_is_not_computed() -> None:
    class Never(DiceLoss):
        def compute(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    loss = CompoundLoss({"never": Never(), "dice": DiceLoss()}, {"never": 0.0, "dice": 1.0})
    logits, target = torch.randn(2, 1, 8, 8), torch.randint(2, (2, 8, 8))
    assert loss(logits, target) == DiceLoss()(logits, target)


@pytest.mark.parametrize("weights", [{"bce": 1.0}, {"dice": 1.0, "bce": 1.0}, {}])
def test_names_must_agree(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"same names.* got terms \['dice'\] and weights"):
        CompoundLoss({"dice": DiceLoss()}, weights)


def test_wrong_weights_are_named() -> None:
    with pytest.raises(ValueError, match="at least one"):
        CompoundLoss({}, {})
    for weight in (0.0, -1.0):
        with pytest.raises(ValueError, match="weights are at least 0, and not all 0"):
            CompoundLoss({"dice": DiceLoss()}, {"dice": weight})
