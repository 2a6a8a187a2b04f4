"""The user's own packages and YAML files, which ``segbench.toml`` or ``SEGBENCH_PACKAGES`` name."""

import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from segbench.errors import ConfigError

VARIABLE = "SEGBENCH_PACKAGES"
SETTINGS = "segbench.toml"
_KEYS = ("packages", "config_dir")


@dataclass(frozen=True)
class Settings:
    """What ``segbench.toml`` says in the folder in which a command is typed.

    Args:
        packages: Python packages in the folder, whose classes configs may name.
        config_dir: the folder of the user's own YAML files; empty: none.
    """

    packages: tuple[str, ...] = ()
    config_dir: str = ""

    @property
    def text(self) -> str:
        """The content of the file."""
        listed = ", ".join(f'"{each}"' for each in self.packages)
        return (
            "# Read by segbench commands that are typed in this folder.\n"
            f"packages = [{listed}] # Python packages here, whose classes YAML files may name\n"
            f'config_dir = "{self.config_dir}" # the folder of your own YAML files\n'
        )


def read_settings(folder: Path) -> Settings:
    """The settings in a folder; none where it has no ``segbench.toml`` or is a run's.

    A run's folder, or one of runs, may come from somebody else; a file in it is not read.

    Raises:
        ConfigError: the file is not such TOML, or names a folder that is not there.
    """
    file = folder / SETTINGS
    if not file.is_file() or _holds_runs(folder):
        return Settings()
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as TOML ({error}); correct it") from error
    for key in found:
        if key not in _KEYS:
            close = get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(_KEYS)}"
            raise ConfigError(f"{file}: no setting {key!r}; {hint}")
    packages, configs = found.get("packages", []), found.get("config_dir", "")
    if not isinstance(packages, list) or not all(_is_name(each) for each in packages):
        raise ConfigError(f'{file}: packages: expected names such as ["mylab"], got {packages!r}')
    if not isinstance(configs, str):
        raise ConfigError(f"{file}: config_dir: expected the name of a folder, got {configs!r}")
    if configs and not (folder / configs).is_dir():
        raise ConfigError(
            f"{file}: config_dir: no folder {configs!r} here; make it, or leave it out"
        )
    return Settings(tuple(packages), configs)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and all(each.isidentifier() for each in value.split("."))


def _holds_runs(folder: Path) -> bool:
    """Whether a folder is a cell's, inside of one, a sweep's, or one of sweeps such as outputs."""
    here = folder.resolve()
    if any((each / "run.json").is_file() for each in (here, *here.parents)):
        return True
    if any(here.glob("*/run.json")):
        return True
    return here.name == "outputs" and any(here.glob("*/*/run.json"))


def apply_settings(arguments: list[str]) -> list[str]:
    """Take the settings of the current folder: its packages, and its YAML files.

    What the command line and the environment say comes first.

    Args:
        arguments: the command line, after the command.

    Returns:
        The command line with ``--config-dir``, if there are YAML files.

    Raises:
        ConfigError: ``segbench.toml`` is wrong.
    """
    settings = read_settings(Path())
    if settings.packages:
        os.environ.setdefault(VARIABLE, ",".join(settings.packages))
    given = any(each.split("=")[0] in ("--config-dir", "-cd") for each in arguments)
    return (
        arguments
        if given or not settings.config_dir
        else [*arguments, "--config-dir", settings.config_dir]
    )


def own_packages() -> tuple[str, ...]:
    """The names that ``SEGBENCH_PACKAGES`` lists, separated by commas."""
    names = os.environ.get(VARIABLE, "").split(",")
    return tuple(name.strip() for name in names if name.strip())


class CurrentFolder(MetaPathFinder):
    """Finds only the packages that ``SEGBENCH_PACKAGES`` lists in the current folder.

    The folder itself is not on ``sys.path``, because its content may not be trusted and any
    import of a library could find a module in it.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a listed package that no other finder has found, or None."""
        if path is not None or fullname not in own_packages():
            return None
        return PathFinder.find_spec(fullname, [os.getcwd()], target)


def search_current_folder() -> None:
    """Add `CurrentFolder` as the last finder of modules, once per process."""
    if not any(isinstance(finder, CurrentFolder) for finder in sys.meta_path):
        sys.meta_path.append(CurrentFolder())


def protect_children() -> None:
    """Keep the current folder off the path of all Python processes that this one starts.

    Pools of processes, loading processes and the processes of a cell on several devices start
    with ``python -c`` or ``python -m``, which put the current folder first.
    """
    if (
        Path(__file__).parents[2] != Path.cwd()
    ):  # there, the processes find segbench itself only in the current folder
        os.environ["PYTHONSAFEPATH"] = "1"
