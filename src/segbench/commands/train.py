"""``segbench train``: one cell, or with ``-m`` each cell of a grid."""

import os
import shlex
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segbench.commands.run import collects_failures, one_line, silence_hydra
from segbench.commands.sweep import CELL
from segbench.config import CONF, cell_choices, cell_hash, check_cell
from segbench.report.record import LOG, is_done, read_record
from segbench.report.tables import print_result

silence_hydra()  # here too: a launcher's process composes its cell's config when it has this module


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
@collects_failures
def main(cfg: DictConfig) -> str | None:
    """Run the cell that ``cfg`` describes, or show it where it is finished already.

    In a sweep it returns why the cell did not end well, if so.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return _run_in_sweep(cfg, folder)
    if is_done(folder) and not cfg.overwrite:
        print(f"already done: {_short(folder)} (overwrite=true runs it again)")
        print_result(read_record(folder), _short(folder))
        return None
    try:
        check_cell(cfg)
    except Exception:
        _remove_if_empty(folder)
        raise
    if _run(cfg, folder) == "done":  # else one of several processes of the cell: the first prints
        print_result(read_record(folder), _short(folder))
    return None


def _run(cfg: DictConfig, folder: Path) -> str:
    from segbench.experiment import run_cell  # torch and Lightning take seconds to import

    choices = cell_choices(OmegaConf.create({"hydra": HydraConfig.get()}))
    command = shlex.join(["python", "-m", "segbench", *HydraConfig.get().overrides.task])
    return str(run_cell(cfg, folder, choices, cell_hash(cfg), command)["status"])


def _run_in_sweep(cfg: DictConfig, folder: Path) -> str | None:
    """Run a cell; what it prints goes to its log, for the sweep's board shows how far it is."""
    os.environ[CELL] = str(folder)
    check_cell(cfg)  # again: this may be another process than the one that planned
    log = (folder / LOG).open("a", buffering=1)
    with log as said, redirect_stdout(said), _processes_left_behind():
        try:
            _take_device(cfg)
            _run(cfg, folder)
        except Exception as error:
            if cfg.debug:
                traceback.print_exception(error, file=sys.stderr)
            return one_line(error)
    return None


@contextmanager
def _processes_left_behind() -> Iterator[None]:
    """Let the next cell start processes of its own, where this one did (trainer=ddp).

    Lightning would take the variables that it set for those of a launcher that started us.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        distributed = sys.modules.get("torch.distributed")
        if distributed and distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(before)


def _take_device(cfg: DictConfig) -> None:
    """Give each process of a pool a GPU of its own, in turns where they are more than GPUs."""
    launcher = HydraConfig.get().launcher
    workers = launcher.get("n_jobs") or 1
    if workers == 1 or cfg.trainer.devices != 1 or cfg.trainer.accelerator == "cpu":
        return
    from segbench.slots import take_device

    device = take_device(Path(HydraConfig.get().sweep.dir))
    if device is not None:
        cfg.trainer.devices = [device]


def _short(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _remove_if_empty(folder: Path) -> None:
    """Hydra makes the folder before the config is checked; a slip leaves none behind."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
