"""Finished cells at work: found by folder, hash or name, vetted, their networks built and loaded.

A cell's folder may come from elsewhere. Nothing of it is built before its config is checked, and
its weights are loaded as weights alone, so that neither can run code of its own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import isclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import yaml
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segbench.errors import ConfigError, SegbenchError
from segbench.report.record import CONFIG, RUN, Record, read_record
from segbench.targets import PACKAGES, ROOT, check_targets, resolve_target

if TYPE_CHECKING:  # torch takes seconds to import, and a mistyped run is told at once
    from torch import Tensor, nn

    from segbench.data.base import SegmentationDataModule
    from segbench.inference import Predictor

WEIGHTS = Path("checkpoints") / "best.ckpt"
HASH = "[0-9a-f]{8}"
_KEYS = ("data", "model", "trainer", "seed")
_HOW = "give a cell's folder, its hash, or outputs/<name> for the best cell in there"


@dataclass(frozen=True)
class Run:
    """A cell's folder, read and vetted."""

    folder: Path
    config: DictConfig = field(repr=False)
    record: Record = field(repr=False)

    @cached_property
    def data(self) -> "SegmentationDataModule":
        """The cell's data set as it reads pictures and names classes; its files may be gone."""
        made: SegmentationDataModule = instantiate(without_augment(self.config.data))
        return made

    @property
    def choice(self) -> dict[str, str]:
        """The option chosen in each config group."""
        return dict(self.record.get("choices") or {})


def find_runs(asked: str | Path | Sequence[str | Path]) -> list[Run]:
    """The cells that ``run=`` names, one or several.

    Raises:
        ConfigError: none of that name, or a config that may not be built.
    """
    words = [asked] if isinstance(asked, str | Path) else list(asked)
    if not words:
        raise ConfigError(f"run=[]: {_HOW}")
    return [find_run(str(word)) for word in words]


def find_run(word: str) -> Run:
    """The cell of a folder, a hash, or the best one on val in ``outputs/<name>``."""
    folder = Path(word).expanduser()
    if (folder / CONFIG).is_file() or (folder / RUN).is_file():
        return read_run(folder)
    if folder.is_dir():
        return read_run(_best_in(folder))
    if re.fullmatch(HASH, word):
        return read_run(_of_hash(word))
    raise ConfigError(f"run={word}: no such folder; {_HOW}")


def _best_in(folder: Path) -> Path:
    scores: dict[Path, float] = {}
    for file in sorted(folder.glob(f"*/{RUN}")):
        record = read_record(file.parent)
        score = (record.get("metrics") or {}).get("val", {}).get("iou")
        done = record.get("status") == "done" and (file.parent / WEIGHTS).is_file()
        if done and score is not None:
            scores[file.parent] = score
    if not scores:
        raise ConfigError(f"run={folder}: holds no finished cell with its weights; {_HOW}")
    best = max(scores, key=lambda cell: scores[cell])
    print(f"run: {best}, val IoU {scores[best]:.4f}, the best of {len(scores)}", flush=True)
    return best


def _of_hash(digest: str) -> Path:
    cells = [file.parents[1] for file in Path("outputs").glob(f"*/*-{digest}/{WEIGHTS}")]
    if not cells:
        raise ConfigError(f"run={digest}: no cell outputs/*/*-{digest} with weights; {_HOW}")
    if len(cells) > 1:
        raise ConfigError(f"run={digest}: {', '.join(map(str, sorted(cells)))}; name one of them")
    return cells[0]


def read_run(folder: Path) -> Run:
    """Read and vet a cell's folder.

    Raises:
        ConfigError: ``config.yaml`` is missing, broken, or names what may not be built.
    """
    file = folder / CONFIG
    try:
        cfg = OmegaConf.load(file)
        missing = [key for key in _KEYS if key not in cfg]
        if missing or not isinstance(cfg, DictConfig):
            raise ConfigError(f"not a cell's config, which has {', '.join(missing or _KEYS)}")
        for flag in ROOT.keys() - set(cfg):  # older cells know fewer
            cfg[flag] = False
        check_targets(cfg)
        _check_built(cfg)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); {_HOW}") from error
    except (ConfigError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())}") from error
    record = read_record(folder)
    if record.get("status", "done") != "done":
        print(f"note: {folder} is {record['status']}; its best weights so far are taken")
    return Run(folder, cfg, record)


def _check_built(cfg: DictConfig) -> None:
    """Of what is built here, refuse functions: those of listed packages may write files."""
    from torch import nn

    from segbench.data.base import SegmentationDataModule

    for group, kind in (("model", nn.Module), ("data", SegmentationDataModule)):
        node = OmegaConf.to_container(without_augment(cfg[group]))
        for path, name in _targets(node, group):
            target = resolve_target(path, name)
            factory = not isclass(target) and name.startswith("torchvision.models.")
            own = name.split(".")[0] not in PACKAGES  # the user listed it
            wrong = isclass(target) and path == group and not issubclass(target, kind)
            if wrong or not (isclass(target) or factory or own):
                expected = kind.__name__ if path == group else "class"
                raise ConfigError(f"{path}._target_: {name!r} is refused; expected a {expected}")
        if "_target_" not in cfg[group]:
            raise ConfigError(f"{group}._target_: missing; expected a {kind.__name__}")


def _targets(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node["_target_"]
        for key, value in node.items():
            yield from _targets(value, f"{path}.{key}")
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _targets(value, f"{path}[{place}]")


def without_augment(data: DictConfig) -> DictConfig:
    """A data set's config for all but training."""
    plain = data.copy()
    if "augment" in plain:
        plain.augment = None
    return plain


def load_network(run: Run, model: DictConfig | None = None) -> "nn.Module":
    """A cell's network with its selected weights, in evaluation mode, on the CPU.

    Args:
        run: the cell.
        model: its config with some options changed (``level`` of UNet++); None: as it was trained.

    Raises:
        SegbenchError: the weights are missing, are more than weights, or do not fit.
    """
    import torch

    model = (run.config.model if model is None else model).copy()
    if isinstance(model.get("weights"), str):
        model.weights = None  # pretrained ones would be fetched only to be replaced
    network: nn.Module = instantiate(model)
    file = run.folder / WEIGHTS
    try:
        network.load_state_dict(read_weights(file))
    except RuntimeError as error:
        text = " ".join(str(error).split())[:200]
        raise SegbenchError(f"{file}: does not fit the model of {CONFIG} ({text})") from error
    return network.to(memory_format=torch.channels_last).eval()


def read_weights(file: Path) -> "dict[str, Tensor]":
    """The network's state in a checkpoint, loaded as weights alone.

    Raises:
        SegbenchError: it is missing, damaged, or holds more than weights.
    """
    import torch

    if not file.is_file():
        raise SegbenchError(f"{file}: no such file; the cell has no selected weights (yet)")
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")["state_dict"]
        return {key[8:]: value for key, value in state.items() if key.startswith("network.")}
    except (UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise SegbenchError(f"{file}: damaged, or holds more than weights: not loaded") from error


def check_alike(runs: Sequence[Run], size: object = None) -> None:
    """Refuse an ensemble whose members do not answer the same question of the same input.

    Raises:
        ConfigError: classes, channels, or without a ``size`` for all their sizes differ.
    """
    first = runs[0]
    names = {"class_names": "classes", "in_channels": "channels"}
    for run in runs[1:]:
        for name, word in names.items() | ({} if size else {"size": "size"}).items():
            one, other = getattr(first.data, name), getattr(run.data, name)
            if one != other:
                tail = "; give one size for all" if name == "size" else ""
                raise ConfigError(
                    f"run: an ensemble's {word} must be the same; {first.folder.name} has {one}, "
                    f"{run.folder.name} {other}{tail}"
                )


def make_predictor(runs: Sequence[Run], size: Any = None, **options: Any) -> "Predictor":
    """One cell, or the mean of several, ready for pictures; options: `Predictor`."""
    from segbench.data.options import as_size
    from segbench.inference import Predictor

    check_alike(runs, size)
    data = runs[0].data
    networks = [load_network(run) for run in runs]
    height, width = as_size(size) if size else data.size
    return Predictor(networks, data.class_names, (height, width), data.in_channels, **options)
