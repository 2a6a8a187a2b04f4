"""``segbench evaluate``: scores a finished cell's weights on its test part or other data."""

import hashlib
import re
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segbench.commands.run import collects_failures
from segbench.commands.run_arguments import asked_runs, prepare_arguments
from segbench.commands.tables import scores_tables
from segbench.config.families import Permitted, permitted_in_configs
from segbench.config.registry import CONF, cell_choices
from segbench.config.targets import check_tree
from segbench.errors import ConfigError, SegbenchError
from segbench.inference.runs import Run
from segbench.names import as_folder_name
from segbench.records.cells import EVALUATIONS, Cell
from segbench.records.record import CONFIG, SCORES, Record
from segbench.records.weight_files import HASH, is_source
from segbench.text.screen import console, say

OWN = "of_the_cell"  # the option of data, model and trainer with the config of the cell itself
# Options of the data set that are those of training, whatever other data are scored.
_READING = ("in_channels", "normalize")
_SIZES = ("size", "patch", "scale")
PARTS = ("test", "val", "train", "all")
# The options of a cell's trainer that an evaluation keeps, because they change its numbers.
_PRECISIONS = ("auto", "64-true", "32-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed")
TRAINER: dict[str, tuple[object, ...]] = {
    "precision": (*_PRECISIONS, "64", "32", "16", "bf16", 64, 32, 16),
    "accelerator": ("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "deterministic": (None, True, False, "warn"),
    "benchmark": (None, True, False),
}


def main() -> None:
    """Evaluate the cells that ``run=`` names; Hydra needs their config before it parses options."""
    arguments = prepare_arguments("evaluate")
    runs = asked_runs(arguments)
    first = runs[0]
    nodes = {
        "data": OmegaConf.to_container(first.reading),
        "model": OmegaConf.to_container(first.config.model),
        "trainer": evaluation_trainer(first),
    }
    for group, node in nodes.items():
        ConfigStore.instance().store(group=group, name=OWN, node=node)
    cache = first.config.data.get("cache")
    own_cache = ("data=", "data.cache=")
    if cache and not any(each.lstrip("+").startswith(own_cache) for each in arguments):
        say(f"note: the cell's data.cache={cache} is not used unless it is given here")

    def job(asked: DictConfig) -> None:
        _evaluate(runs, asked)

    hydra.main(version_base="1.3", config_path=str(CONF), config_name="evaluate")(
        collects_failures(job)
    )()


def evaluation_trainer(run: Run) -> dict[str, Any]:
    """The default trainer's config with the options of a cell's trainer that change its scores.

    Raises:
        ConfigError: the cell's trainer has an unknown value of such an option.
    """
    node: Any = OmegaConf.to_container(OmegaConf.load(CONF / "trainer" / "default.yaml"))
    asked = run.config.trainer if isinstance(run.config.trainer, DictConfig) else {}
    for name, known in TRAINER.items():
        if name not in asked:
            continue
        value = asked[name]
        if not any(value == each and type(value) is type(each) for each in known):
            raise ConfigError(
                f"{run.folder / CONFIG}: trainer.{name}: {value!r}: expected "
                f"{', '.join(map(str, dict.fromkeys(known)))}"
            )
        node[name] = value
    return dict(node)


def _evaluate(runs: list[Run], asked: DictConfig) -> None:
    if asked.part is not None and asked.part not in PARTS:
        raise ConfigError(f"part={asked.part}: expected {', '.join(PARTS)}")
    chosen = cell_choices(OmegaConf.create({"hydra": HydraConfig.get()}))
    own = chosen["data"] == OWN
    overrides = [each.lstrip("+") for each in HydraConfig.get().overrides.task]
    resized = any(each.startswith("data.size=") for each in overrides)
    moved = any(each.startswith("data.root=") for each in overrides)
    cfg = evaluation_config(runs, asked, keep_size=not resized)
    permitted = {group: _permitted(runs[0], group, chosen[group]) for group in ("data", "model")}
    permitted["trainer"] = permitted_in_configs()
    for group, origin in permitted.items():
        check_tree(OmegaConf.to_container(cfg[group]), group, origin)
    choices = _choices(runs)
    choices["data"] = choices.get("data", "data") if own else chosen["data"]
    record: Record = {"status": "running", "error": None, "choices": choices, "seed": cfg.seed}
    record["evaluated"] = {
        "runs": [str(run.folder) for run in runs],
        "part": asked.part,
        "tta": asked.tta,
    }
    target = Path("outputs") / _name(asked, runs) / EVALUATIONS / _folder(runs, choices["data"])
    from segbench.inference.evaluation import evaluate  # torch and Lightning take seconds to import

    record, folder = evaluate(
        runs,
        cfg,
        target,
        record,
        permitted,
        own_size=not resized,
        own_data=own and not moved,
    )
    _print(record, folder)


def _permitted(run: Run, group: str, chosen: str) -> Permitted:
    """The classes that a config may name: fewer in the run's own than in the user's choice."""
    return run.permitted(group) if chosen == OWN else permitted_in_configs()


def evaluation_config(runs: list[Run], asked: DictConfig, keep_size: bool) -> DictConfig:
    """The first cell's config with the data, model and trainer that the user asked for.

    Args:
        runs: the cells to evaluate.
        asked: the config of the command line.
        keep_size: whether images are resized to the size of training, or predicted by its patches.
            Channels and normalisation are always those of training.
    """
    cfg = runs[0].config.copy()
    for group in ("data", "model", "trainer"):
        cfg[group] = OmegaConf.to_container(asked[group], resolve=True)
    if is_source(cfg.model.get("weights")):  # the run's own weights replace them
        cfg.model.weights = None
    trained = runs[0].config.data
    for name in (*_READING, *(_SIZES if keep_size else ())):
        if name in trained:
            OmegaConf.update(cfg.data, name, trained[name], force_add=True)
    members = [_digest(run) for run in runs]
    cfg.evaluation = {"runs": members, "part": asked.part, "tta": asked.tta}
    if asked.threshold is not None:
        cfg.evaluation.threshold = asked.threshold
    if asked.scores is not None:
        cfg.evaluation.scores = cfg.scores = asked.scores
    for name in ("instances", "instance_distance"):
        if asked[name] is not None:
            cfg.evaluation[name] = cfg[name] = asked[name]
    cfg.evaluation.trained_on = [_trained_on(run) for run in runs]
    return cfg


def _digest(run: Run) -> str:
    """The cell's hash; if its record has none, a digest of its config."""
    text = OmegaConf.to_yaml(run.config)
    known = str(run.record.get("hash"))
    return known if re.fullmatch(HASH, known) else hashlib.sha256(text.encode()).hexdigest()[:8]


def _trained_on(run: Run) -> str:
    """Data set and digest of the training data, equal for all seeds, which are compared as one.

    The digest is that of ``split.json``, or without it that of the data set's options.
    """
    cell = Cell(run.folder, run.record)
    try:
        options = {key: each for key, each in cell.tuned.items() if key.startswith("data.")}
        options.pop("data.seed", None)
        text = cell.split or str(sorted(options.items()))
    except SegbenchError:
        text = _digest(run)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{run.choice.get('data', 'data')} {digest}"


def _choices(runs: list[Run]) -> dict[str, str]:
    choices = runs[0].choice
    if len(runs) > 1:
        choices["model"] = "+".join(run.choice.get("model", "model") for run in runs)
    return choices


def _name(asked: DictConfig, runs: list[Run]) -> str:
    if asked.name is not None:
        return as_folder_name(asked.name)
    return runs[0].folder.resolve().parent.name


def _folder(runs: list[Run], data: str) -> str:
    """The name of the evaluation's folder without its digest."""
    who = runs[0].folder.resolve().name if len(runs) == 1 else f"mean-of-{len(runs)}"
    return f"{who}-on-{data}".replace("/", "_")


def _print(record: Record, folder: Path) -> None:
    screen = console()
    screen.print(*scores_tables(record), sep="\n")
    for run in record["evaluated"]["runs"]:
        screen.print(f"weights: {run}", soft_wrap=True)
    for what, path in (
        ("record", folder / "run.json"),
        ("scores of each image", folder / SCORES),
        ("best, median and worst image", folder / "panels" / "test.png"),
    ):
        screen.print(f"{what}: {path}", soft_wrap=True)
    name = "/".join(folder.parts[-3:-1])
    screen.print(f"compare: python -m segbench compare name={name}", soft_wrap=True)
