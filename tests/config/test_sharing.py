"""A shared composition equals Hydra's own, whatever the overrides."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segbench.config.composing import CheckedLoader
from segbench.config.registry import CONF, register_resolvers


@pytest.fixture(scope="module")
def loader() -> Iterator[CheckedLoader]:
    register_resolvers()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        yield CheckedLoader(GlobalHydra.instance().config_loader().get_search_path())


@pytest.fixture(scope="module")
def sweep(loader: CheckedLoader) -> DictConfig:
    words = ["hydra.sweep.dir=elsewhere", "name=mine"]
    return loader.load_configuration("config", words, RunMode.MULTIRUN)


CELLS = [
    ["seed=3"],
    ["seed=3", "model=unetpp", "model.base_channels=8", "loss=focal", "loss.gamma=3"],
    ["model=unetpp", "seed=4", "model.base_channels=8"],
    ["experiment=ph2_losses", "seed=1", "data.size=[96,64]", "model=unet_compact"],
    ["seed=1", "data.split=official", "data=pets"],
    ["seed=1", "name='a b'", "monitor=val/dice/nucleus", "scores=[ap,pq]"],
    ["seed=1", "+trainer.gradient_clip_val=1", "trainer.max_epochs=7"],
    ["seed=1", "~callbacks.early_stopping", "data.batch_size=4"],
    ["seed=1", "callbacks.early_stopping=null", "hydra.sweep.subdir=x"],
    ["seed=1", "data.split={train: 0.5, val: 0.2, test: 0.3}", "data.root=/a", "data=ph2"],
    ["seed=1", "model.weights=imagenet", "model=resnet34_unet"],
    ["seed=1", "seed=2"],
    ["seed=1", "data.split.train=0.5", "data.split={train: 0.6, val: 0.2, test: 0.2}"],
    ["optimizer.lr=${data.fold}", "seed=1"],
    ["scheduler=onecycle", "optimizer.lr=0.5", "seed=???"],
    ["logger=[csv]", "seed=1", "trainer=smoke"],
]


@pytest.mark.parametrize("overrides", CELLS, ids=" ".join)
def test_it_equals_the_composition_by_hydra(
    loader: CheckedLoader, sweep: DictConfig, overrides: list[str]
) -> None:
    shared = loader.load_sweep_config(sweep, overrides)
    again = loader.load_sweep_config(sweep, overrides)
    whole = CheckedLoader(loader.get_search_path())._compose_cell(sweep, overrides)
    for found in (shared, again):
        assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(whole)
        assert found.seed == whole.seed if "seed=???" not in overrides else True


WRONG = (["seed=1", "no_such=2"], ["seed=1", "model.no_such=2"], ["seed=1", "model=none"])


@pytest.mark.parametrize("overrides", WRONG, ids=" ".join)
def test_errors_are_those_of_hydra(
    loader: CheckedLoader, sweep: DictConfig, overrides: list[str]
) -> None:
    texts = []
    for compose in (loader.load_sweep_config, loader._compose_cell):
        with pytest.raises(HydraException) as error:
            compose(sweep, list(overrides))
        texts.append((type(error.value), str(error.value)))
    assert texts[0] == texts[1]


def test_files_are_read_once_and_cells_do_not_share_values(
    loader: CheckedLoader, sweep: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = CheckedLoader(loader.get_search_path())
    first = fresh.load_sweep_config(sweep, ["model=segnet", "seed=0"])
    monkeypatch.setattr(fresh.cells, "_compose", None)  # a second composition would fail
    second = fresh.load_sweep_config(sweep, ["model=segnet", "seed=5"])
    second.data.size = 7
    third = fresh.load_sweep_config(sweep, ["model=segnet", "seed=6"])
    assert (first.seed, second.seed, third.seed) == (0, 5, 6)
    assert third.data.size == first.data.size != 7


def test_it_can_be_sent_to_another_process(loader: CheckedLoader, sweep: DictConfig) -> None:
    wanted = loader.load_sweep_config(sweep, ["seed=8"])
    sent = pickle.dumps(loader)
    assert len(sent) < 100_000  # without the compositions
    assert pickle.loads(sent).load_sweep_config(sweep, ["seed=8"]) == wanted


def test_a_sweep_may_set_an_option_that_only_its_choices_have(loader: CheckedLoader) -> None:
    words = ["loss=focal,focal_tversky", "loss.gamma=3", "seed=0,1"]  # the default loss has none
    found = loader.load_configuration("config", words, RunMode.MULTIRUN)
    assert list(found.hydra.overrides.task) == words
    cell = loader.load_sweep_config(found, ["loss=focal", "loss.gamma=3", "seed=1"])
    assert cell.loss.gamma == 3
    with pytest.raises(HydraException, match="gamma"):
        loader.load_sweep_config(found, ["loss=dice", "loss.gamma=3", "seed=1"])
    with pytest.raises(HydraException, match="gamma"):  # one cell has one loss
        loader.load_configuration("config", ["loss=dice", "loss.gamma=3"], RunMode.RUN)
    with pytest.raises(HydraException, match="no_such"):
        loader.load_configuration("config", ["loss=bce,dice", "no_such=3"], RunMode.MULTIRUN)


def test_a_search_path_of_one_cell_does_not_affect_the_next(
    loader: CheckedLoader, sweep: DictConfig, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: mine.Net\n")
    missing, added = ["model=mine"], [f"hydra.searchpath=[file://{tmp_path}]", "model=mine"]
    with pytest.raises(HydraException, match="mine"):
        loader.load_sweep_config(sweep, missing)
    assert loader.load_sweep_config(sweep, added).model._target_ == "mine.Net"
    with pytest.raises(HydraException, match="mine"):
        loader.load_sweep_config(sweep, missing)
