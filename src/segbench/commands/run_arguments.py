"""Reads ``run=`` and ``trust=`` for `evaluate`, `predict` and `export`."""

import re
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import ListConfig

from segbench.errors import ConfigError
from segbench.inference.runs import Run, find_runs
from segbench.records.weight_files import HASH


def prepare_arguments(command: str) -> list[str]:
    """Quote hashes, because Hydra would read ``12345678`` and ``1234e567`` as numbers.

    Args:
        command: the name of the command, for messages.

    Returns:
        The command-line arguments.

    Raises:
        ConfigError: the arguments ask for a sweep.
    """
    if {"-m", "--multirun"} & set(sys.argv):
        raise ConfigError(f"{command} takes no -m; run=[a,b] is the mean of several cells")
    sys.argv[1:] = [quote_hashes(argument) for argument in sys.argv[1:]]
    return sys.argv[1:]


def quote_hashes(argument: str) -> str:
    """``argument`` with quotes around each hash in ``run=…``; other arguments are not changed."""
    if not argument.startswith("run="):
        return argument
    return re.sub(rf"(?<=[=\[,])({HASH})(?=[\],]|$)", r"'\1'", argument)


def asked_runs(arguments: Sequence[str]) -> list[Run]:
    """The cells that ``run=`` names, with the packages that ``trust=`` names.

    Raises:
        ConfigError: ``run=`` is missing, or names no cell that may be built.
    """
    run = _value("run", arguments)
    if not run:
        raise ConfigError("run: missing; give a cell's folder, its hash, or outputs/<name>")
    return find_runs(run, packages(_value("trust", arguments)))


def packages(asked: Any) -> list[str]:
    """The packages that ``trust=`` names: none, one or several.

    Raises:
        ConfigError: it is not a name or a list of names.
    """
    names = [] if asked is None else [asked] if isinstance(asked, str) else asked
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"trust={asked}: expected the name of a package, or [one,other]")
    return list(names)


def _value(key: str, arguments: Sequence[str]) -> Any:
    mine = [each for each in arguments if each.startswith(f"{key}=")]
    return OverridesParser.create().parse_override(mine[-1]).value() if mine else None


def unwrapped(value: Any) -> Any:
    """A value of a config; a list as Python's own."""
    return list(value) if isinstance(value, ListConfig) else value


def listed_option(value: object) -> list[str]:
    """The texts of an option that takes one value or a list of them."""
    found = unwrapped(value)
    return [str(each) for each in found] if isinstance(found, list) else [str(found)]
