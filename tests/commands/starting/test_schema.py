"""The schemas accept every YAML file of segbench, and refuse what a config would be refused for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from segbench.commands.starting.schema import group_schema, whole_schema
from segbench.config.registry import CONF, config_groups

jsonschema = pytest.importorskip("jsonschema")
FILES = [f for group in config_groups() for f in sorted((CONF / group).glob("*.yaml"))]


def errors(schema: Any, content: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(content)]


def test_every_file_of_every_group_is_accepted() -> None:
    schemas = {group: group_schema(group) for group in config_groups()}
    assert len(FILES) > 60
    for file in FILES:
        content = OmegaConf.to_container(OmegaConf.load(file), resolve=False) or None
        assert errors(schemas[file.parent.name], content) == [], file


def test_config_and_experiments_are_accepted() -> None:
    schema = whole_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for file in (CONF / "config.yaml", *sorted((CONF / "experiment").glob("*.yaml"))):
        assert errors(schema, OmegaConf.to_container(OmegaConf.load(file), resolve=False)) == [], (
            file
        )


@pytest.mark.parametrize(
    ("group", "target", "option", "value"),
    [
        ("model", "segbench.models.unet.UNet", "depth", "four"),
        ("model", "segbench.models.unet.UNet", "up", "sideways"),
        ("loss", "segbench.losses.focal.FocalLoss", "gamma", "large"),
        ("data", "segbench.data.synthetic.SyntheticDataModule", "count", "many"),
    ],
)
def test_wrong_values_are_marked(group: str, target: str, option: str, value: Any) -> None:
    schema = group_schema(group)
    found = errors(schema, {"_target_": target, option: value})
    assert len(found) == 1
    assert option in found[0]
    assert errors(schema, {"_target_": target, option: "${seed}"}) == []


def test_options_have_descriptions_and_defaults() -> None:
    cases = {
        each["if"]["properties"]["_target_"]["const"]: each["then"]["properties"]
        for each in group_schema("loss")["allOf"]
    }
    gamma = cases["segbench.losses.focal.FocalLoss"]["gamma"]
    assert gamma["default"] == 2.0
    assert len(gamma["description"]) > 10
    seed = whole_schema()["properties"]["seed"]
    assert seed["type"] == "integer"
    assert "initial weights" in seed["description"]


def test_it_is_printed_for_own_files_too(
    segbench: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine" / "loss").mkdir(parents=True)
    (tmp_path / "mine/loss/own.yaml").write_text("_target_: torch.nn.L1Loss\n")
    assert segbench("schema", "loss", "--config-dir", "mine") == 0
    printed = json.loads(capsys.readouterr().out)
    assert "torch.nn.L1Loss" in printed["properties"]["_target_"]["examples"]
    assert segbench("schema", "los") == 2
    assert "did you mean 'loss'?" in capsys.readouterr().err
