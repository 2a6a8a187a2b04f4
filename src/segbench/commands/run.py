"""Runs a command's Hydra main and turns any error into one line and an exit code."""

import functools
import inspect
import os
import shlex
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from segbench.config.composing import checked_composition
from segbench.config.identity import forget_data
from segbench.config.own_packages import search_current_folder
from segbench.config.quoting import find_unread, how_to_type, quoted_form
from segbench.config.registry import compose, config_dir, config_groups, register_resolvers
from segbench.errors import ConfigError, SegbenchError, printable
from segbench.hardware.load import CoreWatch
from segbench.system_errors import explain_lack
from segbench.text.screen import say

FLAGS = {
    *("--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r", "--multirun", "-m"),
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--info", "-i"),
    *("--hydra-help", "--version", "--shell-completion", "-sc"),
}
VALUED = {"--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--config-name", "-cn"} | {
    *("--config-path", "-cp", "--info", "-i")
}
USAGE, FAILURE, INTERRUPTED = 2, 1, 130
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
            return [ConfigError(f"no flag {flag!r}{_near(flag, FLAGS)}; --help lists them")]
    sys.argv = ["segbench", *_flags_first(arguments)]
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


def _flags_first(arguments: list[str]) -> list[str]:
    """The arguments with flags and their values first, as Hydra's parser expects them."""
    flags: list[str] = []
    rest: list[str] = []
    expects_value = False  # the previous flag takes a value
    for argument in arguments:
        (flags if expects_value or argument.startswith("-") else rest).append(argument)
        expects_value = argument in VALUED
    return [*flags, *rest]


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


def own_error(error: Exception) -> Exception:
    """The segbench error that caused an OmegaConf error, if there is one; else the error itself."""
    cause: BaseException | None = error
    while isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ or cause.__context__
    return cause if isinstance(cause, SegbenchError) else error


def _write_traceback(trace: str) -> Path | None:
    """Write the traceback of an error that occurred before the cell's folder existed."""
    log = Path("outputs") / f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        log.parent.mkdir(exist_ok=True)
        log.write_text(trace, encoding="utf-8", errors="backslashreplace")
    except OSError:  # in a read-only folder the error itself is still reported
        return None
    return log


def is_usage_error(error: BaseException) -> bool:
    """Whether the user can correct the error, so that its text suffices without a traceback."""
    kinds = (SegbenchError, ValueError, ImportError, OmegaConfBaseException, HydraException)
    cause = error.__cause__ if isinstance(error, InstantiationException) else None
    return isinstance(cause or error, kinds) or explain_lack(error) is not None


def explain(error: BaseException, arguments: list[str]) -> tuple[str, int]:
    """One line about an error and its correction, and the exit code."""
    multirun = bool({"-m", "--multirun"} & set(arguments))
    if isinstance(error, HydraException) and (unread := find_unread(arguments)):
        return printable(how_to_type(unread, multirun)), USAGE
    if isinstance(error, MissingConfigException):
        return _explain_missing(error, arguments), USAGE
    if isinstance(error, ConfigCompositionException):
        return _explain_override(error, arguments), USAGE
    if "Unknown plugin class" in str(error):
        extra = "ray" if "Ray" in str(error) else "launchers"
        return f"hydra/launcher: not installed; pip install 'segbench[{extra}]'", USAGE
    if isinstance(error, InterpolationResolutionError) and error.parent_node is not None:
        before, _, reason = str(error).splitlines()[0].partition("resolving interpolation: ")
        if before.startswith("ConfigError"):  # its text names the option
            return reason, USAGE
        return f"{error.full_key}: {reason or before}", USAGE
    if isinstance(error, OverrideParseException | OmegaConfBaseException):
        return one_line(error), USAGE
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return one_line(error.__cause__), FAILURE  # the error that the target raised
    return one_line(error), USAGE if isinstance(error, ConfigError) else FAILURE


def one_line(error: BaseException) -> str:
    """An error's text in one line; unless it is a usage error, its class comes first."""
    text = printable(" ".join((explain_lack(error) or str(error)).split())) or "no message"
    return text if is_usage_error(error) else f"{type(error).__name__}: {text}"


def _near(name: str, known: Iterator[str] | set[str] | list[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _explain_missing(error: MissingConfigException, arguments: list[str]) -> str:
    group, _, option = str(error.missing_cfg_file).partition("/")
    options = config_groups(config_dir(arguments)).get(group)
    if options is None:
        return one_line(error)
    near = _near(option, options)
    return f"{group}={option}: no such option{near}; {group} has {', '.join(options)}"


def _explain_override(error: ConfigCompositionException, arguments: list[str]) -> str:
    """Hydra's message; for an unknown option, the most similar known option."""
    parsed = [w for w in arguments if "=" in w and not w.startswith("-")]
    for override in OverridesParser.create().parse_overrides(parsed):
        if override.is_sweep_override() and "Ambiguous value" in str(error):
            form = shlex.quote(quoted_form(str(override.input_line)) or "")
            return f"{override.input_line}: several values take -m; as one text: {form}"
        key = override.key_or_group
        if f"'{key}'" in str(error) and not override.is_add():
            if _is_of_trainer(key):
                return f"{key}: an argument of Lightning's Trainer, which takes a plus: +{key}=…"
            others = [w for w in parsed if w.partition("=")[0].lstrip("+~") != key]
            known = list(_dotted(_try_compose(others)))
            leaf = [k for k in known if k.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
            near = f" (did you mean {leaf[0]!r}?)" if leaf else _near(key, known)
            return f"no option {key!r}{near}; to add a new one write +{key}=…"
    return one_line(error)


def _is_of_trainer(key: str) -> bool:
    group, _, name = key.partition(".")
    if group != "trainer":
        return False
    from lightning import Trainer  # takes seconds to import

    return name in inspect.signature(Trainer).parameters


def _try_compose(arguments: list[str]) -> DictConfig | None:
    try:
        return compose(overrides=arguments)
    except (HydraException, OmegaConfBaseException):  # a second error: no suggestion is possible
        return None


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, DictConfig):
        for key in map(str, node):
            yield f"{prefix}{key}"
            yield from _dotted(node._get_node(key), f"{prefix}{key}.")
