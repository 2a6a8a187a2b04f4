"""Ends a trial of a search that falls behind the others of its combination."""

from pathlib import Path
from typing import TYPE_CHECKING

from lightning import Callback, LightningModule, Trainer

from segbench.records.tuning import open_storage

if TYPE_CHECKING:  # an extra
    from optuna.pruners import BasePruner


class Pruning(Callback):
    """Reports the score of each epoch to a search, and stops the trial if its pruner says so.

    Args:
        journal: the file of the search.
        study: the name of the combination's study.
        number: the number of the trial.
        pruner: ``median`` or ``hyperband``.
        monitor: the score on val, such as ``val/iou``.
    """

    def __init__(self, journal: Path, study: str, number: int, pruner: str, monitor: str) -> None:
        self.journal, self.study, self.number = journal, study, number
        self.pruner, self.monitor = pruner, monitor
        self.has_pruned = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the score, and stop training if the trial is among the worse ones."""
        value = trainer.callback_metrics.get(self.monitor)
        if trainer.sanity_checking or value is None:
            return
        import optuna

        storage = open_storage(self.journal)
        pruner = make_pruner(self.pruner, trainer.max_epochs or 1)
        study = optuna.load_study(study_name=self.study, storage=storage, pruner=pruner)
        study_id = storage.get_study_id_from_name(self.study)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, self.number)
        storage.set_trial_intermediate_value(trial_id, trainer.current_epoch + 1, float(value))
        if pruner.prune(study, storage.get_trial(trial_id)):
            self.has_pruned = trainer.should_stop = True


def make_pruner(name: str, epochs: int) -> "BasePruner":
    """A pruner by its name.

    Args:
        name: ``median`` or ``hyperband``.
        epochs: the most epochs of a trial.
    """
    from optuna.pruners import HyperbandPruner, MedianPruner

    if name == "median":
        return MedianPruner(n_startup_trials=4)
    return HyperbandPruner(max_resource=max(epochs, 1))
