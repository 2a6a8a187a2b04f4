"""``segbench predict``: writes masks of a user's own pictures, at the pictures' sizes."""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig, OmegaConf

from segbench.commands.explaining import one_line
from segbench.commands.run import collects_failures
from segbench.commands.run_arguments import listed_option, packages, prepare_arguments, unwrapped
from segbench.config.registry import CONF
from segbench.data.decoding.files import SUFFIXES
from segbench.data.layouts.patterns import VOLUMES
from segbench.data.options import check_reading
from segbench.errors import ConfigError, DataError
from segbench.inference.runs import find_runs, make_predictor
from segbench.names import as_path
from segbench.text.progress import track
from segbench.text.screen import say

if TYPE_CHECKING:
    from segbench.data.base import SegmentationDataModule

KINDS = {False: None, None: None, True: "png16", "png16": "png16", "npy": "npy"}


def main() -> None:
    """Predict masks of the pictures that ``input=`` names."""
    prepare_arguments("predict")
    _predict()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="predict")
@collects_failures
def _predict(cfg: DictConfig) -> None:
    output = _check_options(cfg)
    runs = find_runs(unwrapped(cfg.run), packages(unwrapped(cfg.trust)))
    from segbench.data.formats.nifti import NIfTIDataModule  # torch takes seconds to import
    from segbench.inference.files import FOLDERS, Wanted, predict_files
    from segbench.inference.inputs import find_inputs
    from segbench.inference.volumes import predict_volumes, refuse_picture_options

    data = runs[0].data
    if cfg.max_pixels is not None:
        check_reading(data.exif, cfg.max_pixels, "max_pixels")
        data.max_pixels = cfg.max_pixels
    faults: list[DataError] = []
    report = _reported_in(faults)
    volumes = isinstance(data, NIfTIDataModule)
    inputs = find_inputs(listed_option(cfg.input), output, report, VOLUMES if volumes else SUFFIXES)
    inputs = [each for each in inputs if volumes or _begins_image(data, each.file, report)]
    wanted = Wanted(output, _kind(cfg.probabilities), cfg.overlay, cfg.show)
    for option, folder in FOLDERS.items():
        if getattr(wanted, option) and any(each.name.startswith(f"{folder}/") for each in inputs):
            raise ConfigError(f"{option}: a folder {folder}/ among the pictures; rename it")
    names = ("device", "precision", "tta", "window", "overlap", "batch_size", "threshold")
    options = {name: unwrapped(cfg[name]) for name in names}
    predictor = make_predictor(runs, size=unwrapped(cfg.size), **options)
    suffix = ".nii.gz" if volumes else ".png"
    replaced = sum((output / f"{each.name}{suffix}").exists() for each in inputs)
    start = time.perf_counter()
    notes: dict[str, list[str]] = {}
    results: Iterable[DataError | None] = []
    if inputs and isinstance(data, NIfTIDataModule):
        refuse_picture_options(wanted)
        results = predict_volumes(predictor, data, inputs, output)
    elif inputs:
        results = predict_files(predictor, _reader(data, notes), inputs, wanted)
    done = 0
    for fault in track(results, len(inputs), f"predicting {len(inputs)} pictures"):
        if fault is None:
            done += 1
        else:
            report(fault)
    _say_notes(notes)
    _print_summary(done, time.perf_counter() - start, replaced, wanted.output)
    if faults:
        texts = listed_option(cfg.input)
        named = texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
        raise DataError(
            f"input={named}: {len(faults)} could not be read; the lines above name them"
        )


def _check_options(cfg: DictConfig) -> Path:
    """Check the options before anything is loaded; returns the folder of the masks."""
    for option in ("run", "input"):
        if OmegaConf.is_missing(cfg, option):
            raise ConfigError(f"{option}: missing; predict run=outputs/… input='photos/*.jpg'")
    _kind(cfg.probabilities)
    for option in ("overlay", "show"):
        if not isinstance(cfg[option], bool):
            raise ConfigError(f"{option}={cfg[option]}: expected true or false")
    output = as_path(cfg.output, "output")
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output={output}: a file; expected a folder for the masks")
    return output


def _reader(data: "SegmentationDataModule", notes: dict[str, list[str]]) -> Callable[[Path], Any]:
    """A function that reads pictures as the data set does, and collects notes about them."""

    def read(file: Path) -> Any:
        files = [(data.read_file(each), each) for each in data.channel_files(file)]
        picture = data.read_channels(files)
        notes[str(file)] = data.find_notes([files[0][0]], [file])
        return picture

    return read


def _begins_image(
    data: "SegmentationDataModule", file: Path, report: Callable[[DataError], None]
) -> bool:
    """Whether a file is an image, or the first of its channels."""
    try:
        return bool(data.channel_files(file))
    except DataError as error:
        report(error)
        return False


def _say_notes(notes: dict[str, list[str]]) -> None:
    from segbench.data.faults import count_notes

    files = sorted(notes)
    for _, text in count_notes(files, [notes[file] for file in files]):
        say(f"notice: {text}")


def _reported_in(faults: list[DataError]) -> Callable[[DataError], None]:
    """A function that adds a fault to ``faults`` and prints it."""

    def report(fault: DataError) -> None:
        faults.append(fault)
        say(f"skipped: {one_line(fault)}", sys.stderr)

    return report


def _print_summary(done: int, seconds: float, replaced: int, output: Path) -> None:
    say(f"{done} pictures in {seconds:.1f} s: {done / seconds:.1f} images/s")
    earlier = f", {replaced} in place of earlier ones" if replaced else ""
    say(f"masks: {output}{earlier}")


def _kind(asked: object) -> str | None:
    if not isinstance(asked, bool | str | None) or asked not in KINDS:
        raise ConfigError(f"probabilities={asked}: expected false, true, png16 or npy")
    return KINDS[asked]
