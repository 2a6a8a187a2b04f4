"""``segbench evaluate``: scores a finished cell's weights on its test part or other data."""

import hashlib
import re
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from segbench.commands.run import collects_failures, typed_command
from segbench.commands.run_arguments import asked_runs, prepare_arguments
from segbench.config.families import Permitted, permitted_in_configs
from segbench.config.registry import CONF, cell_choices
from segbench.config.targets import check_tree
from segbench.errors import ConfigError, SegbenchError
from segbench.inference.runs import Run
from segbench.names import as_folder_name
from segbench.records.cells import EVALUATIONS, Cell, shifted_name
from segbench.records.record import CONFIG, SCORES, Record, part_scores, scored_part
from segbench.records.weight_files import HASH, is_source
from segbench.report.tables.cell_tables import scores_tables
from segbench.text.numbers import score_text
from segbench.text.screen import console, say

if TYPE_CHECKING:
    from segbench.data.store.shifts import Shift

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
    shifts = _shifts(asked)
    for shift in shifts:
        shift.check(runs[0].data.in_channels)
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
    target = Path("outputs") / _name(asked, runs) / EVALUATIONS / _folder(runs, choices["data"])
    from segbench.inference.evaluation import evaluate  # torch and Lightning take seconds to import

    facts: dict[str, Any] = {"own_size": not resized, "own_data": own and not moved}
    record, folder = evaluate(
        runs, cfg, target, _record(runs, asked, choices, cfg.seed), permitted, **facts
    )
    _print(record, folder)
    found = {}
    if "threshold" in cfg.evaluation:  # that of images as they are
        cfg.evaluation.threshold = record["evaluated"]["threshold"]
    for shift in shifts:
        say(f"shift: {shift.name}")
        cfg.evaluation.shift = {"kind": shift.kind, "severity": shift.severity}
        named = choices | {"data": shifted_name(choices["data"], shift.kind, shift.severity)}
        shifted = _record(runs, asked, named, cfg.seed)
        shifted["evaluated"]["shift"] = OmegaConf.to_container(cfg.evaluation.shift)
        aim = target.with_name(f"{target.name}-{shift.kind}{shift.severity}")
        found[shift], _ = evaluate(runs, cfg, aim, shifted, permitted, **facts, shift=shift)
    if found:
        console().print(_shift_table(record, found))
        console().print(_how_to_compare(folder), soft_wrap=True)


def _shifts(asked: DictConfig) -> "list[Shift]":
    """The changes of images that are asked for.

    Raises:
        ConfigError: there is no such change.
    """
    given = [each.lstrip("+") for each in HydraConfig.get().overrides.task]
    if asked.shift is None and any(each.startswith("severity=") for each in given):
        raise ConfigError("severity: is that of a shift; give shift=[blur,noise] too")
    from segbench.data.store.shifts import Shift  # OpenCV takes a moment to import

    kinds, severities = (
        list(each) if OmegaConf.is_list(each) else [each] for each in (asked.shift, asked.severity)
    )
    pairs = product(kinds, severities) if asked.shift is not None else ()
    return list(dict.fromkeys(Shift(str(kind), severity) for kind, severity in pairs))


def _record(
    runs: list[Run], asked: DictConfig, choices: dict[str, str], seed: int
) -> dict[str, Any]:
    """The fields of an evaluation's record that are known before."""
    who = [str(run.folder) for run in runs]
    evaluated = {"runs": who, "part": asked.part, "tta": asked.tta}
    fields = {"status": "running", "error": None, "choices": choices, "seed": seed}
    return fields | {"command": typed_command("evaluate"), "evaluated": evaluated}


def _shift_table(plain: Record, found: "dict[Shift, Record]") -> Table:
    """The IoU by kind and severity, and the one of images as they are."""
    table = Table(title=f"{scored_part(plain)} IoU by severity", title_justify="left")
    severities = sorted({shift.severity for shift in found})
    for head in ("shift", "0", *map(str, severities)):
        table.add_column(head, justify="left" if head == "shift" else "right")
    known = {(shift.kind, shift.severity): record for shift, record in found.items()}
    for kind in dict.fromkeys(shift.kind for shift in found):
        records = [plain, *(known[kind, severity] for severity in severities)]
        table.add_row(kind, *(score_text(part_scores(each).get("iou")) for each in records))
    return table


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
    screen.print(_how_to_compare(folder), soft_wrap=True)


def _how_to_compare(folder: Path) -> str:
    return f"compare: python -m segbench compare name={'/'.join(folder.parts[-3:-1])}"
