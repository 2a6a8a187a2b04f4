"""Explains an error in one line, and says how to correct what the user typed."""

import inspect
import shlex
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

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

from segbench.config.quoting import find_unread, how_to_type, quoted_form
from segbench.config.registry import compose, config_dir, config_groups
from segbench.errors import ConfigError, SegbenchError, printable
from segbench.system_errors import explain_lack

USAGE, FAILURE = 2, 1  # exit codes


def own_error(error: Exception) -> Exception:
    """The segbench error that caused an OmegaConf error, if there is one; else the error itself."""
    cause: BaseException | None = error
    while isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ or cause.__context__
    return cause if isinstance(cause, SegbenchError) else error


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


def similar(name: str, known: set[str] | list[str]) -> str:
    """A question for the most similar known name, in parentheses; empty if none is similar."""
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _explain_missing(error: MissingConfigException, arguments: list[str]) -> str:
    group, _, option = str(error.missing_cfg_file).partition("/")
    options = config_groups(config_dir(arguments)).get(group)
    if options is None:
        return one_line(error)
    near = similar(option, options)
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
            near = f" (did you mean {leaf[0]!r}?)" if leaf else similar(key, known)
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
