"""``segbench predict``: masks of a user's own pictures, at their own sizes."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, ListConfig, OmegaConf

from segbench.commands.run import collects_failures
from segbench.commands.run_words import prepare_words
from segbench.config import CONF
from segbench.errors import ConfigError, DataError
from segbench.progress import track
from segbench.runs import find_runs, make_predictor

KINDS = {False: None, None: None, True: "png16", "png16": "png16", "npy": "npy"}


def main() -> None:
    """Predict what the command line names."""
    prepare_words("predict")
    _predict()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="predict")
@collects_failures
def _predict(cfg: DictConfig) -> None:
    for word in ("run", "input"):
        if OmegaConf.is_missing(cfg, word):
            raise ConfigError(f"{word}: missing; predict run=outputs/… input='photos/*.jpg'")
    probabilities = _kind(cfg.probabilities)
    for word in ("overlay", "show"):
        if not isinstance(cfg[word], bool):
            raise ConfigError(f"{word}={cfg[word]}: expected true or false")
    runs = find_runs(_plain(cfg.run))
    from segbench.inputs import find_inputs  # torch takes seconds to import
    from segbench.predicting import FOLDERS, Wanted, predict_files

    output = Path(str(cfg.output)).expanduser()
    inputs = find_inputs(_words(cfg.input), output)
    wanted = Wanted(output, probabilities, cfg.overlay, cfg.show)
    for option, folder in FOLDERS.items():
        if getattr(wanted, option) and any(each.name.startswith(f"{folder}/") for each in inputs):
            raise ConfigError(f"{option}: a folder {folder}/ among the pictures; rename it")
    names = ("device", "precision", "tta", "window", "overlap", "batch_size")
    options = {name: _plain(cfg[name]) for name in names}
    predictor = make_predictor(runs, size=_plain(cfg.size), **options)
    replaced = sum((output / f"{each.name}.png").exists() for each in inputs)
    start = time.perf_counter()
    results = predict_files(predictor, runs[0].data.read_image, inputs, wanted)
    faults = []
    for fault in track(results, len(inputs), f"predicting {len(inputs)} pictures"):
        if fault is not None:
            faults.append(fault)
            print(f"skipped: {fault}", file=sys.stderr, flush=True)
    _tell(len(inputs) - len(faults), time.perf_counter() - start, replaced, wanted.output)
    if faults:
        raise DataError(f"input: could not be read (skipped above): {len(faults)}")


def _tell(done: int, seconds: float, replaced: int, output: Path) -> None:
    print(f"{done} pictures in {seconds:.1f} s: {done / seconds:.1f} images/s")
    earlier = f", {replaced} in place of earlier ones" if replaced else ""
    print(f"masks: {output}{earlier}")


def _kind(asked: object) -> str | None:
    if not isinstance(asked, bool | str | None) or asked not in KINDS:
        raise ConfigError(f"probabilities={asked}: expected false, true, png16 or npy")
    return KINDS[asked]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, ListConfig) else value


def _words(asked: object) -> Sequence[str]:
    words = _plain(asked)
    return [str(word) for word in words] if isinstance(words, list) else [str(words)]
