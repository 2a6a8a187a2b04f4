"""``segbench new``: writes a working, tested beginning of an own network, loss or data set."""

import keyword
import re
from difflib import get_close_matches
from pathlib import Path

from segbench.commands.run import typed_words
from segbench.commands.starting.skeletons import GROUPS, KINDS
from segbench.config.own_packages import SETTINGS, Settings, read_settings
from segbench.config.registry import config_groups
from segbench.errors import ConfigError
from segbench.text.screen import say

NEXT = {
    "network": "segbench model={name} trainer=smoke",
    "loss": "segbench loss={name} trainer=smoke",
    "data": "segbench check data={name}",
    "experiment": "segbench -m --dry-run experiment={name}",
}
CONFTEST = '''\
"""Lets pytest find the packages in this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
'''
DEFAULT = Settings(("mylab",), "mine")


def main() -> None:
    """Write the files into the current folder, and say what comes next.

    Raises:
        ConfigError: the words are no kind and name, or a file is there already.
    """
    words, settings = typed_words(), read_settings(Path())
    if len(words) != 2:
        raise ConfigError(f"new: expected `segbench new {'|'.join(KINDS)} NAME`")
    kind, name = words
    _check(kind, name, settings)
    package = (settings.packages or DEFAULT.packages)[0]
    configs = settings.config_dir or DEFAULT.config_dir
    files = skeleton(kind, name, package, configs)
    for path in files:
        if path.exists():
            raise ConfigError(f"{path}: is there already; give another name, or remove it")
    needed = Settings(
        (package,) if f"{package}/{name}.py" in map(Path.as_posix, files) else (), configs
    )
    written = [*_write(files), *_write(_beside(settings, needed))]
    for path in written:
        say(f"written: {path}")
    say("next:")
    say(f"  {NEXT[kind].format(name=name)}")
    say(f"  python -m pytest tests/test_{name}.py    # pip install pytest")


def skeleton(kind: str, name: str, package: str, configs: str) -> dict[Path, str]:
    """The files of a new part with their texts.

    Args:
        kind: ``network``, ``loss``, ``data`` or ``experiment``.
        name: of the module and the option.
        package: the user's Python package.
        configs: the folder of the user's YAML files.
    """
    class_name = "".join(word.capitalize() for word in name.split("_"))
    words = {"@name@": name, "@Class@": class_name, "@package@": package, "@configs@": configs}
    return {Path(_filled(path, words)): _filled(text, words) for path, text in KINDS[kind].items()}


def _filled(text: str, words: dict[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text


def _check(kind: str, name: str, settings: Settings) -> None:
    if kind not in KINDS:
        close = get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"new {kind}: {hint}there are {', '.join(KINDS)}")
    check_name(GROUPS[kind], name, settings)


def check_name(group: str, name: str, settings: Settings) -> None:
    """Refuse the name of a new option that is none, or is in use.

    Raises:
        ConfigError: the text says what is expected.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(f"{name}: expected a name of a-z, 0-9 and _ alone, such as my_{group}")
    own = Path(settings.config_dir) if settings.config_dir else None
    if name in config_groups(own).get(group, []):
        raise ConfigError(f"{group}={name} exists already; take another name")


def _beside(settings: Settings, needed: Settings) -> dict[Path, str]:
    """The package's ``__init__.py`` and segbench.toml, where they are missing."""
    found = {}
    for package in needed.packages:
        file = Path(package) / "__init__.py"
        if not file.exists():
            found[file] = '"""My own parts for segbench."""\n'
    packages = list(dict.fromkeys([*settings.packages, *needed.packages]))
    told = Settings(tuple(packages), settings.config_dir or needed.config_dir)
    if told != settings:
        found[Path(SETTINGS)] = told.text
    if not Path("conftest.py").exists() and packages:
        found[Path("conftest.py")] = CONFTEST
    return found


def _write(files: dict[Path, str]) -> list[Path]:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)
