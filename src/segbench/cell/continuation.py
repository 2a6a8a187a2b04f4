"""Continues the training of a finished cell: checks whether it can, and copies its state."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segbench.cell.history import EPOCHS, Earlier, as_earlier, more_epochs
from segbench.config.identity import Identity
from segbench.errors import ConfigError
from segbench.names import user_path
from segbench.records.record import BEST, CURVES, LAST, PREVIOUS, RUN

_TAKEN = (CURVES, "tensorboard")


def find_source(cfg: DictConfig, identity: Identity) -> Path | None:
    """The folder of the finished cell that ``resume_from`` names; None where it is not set.

    Args:
        cfg: the new cell's config; ``resume_from`` is the folder of a cell, or a folder of several
            cells, of which the one with the same settings is taken.
        identity: the new cell's identity.

    Raises:
        ConfigError: there is no such cell, or its training cannot be continued; the text gives
            the reason.
    """
    asked = cfg.get("resume_from")
    if asked is None:
        return None
    folder = user_path(str(asked))
    files = [folder / RUN] if (folder / RUN).is_file() else sorted(folder.glob(f"*/{RUN}"))
    found = [cell for cell in (as_earlier(file.parent, cfg) for file in files) if cell]
    if not found:
        raise ConfigError(f"resume_from={asked}: holds no cell; name a finished cell's folder")
    alike = [each for each in found if set(each.differs) == {EPOCHS}]
    source = (alike or found)[0]
    if reason := obstacle(source, cfg, identity):
        raise ConfigError(f"resume_from={asked}: {source.cell.name} {reason}")
    return source.cell.folder


def obstacle(earlier: Earlier, cfg: DictConfig, identity: Identity) -> str:
    """The reason why a cell's training cannot be continued as ``cfg`` says; empty if it can."""
    differs = dict(earlier.differs)
    before, now = differs.pop(EPOCHS, (None, None))
    if earlier.cell.status != "done":
        return f"is {earlier.cell.status}, not finished; its own command resumes it"
    if schedule := [key for key in differs if key.startswith("scheduler.")]:
        names = ", ".join(schedule)
        return f"had learning rates planned for {before} epochs ({names}): train again"
    if differs:
        key, (there, here) = next(iter(differs.items()))
        return f"differs in more than {EPOCHS}: its {key} is {there}, this cell's is {here}"
    if (earlier.data or {}).get("fingerprint") != identity.data:
        return "was trained on other data"
    if not more_epochs(before, now):
        return f"was trained with {EPOCHS}={before}; expected more epochs, got {now}"
    if _planned_by_steps(cfg):
        return f"had learning rates planned for the steps of {before} epochs: train again"
    if not earlier.cell.has(Path("checkpoints") / f"{PREVIOUS}.ckpt"):
        return (
            "has no training state: a cell of one epoch keeps none, and a cell of a sweep keeps "
            "it only with keep_state=true"
        )
    return ""


def _planned_by_steps(cfg: DictConfig) -> bool:
    node: Any = cfg.get("scheduler")
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if not isinstance(plain, Mapping) or not plain:
        return False
    from segbench.cell.task import asks_for_total_steps
    from segbench.config.build import build

    return asks_for_total_steps(build(plain, "scheduler"))


def take_over(source: Path, folder: Path) -> None:
    """Copy the training state of a finished cell into the folder of the cell that continues it.

    The state is that before the last epoch. This epoch is trained again, with equal results for an
    equal seed, so that a finished cell does not need to keep a further checkpoint.
    """
    from segbench.records.checkpoints.files import settle

    there, here = source / "checkpoints", folder / "checkpoints"
    here.mkdir(parents=True, exist_ok=True)
    for name in _TAKEN:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
        elif (source / name).is_file():
            shutil.copy2(source / name, folder / name)
    for before, now in ((BEST, BEST), (PREVIOUS, LAST)):  # last.ckpt comes last: it marks a state
        temporary = here / f".{now}.ckpt.tmp"
        shutil.copy2(there / f"{before}.ckpt", temporary)
        settle(temporary, here / f"{now}.ckpt")
