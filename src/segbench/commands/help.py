"""The texts of ``--help``: of all commands, and of one with its options."""

import re
from collections.abc import Iterator
from pathlib import Path

from segbench.config.registry import CONF, config_dir, config_groups

COMMANDS = {
    "train": "train, select, test and record one cell (the default); with -m a sweep",
    "compare": "table, statistics, figures and page of the finished cells of a sweep",
    "status": "how far a sweep is that runs elsewhere, or was stopped",
    "clean": "remove failed cells, weights and prepared images that a sweep can do without",
    "plan": "how many seeds and images find a difference, from a finished sweep",
    "init": "look at a folder of pictures, and write the YAML file that reads it",
    "new": "write a working beginning of your own network, loss, data set or experiment",
    "check": "read a data set once and list its faults; draw augmented samples",
    "evaluate": "score a finished cell's weights on its test part, or on other data",
    "score": "score masks that any tool predicted, for the table of a comparison",
    "predict": "predict masks of your own pictures with a finished cell's weights",
    "list": "list models, losses, data, scores, or the options of another config group",
    "export": "write a finished cell's network as one file, ONNX or torch.export",
    "schema": "print a JSON schema, with which editors complete your YAML files",
    "completion": "print the script with which bash or zsh completes commands and options",
}
PLACES = {name: f"starting.{name}" for name in ("init", "new", "list", "schema", "completion")}
USAGES = {  # of the commands without a YAML file
    "list": "list [models|losses|data|scores|…]",
    "new": "new network|loss|data|experiment NAME",
    "init": "init FOLDER [NAME]",
    "schema": "schema [model|loss|data|…]",
    "completion": "completion bash|zsh",
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
  --dry-run            list the cells and the time that the missing ones take; run none
  --help               print this page (Hydra's own flags: --hydra-help)"""
OF_A_CELL = ("train", "check")  # these commands take the options of a cell
_OPTION = re.compile(r"(\w+): ([^#]*?)\s*(?:#\s*(.*))?")


def help_of(command: str, arguments: list[str]) -> str:
    """The text of ``--help`` for a command.

    Args:
        command: a key of ``COMMANDS``.
        arguments: the command line, which may name a folder of further options.
    """
    extra = config_dir(arguments)
    if command in OF_A_CELL:
        return help_page(extra)
    if command in USAGES:
        return f"{COMMANDS[command]}\n\npython -m segbench {USAGES[command]}"
    text = (CONF / f"{command}.yaml").read_text(encoding="utf-8")
    options = list(_options(text))
    width = max(len(name) for name, _ in options) + 2
    listed = "\n".join(f"  {name:<{width}} {meaning}".rstrip() for name, meaning in options)
    example = re.search("`(python -m segbench [^`]*)`", text.splitlines()[0])
    shown = f"\n\nExample\n  {example[1]}" if example else ""
    return f"python -m segbench {command}: {COMMANDS[command]}{shown}\n\nOptions\n{listed}"


def _options(text: str) -> Iterator[tuple[str, str]]:
    """The options of a command's YAML file with their defaults, and their meanings."""
    for line in text.splitlines():
        found = _OPTION.fullmatch(line)
        if found and found[1] not in ("defaults", "hydra", "named"):
            default = "(required)" if found[2] == "???" else found[2]
            yield f"{found[1]}={default}", found[3] or ""


def help_page(extra: Path | None = None) -> str:
    """The text of ``--help``: commands, config groups with their options, and examples.

    Args:
        extra: the folder of ``--config-dir``, whose options are listed too.
    """
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
