"""``segbench list``: what can be chosen, a line each."""

import re
import sys
from difflib import get_close_matches
from pathlib import Path

from rich.table import Table

from segbench.commands.run import typed_words
from segbench.config.registry import CONF, config_dir, config_groups
from segbench.errors import ConfigError
from segbench.metrics.registry import REGISTRY
from segbench.text.screen import console


def main() -> None:
    """Print the options of a config group, or the scores, with their descriptions.

    Raises:
        ConfigError: there is no such group.
    """
    extra, asked = config_dir(sys.argv[1:]), typed_words()
    groups = config_groups(extra)
    known = ["scores", *groups]
    for name in asked or ["model", "loss", "data", "scores"]:
        group = next((each for each in known if name in (each, f"{each}s", f"{each}es")), name)
        if group not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(f"list {name}: {hint}there are {', '.join(known)}")
        console().print(_scores() if group == "scores" else _options(group, groups[group], extra))


def _options(group: str, options: list[str], extra: Path | None) -> Table:
    table = _table(f"{group}=")
    for option in options:
        files = [folder / group / f"{option}.yaml" for folder in (extra, CONF) if folder]
        file = next(file for file in files if file.is_file())
        table.add_row(option, _description(file))
    return table


def _description(file: Path) -> str:
    """The comment with which a YAML file begins, up to the end of its first sentence or block."""
    words: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#") or line.startswith("#  "):
            break
        words.append(line.lstrip("# "))
    return re.split(r"(?<=(?<!et al)\.) ", " ".join(words))[0]


def _scores() -> Table:
    table = _table("score=, and most as score/<class>")
    for score in REGISTRY:
        better = "lower is better" if score.lower_is_better else "higher is better"
        over = "mean over images" if score.per_image else "over all images at once"
        table.add_row(score.name, f"{score.title}: {better}, {over}")
    return table


def _table(head: str) -> Table:
    table = Table(box=None, padding=(0, 1), title=head, title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("")
    table.show_header = False
    return table
