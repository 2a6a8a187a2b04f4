"""Class weights, given as numbers or ``balanced`` from the training split's pixel counts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Weights = Sequence[float] | float | str | None


def balanced_class_weights(counts: Tensor) -> Tensor:
    """Weights n / (C · n_c) of pixel counts ``(num_classes,)``, C the classes that occur.

    A class that does not occur gets the weight 1. The mean weight of the counted pixels is 1.

    Source: King and Zeng 2001, as scikit-learn's ``class_weight="balanced"``.
    """
    counts = counts.double()
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, 1.0).float()


def balanced_pos_weight(counts: Tensor) -> Tensor:
    """Negatives over positives, (n − n_c) / n_c, of each channel; for two classes only class 1.

    A class that does not occur, or is the only one, gets the weight 1.

    Source: ``torch.nn.BCEWithLogitsLoss``.
    """
    positives = counts.double() if len(counts) > 2 else counts[1:].double()
    negatives = counts.sum() - positives
    usable = (positives > 0) & (negatives > 0)
    return torch.where(usable, negatives / positives.clamp(min=1), 1.0).float()


class ClassWeights(nn.Module):
    """Weights of a loss in the buffer ``values``.

    They are absent, given as numbers, or computed once the pixel counts are known (``balanced``).

    Args:
        name: name of the loss's argument, for messages.
        weights: None, one number or a list of numbers, all at least 0, or ``balanced``.
        balance: function from pixel counts ``(num_classes,)`` to weights.
    """

    values: Tensor | None

    def __init__(self, name: str, weights: Weights, balance: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.name = name
        self.balanced = isinstance(weights, str)
        self.balance = balance
        self.register_buffer("values", read_weights(name, weights))

    @property
    def pending(self) -> bool:
        """Whether these are balanced weights whose pixel counts are not known yet."""
        return self.balanced and self.values is None

    def set_pixel_counts(self, counts: Tensor) -> None:
        """Compute balanced weights from ``counts`` ``(num_classes,)`` int64, background first."""
        if counts.dim() != 1 or len(counts) < 2 or counts.is_floating_point():
            raise ValueError(
                "counts are integers (num_classes,), background first,"
                f" got shape {tuple(counts.shape)} {counts.dtype}"
            )
        if self.balanced:
            self.values = self.balance(counts)

    def forward(self, length: int, like: Tensor) -> Tensor | None:
        """The weights ``(length,)``, of the dtype and device of ``like``, or None without any."""
        if self.pending:
            raise ValueError(
                f"{self.name}=balanced needs the training split's pixel counts: call"
                " set_pixel_counts(counts) on the loss first, or give the weights as numbers"
            )
        if self.values is None:
            return None
        if self.values.dim() and len(self.values) != length:
            raise ValueError(
                f"{self.name} needs {length} numbers for these logits, got {len(self.values)}"
            )
        return self.values.to(like).expand(length)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # torch skips a buffer that is still None: allocate it for the checkpoint's values.
        saved = state_dict.get(f"{prefix}values")
        if self.pending and saved is not None:
            self.values = torch.empty_like(saved)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def read_weights(name: str, weights: Weights) -> Tensor | None:
    """Weights as a float32 vector or scalar; None for no weights and for ``balanced``."""
    if weights is None or weights == "balanced":
        return None
    try:
        values = torch.tensor(
            weights if isinstance(weights, int | float) else [float(w) for w in weights]
        ).float()
        usable = values.numel() > 0 and values.isfinite().all() and (values >= 0).all()
    except (TypeError, ValueError):
        usable = False
    if not usable or not values.any():
        raise ValueError(
            f"{name} is null, 'balanced' or finite numbers of at least 0, not all 0, got {weights}"
        )
    return values


def needs_pixel_counts(module: nn.Module) -> bool:
    """Whether a loss anywhere in ``module`` has balanced weights without pixel counts."""
    return any(isinstance(m, ClassWeights) and m.pending for m in module.modules())
