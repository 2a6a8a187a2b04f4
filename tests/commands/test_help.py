"""The help of each command has its own options; `list` says what can be chosen."""

from collections.abc import Callable

import pytest
from omegaconf import OmegaConf

from segbench.commands.help import COMMANDS, OF_A_CELL, USAGES
from segbench.config.registry import CONF, config_groups
from segbench.metrics.registry import REGISTRY

Run = Callable[..., int]


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if name not in (*OF_A_CELL, *USAGES)]
)
def test_a_commands_help_explains_each_of_its_options(
    command: str, segbench: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(command, "--help") == 0
    text = capsys.readouterr().out
    own = set(OmegaConf.load(CONF / f"{command}.yaml")) - {"defaults", "hydra", "named"}
    lines = [line.split(maxsplit=1) for line in text.partition("Options\n")[2].splitlines()]
    assert {line[0].partition("=")[0] for line in lines} == own
    assert all(len(line) == 2 and len(line[1]) > 8 for line in lines), lines
    assert COMMANDS[command] in text
    assert "Traceback" not in text


def test_commands_that_take_a_cells_options_show_the_groups(
    segbench: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--help"], ["train", "-h"], ["check", "--help"]):
        assert segbench(*words) == 0
        assert "Groups and their options" in capsys.readouterr().out


def test_everything_that_can_be_chosen_is_listed_with_a_description(
    segbench: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    for group, options in config_groups().items():
        assert segbench("list", group) == 0
        lines = capsys.readouterr().out.splitlines()[1:]
        rows = dict(line.strip().split(maxsplit=1) for line in lines)
        assert list(rows) == options
        assert all(len(text.strip()) > 10 for text in rows.values())
        assert not any("@package" in text for text in rows.values())
    assert segbench("list", "models", "losses", "scores") == 0
    text = capsys.readouterr().out
    for word in ("unetpp ", "focal ", *(f"{score.name} " for score in REGISTRY)):
        assert f" {word}" in text
    assert "HD95 (px): lower is better" in text
    assert segbench("list", "modle") == 2
    assert "list modle: did you mean 'model'?" in capsys.readouterr().err
