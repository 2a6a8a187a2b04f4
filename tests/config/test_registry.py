"""Every YAML composes and builds, and the cell's name follows from what it changes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forked import Forked
from hydra.utils import instantiate
from omegaconf import OmegaConf

from segbench.config.identity import Identity, settings, without_defaults
from segbench.config.registry import CONF, check_cell, compose, config_groups
from segbench.config.targets import check_targets
from segbench.errors import ConfigError

GROUPS = config_groups()
CHOICES = [f"{group}={option}" for group, options in GROUPS.items() for option in options]


def test_there_are_configs() -> None:
    assert len(CHOICES) > 20
    assert {"unet", "unet_vgg", "unetpp", "unetpp_ds"} <= set(GROUPS["model"])
    assert {"bce", "dice", "bce_dice"} <= set(GROUPS["loss"])
    assert {"synthetic", "dsb2018"} <= set(GROUPS["data"])


@pytest.mark.parametrize("choice", CHOICES)
def test_every_yaml_composes_and_names_what_exists(choice: str) -> None:
    check_targets(compose(overrides=[choice]))


@pytest.mark.parametrize("loss", GROUPS["loss"])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_every_loss_takes_every_networks_logits(loss: str, num_classes: int) -> None:
    words = [f"loss={loss}", f"data.num_classes={num_classes}", "model.base_channels=4"]
    cfg = compose(overrides=[*words, "model.depth=2"])
    logits = instantiate(cfg.model)(torch.randn(2, 3, 16, 16))
    assert logits.shape == (2, 1 if num_classes == 2 else num_classes, 16, 16)
    target = torch.randint(0, num_classes, (2, 16, 16))
    criterion = instantiate(cfg.loss)
    criterion(logits, target).backward()


def test_the_hash_changes_with_the_result_and_with_nothing_else() -> None:
    def digest(*words: str) -> str:
        import hydra

        from segbench.config.registry import register_resolvers

        register_resolvers()
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = hydra.compose("config", list(words), return_hydra_config=True)
            return Identity(without_defaults(settings(cfg))).hash

    same = digest()
    for word in ("name=other", "overwrite=true", "debug=true", "logger=csv", "data.num_workers=3"):
        assert digest(word) == same, word
    assert digest("published={caption: x, table: [[a],[b]]}") == same
    for word in (
        "seed=1",
        "optimizer.lr=0.1",
        "data.size=48",
        "model=unetpp",
    ):
        assert digest(word) != same, word
    turned = ("+augment.A.p=1", "+augment.B.p=1")  # transforms in another order
    assert digest(*turned) != digest(*reversed(turned))
    moved = ("data.root=/elsewhere", "data.cache=/x")
    assert digest("data=dsb2018") == digest("data=dsb2018", *moved)


def test_a_folder_of_pictures_has_no_default_root() -> None:
    assert OmegaConf.is_missing(compose(overrides=["data=folder"]).data, "root")


@pytest.mark.parametrize("name", GROUPS["experiment"])
def test_an_experiment_has_a_folder_and_a_command(name: str) -> None:
    cfg = compose(overrides=[f"experiment={name}"])
    if OmegaConf.is_missing(cfg.data, "root"):
        cfg.data.root = "/my/photographs"
    assert cfg.name == name
    check_cell(cfg)
    header = (CONF / "experiment" / f"{name}.yaml").read_text().partition("\ndefaults:")[0]
    assert f"experiment={name}" in header


def test_the_dsb2018_experiment_is_the_studys() -> None:
    cfg = compose(overrides=["experiment=dsb2018_unetpp"])
    assert (cfg.data.size, cfg.data.batch_size, cfg.optimizer.lr) == (96, 16, 3e-4)
    assert dict(cfg.data.split) == {"train": 0.8, "val": 0.2, "test": "val"}
    assert cfg.callbacks.early_stopping.patience == 20
    assert dict(cfg.loss.weights) == {"bce": 0.5, "dice": 1.0}


@pytest.mark.parametrize("value", ["words", "[a,b]", "{caption: x, table: [[a,b],[c]]}"])
def test_a_published_table_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="published: expected a caption and a table"):
        check_cell(compose(overrides=[f"published={value}"]))


def test_the_command_line_prints_the_cell(start: Callable[..., Forked], tmp_path: Path) -> None:
    process = start(tmp_path, "model=unetpp", "--cfg", "job")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "_target_: segbench.models.unetpp." in out
    assert "max_epochs:" in out
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("overrides", [["data=_base"], ["~optimizer"], ["~loss._target_"]])
def test_a_part_without_a_class_is_named(overrides: list[str]) -> None:
    option = overrides[0].lstrip("~").replace("=", ".").partition(".")[0]
    with pytest.raises(ConfigError, match=f"^{option}: expected a class to build"):
        check_cell(compose(overrides=overrides))


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match="^data.root: missing; give data.root="):
        check_cell(compose(overrides=["data=folder"]))
