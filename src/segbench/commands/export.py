"""``segbench export``: a finished cell's network as one file, verified before it is left."""

from pathlib import Path
from typing import Any

import hydra
import numpy as np
from omegaconf import DictConfig, ListConfig, OmegaConf

from segbench.commands.run import collects_failures
from segbench.commands.run_words import prepare_words
from segbench.config import CONF
from segbench.errors import ConfigError, SegbenchError
from segbench.report.cells import PANELS
from segbench.runs import Run, check_alike, find_runs, load_network


def main() -> None:
    """Export what the command line names."""
    prepare_words("export")
    _export()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="export")
@collects_failures
def _export(cfg: DictConfig) -> None:
    if OmegaConf.is_missing(cfg, "run"):
        raise ConfigError("run: missing; export run=outputs/… format=onnx")
    asked: Any = list(cfg.run) if isinstance(cfg.run, ListConfig) else cfg.run
    runs = find_runs(asked)
    from segbench.averaging import Averaged  # torch takes seconds to import
    from segbench.exporting import (
        FORMATS,
        TOLERANCE,
        describe,
        export,
        largest_difference,
    )

    if cfg.format not in FORMATS:
        raise ConfigError(f"format={cfg.format}: expected {', '.join(FORMATS)}")
    check_alike(runs)
    data, networks = runs[0].data, [load_network(run) for run in runs]
    network = networks[0] if len(runs) == 1 else Averaged(networks).eval()
    path = _path(cfg.output, runs, FORMATS[cfg.format])
    picture = _real_picture(cfg.picture, runs[0])
    chance = np.random.default_rng(0).integers(0, 256, (2, data.in_channels, *data.size), np.uint8)
    answer = export(
        network, path, cfg.format, describe(data.class_names, data.size, data.in_channels)
    )
    for what, images in (("random", chance), ("real", picture)):
        difference = largest_difference(network, answer, images)
        height, width = images.shape[2:]
        print(f"largest difference on a {what} picture, {width} x {height}: {difference:.1e}")
        if not difference <= TOLERANCE:
            path.unlink(missing_ok=True)
            raise SegbenchError(
                f"{path}: differs from the network by {difference:.1e} on a {what} picture, more "
                f"than {TOLERANCE:.0e}: removed; try another format"
            )
    print(f"exported: {path}, {path.stat().st_size / 1e6:.1f} MB, {', '.join(data.class_names)}")


def _path(output: Any, runs: list[Run], suffix: str) -> Path:
    if output is not None:
        if not str(output).endswith(suffix):
            raise ConfigError(f"output={output}: expected a name that ends in {suffix}")
        return Path(str(output)).expanduser()
    if len(runs) > 1:
        raise ConfigError(f"output: missing; of several cells, name a file: output=mean{suffix}")
    return runs[0].folder / f"model{suffix}"


def _real_picture(asked: Any, run: Run) -> Any:
    """A picture (1, C, H, W) uint8 of another size than the training's.

    By itself the first picture of the cell's panel, cut to a size that no network is trained at.
    """
    from segbench.report.panels import CAPTION, GAP, SIDE

    file = Path(str(asked)).expanduser() if asked is not None else run.folder / PANELS
    try:
        pixels = run.data.read_image(file.read_bytes(), file)
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read ({error.strerror}); picture=photo.jpg names one to verify with"
        ) from error
    if asked is None:
        pixels = pixels[2 * CAPTION :, GAP:][: SIDE - 35, : SIDE - 19]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
