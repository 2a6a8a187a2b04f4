"""``segbench clean``: removes what a sweep can do without, after telling how much it is."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from segbench.commands.compare import OUTPUTS
from segbench.commands.run import collects_failures
from segbench.commands.run_arguments import listed_option
from segbench.config.registry import CONF
from segbench.errors import ConfigError
from segbench.names import as_folder_name, user_path
from segbench.records.cells import Cell, find_cells
from segbench.records.locks import is_locked
from segbench.text.numbers import memory_text
from segbench.text.screen import say
from segbench.text.wording import count

KINDS = {
    "failed": "failed cell",
    "checkpoints": "checkpoint folder",
    "stores": "prepared data set",
}
CHECKPOINTS = "checkpoints"
_STORE = re.compile(r"[a-z0-9_]+-[0-9a-f]{8,64}")  # as prepared images are named


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="clean")
@collects_failures
def main(cfg: DictConfig) -> None:
    """List what can be removed of ``outputs/<cfg.name>`` with its size, ask, and remove it.

    Raises:
        ConfigError: no name is given, or there is no such kind of files.
        SegbenchError: there is no such folder, or no cell in it.
    """
    if OmegaConf.is_missing(cfg, "name"):
        raise ConfigError("name is missing; expected a value such as name=ph2")
    kinds = listed_option(cfg.what)
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"what={kind}: expected some of {', '.join(KINDS)}")
    names = [as_folder_name(name) for name in listed_option(cfg.name)]
    cells = find_cells([OUTPUTS / name for name in names])
    found = {kind: list(_find(kind, cells)) for kind in kinds}
    for kind, folders in found.items():
        size = memory_text(sum(map(_size, folders)))
        say(f"{kind}: {count(len(folders), KINDS[kind])}, {size}")
    folders = [folder for each in found.values() for folder in each]
    if not folders:
        say("nothing to remove")
    elif not cfg.ask or _agrees(sum(map(_size, folders))):
        for folder in folders:
            shutil.rmtree(folder)
        say(f"removed: {count(len(folders), 'folder')}")


def _agrees(size: int) -> bool:
    """Whether the user says yes; without a terminal nobody can."""
    if not sys.stdin.isatty():
        say("nothing was removed; ask=false removes it")
        return False
    say(f"remove these {memory_text(size)}? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _find(kind: str, cells: Sequence[Cell]) -> Iterator[Path]:
    """The folders of a kind that can go; none of a cell that runs."""
    idle = [cell for cell in cells if not is_locked(cell.folder)]
    if kind == "failed":
        yield from (cell.folder for cell in idle if cell.status == "failed")
    elif kind == "checkpoints":
        kept = {_best(each).folder for each in _configurations(cells)}
        for cell in idle:
            folder = cell.folder / CHECKPOINTS
            if cell.status == "done" and cell.folder not in kept and folder.is_dir():
                yield folder
    else:
        yield from _stores(cells)


def _configurations(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The finished cells with weights that differ in nothing but seed and fold."""
    found: dict[tuple[tuple[str, str], ...], list[Cell]] = {}
    for cell in cells:
        if cell.status == "done" and (cell.folder / CHECKPOINTS).is_dir():
            key = {**cell.tuned, **cell.chosen, "data": cell.choices.get("data", "")}
            facts = {name: value for name, value in key.items() if name not in _OF_A_SEED}
            found.setdefault(tuple(sorted(facts.items())), []).append(cell)
    return list(found.values())


_OF_A_SEED = ("seed", "data.seed", "data.fold")


def _best(cells: Sequence[Cell]) -> Cell:
    """The cell with the best IoU on val."""

    def val(cell: Cell) -> float:
        score = ((cell.record.get("metrics") or {}).get("val") or {}).get("iou")
        return -1.0 if score is None else float(score)

    return max(cells, key=val)


def _stores(cells: Sequence[Cell]) -> Iterator[Path]:
    """The stores of prepared images of the data sets of the cells, and of no other files."""
    caches = set()
    for cell in cells:
        root, cache = (cell.config.get(f"data.{name}") for name in ("root", "cache"))
        if cache or root:
            caches.add(user_path(str(cache)) if cache else user_path(str(root)) / ".segbench")
    for cache in sorted(caches):
        for folder in sorted(cache.glob("*/")):
            if _STORE.fullmatch(folder.name) and (folder / "index.json").is_file():
                yield folder


def _size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    files = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files)
