"""``segbench train``: runs one cell, or with ``-m`` the cells of a grid."""

import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segbench.cell.continuation import find_source
from segbench.cell.history import check_place, short
from segbench.cell.notices import lacks_scores, notices
from segbench.cell.trial import try_parts
from segbench.commands.explaining import one_line
from segbench.commands.run import (
    IS_DRY,
    WATCH,
    collects_failures,
    note_cell,
    silence_hydra,
    typed_command,
)
from segbench.commands.sweeps.dry_run import print_dry_run
from segbench.commands.sweeps.packing import say_if_busy
from segbench.commands.sweeps.planned import Planned, first_state
from segbench.commands.sweeps.sweep import CELL
from segbench.config.identity import Identity, identify
from segbench.config.registry import CONF, cell_choices, check_cell
from segbench.errors import ConfigError, DataError
from segbench.hardware.parents import end_with_pool, lead
from segbench.records.checksums import DamagedError, check_whole
from segbench.records.files import exists
from segbench.records.locks import alone_in
from segbench.records.record import BEST, LOG, is_done, read_record
from segbench.report.tables.cell_tables import print_result
from segbench.system_errors import naming
from segbench.text.screen import prepare_streams, say
from segbench.text.streams import lasting_streams

silence_hydra()  # here too, as a launcher's process composes a config after this import


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
@collects_failures
def main(cfg: DictConfig) -> str | None:
    """Run the cell that ``cfg`` describes, or print its result if it is already finished.

    Returns:
        In a sweep, the reason of a failure, or None.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return _run_in_sweep(cfg, folder)
    try:
        _run_alone(cfg, folder)
    finally:
        _remove_if_empty(folder)
    return None


def _run_alone(cfg: DictConfig, folder: Path) -> None:
    if cfg.get("tune"):
        raise ConfigError("tune: a search needs a sweep, however small; add -m")
    check_cell(cfg)
    note_cell(folder, cfg)
    identity = identify(cfg)
    replaced = check_place(folder, cfg, identity)
    if IS_DRY.get():
        state, reason = first_state(folder, cfg.overwrite, retry_failed=True)
        print_dry_run([Planned(folder, (), cfg.trainer.get("max_epochs") or 0, state, reason)])
        return
    if is_done(folder) and not cfg.overwrite:
        say(f"already done: {short(folder)} (overwrite=true runs it again)")
        print_result(read_record(folder), short(folder))
        for notice in lacks_scores(folder, cfg):
            say(f"note: {notice}")
        _check_weights(folder)
        return
    try_parts(cfg)
    source = find_source(cfg, identity)
    for notice in notices(folder, cfg, identity):
        say(f"note: {notice}")
    say_if_busy(WATCH.get(), cfg)
    status = _run(cfg, folder, identity, replaced, source, cfg.keep_state is not False)
    if status == "done":  # only the first process of a cell prints
        print_result(read_record(folder), short(folder))


def _check_weights(folder: Path) -> None:
    """Say where a finished cell's weights are not whole; its scores stand.

    Raises:
        DamagedError: they are damaged.
    """
    file = folder / "checkpoints" / f"{BEST}.ckpt"
    if not exists(file):
        say(f"note: {short(file)}: missing; the scores remain valid, overwrite=true trains again")
        return
    try:
        check_whole(file)
    except DamagedError as error:
        raise DamagedError(
            f"{error}; the scores remain valid, overwrite=true trains again"
        ) from error


def _run(
    cfg: DictConfig,
    folder: Path,
    identity: Identity,
    replaced: list[Path],
    source: Path | None,
    keep_state: bool,
    devices: list[int] | None = None,
) -> str:
    from segbench.cell.experiment import run_cell  # torch and Lightning take seconds to import

    for old in replaced:
        with alone_in(old):
            shutil.rmtree(old)
    choices = cell_choices(OmegaConf.create({"hydra": HydraConfig.get()}))
    command = typed_command()
    lead()
    record = run_cell(
        cfg,
        folder,
        choices,
        identity,
        command,
        devices=devices,
        source=source,
        keep_state=keep_state,
    )
    return str(record["status"])


def _run_in_sweep(cfg: DictConfig, folder: Path) -> str | None:
    """Run a cell of a sweep with its output in its log; the board shows its progress."""
    end_with_pool()
    os.environ[CELL] = json.dumps(list(HydraConfig.get().overrides.task))
    check_cell(
        cfg
    )  # again, because this may be a different process from the one that planned the sweep
    identity = identify(cfg)
    if re.search("-[0-9a-f]{8}$", folder.name) and not folder.name.endswith(identity.hash):
        raise DataError(
            f"data.root={identity.root}: its files have changed since this sweep was planned; the "
            "same command again names what changed"
        )
    replaced = check_place(folder, cfg, identity)
    path = folder / LOG
    log = path.open("a", 1, encoding="utf-8", errors="backslashreplace")
    with (
        lasting_streams(),
        naming(path),
        log as output,
        redirect_stdout(output),
        _processes_left_behind(),
    ):
        prepare_streams()
        try:
            source = find_source(cfg, identity)
            devices = _own_device(cfg)
            _run(cfg, folder, identity, replaced, source, bool(cfg.keep_state), devices)
        except Exception as error:
            if cfg.debug:
                traceback.print_exception(error, file=sys.stderr)
            return one_line(error)
    return None


@contextmanager
def _processes_left_behind() -> Iterator[None]:
    """Restore the environment after a cell with several processes (trainer=ddp).

    Lightning would take the environment variables of this cell for those of an external launcher.
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


def _own_device(cfg: DictConfig) -> list[int] | None:
    """The GPU of this process of a pool; None outside a pool.

    The config is not changed, because the device index is no part of a cell's identity.
    """
    launcher = HydraConfig.get().launcher
    workers = launcher.get("n_jobs") or 1
    if workers == 1 or cfg.trainer.devices != 1 or cfg.trainer.accelerator == "cpu":
        return None
    from segbench.hardware.slots import take_device

    device = take_device(Path(HydraConfig.get().sweep.dir))
    return None if device is None else [device]


def _remove_if_empty(folder: Path) -> None:
    """Remove the empty folders that Hydra created for a cell that was refused."""
    for each in (folder, *folder.parents[:2]):
        if each == Path.cwd() or (each.is_dir() and any(each.iterdir())):
            return
        if each.is_dir():
            each.rmdir()
