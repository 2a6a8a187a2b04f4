"""Commands, options and their values are completed, also by real shells."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segbench.commands.starting.completion import candidates

ASKED = [
    ("segbench pre", {"predict"}),
    ("segbench ", {"train", "compare", "model=", "seed="}),
    ("segbench model=unetp", {"model=unetpp", "model=unetpp_ds"}),
    ("segbench model=unet model.ba", {"model.base_channels="}),
    ("segbench -m loss=focal_", {"loss=focal_tversky", "loss=focal_positive"}),
    ("segbench predict ru", {"run="}),
    ("segbench check data=cam", {"data=camvid", "data=camvid_drives"}),
    ("segbench list los", {"loss"}),
    ("segbench new ", {"network", "loss", "data", "experiment"}),
    ("segbench completion ", {"bash", "zsh"}),
    ("segbench 'name=a b' los", {"loss="}),
]


@pytest.mark.parametrize(("line", "expected"), ASKED, ids=[line for line, _ in ASKED])
def test_the_last_word_is_completed(line: str, expected: set[str]) -> None:
    assert expected <= set(candidates(line))


def test_a_slip_in_the_line_completes_nothing() -> None:
    assert candidates("segbench model=unet modle.") == []
    assert candidates("segbench 'open") == []


def test_own_options_are_completed(
    segbench: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine/model/my_net.yaml").write_text("_target_: mylab.Net\n")
    (tmp_path / "segbench.toml").write_text('config_dir = "mine"\n')
    monkeypatch.setenv("SEGBENCH_COMPLETION_LINE", "segbench model=my")
    assert segbench("completion", "query") == 0
    assert capsys.readouterr().out.split() == ["model=my_net"]
    assert segbench("completion", "fish") == 2
    assert "expected bash or zsh" in capsys.readouterr().err


BASH = """\
eval "$(segbench completion bash)"
COMP_LINE="segbench predict ov" COMP_POINT=19 COMP_CWORD=2
COMP_WORDS=(segbench predict ov)
_segbench_complete segbench ov predict
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """\
eval "$(segbench completion zsh)"
COMP_LINE="segbench predict ov" COMP_POINT=19
COMP_WORDS=(segbench predict ov) COMP_CWORD=2
_segbench_complete segbench ov predict
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(("shell", "script"), [("bash", BASH), ("zsh", ZSH)])
def test_in_a_shell(tmp_path: Path, shell: str, script: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command = tmp_path / "segbench"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m segbench "$@"\n')
    command.chmod(0o755)
    environment = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    environment["PATH"] = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(
        [shell, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["overlap=", "overlay="], done.stderr
