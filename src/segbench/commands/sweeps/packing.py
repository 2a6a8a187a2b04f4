"""Chooses how many cells of a sweep run at a time on this machine (``hydra/launcher=auto``).

On a CPU threads wait for each other: one cell for each core, with one thread each, takes less time
than one cell after another (`benchmarks/sweep.py`). On GPUs there is one cell for each; several
cells on one GPU have not been measured.
"""

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from segbench.errors import ConfigError
from segbench.hardware.load import CoreWatch
from segbench.hardware.parents import end_with_pool
from segbench.text.screen import say

MEMORY = 3 * 2**30  # bytes of main memory for a cell on a CPU


def choose(config: DictConfig, cells: int, asked: int | None = None) -> tuple[Launcher, int]:
    """The launcher for some cells, not yet set up, and how many of them it runs at a time.

    Args:
        config: the sweep's config.
        cells: the number of cells to run.
        asked: the number of cells at a time that the user asked for; None chooses it.

    Raises:
        ConfigError: ``asked`` is not a positive number.
    """
    if asked is not None and asked < 1:
        raise ConfigError(f"hydra.launcher.n_jobs={asked}: expected 1 or more, or null")
    jobs = min(cells, asked or places(config))
    if jobs < 2:
        return BasicLauncher(), 1
    try:
        from hydra_plugins.hydra_joblib_launcher.joblib_launcher import (  # type: ignore[import-untyped]
            JoblibLauncher,
        )
    except ImportError:
        say(
            f"note: hydra/launcher=auto: {jobs} cells at a time would be faster here, which needs "
            "pip install 'segbench[launchers]'; they run one after another"
        )
        return BasicLauncher(), 1
    say(f"hydra/launcher=auto: {jobs} cells at a time")
    return JoblibLauncher(n_jobs=jobs, batch_size=1, initializer=end_with_pool), jobs


def places(config: DictConfig) -> int:
    """How many cells this machine runs at a time: one for each GPU, or else for each core.

    One where the cells themselves take several devices.
    """
    import torch  # takes seconds

    from segbench.hardware.device import available_cores, computes_on_cpu, largest_memory

    trainer = config.get("trainer") or {}
    if trainer.get("devices", 1) != 1:
        return 1
    if computes_on_cpu(trainer.get("accelerator")):
        return max(1, min(available_cores(), int(largest_memory() // MEMORY)))
    return max(1, torch.cuda.device_count())


def say_if_busy(watch: CoreWatch, config: DictConfig) -> None:
    """Print a note where other processes slow down a training on this machine's CPU.

    Args:
        watch: started some moments ago.
        config: the cell's config, or the sweep's.
    """
    import torch

    from segbench.hardware.device import computes_on_cpu

    on_cpu = computes_on_cpu((config.get("trainer") or {}).get("accelerator"))
    if on_cpu and (note := watch.notice(torch.get_num_threads())):
        say(f"note: {note}")
