"""``python -m segbench [command] [overrides]``: picks the command; imports nothing heavy."""

import gc
import os
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from segbench.later import postpone_imports

COMMANDS = {
    "train": "train, select, test and record one cell (the default); with -m a sweep",
    "compare": "the table, the statistics, the figures and the page of what a sweep has done",
    "check": "read a data set once and list all that is wrong with it; draw augmented samples",
    "evaluate": "score a finished cell's weights on its test part, or on other data",
    "predict": "masks of your own pictures with a finished cell's weights",
    "export": "a finished cell's network as one file, ONNX or torch.export",
}
EXAMPLES = """\
  python -m segbench model=unet loss=dice data.size=96         one cell on generated images
  python -m segbench data=dsb2018 data.root=/my/data model=unetpp trainer.max_epochs=50
  python -m segbench -m model=unet,unetpp loss=bce,dice seed=0,1,2     every combination
  python -m segbench predict run=outputs/default input='photos/*.jpg' output=masks/"""
FLAGS = """\
  --cfg job            print the cell that the command line describes, and stop
  --config-dir DIR     add your own YAMLs: DIR/model/mynet.yaml makes model=mynet
  -m, --multirun       run every combination of options listed with commas
  --help               this page (Hydra's own flags: --hydra-help)"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a failure, 2 for a slip in the options."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "--help" in words or "-h" in words:
        print(help_page(config_dir(words)))
        return 0
    named = bool(words) and not words[0].startswith(("-", "+", "~")) and "=" not in words[0]
    command = words.pop(0) if named else "train"
    if command not in COMMANDS:
        close = get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"commands: {', '.join(COMMANDS)}"
        print(f"error: no command '{command}'; {hint}", file=sys.stderr)
        return 2
    _prepare_environment()
    from segbench.commands.run import run_command

    resumes = command == "train"
    return run_command(import_module(f"segbench.commands.{command}").main, words, resumes)


def _prepare_environment() -> None:
    # Hydra then hands every error to us instead of printing its own trace.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # albumentations would ask a package registry for its newest version at each import.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    # Threads that wait for one another by spinning take the core from the one they wait for: with
    # other work on the machine a step took up to 8 times as long; without it no longer.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # Torch and Lightning make a million objects that stay: looking through them for garbage again
    # and again took a seventh of their import's time.
    gc.set_threshold(100_000, 50, 100)
    postpone_imports()
    sys.path.insert(0, str(Path.cwd()))  # a user's own package lies where the command is typed


def config_dir(words: list[str]) -> Path | None:
    """The folder after ``--config-dir``, where one is given."""
    for place, word in enumerate(words):
        if word in ("--config-dir", "-cd") and place + 1 < len(words):
            return Path(words[place + 1])
        if word.startswith("--config-dir="):
            return Path(word.partition("=")[2])
    return None


def help_page(extra: Path | None = None) -> str:
    """The commands, the config groups with their options, and three examples."""
    from segbench.config import config_groups

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
