"""``segbench evaluate``: a finished cell's weights on its test part, or on other data."""

import hashlib
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from segbench.commands.run import collects_failures
from segbench.commands.run_words import asked_runs, prepare_words
from segbench.config import CONF, cell_choices, cell_hash
from segbench.errors import ConfigError
from segbench.report.record import SCORES, Record
from segbench.report.tables import scores_table
from segbench.runs import Run, find_runs
from segbench.targets import check_targets

OWN = "of_the_cell"  # the option of data, model and trainer that stands for the cell's own
PARTS = ("test", "val", "all")
_runs: list[Run] = []


def main() -> None:
    """Find the cells, whose options Hydra must know before it reads the words; evaluate them."""
    _runs[:] = find_runs(asked_runs(prepare_words("evaluate")))
    for group in ("data", "model", "trainer"):
        node = OmegaConf.to_container(_runs[0].config[group], resolve=True)
        ConfigStore.instance().store(group=group, name=OWN, node=node)
    _evaluate()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="evaluate")
@collects_failures
def _evaluate(asked: DictConfig) -> None:
    if asked.part not in PARTS:
        raise ConfigError(f"part={asked.part}: expected {', '.join(PARTS)}")
    chosen = cell_choices(OmegaConf.create({"hydra": HydraConfig.get()}))["data"]
    own = chosen == OWN
    words = list(HydraConfig.get().overrides.task)
    resized = any(word.lstrip("+").startswith("data.size=") for word in words)
    cfg = evaluation_config(_runs, asked, keep_size=not resized)
    check_targets(cfg)
    choices = _choices(_runs)
    choices["data"] = choices.get("data", "data") if own else chosen
    digest = cell_hash(cfg)
    runs = [str(run.folder) for run in _runs]
    record: Record = {"status": "running", "error": None, "choices": choices}
    record |= {"seed": cfg.seed, "hash": digest}
    record["evaluated"] = {"runs": runs, "part": asked.part, "tta": asked.tta}
    folder = Path("outputs") / _name(asked, _runs) / _folder(_runs, choices["data"], digest)
    from segbench.evaluation import evaluate  # torch and Lightning take seconds to import

    record = evaluate(_runs, cfg, folder, record, own_size=not resized)
    _print(record, folder, asked.part)


def evaluation_config(runs: list[Run], asked: DictConfig, keep_size: bool) -> DictConfig:
    """The first cell's config with the data, model and trainer asked for.

    Other data is brought to the channels that the network takes, and unless a size is asked for
    to the size that it was trained at.
    """
    cfg = runs[0].config.copy()
    for group in ("data", "model", "trainer"):
        cfg[group] = OmegaConf.to_container(asked[group], resolve=True)
    cfg.data.in_channels = runs[0].config.data.in_channels
    if keep_size:
        cfg.data.size = runs[0].config.data.size
    members = [_digest(run) for run in runs]
    cfg.evaluation = {"runs": members, "part": asked.part, "tta": asked.tta}
    return cfg


def _digest(run: Run) -> str:
    """The cell's hash; of a folder without a record, one of its config."""
    text = OmegaConf.to_yaml(run.config)
    known = run.record.get("hash")
    return str(known) if known else hashlib.sha256(text.encode()).hexdigest()[:8]


def _choices(runs: list[Run]) -> dict[str, str]:
    choices = runs[0].choice
    if len(runs) > 1:
        choices["model"] = "+".join(run.choice.get("model", "model") for run in runs)
    return choices


def _name(asked: DictConfig, runs: list[Run]) -> str:
    return str(asked.name or runs[0].folder.resolve().parent.name)


def _folder(runs: list[Run], data: str, digest: str) -> str:
    who = runs[0].folder.resolve().name if len(runs) == 1 else f"mean-of-{len(runs)}"
    return f"{who}-on-{data}-{digest}".replace("/", "_")


def _print(record: Record, folder: Path, part: str) -> None:
    console = Console()
    table: Any = scores_table(record)
    table.title = f"{part} scores at the original resolution"
    console.print(table)
    for run in record["evaluated"]["runs"]:
        console.print(f"weights: {run}", highlight=False, soft_wrap=True)
    for what, path in (
        ("record", folder / "run.json"),
        ("scores of each image", folder / SCORES),
        ("best, median and worst image", folder / "panels" / "test.png"),
    ):
        console.print(f"{what}: {path}", highlight=False, soft_wrap=True)
