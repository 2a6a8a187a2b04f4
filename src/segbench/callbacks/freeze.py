"""A pretrained encoder left as it is for the first epochs, until the decoder fits it."""

from lightning import Callback, LightningModule, Trainer
from torch.nn.modules.batchnorm import _BatchNorm

from segbench.errors import ConfigError


class FreezeEncoder(Callback):
    """Trains all but the encoder for the first ``epochs`` epochs.

    Its batch normalisations keep their running statistics meanwhile. It has no state, so that a
    resumed run freezes what an undisturbed one does.
    """

    def __init__(self, epochs: int = 0) -> None:
        if epochs < 0:
            raise ValueError(f"callbacks.freeze_encoder.epochs={epochs}: expected 0 or more")
        self.epochs = epochs

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a network that has no encoder to freeze."""
        if self.epochs and not hasattr(pl_module.network, "encoder_parameters"):
            raise ConfigError(
                f"callbacks.freeze_encoder.epochs={self.epochs}: "
                f"{type(pl_module.network).__name__} has no pretrained encoder; choose one that "
                "has, such as model=resnet34_unet, or epochs=0"
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze, or thaw when the time has come."""
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
