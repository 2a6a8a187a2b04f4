"""What `evaluate`, `predict` and `export` share: the word ``run=`` before Hydra reads it."""

import re
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from segbench.errors import ConfigError
from segbench.runs import HASH


def prepare_words(command: str) -> list[str]:
    """Put hashes in quotes, since Hydra would read ``12345678`` and ``1234e567`` as numbers.

    Raises:
        ConfigError: a sweep is asked for.
    """
    if {"-m", "--multirun"} & set(sys.argv):
        raise ConfigError(f"{command} takes no -m; run=[a,b] is the mean of several cells")
    sys.argv[1:] = [quote_hashes(word) for word in sys.argv[1:]]
    return sys.argv[1:]


def quote_hashes(word: str) -> str:
    """``run=1234e567`` and ``run=[1234e567,b]`` with each hash a string; others as they are."""
    if not word.startswith("run="):
        return word
    return re.sub(rf"(?<=[=\[,])({HASH})(?=[\],]|$)", r"'\1'", word)


def asked_runs(words: Sequence[str]) -> Any:
    """What ``run=`` says among the words of a command line.

    Raises:
        ConfigError: it is not among them.
    """
    mine = [word for word in words if word.startswith("run=")]
    if not mine or mine[-1] == "run=":
        raise ConfigError("run: missing; give a cell's folder, its hash, or outputs/<name>")
    return OverridesParser.create().parse_override(mine[-1]).value()
