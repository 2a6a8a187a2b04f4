"""``python -m segbench [command] [overrides]``: selects the command without slow imports."""

import gc
import os
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from segbench.config.own_packages import protect_children, search_current_folder
from segbench.hardware.parents import end_with_leader
from segbench.text.screen import prepare_streams, say
from segbench.text.streams import lasting_streams

COMMANDS = {
    "train": "train, select, test and record one cell (the default); with -m a sweep",
    "compare": "table, statistics, figures and page of the finished cells of a sweep",
    "plan": "how many seeds and images find a difference, from a finished sweep",
    "check": "read a data set once and list its faults; draw augmented samples",
    "evaluate": "score a finished cell's weights on its test part, or on other data",
    "predict": "predict masks of your own pictures with a finished cell's weights",
    "export": "write a finished cell's network as one file, ONNX or torch.export",
}
EXAMPLES = """\
  python -m segbench model=unet loss=dice data.size=96         one cell on generated images
  python -m segbench data=dsb2018 data.root=/my/data model=unetpp trainer.max_epochs=50
  python -m segbench -m model=unet,unetpp loss=bce,dice seed=0,1,2     every combination
  python -m segbench predict run=outputs/default input='photos/*.jpg' output=masks/"""
FLAGS = """\
  --cfg job            print the configuration of the cell and exit
  --config-dir DIR     add your own YAML files: DIR/model/mynet.yaml gives model=mynet
  -m, --multirun       run every combination of the options separated by commas
  --help               print this page (Hydra's own flags: --hydra-help)"""


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
    if "--help" in arguments or "-h" in arguments:
        from segbench.config.registry import config_dir

        say(help_page(config_dir(arguments)), keep="\n")
        return 0
    named = (
        bool(arguments) and not arguments[0].startswith(("-", "+", "~")) and "=" not in arguments[0]
    )
    command = arguments.pop(0) if named else "train"
    if command not in COMMANDS:
        close = get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"commands: {', '.join(COMMANDS)}"
        say(f"error: no command '{command}'; {hint}", sys.stderr)
        return 2
    _prepare_environment()
    end_with_leader()
    from segbench.commands.run import run_command

    resumes = command == "train"
    return run_command(import_module(f"segbench.commands.{command}").main, arguments, resumes)


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


def help_page(extra: Path | None = None) -> str:
    """The text of ``--help``: commands, config groups with their options, and examples.

    Args:
        extra: the folder of ``--config-dir``, whose options are listed too.
    """
    from segbench.config.registry import config_groups

    commands = "\n".join(f"  {name:<12} {text}" for name, text in COMMANDS.items())
    groups = config_groups(extra)
    width = max(map(len, groups)) + 2
    listed = "\n".join(f"  {name:<{width}} {' '.join(options)}" for name, options in groups.items())
    return f"""\
segbench: compare image-segmentation models honestly and fast

python -m segbench [command] [group=option …] [key.in.config=value …]

Commands
{commands}

Groups and their options
{listed}

Often set
  name, seed, overwrite, debug, data.root, data.size, data.batch_size, model.base_channels,
  trainer.max_epochs, trainer.precision

Examples
{EXAMPLES}

Flags
{FLAGS}"""


if __name__ == "__main__":
    sys.exit(main())
