"""``segbench init``: looks at a folder of pictures, and writes the YAML file that reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from segbench.commands.run import typed_words
from segbench.commands.starting.new import DEFAULT, check_name
from segbench.config.identity import nested
from segbench.config.own_packages import SETTINGS, Settings, read_settings
from segbench.errors import ConfigError
from segbench.names import user_path
from segbench.text.screen import say

USAGE = "init: expected `segbench init FOLDER [NAME]`; NAME is that of the data set, such as mine"
NEXT = """\
next:
  segbench check data={name}          # reads every image, and lists faults
  segbench data={name} model=unet_compact  # trains one network
  segbench -m name={name} data={name} model=unet_compact,segnet,unetpp seed=0,1,2"""


def main() -> None:
    """Write the file into the folder of the user's YAML files, and say what comes next.

    Raises:
        ConfigError: the folder holds no data set that can be read, or the name is in use.
    """
    settings = read_settings(Path())
    words = typed_words()
    if not 1 <= len(words) <= 2:
        raise ConfigError(USAGE)
    root, name = user_path(words[0]), [*words, "mine"][1]
    if not root.is_dir():
        raise ConfigError(f"init {words[0]}: no such folder; expected one with images and masks")
    check_name("data", name, settings)
    configs = settings.config_dir or DEFAULT.config_dir
    file = Path(configs) / "data" / f"{name}.yaml"
    if file.exists():
        raise ConfigError(f"{file}: is there already; give another name, or remove it")
    text = describe(root)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    say(text, keep="\n")
    say(f"written: {file}")
    if not settings.config_dir:
        Path(SETTINGS).write_text(Settings(settings.packages, configs).text, encoding="utf-8")
        say(f"written: {SETTINGS}, so that commands in this folder find it")
    say(NEXT.format(name=name), keep="\n")


def describe(root: Path) -> str:
    """The text of a YAML file that reads the data set in a folder.

    Raises:
        ConfigError: no data set was found in it.
    """
    from segbench.data.check.likely_groups import likely_pattern
    from segbench.data.layouts.jsons import find_annotations
    from segbench.data.layouts.known import find_known
    from segbench.data.layouts.proposals import propose

    if known := find_known(root):
        head = f"# {root}: laid out as the data set that data={known} reads, with its classes"
        return "\n".join([head, *_yaml(known, {"root": str(root.resolve())})]) + "\n"
    if found := find_annotations(root):
        head = f"# {root}: {found.file} holds the annotations"
        return "\n".join([head, *_lines(found.data, root, found.options)]) + "\n"
    proposal = propose(root)
    if proposal is None:
        raise ConfigError(
            f"init {root}: no images with masks of the same names were found in it; docs/data.md "
            "shows the layouts, and data.images='…/*.png' data.masks='…/*.png' name others"
        )
    head = f"# {root}: {proposal.count} images and masks, which hold {proposal.values.kind}"
    lines = [head, *_lines("folder", root, nested(proposal.options))]
    if (pattern := likely_pattern(proposal.ids)) is not None:
        lines += [
            "# The ids seem to name groups. If they are patients, slides, plates or videos, remove",
            "# the # before the next line, so that each stays in one part:",
            f"# group: {yaml.safe_dump(pattern, width=1000).splitlines()[0]}",
        ]
    return "\n".join(lines) + "\n"


def _lines(data: str, root: Path, options: Mapping[str, Any]) -> list[str]:
    return _yaml(data, {"root": str(root.resolve()), **options, "size": 256, "batch_size": 8})


def _yaml(data: str, told: Mapping[str, Any]) -> list[str]:
    head = ["defaults:", f"  - {data}", "  - _self_"]
    notes = {
        "class_names": "replace the names by yours, in their order",
        "palette": "with the same names",
        "size": "of the network's input; scores are computed at the images' own size",
    }
    for key, value in told.items():
        plain = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
        note = f" # {notes[key]}" if key in notes else ""
        head.append(f"{key}: {plain.splitlines()[0]}{note}")
    return head
