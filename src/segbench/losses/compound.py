"""A weighted sum of losses."""

from collections.abc import Mapping

from torch import Tensor, nn

from segbench.losses.base import SegmentationLoss
from segbench.losses.fused import sharing_labels


class CompoundLoss(SegmentationLoss):
    """Σ_i w_i · loss_i over named terms. A term of weight 0 is not computed.

    Args:
        terms: the losses, by names of your choice. Each has its own ``ignore_index``.
        weights: a weight of at least 0 for each of the same names.

    Example:
        >>> from segbench.losses import BCELoss, DiceLoss
        >>> terms = {"bce": BCELoss(), "dice": DiceLoss()}
        >>> loss = CompoundLoss(terms, weights={"bce": 0.5, "dice": 1.0})
        >>> logits, target = torch.zeros(2, 1, 8, 8), torch.ones(2, 8, 8, dtype=torch.int64)
        >>> 0.5 * terms["bce"](logits, target) + terms["dice"](logits, target)
        tensor(0.6799)
        >>> loss(logits, target)
        tensor(0.6799)
    """

    def __init__(self, terms: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        if not terms or set(terms) != set(weights):
            raise ValueError(
                "terms and weights have the same names, at least one, got"
                f" terms {sorted(terms)} and weights {sorted(weights)}"
            )
        if not any(weights.values()) or not all(w >= 0 for w in weights.values()):
            raise ValueError(f"weights are at least 0, and not all 0, got {dict(weights)}")
        self.weights = {name: float(weight) for name, weight in weights.items() if weight}
        self.terms = nn.ModuleDict({name: terms[name] for name in self.weights})

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the weighted sum of the terms."""
        with sharing_labels():
            parts = [w * self.terms[name](logits, target) for name, w in self.weights.items()]
        total: Tensor = sum(parts[1:], start=parts[0])
        return total
