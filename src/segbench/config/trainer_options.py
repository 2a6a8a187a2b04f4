"""Refuses arguments of Lightning's Trainer that a cell cannot take, before anything is built."""

from collections.abc import Mapping
from typing import Any

from segbench.errors import ConfigError

# For each argument the values without effect, and the option that serves its purpose here.
REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "fast_dev_run": ((False, None), "trainer=smoke runs two batches and scores their weights"),
    "logger": ((None,), "choose loggers with logger=csv or logger=[tensorboard,csv]"),
    "callbacks": ((None,), "add callbacks by name: +callbacks.<name>._target_=…"),
    "plugins": (
        (None,),
        "segbench's own plugin writes the checkpoints; choose trainer.precision",
    ),
    "enable_checkpointing": (
        (True, None),
        "a cell is scored with its selected weights, which are a checkpoint; leave it out",
    ),
    "default_root_dir": ((None,), "name=… or hydra.run.dir=… sets the folder of a cell"),
    "barebones": (
        (False,),
        "it leaves out scores and checkpoints; trainer=smoke is a short run with both",
    ),
    "limit_predict_batches": (
        (None,),
        "training predicts nothing; `segbench predict input=…` predicts the pictures that you name",
    ),
    "use_distributed_sampler": (
        (True,),
        "each process would train on all images; leave it out, and the images are distributed",
    ),
    "model_registry": ((None,), "a cell's checkpoints stay in its folder; leave it out"),
}
STRATEGIES = (
    *("auto", "single_device", "ddp"),
    *("ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true"),
)
# For each limit the smallest number, and the number that means no limit.
SMALLEST: dict[str, tuple[int, int | None]] = {
    "max_epochs": (1, -1),
    "max_steps": (1, -1),
    "accumulate_grad_batches": (1, None),
    "check_val_every_n_epoch": (1, None),
}


def check_trainer(trainer: Mapping[str, Any], scheduler: Mapping[str, Any] | None = None) -> None:
    """Refuse arguments that a cell's Trainer cannot take.

    Args:
        trainer: the arguments of the Trainer.
        scheduler: the arguments of the learning-rate scheduler, or None.

    Raises:
        ConfigError: the text names the option, its value, and an option for the same purpose.
    """
    for name, (harmless, advice) in REFUSED.items():
        if name in trainer and trainer[name] not in harmless:
            raise ConfigError(f"trainer.{name}={trainer[name]}: not for a cell; {advice}")
    _check_strategy(trainer.get("strategy", "auto"))
    for name, (smallest, none) in SMALLEST.items():
        value = trainer.get(name)
        if isinstance(value, int) and value < smallest and value != none:
            without = f", or {none} for no limit" if none is not None else ""
            raise ConfigError(f"trainer.{name}={value}: expected {smallest} or more{without}")
    for name in ("limit_train_batches", "limit_test_batches"):
        if name in trainer and trainer[name] == 0:
            raise ConfigError(
                f"trainer.{name}={trainer[name]}: expected more than 0, "
                "a number of batches or a fraction of them (1.0: all)"
            )
    for name in ("T_max", "total_iters"):
        value = (scheduler or {}).get(name, 1)
        if value is None or (isinstance(value, int) and value < 1):
            raise ConfigError(
                f"scheduler.{name}={value}: expected the number of epochs, "
                f"which trainer.max_epochs leaves open; give scheduler.{name}=…"
            )


def _check_strategy(strategy: Any) -> None:
    """Refuse strategies that split the network, or whose processes do not end with the cell."""
    if isinstance(strategy, str) and strategy not in STRATEGIES:
        raise ConfigError(f"trainer.strategy={strategy}: expected one of {', '.join(STRATEGIES)}")
    if isinstance(strategy, Mapping):
        name = str(strategy.get("_target_")).rpartition(".")[2]
        started = strategy.get("start_method", "popen")
        if name not in ("DDPStrategy", "SingleDeviceStrategy") or started != "popen":
            raise ConfigError(
                f"trainer.strategy._target_={strategy.get('_target_')}, start_method={started}: "
                "expected DDPStrategy, whose start_method is popen"
            )
