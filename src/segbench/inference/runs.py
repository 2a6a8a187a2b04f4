"""Finds finished cells by folder, hash or name, checks them, and loads their networks.

A cell's folder may come from anyone. Only the network and the data set of its config are built,
and by ``evaluate`` its loss, after they are checked, and its weights are loaded with
``weights_only=True``, so that none of them can run code of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segbench.config.families import Permitted, permitted_in_runs
from segbench.config.run_config import check_built, for_reading, read_config, without_pretrained
from segbench.config.targets import ROOT, build, check_root
from segbench.errors import ConfigError, SegbenchError
from segbench.records.checksums import DamagedError
from segbench.records.record import CONFIG, RUN, Record, read_record
from segbench.records.weight_files import HOW, WEIGHTS, find_cell
from segbench.text.screen import say

if TYPE_CHECKING:  # torch takes seconds to import, and a mistyped run is reported before
    from torch import Tensor, nn

    from segbench.data.base import SegmentationDataModule
    from segbench.inference.predictor import Predictor

_KEYS = ("data", "model", "trainer", "seed")
Built = TypeVar("Built")


@dataclass(frozen=True)
class Run:
    """A cell's folder whose config was read and checked.

    Args:
        folder: the cell's folder.
        config: the resolved config.
        record: the content of ``run.json``.
        trust: the user's own packages whose classes the network and the data set may use.
    """

    folder: Path
    config: DictConfig = field(repr=False)
    record: Record = field(repr=False)
    trust: tuple[str, ...] = ()

    @cached_property
    def data(self) -> "SegmentationDataModule":
        """The cell's data set, for reading pictures and class names; its files may be missing."""
        from segbench.data.base import SegmentationDataModule

        permitted = self.permitted("data")
        data = built(self.reading, permitted, SegmentationDataModule, self.source)
        self.normalise_as_trained(data)
        return data

    def normalise_as_trained(self, data: "SegmentationDataModule") -> None:
        """Make a data set normalise images as the cell's training did.

        Raises:
            ConfigError: the cell's record does not say how.
        """
        from segbench.data.store.normalisation import Normalisation

        if data.normalize == "imagenet":
            return
        try:
            found = Normalisation.from_record(self.record["normalisation"])
            if found.method != data.normalize or len(found.offset) != data.in_channels:
                raise ValueError(f"a normalisation of {found.record}")
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{self.folder / RUN}: its normalisation is missing or damaged ({error}), without "
                "which images cannot be read as in training; restore the file, or train again"
            ) from error
        data.keep_normalisation(found)

    @property
    def source(self) -> str:
        """The config file and a colon, as the beginning of messages."""
        return f"{self.folder / CONFIG}: "

    @property
    def reading(self) -> DictConfig:
        """The config of the cell's data set, for reading pictures and scoring."""
        return OmegaConf.create({"data": for_reading(self.config.data)}).data  # type: ignore[no-any-return]

    def permitted(self, group: str) -> Permitted:
        """The classes that the config's ``data`` or ``model`` may name."""
        return permitted_in_runs(group, self.trust)

    @property
    def choice(self) -> dict[str, str]:
        """The option chosen in each config group."""
        return dict(self.record.get("choices") or {})


def find_runs(
    asked: str | Path | Sequence[str | Path], trust: str | Sequence[str] = ()
) -> list[Run]:
    """The cells that ``run=`` names, one or several.

    Args:
        asked: folders, hashes or ``outputs/<name>``, one or several.
        trust: the user's own packages whose classes the configs may name.

    Raises:
        ConfigError: there is no such cell, or its config may not be built.
    """
    names = [asked] if isinstance(asked, str | Path | int | float) else list(asked)
    if not names:
        raise ConfigError(f"run=[]: {HOW}")
    trusted = (trust,) if isinstance(trust, str) else tuple(map(str, trust))
    return [find_run(str(name), trusted) for name in names]


def find_run(name: str, trust: tuple[str, ...] = ()) -> Run:
    """The cell of a folder, a hash, or the best one on val in ``outputs/<name>``."""
    return read_run(find_cell(name), trust)


def read_run(folder: Path, trust: tuple[str, ...] = ()) -> Run:
    """Read and check a cell's folder.

    Raises:
        ConfigError: ``config.yaml`` is missing, damaged, or names a class that may not be built.
    """
    file = folder / CONFIG
    try:
        cfg = read_config(file)
        missing = [key for key in _KEYS if key not in cfg]
        if missing:
            raise ConfigError(f"not a cell's config, which has {', '.join(missing)}")
        for flag in ROOT.keys() - set(cfg):  # configs of older cells have fewer
            cfg[flag] = False
        check_root(cfg)
        check_built(OmegaConf.to_container(cfg), trust)  # type: ignore[arg-type]
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); {HOW}") from error
    except (ConfigError, yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())}") from error
    record = read_record(folder)
    if record.get("status", "done") != "done":
        say(f"note: {folder} is {record['status']}; its best weights so far are taken")
    return Run(folder, cfg, record, trust)


def built(node: DictConfig, permitted: Permitted, kind: type[Built], where: str = "") -> Built:
    """Build a network or a data set.

    Args:
        node: its config.
        permitted: the classes that the config may name.
        kind: the class that the object must have.
        where: the file that the config comes from, for messages.

    Raises:
        ConfigError: the config cannot be built, or gives an object of another class.
        SegbenchError: raised by the target itself.
    """
    path = f"{where}{node._get_full_key(None)}"
    try:
        made = build(node, permitted)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, SegbenchError | ImportError):
            raise cause from error
        raise ConfigError(f"{path}: cannot be built ({' '.join(str(cause).split())})") from error
    if not isinstance(made, kind):
        raise ConfigError(f"{path}._target_: makes a {type(made).__name__}, not a {kind.__name__}")
    return made


def load_network(
    run: Run, model: DictConfig | None = None, permitted: Permitted | None = None
) -> "nn.Module":
    """A cell's network with its selected weights, in evaluation mode, on the CPU.

    Args:
        run: the cell.
        model: its config with changed options (``level`` of UNet++); None: as in training.
        permitted: the classes that ``model`` may name; None: those permitted in runs.

    Raises:
        SegbenchError: the weights are missing, damaged, or do not fit the network.
    """
    import torch
    from torch import nn

    permitted = permitted or run.permitted("model")
    plain = without_pretrained(run.config.model if model is None else model, permitted)
    network = built(OmegaConf.create({"model": plain}).model, permitted, nn.Module, run.source)
    file = run.folder / WEIGHTS
    try:
        network.load_state_dict(read_weights(file))
    except RuntimeError as error:
        text = " ".join(str(error).split())[:200]
        raise SegbenchError(f"{file}: does not fit the model of {CONFIG} ({text})") from error
    return network.to(memory_format=torch.channels_last).eval()


def read_weights(file: Path) -> "dict[str, Tensor]":
    """The network's parameters and buffers in a checkpoint, by name.

    Raises:
        SegbenchError: the file is missing, damaged, or holds objects other than weights.
    """
    from segbench.records.checkpoints.files import read_checkpoint

    if not file.is_file():
        raise SegbenchError(f"{file}: no such file; the cell has no selected weights (yet)")
    try:
        state = read_checkpoint(file)["state_dict"]
        return {key[8:]: value for key, value in state.items() if key.startswith("network.")}
    except DamagedError as error:
        raise SegbenchError(f"{error}; not loaded: copy it again, or train again") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise SegbenchError(f"{file}: damaged, or holds more than weights: not loaded") from error


def check_alike(runs: Sequence[Run], size: object = None) -> None:
    """Refuse an ensemble whose members have different inputs or classes.

    Args:
        runs: the members.
        size: a size given for all, if any.

    Raises:
        ConfigError: the classes or channels differ, or the sizes where no ``size`` is given.
    """
    first = runs[0]
    names = {"class_names": "classes", "in_channels": "channels"}
    for run in runs[1:]:
        for name, label in names.items() | ({} if size else {"size": "size"}).items():
            one, other = getattr(first.data, name), getattr(run.data, name)
            if one != other:
                tail = "; give one size for all" if name == "size" else ""
                raise ConfigError(
                    f"run: an ensemble's {label} must be the same; {first.folder.name} has {one}, "
                    f"{run.folder.name} {other}{tail}"
                )
        one, other = (_patches(each) for each in (first, run))
        if one != other:
            raise ConfigError(
                f"run: an ensemble's patches must be the same; {first.folder.name} has {one}, "
                f"{run.folder.name} {other}"
            )
        if first.data.normalisation != run.data.normalisation:
            raise ConfigError(
                f"run: an ensemble's normalisation must be the same; that of {run.folder.name} "
                f"differs from that of {first.folder.name} (data.normalize, or another train part)"
            )


def _patches(run: Run) -> str:
    """The size and scale of a cell's patches, in words."""
    found = run.data.patches
    if found is None:
        return "none"
    return f"{found.size[0]} x {found.size[1]} at scale {found.scale:g}"


def make_predictor(runs: Sequence[Run], size: Any = None, **options: Any) -> "Predictor":
    """A predictor for one cell, or for the mean of several.

    Args:
        runs: the cells.
        size: (height, width) or one number for both; None: the size of training.
        options: further options of `Predictor`.
    """
    from segbench.data.options import as_size
    from segbench.inference.predictor import Predictor

    check_alike(runs, size)
    data = runs[0].data
    networks = [load_network(run) for run in runs]
    height, width = as_size(size) if size else data.size
    options |= {"normalisation": data.normalisation, "show": data.show_option}
    options["colours"] = data.colours
    if data.patches:
        if size:
            raise ConfigError(
                f"size={size}: {runs[0].folder.name} was trained on patches, so that pictures are "
                "not resized but predicted window by window; give window=…, or leave it out"
            )
        options["window"] = options.get("window") or data.patches.size
        options["scale"] = data.patches.scale
    return Predictor(networks, data.class_names, (height, width), data.in_channels, **options)
