"""Compares finished cells from Python as `segbench compare` does, without writing the report."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segbench.commands.compare import OUTPUTS, compare_folders
from segbench.config.registry import CONF
from segbench.errors import ConfigError
from segbench.names import as_folder_name, user_path
from segbench.notebook.report import Report
from segbench.records.cells import Cell
from segbench.records.files import exists
from segbench.records.record import RUN

Asked = str | Path | Cell
OPTIONS = ("score", "rows", "columns", "missing", "margin", "unit", "by")


def compare_cells(cells: Asked | Sequence[Asked], **options: Any) -> Report:
    """Compare finished cells; see `segbench.compare`."""
    if unknown := [name for name in options if name not in OPTIONS]:
        raise ConfigError(f"compare: no option {unknown[0]!r}; there are {', '.join(OPTIONS)}")
    given: Any = cells
    several = isinstance(given, Iterable) and not isinstance(given, str)
    asked: list[Any] = list(given) if several else [given]
    if not asked:
        raise ConfigError("compare: no cells; give outputs/<name>, a cell, or a list of them")
    folders = list(dict.fromkeys(map(_folder, asked)))
    defaults: Any = OmegaConf.to_container(OmegaConf.load(CONF / "compare.yaml"), resolve=False)
    try:
        cfg = OmegaConf.create(defaults | {name: _plain(each) for name, each in options.items()})
    except OmegaConfBaseException as error:
        raise ConfigError(f"compare: an option takes text, numbers or a list ({error})") from error
    return Report(compare_folders(folders, _names(folders), cfg))


def _folder(asked: Asked) -> Path:
    """A folder that exists, or that of a name below ``outputs/``."""
    if isinstance(asked, Cell):
        return asked.folder
    if not isinstance(asked, str | Path):
        raise ConfigError(f"compare: {asked!r}: expected a folder, a name, or a cell")
    folder = user_path(str(asked))
    below = OUTPUTS / folder
    may_be_name = bool(folder.parts) and ".." not in folder.parts
    if may_be_name and (below.is_dir() or (len(folder.parts) == 1 and not folder.is_dir())):
        return below
    return folder


def _names(folders: Sequence[Path]) -> list[str]:
    """The sweeps of the folders, for the report's head."""
    full = [folder.resolve() for folder in folders]
    names = [Cell(each, {}).sweep if exists(each / RUN) else each.name for each in full]
    return [as_folder_name(name, "compare") for name in dict.fromkeys(names)]


def _plain(value: Any) -> Any:
    """An option as a config holds it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
