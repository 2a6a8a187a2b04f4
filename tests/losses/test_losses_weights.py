"""Weights balanced from pixel counts."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from segbench.losses.class_weights import (
    balanced_class_weights,
    balanced_pos_weight,
    needs_pixel_counts,
)
from segbench.losses.compound import CompoundLoss
from segbench.losses.cross_entropy import BCELoss, CELoss
from segbench.losses.overlap import DiceLoss


def test_class_weights_are_scikit_learns() -> None:
    labels = np.repeat([0, 1, 3], [70, 20, 10])
    weights = balanced_class_weights(torch.tensor([70, 20, 0, 10]))
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    np.testing.assert_allclose(weights[[0, 1, 3]].numpy(), expected, rtol=1e-6)
    assert weights[2] == 1  # absent


def test_class_weights_of_counts_beyond_float32() -> None:
    counts = torch.tensor([2**40, 2**40 + 2**20])
    expected = torch.tensor([2**41 + 2**20]) / (2 * counts.double())
    torch.testing.assert_close(balanced_class_weights(counts), expected.float())


def test_pos_weight_is_negatives_over_positives() -> None:
    assert balanced_pos_weight(torch.tensor([75, 25])).tolist() == [3.0]
    assert balanced_pos_weight(torch.tensor([50, 40, 10, 0])).tolist() == [1.0, 1.5, 9.0, 1.0]
    assert balanced_pos_weight(torch.tensor([9, 0])).tolist() == [1.0]  # absent
    assert balanced_pos_weight(torch.tensor([0, 9])).tolist() == [1.0]  # alone


@pytest.mark.parametrize("loss", [CELoss("balanced"), BCELoss("balanced")])
def test_balanced_waits_for_counts(loss: CELoss | BCELoss) -> None:
    with pytest.raises(ValueError, match=r"=balanced needs the training split's pixel counts"):
        loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64))


@pytest.mark.parametrize("loss", [CELoss(), CELoss([1.0, 2.0]), BCELoss(2.0), DiceLoss()])
def test_other_losses_need_no_counts_and_keep_their_weights(loss: CELoss) -> None:
    before = {key: values.tolist() for key, values in loss.state_dict().items()}
    assert not needs_pixel_counts(loss)
    loss.set_pixel_counts(torch.tensor([9, 1]))
    assert {key: values.tolist() for key, values in loss.state_dict().items()} == before


def test_counts_reach_the_terms_of_a_sum() -> None:
    terms = {"ce": CELoss("balanced"), "bce": BCELoss("balanced"), "dice": DiceLoss()}
    loss = CompoundLoss(terms, {"ce": 1.0, "bce": 1.0, "dice": 1.0})
    assert needs_pixel_counts(loss)
    loss.set_pixel_counts(torch.tensor([80, 20]))
    assert not needs_pixel_counts(loss)
    state = loss.state_dict()
    assert state["terms.ce.class_weights.values"].tolist() == [0.625, 2.5]
    assert state["terms.bce.pos_weight.values"].tolist() == [4.0]


def test_state_dict_loads_in_a_freshly_built_loss() -> None:
    saved = CELoss("balanced")
    saved.set_pixel_counts(torch.tensor([80, 20]))
    fresh = CELoss("balanced")
    fresh.load_state_dict(saved.state_dict())
    assert not needs_pixel_counts(fresh)
    logits, target = torch.randn(1, 1, 4, 4), torch.ones(1, 4, 4, dtype=torch.int64)
    assert fresh(logits, target) == saved(logits, target)
    # A checkpoint from before the counts came loads as well.
    CELoss("balanced").load_state_dict(CELoss("balanced").state_dict())


def test_weights_are_a_buffer_that_follows_the_module() -> None:
    loss = CELoss("balanced")
    loss.set_pixel_counts(torch.tensor([80, 20]))
    assert loss.to("meta").class_weights.values.device.type == "meta"


@pytest.mark.parametrize("counts", [[[1, 2]], [5], [0.5, 0.5]])
def test_wrong_counts_are_named(counts: list[float]) -> None:
    with pytest.raises(ValueError, match=r"counts are integers \(num_classes,\), background first"):
        CELoss("balanced").set_pixel_counts(torch.tensor(counts))


@pytest.mark.parametrize("weights", ["balance", [], [0.0, 0.0], [float("nan"), 1.0], [None, 1.0]])
def test_wrong_weights_are_named(weights: object) -> None:
    with pytest.raises(ValueError, match="class_weights is null, 'balanced' or finite numbers"):
        CELoss(weights)
