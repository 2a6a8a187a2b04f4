"""``segbench check``: reads every case of a data set once and lists all faults."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.table import Table

from segbench.commands.run import collects_failures
from segbench.config.build import build
from segbench.config.quoting import quoted_form
from segbench.config.registry import CONF
from segbench.config.targets import check_targets
from segbench.errors import DataError
from segbench.names import user_path
from segbench.records.record import atomic_write, write_json
from segbench.text.progress import track
from segbench.text.screen import console, say

if TYPE_CHECKING:
    from segbench.data.check.check import CheckedCase

_SHOWN = 20  # problems of each kind


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="check")
@collects_failures
def main(cfg: DictConfig) -> None:
    """Check the data set that ``cfg`` names."""
    check_targets(cfg, only=("data",))
    from segbench.data.check.check import check_data  # torch and Lightning take seconds to import
    from segbench.data.check.contact_sheet import contact_sheet

    data = build(cfg.data, "data")
    try:
        found, samples = check_data(data, _progress)
    except DataError:
        _propose(cfg)
        raise
    if not found["cases"]:
        _propose(cfg)
    folder = Path(os.path.relpath(HydraConfig.get().runtime.output_dir))
    write_json(folder / "check.json", found)
    print_check(found)
    say(f"record: {folder / 'check.json'}")
    if samples:
        sheet = folder / "contact_sheet.png"
        with atomic_write(sheet) as temporary:
            contact_sheet(data, samples).save(temporary, "PNG")
        say(f"augmented samples: {sheet}")
    if found["errors"]:
        raise DataError(f"data: would corrupt results (errors above: {found['errors']})")


def _propose(cfg: DictConfig) -> None:
    """Print the command that would read a folder whose layout the options do not describe."""
    from segbench.data.layouts.jsons import find_annotations
    from segbench.data.layouts.known import find_known
    from segbench.data.layouts.proposals import propose

    root = user_path(str(cfg.data.root))
    if HydraConfig.get().runtime.choices.get("data") != "folder" or not root.is_dir():
        return
    if known := find_known(root):
        say(f"proposal: {root} is laid out as the data set that data={known} reads")
    if found := find_annotations(root):
        say(f"proposal: {found.line}")
    if proposal := propose(root):
        words = [f"data.{name}={_typed(value)}" for name, value in proposal.options.items()]
        typed = [shlex.quote(quoted_form(word) or word) for word in words]
        start = f"python -m segbench check data=folder {shlex.quote(f'data.root={cfg.data.root}')}"
        say(f"proposal: {proposal.count} images and masks, which hold {proposal.values.kind}:")
        say(f"  {start} {' '.join(typed)}")
        say("replace the names of the classes by yours, in their order")


def _typed(value: Any) -> str:
    """A value as it is typed for Hydra, without blanks."""
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_typed(each)}' for key, each in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(_typed, value))}]"
    return str(value)


def _progress(cases: Iterable["CheckedCase"], total: int) -> Iterable["CheckedCase"]:
    return track(cases, total, f"reading {total} cases")


def print_check(found: dict[str, Any]) -> None:
    """Print a table of the parts, one of their classes, and the problems line by line."""
    screen = console()
    groups = found.get("groups")
    screen.print(parts_table(found["parts"], groups["number"] if groups else {}))
    if groups:
        screen.print(f"data.group: {groups['told']}", soft_wrap=True)
    screen.print(classes_table(found["parts"]))
    by_kind: dict[tuple[str, str], list[str]] = {}
    for problem in found["problems"]:
        by_kind.setdefault((problem["severity"], problem["kind"]), []).append(problem["message"])
    for (severity, kind), messages in by_kind.items():
        screen.print(f"{severity}, {kind}: {len(messages)}", style="bold")
        for message in messages[:_SHOWN]:
            screen.print(f"  {message}", soft_wrap=True)
        if len(messages) > _SHOWN:
            screen.print(f"  … and {len(messages) - _SHOWN} more in check.json")


def parts_table(parts: dict[str, Any], groups: dict[str, int]) -> Table:
    """A table of the whole data set and of each part: cases, groups, sizes and file formats.

    Args:
        parts: the descriptions of the parts.
        groups: the number of groups in each part; empty without ``data.group``.
    """
    table = Table(title="cases", title_justify="left")
    table.add_column("part")
    table.add_column("cases", justify="right")
    if groups:
        table.add_column("groups", justify="right")
    table.add_column("sizes (width x height)")
    table.add_column("stored as")
    for name, part in parts.items():
        numbers = [str(part["cases"]), *([str(groups[name])] if groups else [])]
        table.add_row(name, *numbers, _most(part["sizes"]), _most(part["stored"]))
    return table


def _most(tally: dict[str, int], shown: int = 2) -> str:
    texts = [f"{name} ({count})" for name, count in tally.items()]
    if len(texts) > shown + 1:
        texts[shown:] = [f"{len(texts) - shown} others"]
    return ", ".join(texts)


def classes_table(parts: dict[str, Any]) -> Table:
    """A table of each class's fraction of the pixels and number of images, by part."""
    table = Table(title="classes: fraction of the pixels, images with it", title_justify="left")
    table.add_column("class")
    for name in parts:
        table.add_column(name, justify="right")
    for label in parts["all"]["classes"]:
        shown = [part["classes"].get(label, {"share": 0, "images": 0}) for part in parts.values()]
        table.add_row(label, *(f"{each['share']:.2%} {each['images']:>5}" for each in shown))
    return table
