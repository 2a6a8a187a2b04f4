"""``segbench check``: reads every case of a data set once and lists all that is wrong with it."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from segbench.commands.run import collects_failures
from segbench.config import CONF
from segbench.errors import DataError
from segbench.progress import track
from segbench.report.checks import print_check
from segbench.report.record import whole_file, write_json
from segbench.targets import check_targets

if TYPE_CHECKING:
    from segbench.data.check import Look


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="check")
@collects_failures
def main(cfg: DictConfig) -> None:
    """Check the data set that ``cfg`` names."""
    check_targets(cfg, omit=tuple(str(key) for key in cfg if key != "data"))
    from segbench.data.check import check_data  # torch and Lightning take seconds to import
    from segbench.data.contact_sheet import contact_sheet

    data = instantiate(cfg.data)
    found, samples = check_data(data, _progress)
    folder = Path(os.path.relpath(HydraConfig.get().runtime.output_dir))
    write_json(folder / "check.json", found)
    print_check(found)
    print(f"record: {folder / 'check.json'}")
    if samples:
        sheet = folder / "contact_sheet.png"
        with whole_file(sheet) as temporary:
            contact_sheet(data, samples).save(temporary, "PNG")
        print(f"augmented samples: {sheet}")
    if found["errors"]:
        raise DataError(f"data: would corrupt results (errors above: {found['errors']})")


def _progress(looks: Iterable["Look"], total: int) -> Iterable["Look"]:
    return track(looks, total, f"reading {total} cases")
