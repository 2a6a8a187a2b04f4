"""Cells that follow from others are planned as if each were composed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from segbench.commands.sweeps.planned import Planned
from segbench.commands.sweeps.planning import Relative, plan
from segbench.config.composing import CheckedLoader
from segbench.config.registry import CONF, register_resolvers
from segbench.errors import ConfigError
from segbench.records.record import read_record, write_record

TINY = ["model.base_channels=4", "data.count=12", "data.size=32"]


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckedLoader]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    register_resolvers()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        yield CheckedLoader(GlobalHydra.instance().config_loader().get_search_path())


@pytest.fixture
def sweep(loader: CheckedLoader) -> DictConfig:
    return loader.load_configuration("config", [], RunMode.MULTIRUN)


def facts(cells: list[Planned]) -> list[tuple[Any, ...]]:
    return [(c.folder, c.overrides, c.epochs, c.state, c.reason) for c in cells]


# A swept option, further words, and how many of the cells (two seeds of each) are composed.
SWEPT = [
    ("optimizer.lr=0.1,0.01,1", [], 1),
    ("optimizer.lr=0.1,0.01", ["scheduler=onecycle"], 2),  # max_lr is a copy, in another node
    ("model.base_channels=4,8", [], 1),
    ("data.in_channels=3,1", [], 1),  # the network's is a copy of it
    ("data.size=32,64,[32,64]", [], 1),
    ("data.num_classes=2,3", [], 2),  # logit_channels is computed from it
    ("trainer.max_epochs=2,3", [], 2),  # is checked with the rest of the Trainer's options
    ("augment.HorizontalFlip.p=0.5,0.25", ["augment=hflip"], 2),  # oc.select refers to the group
    ("name=a,b", [], 2),
    ("loss=bce,dice", [], 2),
]


def grid_of(option: str, more: list[str]) -> list[list[str]]:
    key, _, values = option.partition("=")
    words = [*more, *(word for word in TINY if not word.startswith(f"{key}="))]
    listed = re.findall(r"\[.*?\]|[^,]+", values)
    return [[*words, f"{key}={value}", f"seed={seed}"] for value in listed for seed in (5, 6)]


@pytest.mark.parametrize(("option", "more", "composed"), SWEPT, ids=lambda each: str(each)[:40])
def test_a_derived_cell_is_the_composed_one(
    loader: CheckedLoader,
    sweep: DictConfig,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    more: list[str],
    composed: int,
) -> None:
    count = []
    original = loader.load_sweep_config
    monkeypatch.setattr(loader, "load_sweep_config", lambda *a: count.append(1) or original(*a))
    found = facts(plan(sweep, grid_of(option, more), loader))
    assert len(count) == composed
    assert len({folder for folder, *_ in found}) == len(found) > 3
    monkeypatch.setattr(Relative, "derive", lambda *_: None)
    assert found == facts(plan(sweep, grid_of(option, more), loader))
    assert len(count) == composed + len(found)


WRONG = (
    ("optimizer.lr=0.1,fast", "optimizer.lr: expected float .*, got 'fast'"),
    ("model.base_channels=4,2.5", "model.base_channels: expected int, got 2.5"),
    ("model.up=bilinear,sideways", "model"),
    ("seed=1,x", "seed: expected int, got 'x'"),
    ("data.count=12,1", "data"),
)


@pytest.mark.parametrize(("option", "text"), WRONG)
def test_a_wrong_value_is_refused_whether_composed_or_derived(
    loader: CheckedLoader,
    sweep: DictConfig,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    text: str,
) -> None:
    key, _, values = option.partition("=")
    words = [word for word in TINY if not word.startswith(f"{key}=")]
    grid = [[*words, f"{key}={value}"] for value in values.split(",")]
    said = []
    for _ in range(2):
        with pytest.raises(ConfigError, match=text) as error:
            plan(sweep, grid, loader)
        said.append(str(error.value))
        monkeypatch.setattr(Relative, "derive", lambda *_: None)
    assert said[0] == said[1]


def test_the_states_of_cells_on_disk_are_those_of_a_composed_plan(
    segbench: Any,
    loader: CheckedLoader,
    sweep: DictConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny = [*TINY, "trainer.max_epochs=1", "model.depth=2"]
    with monkeypatch.context() as patched:
        patched.setattr(GlobalHydra.instance(), "hydra", None)
        assert segbench("-m", *tiny, "optimizer.lr=0.01,0.02,0.03", "seed=0") == 0
    done = sorted(Path("outputs/default").glob("*/run.json"))
    record = read_record(done[1].parent)
    write_record(done[1].parent, record | {"status": "failed", "error": "ValueError: odd"})
    (done[2].parent / "scores.csv").write_text("damaged")
    grid = [
        [*tiny, f"optimizer.lr={lr}", f"seed={seed}"]
        for seed in (0, 1)
        for lr in (0.04, 0.01, 0.02, 0.03)
    ]
    found = facts(plan(sweep, grid, loader))
    states = sorted(state for *_, state, _ in found)
    assert states == ["done", "failed", *["waiting"] * 6]
    monkeypatch.setattr(Relative, "derive", lambda *_: None)
    assert found == facts(plan(sweep, grid, loader))
