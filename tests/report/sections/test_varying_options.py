"""Which options tell the cells of a comparison apart."""

from pathlib import Path

import pytest
import yaml

from segbench.config.registry import CONF
from segbench.records.cells import Cell
from segbench.records.record import ADDED
from segbench.report.sections.options import differing, varying


def cell(config: dict[str, object], **record: object) -> Cell:
    """A cell with a config, without a folder."""
    choices = record.pop("choices", {"data": "folder", "model": "unet", "loss": "bce"})
    made = Cell(Path("outputs/n/c"), {"choices": choices, "seed": 0, "status": "done", **record})
    made.__dict__["config"] = config
    return made


def test_an_option_that_an_older_version_lacked_is_at_its_default_there() -> None:
    old = cell({"data.size": 96})
    defaults = {"data.background": 0, "data.scale": 1.0, "data.patch": None}
    assert differing([old, cell({"data.size": 96, **defaults})]) == set()
    changed = {"data.background": None, "data.scale": 0.5, "data.patch": 96}
    assert differing([old, cell({"data.size": 96, **changed})]) == set(changed)


@pytest.mark.parametrize("name", ADDED)
def test_the_defaults_of_added_options_are_those_of_the_configs(name: str) -> None:
    group, _, option = name.partition(".")
    files = [
        yaml.safe_load((CONF / group / f"{file}.yaml").read_text()) for file in ("_base", "folder")
    ]
    assert [str(each[option]) for each in files if option in each] == [ADDED[name]]


def test_masks_of_another_tool_have_no_options_of_training() -> None:
    trained = [
        cell({}, choices={"data": "folder", "model": model, "loss": "bce", "scheduler": "none"})
        for model in ("unet", "segnet")
    ]
    other = cell({}, choices={"data": "folder", "model": "otsu"}, scored={"pred": "masks"})
    assert varying([*trained, other]) == ["model"]
