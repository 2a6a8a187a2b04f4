"""``segbench completion``: the script with which bash or zsh completes commands and options."""

import os
import shlex
import sys
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra

from segbench.commands.help import COMMANDS, PLACES
from segbench.commands.run import typed_words
from segbench.config.registry import CONF, config_dir, config_groups, register_resolvers
from segbench.errors import ConfigError
from segbench.text.screen import say

LINE = "SEGBENCH_COMPLETION_LINE"  # what was typed, up to the cursor
SHELLS = ("bash", "zsh")
_FUNCTION = f"""\
_segbench_complete() {{
    local line="${{COMP_LINE:0:$COMP_POINT}}"
    local word="${{line##* }}"
    local found
    found=$({LINE}="$line" segbench completion query 2> /dev/null)
    COMPREPLY=($(compgen -o default -W "$found" -- "$word"))
    [[ ${{#COMPREPLY[@]}} -eq 1 && $COMPREPLY == *[=.] ]] && compopt -o nospace 2> /dev/null
    return 0
}}
complete -o nosort -F _segbench_complete segbench
"""
_SCRIPTS = {
    "bash": _FUNCTION,
    "zsh": "autoload -Uz +X compinit bashcompinit\ncompinit -u\nbashcompinit\n"
    + _FUNCTION.replace("-o nosort ", ""),
}


def main() -> None:
    """Print the script of a shell; ``query`` prints what completes a line.

    Raises:
        ConfigError: there is no such shell.
    """
    words = typed_words()
    if words == ["query"]:
        say("\n".join(candidates(os.environ.get(LINE, ""))), keep="\n")
    elif len(words) == 1 and words[0] in SHELLS:
        say(_SCRIPTS[words[0]].rstrip(), keep="\n")
    else:
        raise ConfigError(
            "completion: expected bash or zsh; add to the shell's start file: "
            'eval "$(segbench completion bash)"'
        )


def candidates(line: str) -> list[str]:
    """The words that can complete the last word of a command line.

    Args:
        line: such as ``segbench model=un``; the last word may be empty.
    """
    *before, last = _words(line)[1:] or [""]
    if not before and "=" not in last:
        commands = [name for name in COMMANDS if name.startswith(last)]
        return [*commands, *_by_hydra("config", before, last)]
    command = before[0] if before and before[0] in COMMANDS else "train"
    if command == "list":
        return ["scores", *config_groups(config_dir(before))]
    if command in PLACES:
        return _of_starting(command, before)
    config = "config" if command == "train" else command
    return _by_hydra(config, [each for each in before if each not in COMMANDS], last)


def _of_starting(command: str, before: list[str]) -> list[str]:
    from segbench.commands.starting.skeletons import KINDS

    known = {"new": list(KINDS), "completion": list(SHELLS), "schema": list(config_groups())}
    return known.get(command, []) if len(before) == 1 else []


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError:  # a quotation mark is still open
        words = line.split()
    return [*words, ""] if line.endswith((" ", "\t")) else words


def _by_hydra(config: str, before: list[str], last: str) -> list[str]:
    """Hydra's completion of options and their values."""
    from hydra._internal.core_plugins.bash_completion import BashCompletion

    register_resolvers()
    extra = config_dir(before) or config_dir(sys.argv[1:])  # of the line, or of segbench.toml
    added = [f"hydra.searchpath=[file://{Path(extra).absolute()}]"] if extra else []
    typed = [each for each in before if "=" in each and len(each.split()) == 1]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        plugin = BashCompletion(GlobalHydra.instance().config_loader())
        found = plugin._query(config_name=config, line=" ".join([*added, *typed, last]))
    fitting = (each for each in found if each.startswith(last) and "._" not in each)
    return [each for each in fitting if not each.startswith("hydra")]
