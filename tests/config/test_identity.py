"""The same folder means the same experiment: what enters a cell's identity, and what does not."""

import json
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from segbench.config.identity import Identity, differences, identify, settings, without_defaults
from segbench.config.registry import CONF, compose, register_resolvers

# Configs as cells saved them, with their hashes: of version 0.2, and never to be written anew.
SAVED = sorted((Path(__file__).parent / "identities").glob("*.yaml"))


def whole(*words: str) -> DictConfig:
    register_resolvers()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("config", list(words), return_hydra_config=True)


def digest(cfg: DictConfig) -> str:
    return Identity(without_defaults(settings(cfg))).hash


class Before:
    """A user's class as it was last month."""

    def __init__(self, width: int, depth: int = 4) -> None: ...


class After(Before):
    """The same class with options that were added since, some of them in a parent."""

    def __init__(self, width: int, rate: float = 0.5, sizes: tuple[int, ...] = (1, 2), **rest: Any):
        super().__init__(width, **rest)


def cell(**model: Any) -> DictConfig:
    return OmegaConf.create({"seed": 0, "model": model})


def test_an_option_that_is_added_later_keeps_the_hash_at_its_default() -> None:
    before = digest(cell(_target_=f"{__name__}.Before", width=8))
    new = {"_target_": f"{__name__}.After", "width": 8}
    stays = digest(cell(**new))
    assert digest(cell(**new, rate=0.5, sizes=[1, 2], depth=4)) == stays
    assert digest(OmegaConf.merge(cell(**new), {"tune": None})) == stays
    changes = [{"rate": 0.25}, {"sizes": [1]}, {"depth": 5}, {"rate": False}]
    assert len({stays, before, *(digest(cell(**new, **change)) for change in changes)}) == 6


@pytest.mark.parametrize("file", SAVED, ids=lambda file: file.stem)
def test_last_months_cells_are_found_by_todays_command(file: Path) -> None:
    saved = yaml.safe_load(file.read_text(encoding="utf-8"))
    today = whole(*saved["words"])
    assert digest(today) == saved["hash"]
    assert digest(OmegaConf.create(saved["config"])) == saved["hash"]
    assert differences(saved["config"], today) == {}


def test_there_are_saved_cells() -> None:
    assert len(SAVED) >= 5


def test_differences_name_settings_that_count_and_no_others() -> None:
    plain = json.loads(json.dumps(settings(compose())))
    assert differences(plain, compose(overrides=["name=other", "data.num_workers=2"])) == {}
    found = differences(plain, compose(overrides=["optimizer.lr=0.5", "loss=dice"]))
    assert found["optimizer.lr"][1] == 0.5
    assert "loss._target_" in found


def test_the_hash_holds_the_data_but_not_their_place() -> None:
    plain = {"model": {"width": 1}}
    assert Identity(plain, "a" * 16, "/here").hash == Identity(plain, "a" * 16, "/there").hash
    assert Identity(plain, "a" * 16).hash != Identity(plain, "b" * 16).hash
    assert Identity(plain).hash != Identity(plain, "a" * 16).hash


def test_files_of_ids_count_by_their_content() -> None:
    one, other = (f"data.split.test={name}" for name in ("a/test.txt", "b/test.txt"))
    assert digest(compose(overrides=["data=ph2", one])) == digest(
        compose(overrides=["data=ph2", other])
    )
    shares = "data.split={train: 0.5, val: 0.2, test: 0.3}"
    assert digest(compose(overrides=["data=ph2", shares])) != digest(
        compose(overrides=["data=ph2"])
    )


def test_generated_data_have_settings_alone() -> None:
    found = identify(compose(overrides=["data.count=20"]))
    assert (found.data, found.cases) == ("", {})
    assert found.hash == digest(compose(overrides=["data.count=20"]))
