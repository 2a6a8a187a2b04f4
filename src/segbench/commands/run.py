"""Runs a command's Hydra main and turns whatever goes wrong into one line and an exit code."""

import functools
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from segbench.config import compose, config_groups, register_resolvers
from segbench.errors import ConfigError, SegbenchError

FLAGS = {
    *("--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r", "--multirun", "-m"),
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--info", "-i"),
    *("--hydra-help", "--version", "--shell-completion", "-sc", "--experimental-rerun"),
}
VALUED = {"--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--config-name", "-cn"} | {
    *("--config-path", "-cp", "--info", "-i", "--experimental-rerun")
}
USAGE, FAILURE, INTERRUPTED = 2, 1, 130


_failures: list[Exception] = []
T = TypeVar("T")


def collects_failures(job: Callable[[DictConfig], T]) -> Callable[[DictConfig], T | None]:
    """Keep what a job raises for `run_command`: Hydra would print its own words about it."""

    @functools.wraps(job)
    def guarded(cfg: DictConfig) -> T | None:
        try:
            return job(cfg)
        except Exception as error:
            _failures.append(error)
            return None

    return guarded


def silence_hydra() -> None:
    """Hydra warns of YAMLs called as a plugin's own, which is how ours set its defaults."""
    warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated")


def run_command(main: Callable[[], object], words: list[str], resumes: bool = False) -> int:
    """Run a ``@hydra.main`` function on command-line words; returns the exit code."""
    debug = "debug=true" in [word.lower() for word in words]
    for flag in (word.partition("=")[0] for word in words if word.startswith("-")):
        if flag not in FLAGS:
            slip = ConfigError(f"no flag {flag!r}{_near(flag, FLAGS)}; --help lists them")
            return _say(slip, words, debug)
    sys.argv = ["segbench", *_flags_first(words)]
    register_resolvers()
    silence_hydra()
    _failures.clear()
    try:
        main()
    except KeyboardInterrupt:
        goes_on = "goes on from the last whole epoch" if resumes else "starts anew"
        print(f"interrupted; the same command {goes_on}", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILURE
    except Exception as error:
        _failures.append(error)
    codes = [_say(error, words, debug) for error in _failures]
    return codes[0] if codes else 0


def _flags_first(words: list[str]) -> list[str]:
    """Hydra's parser wants flags, and their values, before the overrides."""
    flags: list[str] = []
    rest: list[str] = []
    waiting = False  # for the value of the flag before
    for word in words:
        (flags if waiting or word.startswith("-") else rest).append(word)
        waiting = word in VALUED
    return [*flags, *rest]


def _say(error: Exception, words: list[str], debug: bool) -> int:
    line, code = explain(error, words)
    trace = "".join(traceback.format_exception(error))
    if debug:
        print(trace, file=sys.stderr)
    where = getattr(error, "segbench_log", None) or _keep(trace)
    tail = f" (traceback: {where})" if where and not is_users(error) else ""
    print(f"error: {line}{tail}", file=sys.stderr)
    return code


def _keep(trace: str) -> Path | None:
    """Keep the traceback of what failed before there was a cell's folder to log into."""
    log = Path("outputs") / "log.txt"
    try:
        log.parent.mkdir(exist_ok=True)
        log.write_text(trace)
    except OSError:  # a read-only folder is no reason to hide the error itself
        return None
    return log


def is_users(error: BaseException) -> bool:
    """Whether an error is a user's to mend, so that its text says it all."""
    kinds = (SegbenchError, ValueError, ImportError, OmegaConfBaseException, HydraException)
    cause = error.__cause__ if isinstance(error, InstantiationException) else None
    return isinstance(cause or error, kinds)


def explain(error: BaseException, words: list[str]) -> tuple[str, int]:
    """One line that says what went wrong and how to mend it, and the exit code."""
    if isinstance(error, MissingConfigException):
        return _explain_missing(error, words), USAGE
    if isinstance(error, ConfigCompositionException):
        return _explain_override(error, words), USAGE
    if "Unknown plugin class" in str(error):
        extra = "ray" if "Ray" in str(error) else "launchers"
        return f"hydra/launcher: not installed; pip install 'segbench[{extra}]'", USAGE
    if isinstance(error, InterpolationResolutionError) and error.parent_node is not None:
        said = str(error).splitlines()[0].partition("resolving interpolation: ")
        return f"{error.full_key}: {said[2] or said[0]}", USAGE
    if isinstance(error, OverrideParseException | OmegaConfBaseException):
        return one_line(error), USAGE
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return one_line(error.__cause__), FAILURE  # what the target itself raised
    return one_line(error), USAGE if isinstance(error, ConfigError) else FAILURE


def one_line(error: BaseException) -> str:
    """An error's text in one line; its class stands before what is no user's mistake."""
    text = " ".join(str(error).split()) or "no message"
    return text if is_users(error) else f"{type(error).__name__}: {text}"


def _near(word: str, known: Iterator[str] | set[str] | list[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _explain_missing(error: MissingConfigException, words: list[str]) -> str:
    group, _, option = str(error.missing_cfg_file).partition("/")
    options = config_groups(_config_dir(words)).get(group)
    if options is None:
        return one_line(error)
    return f"{group}={option}: no such option{_near(option, options)}; {group} has {_list(options)}"


def _config_dir(words: list[str]) -> Path | None:
    from segbench.__main__ import config_dir

    return config_dir(words)


def _list(options: list[str]) -> str:
    return ", ".join(options)


def _explain_override(error: ConfigCompositionException, words: list[str]) -> str:
    """Hydra's message, or, for an option that does not exist, the nearest one that does."""
    parsed = [w for w in words if "=" in w and not w.startswith("-")]
    for override in OverridesParser.create().parse_overrides(parsed):
        key = override.key_or_group
        if f"'{key}'" in str(error) and not override.is_add():
            others = [w for w in parsed if w.partition("=")[0].lstrip("+~") != key]
            known = list(_dotted(_try_compose(others)))
            leaf = [k for k in known if k.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
            near = f"; did you mean {leaf[0]!r}?" if leaf else _near(key, known)
            return f"no option {key!r}{near}; to add a new one write +{key}=…"
    return one_line(error)


def _try_compose(words: list[str]) -> DictConfig | None:
    try:
        return compose(overrides=words)
    except (HydraException, OmegaConfBaseException):  # two slips at once: no suggestion then
        return None


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, DictConfig):
        for key in map(str, node):
            yield f"{prefix}{key}"
            yield from _dotted(node._get_node(key), f"{prefix}{key}.")
