"""``segbench score``: scores masks that any tool has predicted, for the tables of `compare`."""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segbench.commands.run import collects_failures, typed_command
from segbench.config.build import build
from segbench.config.registry import CONF
from segbench.config.score_options import (
    check_instances_known,
    objects_record,
    optional_scores,
)
from segbench.config.targets import check_targets
from segbench.errors import ConfigError, DataError
from segbench.metrics.registry import OF_PROBABILITIES
from segbench.names import as_folder_name, user_path
from segbench.records.record import CONFIG, SCORES, SPLIT, Record, is_done, write_json, write_text
from segbench.records.record import write_record as finish_record
from segbench.report.tables.cell_tables import scores_tables
from segbench.text.screen import console, say
from segbench.text.wording import listed

if TYPE_CHECKING:
    from segbench.data.base import SegmentationDataModule

PARTS = ("test", "val", "train", "all")
_SHOWN = 8  # names in a notice


def main() -> None:
    """Score the masks in the folder ``pred``."""
    if {"-m", "--multirun"} & set(sys.argv):
        raise ConfigError("score takes no -m; give a command for each folder of masks")
    sys.argv[1:] = [
        f"named.{each}" if each.startswith(("model=", "loss=")) else each for each in sys.argv[1:]
    ]
    _score()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="score")
@collects_failures
def _score(cfg: DictConfig) -> None:
    _check_options(cfg)
    model, loss = cfg.named.model, cfg.named.loss
    choice = str(HydraConfig.get().runtime.choices["data"])
    if cfg.truth is not None:
        _read_truth(cfg, choice)
    check_targets(cfg, only=("data",))
    from segbench.inference.scored_masks import Predictions, Scored  # torch takes seconds to import

    optional = optional_scores(cfg)
    if optional.probabilities:
        raise ConfigError(
            f"scores: {' and '.join(OF_PROBABILITIES)} need probabilities, and masks hold none; "
            "leave them out"
        )
    data = build(cfg.data, "data")
    check_instances_known(optional.find, data.has_instances, data.num_classes)
    scored = Scored.of_files(data) if cfg.truth is not None else Scored.of_part(data, cfg.part)
    values = None if cfg.pred_values is None else list(cfg.pred_values)
    predictions = Predictions(user_path(str(cfg.pred)), data, values)
    surplus = predictions.check(scored.ids)
    if surplus:
        where = "truth" if cfg.truth is not None else f"{cfg.part} part"
        say(f"notice: not scored, since the {where} has no such image: {listed(surplus, _SHOWN)}")
    choices = {"data": choice, "model": str(model)}
    choices |= {"loss": str(loss)} if loss is not None else {}
    record: Record = {"status": "done", "error": None, "choices": choices, "seed": cfg.seed}
    record["command"] = typed_command("score")
    record |= {"part": scored.part, "scored": {"pred": str(cfg.pred)}, "notes": []}
    facts = [choices, cfg.seed, scored.part, scored.split, predictions.digest(scored.ids)]
    record |= objects_record(optional)
    facts += objects_record(optional).values()
    facts += ["skeletons"] if optional.skeletons else []
    record["hash"] = _digest(facts)  # where the masks lie makes no difference
    name = f"{model}-s{cfg.seed}-{record['hash']}".replace("/", "_")
    folder = Path("outputs") / as_folder_name(cfg.name) / as_folder_name(name)
    if is_done(folder) and not cfg.overwrite:
        say(f"scored already: {folder}; overwrite=true scores it again")
        return
    folder.mkdir(parents=True, exist_ok=True)
    record["metrics"] = {scored.part: scored.write(predictions, folder, record, optional)}
    write_json(folder / SPLIT, scored.split)
    write_text(folder / CONFIG, _config(cfg, data))
    finish_record(folder, record)
    _print(record, folder, str(cfg.name))


def _check_options(cfg: DictConfig) -> None:
    for option in ("pred", "name", "model"):
        missing = (
            cfg.named.model is None if option == "model" else OmegaConf.is_missing(cfg, option)
        )
        if missing:
            raise ConfigError(
                f"{option}: missing; score pred=masks/ truth=labels/ name=mine model=nnunet "
                "data.class_names='[background,cell]'"
            )
    if cfg.part not in PARTS:
        raise ConfigError(f"part={cfg.part}: expected {', '.join(PARTS)}")
    if not isinstance(cfg.seed, int) or isinstance(cfg.seed, bool):
        raise ConfigError(f"seed={cfg.seed}: expected a whole number")


def _read_truth(cfg: DictConfig, choice: str) -> None:
    """Make the data set read the files of ``truth`` as its masks."""
    if choice not in ("folder", "nifti"):
        raise ConfigError(
            f"truth={cfg.truth} with data={choice}: a data set has true masks of its own; leave "
            "one of the two out"
        )
    if not user_path(str(cfg.truth)).is_dir():
        raise DataError(f"truth={cfg.truth}: no such folder; it holds the true masks")
    cfg.data.root = str(cfg.truth)
    cfg.data.images = cfg.data.masks = "*"
    cfg.part = "test"


def _digest(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]


def _config(cfg: DictConfig, data: "SegmentationDataModule") -> str:
    """What of the config a comparison reads; not where the masks lie, which seeds differ in."""
    node = OmegaConf.to_container(cfg.data, resolve=True)
    return OmegaConf.to_yaml({"name": str(cfg.name), "seed": cfg.seed, "data": node})


def _print(record: Record, folder: Path, name: str) -> None:
    screen = console()
    screen.print(*scores_tables(record), sep="\n")
    for what, file in (("record", "run.json"), ("scores of each image", SCORES)):
        screen.print(f"{what}: {os.path.join(folder, file)}", soft_wrap=True)
    screen.print(f"compare: python -m segbench compare name={name}", soft_wrap=True)
