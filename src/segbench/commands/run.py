"""Runs a command's Hydra main and turns any error into one line and an exit code."""

import functools
import os
import shlex
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig

from segbench.commands.explaining import FAILURE, explain, is_usage_error, own_error, similar
from segbench.config.composing import checked_composition
from segbench.config.identity import forget_data
from segbench.config.own_packages import search_current_folder
from segbench.config.registry import register_resolvers
from segbench.errors import ConfigError
from segbench.hardware.load import CoreWatch
from segbench.text.screen import say

FLAGS = {
    *("--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r", "--multirun", "-m"),
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--info", "-i"),
    *("--hydra-help", "--version", "--shell-completion", "-sc"),
}
VALUED = {"--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--config-name", "-cn"} | {
    *("--config-path", "-cp", "--info", "-i")
}
INTERRUPTED = 130  # exit code
DRY_RUN = "--dry-run"  # a flag of training commands: cells are listed and not run
# the load of the machine since the command began
WATCH: ContextVar[CoreWatch] = ContextVar("WATCH")
IS_DRY: ContextVar[bool] = ContextVar("IS_DRY", default=False)  # of the command that runs


search_current_folder()  # here too, as processes of launchers and loaders import this module
# of the job that `run_command` runs; None in the processes of a launcher
_FAILURES: ContextVar[list[Exception] | None] = ContextVar("_FAILURES", default=None)
# the folders of the cells of a call from Python; None of a command
CELLS: ContextVar[list[Path] | None] = ContextVar("CELLS", default=None)
T = TypeVar("T")


def collects_failures(job: Callable[[DictConfig], T]) -> Callable[[DictConfig], T | None]:
    """Keep the errors of a job for `run_command`; Hydra would print its own message."""

    @functools.wraps(job)
    def guarded(cfg: DictConfig) -> T | None:
        try:
            return job(cfg)
        except Exception as error:
            _keep(error)
            return None

    return guarded


def _keep(error: Exception) -> None:
    """Keep an error for `run_command`.

    A function of its own, because launchers send the job to other processes with all that it
    refers to, and a context variable cannot be sent.
    """
    if (failures := _FAILURES.get()) is not None:
        failures.append(error)


def note_cell(folder: Path, cfg: DictConfig) -> None:
    """Keep the folder of a cell that was asked for by a call from Python.

    Raises:
        ConfigError: the cell takes several processes, which start with a command line.
    """
    if (folders := CELLS.get()) is None:
        return
    devices, strategy = cfg.trainer.devices, cfg.trainer.get("strategy") or "auto"
    one = len(devices) == 1 if isinstance(devices, ListConfig) else str(devices) == "1"
    if not one or strategy not in ("auto", "single_device"):
        raise ConfigError(
            f"trainer.devices={devices}, trainer.strategy={strategy}: each device takes a process "
            "with the same command line, which a call from Python lacks; run it in a terminal, as "
            "python -m segbench …"
        )
    if not cfg.get("trial"):  # trials of a search only lead to its winners
        folders.append(folder)


def typed_command(*words: str) -> str:
    """The command line that was typed, for a record.

    Args:
        words: the command's own name, such as ``evaluate``; none for a cell.
    """
    typed = [each.removeprefix("named.") for each in HydraConfig.get().overrides.task]
    return shlex.join(["python", "-m", "segbench", *words, *typed])


def silence_hydra() -> None:
    """Suppress warnings of launchers: our YAML files override a plugin's defaults, for example."""
    warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated")
    # joblib's, when it replaces a process that has taken more and more memory
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")


def run_command(main: Callable[[], object], arguments: list[str], resumes: bool = False) -> int:
    """Run a ``@hydra.main`` function.

    Args:
        main: the function.
        arguments: the command-line arguments after the command's name.
        resumes: whether it trains cells, so that the same command resumes after Ctrl-C, and
            ``--dry-run`` lists them.

    Returns:
        The exit code.
    """
    dry = DRY_RUN in arguments and resumes
    arguments = [each for each in arguments if not (dry and each == DRY_RUN)]
    debug = "debug=true" in [argument.lower() for argument in arguments]
    try:
        failures = errors_of(main, arguments, dry)
    except KeyboardInterrupt:
        next_time = "resumes after the last complete epoch" if resumes else "starts again"
        say(f"interrupted; the same command {next_time}", sys.stderr)
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILURE
    codes = [_report(error, arguments, debug) for error in failures]
    return codes[0] if codes else 0


def errors_of(
    main: Callable[[], object], arguments: list[str], dry: bool = False
) -> list[Exception]:
    """Run a ``@hydra.main`` function; its errors are returned and not reported.

    Args:
        main: the function.
        arguments: the command-line arguments after the command's name.
        dry: whether cells are listed and not run.

    Raises:
        KeyboardInterrupt: from the keyboard.
        SystemExit: the command ended with an exit code.
    """
    for flag in (each.partition("=")[0] for each in arguments if each.startswith("-")):
        if flag not in FLAGS:
            return [ConfigError(f"no flag {flag!r}{similar(flag, FLAGS)}; --help lists them")]
    flags, words = _flags_and_words(arguments)  # flags come first, as Hydra's parser expects them
    sys.argv = ["segbench", *flags, *words]
    register_resolvers()
    silence_hydra()
    forget_data()
    WATCH.set(CoreWatch())
    failures: list[Exception] = []
    before, was_dry = _FAILURES.set(failures), IS_DRY.set(dry)
    try:
        with checked_composition():
            main()
    except Exception as error:
        failures.append(error)
    finally:
        _FAILURES.reset(before)
        IS_DRY.reset(was_dry)
    return failures


def _flags_and_words(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The flags with their values, and the other arguments."""
    flags: list[str] = []
    words: list[str] = []
    expects_value = False  # the previous flag takes a value
    for argument in arguments:
        (flags if expects_value or argument.startswith("-") else words).append(argument)
        expects_value = argument in VALUED
    return flags, words


def typed_words() -> list[str]:
    """The words after the command that runs, without flags and their values."""
    return _flags_and_words(sys.argv[1:])[1]


def _report(error: Exception, arguments: list[str], debug: bool) -> int:
    error = own_error(error)
    line, code = explain(error, arguments)
    trace = "".join(traceback.format_exception(error))
    if debug:
        say(trace, sys.stderr, keep="\n")
    where = None
    if not is_usage_error(error):
        where = getattr(error, "segbench_log", None) or _write_traceback(trace)
    tail = f" (traceback: {where})" if where else ""
    say(f"error: {line}{tail}", sys.stderr)
    return code


def _write_traceback(trace: str) -> Path | None:
    """Write the traceback of an error that occurred before the cell's folder existed."""
    log = Path("outputs") / f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        log.parent.mkdir(exist_ok=True)
        log.write_text(trace, encoding="utf-8", errors="backslashreplace")
    except OSError:  # in a read-only folder the error itself is still reported
        return None
    return log
