"""Freezes a pretrained encoder for the first epochs, until the decoder fits it, or for all."""

import math
from typing import Literal

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch.nn.modules.batchnorm import _BatchNorm

from segbench.errors import ConfigError


class FreezeEncoder(Callback):
    """Trains all but the encoder for the first ``epochs`` epochs, or for all of them.

    Meanwhile the encoder's batch normalisations keep their running statistics. The callback has no
    state: a resumed run freezes the same epochs as an uninterrupted one.

    Args:
        epochs: number of epochs, at least 0; 0 freezes nothing, ``all`` the encoder for good.

    Raises:
        ValueError: ``epochs`` is negative.
    """

    def __init__(self, epochs: int | Literal["all"] = 0) -> None:
        if epochs != "all" and epochs < 0:
            raise ValueError(
                f"callbacks.freeze_encoder.epochs={epochs}: expected 0 or more, or all"
            )
        self.asked = epochs
        self.epochs = math.inf if epochs == "all" else epochs

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let DDP accept parameters without a gradient; otherwise it waits for their gradients."""
        if self.epochs and isinstance(trainer.strategy, DDPStrategy):
            trainer.strategy._ddp_kwargs["find_unused_parameters"] = True

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a network without an encoder to freeze.

        Raises:
            ConfigError: the network has no ``encoder_parameters`` method.
        """
        if self.epochs and not hasattr(pl_module.network, "encoder_parameters"):
            raise ConfigError(
                f"callbacks.freeze_encoder.epochs={self.asked}: "
                f"{type(pl_module.network).__name__} has no pretrained encoder; choose one that "
                "has, such as model=resnet34_unet, or epochs=0"
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze the encoder in the first epochs, and unfreeze it after them."""
        if not self.epochs:
            return
        frozen = trainer.current_epoch < self.epochs
        encoder = list(pl_module.network.encoder_parameters())  # type: ignore[union-attr, operator]
        for parameter in encoder:
            parameter.requires_grad_(not frozen)
        of_encoder = set(map(id, encoder))
        for module in pl_module.modules():
            if isinstance(module, _BatchNorm) and id(module.weight) in of_encoder:
                module.train(not frozen)
