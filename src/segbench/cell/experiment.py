"""Runs a cell and records how it ended; its training is in training.py."""

import logging
import os
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from hydra.errors import InstantiationException
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from segbench.callbacks.boards import close_runs
from segbench.cell.continuation import take_over
from segbench.cell.keeping import noted
from segbench.cell.training import has_trained, train_and_score
from segbench.config.identity import Identity
from segbench.data.options import as_size
from segbench.data.store.processes import explain
from segbench.errors import ConfigError, SegbenchError
from segbench.hardware.memory import peak_memory, release_memory
from segbench.hardware.oom import Footprint, advice, is_out_of_memory
from segbench.records.locks import HEARTBEAT, LOCK, alone_in
from segbench.records.logs import log_to
from segbench.records.record import (
    CONFIG,
    LOG,
    RUN,
    SPLIT,
    Record,
    is_done,
    read_record,
    remove_damaged,
    write_record,
    write_text,
)
from segbench.records.weight_files import (
    OPTION,
    digest_of,
    find_weights,
    is_source,
)
from segbench.system_errors import naming
from segbench.text.screen import say

log = logging.getLogger(__name__)


def run_cell(
    cfg: DictConfig,
    folder: Path,
    choices: dict[str, str],
    identity: Identity,
    command: str = "",
    *,
    devices: list[int] | None = None,
    source: Path | None = None,
    keep_state: bool = False,
) -> Record:
    """Run or resume the cell that ``cfg`` describes in ``folder``; returns its record.

    A cell that ends early is recorded with the values known by then, as ``failed`` with its error,
    ``interrupted`` (Ctrl-C, SIGTERM) or ``running`` (killed). With several devices Lightning
    starts one process for each with the same command line; only the first one records.

    Args:
        cfg: the cell's config.
        folder: the cell's folder.
        choices: the option chosen in each config group.
        identity: the identity of the cell's settings and data.
        command: the command line, for the record.
        devices: the indices of the GPUs to use, which do not affect the cell's identity; None:
            those that ``trainer.devices`` gives.
        source: the folder of a finished cell whose training is continued, or None.
        keep_state: whether to keep, after training, the state that a longer training needs.
    """
    if getattr(rank_zero_only, "rank", 0):
        return _assist(cfg, folder, identity, keep_state)
    say(f"cell: {os.path.relpath(folder)}")
    with alone_in(folder), log_to(folder / LOG):
        if cfg.overwrite:
            _empty(folder)
        elif is_done(folder):  # another process has finished it since the caller checked
            return read_record(folder)
        else:
            remove_damaged(folder)
        record: Record = {"status": "running", "error": None, "choices": choices}
        record |= {"seed": cfg.seed, "hash": identity.hash, "command": command}
        record["data"] = identity.record
        if cfg.get("trial"):
            record["part"] = "val"
        if is_source(weights := OmegaConf.select(cfg, OPTION)):
            path = find_weights(weights)
            record["weights"] = {"file": str(path), "sha256": digest_of(path)}
        write_record(folder, record)
        write_text(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        release_memory()
        try:
            if source and not has_trained(folder):
                take_over(source, folder)
                record["resumed_from"] = str(source)
            with naming(folder):
                train_and_score(cfg, folder, folder, record, identity, keep_state, devices)
            record["status"] = "done"
        except SIGTERMException:  # its own exit code is 0, which a scheduler takes for success
            record |= {"status": "interrupted", "error": "SIGTERM"}
            sys.exit(143)
        except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
            record |= {"status": "interrupted", "error": "interrupted from the keyboard"}
            raise KeyboardInterrupt from None
        except ConfigError:
            if not has_trained(folder):
                record["status"] = "refused"
            raise
        except Exception as error:
            if is_out_of_memory(error):
                error = _with_advice(error, cfg, record)
            elif (line := explain(error)) is not None:
                error = _explained(line, error)
            cause = error.__cause__ if isinstance(error, InstantiationException) else None
            shown = cause or error  # Hydra's message adds only the place in the config
            record |= {"status": "failed", "error": f"{type(shown).__name__}: {shown}"}
            log.exception("the cell failed")
            error.segbench_log = folder / LOG  # type: ignore[attr-defined]
            raise error from error.__cause__
        finally:
            if record["status"] == "refused":  # an error in the options leaves no cell
                _withdraw(folder)
            else:
                write_record(folder, record)
            with noted("closing the loggers", []):
                close_runs()
    return record


def _assist(cfg: DictConfig, folder: Path, identity: Identity, keep_state: bool) -> Record:
    """Take part in a cell that the first process records; files of this process are discarded."""
    record: Record = {"status": "assisted"}
    with (
        TemporaryDirectory() as discarded,
        open(os.devnull, "w", encoding="utf-8") as null,
        redirect_stdout(null),
        log_to(Path(discarded) / LOG),
    ):
        train_and_score(cfg, folder, Path(discarded), record, identity, keep_state)
    return record


def _with_advice(error: Exception, cfg: DictConfig, record: Record) -> SegbenchError:
    on_gpu = torch.cuda.is_available()
    peak = peak_memory(torch.device("cuda" if on_gpu else "cpu"))
    used = Footprint(
        parameters=record.get("parameters", 0),
        batch_size=cfg.data.batch_size,
        size=as_size(cfg.data.size),
        precision=str(record.get("environment", {}).get("precision", "")),
        peak_bytes=peak,
    )
    return _explained(advice(used), error)


def _explained(line: str, error: Exception) -> SegbenchError:
    explained = SegbenchError(line)
    explained.__cause__ = error
    return explained


def _empty(folder: Path) -> None:
    """Remove an earlier cell's files; ``hydra.run.dir`` may name a folder that holds no cell.

    Raises:
        ConfigError: the folder holds other files.
    """
    found = [path for path in folder.iterdir() if path.name not in (LOCK, HEARTBEAT, LOG)]
    if found and not (folder / RUN).exists():
        raise ConfigError(
            f"{folder}: holds files ({found[0].name}) but no cell; overwrite=true empties only "
            "folders of cells; give another hydra.run.dir"
        )
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _withdraw(folder: Path) -> None:
    """Remove the files of a refused cell, and its folder if no other files are in it."""
    for name in (RUN, CONFIG, SPLIT, LOG, LOCK, HEARTBEAT):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
