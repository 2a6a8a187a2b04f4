"""``segbench train``: one cell, or with ``-m`` each cell of a grid."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segbench.commands.run import collects_failures
from segbench.config import CONF, cell_choices, cell_hash
from segbench.report.record import is_done, read_record
from segbench.report.tables import print_result
from segbench.targets import check_targets


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
@collects_failures
def main(cfg: DictConfig) -> None:
    """Run the cell that ``cfg`` describes, or show it where it is finished already."""
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    if is_done(folder) and not cfg.overwrite:
        print(f"already done: {_short(folder)} (overwrite=true runs it again)")
        print_result(read_record(folder), _short(folder))
        return
    try:
        check_targets(cfg)
    except Exception:
        _remove_if_empty(folder)
        raise
    from segbench.experiment import run_cell  # torch and Lightning take seconds to import

    choices = cell_choices(OmegaConf.create({"hydra": hydra_config}))
    if run_cell(cfg, folder, choices, cell_hash(cfg))["status"] != "done":
        return  # one of several processes of the cell: the first prints
    print_result(read_record(folder), _short(folder))


def _short(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _remove_if_empty(folder: Path) -> None:
    """Hydra makes the folder before the config is checked; a slip leaves none behind."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
