"""``segbench export``: writes a finished cell's network as one file and verifies it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np
from omegaconf import DictConfig, OmegaConf

from segbench.commands.run import collects_failures
from segbench.commands.run_arguments import packages, prepare_arguments, unwrapped
from segbench.config.registry import CONF
from segbench.errors import ConfigError, DataError, SegbenchError
from segbench.inference.runs import Run, check_alike, find_runs, load_network
from segbench.names import as_path, user_path
from segbench.records.cells import PANELS
from segbench.text.screen import say

if TYPE_CHECKING:
    from segbench.data.store.normalisation import Normalisation

SIZES = ("any", "fixed")


def main() -> None:
    """Export the network of the cells that ``run=`` names."""
    prepare_arguments("export")
    _export()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="export")
@collects_failures
def _export(cfg: DictConfig) -> None:
    if OmegaConf.is_missing(cfg, "run"):
        raise ConfigError("run: missing; export run=outputs/… format=onnx")
    asked, trust = (unwrapped(cfg[key]) for key in ("run", "trust"))
    runs = find_runs(asked, packages(trust))
    from segbench.data.store.transforms import resize_image  # torch takes seconds to import
    from segbench.inference.averaging import Averaged
    from segbench.inference.export import (
        FORMATS,
        TOLERANCE,
        describe,
        export,
        largest_difference,
        way_out,
    )

    if cfg.format not in FORMATS:
        raise ConfigError(f"format={cfg.format}: expected {', '.join(FORMATS)}")
    if cfg.size not in SIZES:
        raise ConfigError(f"size={cfg.size}: expected {', '.join(SIZES)}")
    check_alike(runs)
    data, networks = runs[0].data, [load_network(run) for run in runs]
    network = networks[0] if len(runs) == 1 else Averaged(networks).eval()
    path = _path(cfg.output, runs, FORMATS[cfg.format])
    images = [("random", _random_images(data.normalisation, data.size))]
    if cfg.picture is not None or not data.stores_values:  # panels have 8 bits
        real = _real_picture(cfg.picture, runs[0])
        if cfg.size == "fixed":
            real = resize_image(real[0].transpose(1, 2, 0), data.size).transpose(2, 0, 1)[None]
        images.append(("real", real))
    any_size = cfg.size == "any"
    facts = describe(data.class_names, data.size, data.normalisation, any_size, data.colours)
    answer = export(network, path, cfg.format, facts)
    for what, pixels in images:
        try:
            difference = largest_difference(network, answer, pixels, data.normalisation)
        except Exception as error:  # what runs the file raises many kinds of errors
            path.unlink(missing_ok=True)
            reason = " ".join(str(error).split())[:200]
            raise SegbenchError(
                f"{path}: cannot be run on a {what} picture ({reason}): removed; "
                f"{way_out(cfg.format, facts)}"
            ) from error
        height, width = pixels.shape[2:]
        say(f"largest difference on a {what} picture, {width} x {height}: {difference:.1e}")
        if not difference <= TOLERANCE:
            path.unlink(missing_ok=True)
            raise SegbenchError(
                f"{path}: differs from the network by {difference:.1e} on a {what} picture, more "
                f"than {TOLERANCE:.0e}: removed; {way_out(cfg.format, facts)}"
            )
    say(f"exported: {path}, {path.stat().st_size / 1e6:.1f} MB, {', '.join(data.class_names)}")


def _random_images(normalisation: "Normalisation", size: tuple[int, int]) -> Any:
    """Two images (2, C, H, W): uint8, or with values that training's normalisation expects."""
    shape, chance = (2, len(normalisation.offset), *size), np.random.default_rng(0)
    if normalisation.method == "imagenet":
        return chance.integers(0, 256, shape, np.uint8)
    offset, scale = (
        np.reshape(values, (-1, 1, 1)) for values in (normalisation.offset, normalisation.scale)
    )
    return (chance.standard_normal(shape) * scale + offset).astype(np.float32)


def _path(output: Any, runs: list[Run], suffix: str) -> Path:
    if output is not None:
        if not str(output).endswith(suffix):
            raise ConfigError(f"output={output}: expected a name that ends in {suffix}")
        return as_path(output, "output")
    if len(runs) > 1:
        raise ConfigError(f"output: missing; of several cells, name a file: output=mean{suffix}")
    return runs[0].folder / f"model{suffix}"


def _real_picture(asked: Any, run: Run) -> Any:
    """A real picture (1, C, H, W), of a size other than that of training.

    The default is the first picture of the cell's panel, cut to an unusual size.
    """
    file = user_path(str(asked)) if asked is not None else run.folder / PANELS
    try:
        files = (file,) if asked is None else run.data.channel_files(file)
        pixels = run.data.read_picture(*files)
    except DataError as error:
        raise ConfigError(f"{error}; picture=photo.jpg names one to verify with") from error
    if asked is None:
        pixels = pixels[50:271, 10:247]  # any part will do: no network is trained at this size
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
