"""``python -m segbench [command] [overrides]``: selects the command without slow imports."""

import gc
import os
import sys
from difflib import get_close_matches
from importlib import import_module

from segbench.commands.help import COMMANDS, PLACES, help_of
from segbench.config.own_packages import apply_settings, protect_children, search_current_folder
from segbench.errors import SegbenchError
from segbench.hardware.parents import end_with_leader
from segbench.text.screen import prepare_streams, say
from segbench.text.streams import lasting_streams


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the command-line arguments; None takes those of the process.

    Returns:
        The exit code: 0, 1 for a failure, 2 for a usage error, 130 for Ctrl-C, 143 for SIGTERM.
    """
    with lasting_streams():
        prepare_streams()
        return _main(list(sys.argv[1:] if argv is None else argv))


def _main(arguments: list[str]) -> int:
    named = (
        bool(arguments) and not arguments[0].startswith(("-", "+", "~")) and "=" not in arguments[0]
    )
    command = arguments.pop(0) if named else "train"
    try:
        arguments = apply_settings(arguments)
    except SegbenchError as error:
        say(f"error: {error}", sys.stderr)
        return 2
    if {"--help", "-h"} & set(arguments) and command in COMMANDS:
        say(help_of(command, arguments), keep="\n")
        return 0
    if command not in COMMANDS:
        close = get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"commands: {', '.join(COMMANDS)}"
        say(f"error: no command '{command}'; {hint}", sys.stderr)
        return 2
    _prepare_environment()
    end_with_leader()
    from segbench.commands.run import run_command

    resumes = command == "train"
    module = import_module(f"segbench.commands.{PLACES.get(command, command)}")
    return run_command(module.main, arguments, resumes)


def _prepare_environment() -> None:
    # Hydra then raises every error instead of printing its own traceback.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # albumentations would ask a package registry for its newest version at each import.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    # Threads that wait by spinning take the core from the thread they wait for: with other work on
    # the machine a training step took up to 8 times as long. This ends the spinning early.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # Torch and Lightning create a million permanent objects: repeated garbage collection of them
    # took a seventh of the time of their import.
    gc.set_threshold(100_000, 50, 100)
    search_current_folder()
    protect_children()


if __name__ == "__main__":
    sys.exit(main())
