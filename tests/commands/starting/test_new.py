"""What `segbench new` writes works, is tested, and is found without any shell variable."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import Forked

from segbench.config.own_packages import SETTINGS, Settings, read_settings
from segbench.errors import ConfigError

Run = Callable[..., int]
ALL = (("network", "tinynet"), ("loss", "my_loss"), ("data", "arrays"), ("experiment", "first"))
SMALL = ("data.size=32", "data.count=12", "trainer=smoke")


def test_every_kind_works_and_its_own_tests_pass(
    start: Callable[..., Forked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEGBENCH_PACKAGES", raising=False)

    def said(*words: str) -> str:
        process = start(tmp_path, *words)
        out, err = process.communicate()
        assert process.returncode == 0, out + err
        return out

    for kind, name in ALL:
        assert f"tests/test_{name}.py" in said("new", kind, name)
    assert read_settings(tmp_path) == Settings(("mylab",), "mine")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "tests"]
    tested = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert "8 passed" in tested.stdout, tested.stdout + tested.stderr
    assert "test scores" in said("model=tinynet", "loss=my_loss", *SMALL)
    assert "tinynet" in said("list", "models")
    assert "12 cells: 12 to run" in said("-m", "--dry-run", "experiment=first")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "expected `segbench new network|loss|data|experiment NAME`"),
        (("netwrok", "mine"), "did you mean 'network'?"),
        (("network", "unet"), "model=unet exists already"),
        (("network", "My-Net"), "My-Net: expected a name of a-z"),
        (("loss", "class"), "class: expected a name"),
    ],
)
def test_a_slip_is_one_line(
    segbench: Run,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    text: str,
) -> None:
    assert segbench("new", *words) == 2
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(
    segbench: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_edges.py").write_text("mine")
    assert segbench("new", "loss", "edges") == 2
    assert "tests/test_edges.py: is there already" in capsys.readouterr().err
    assert not (tmp_path / "mylab").exists()
    assert (tmp_path / "tests" / "test_edges.py").read_text() == "mine"


def test_it_takes_the_package_and_the_folder_of_the_settings(segbench: Run, tmp_path: Path) -> None:
    (tmp_path / "yaml").mkdir()
    (tmp_path / SETTINGS).write_text('packages = ["ours", "theirs"]\nconfig_dir = "yaml"\n')
    before = (tmp_path / SETTINGS).read_text()
    assert segbench("new", "network", "small_net") == 0
    assert (tmp_path / "ours" / "small_net.py").is_file()
    assert "ours.small_net.SmallNet" in (tmp_path / "yaml/model/small_net.yaml").read_text()
    assert (tmp_path / SETTINGS).read_text() == before


def test_a_name_may_be_that_of_the_folder_of_yaml_files(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / SETTINGS).write_text('packages = ["ours"]\nconfig_dir = "data"\n')
    (tmp_path / "data" / "model").mkdir()
    (tmp_path / "data" / "model" / "mine.yaml").write_text("# My own network.\n")
    assert segbench("list", "data") == segbench("schema", "data") == 0
    assert "dsb2018" in capsys.readouterr().out
    assert segbench("new", "experiment", "data") == 0
    assert (tmp_path / "data" / "experiment" / "data.yaml").is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("packages = [", "cannot be read as TOML"),
        ('package = ["a"]', "no setting 'package'; did you mean 'packages'?"),
        ('packages = "a"', "expected names such as"),
        ('packages = ["a/b"]', "expected names such as"),
        ("config_dir = 3", "expected the name of a folder, got 3"),
        ('config_dir = "nowhere"', "no folder 'nowhere' here"),
    ],
)
def test_wrong_settings_are_one_line(
    segbench: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / SETTINGS).write_text(text)
    assert segbench("model=unet") == 2
    found = capsys.readouterr().err
    assert SETTINGS in found
    assert said in found
    with pytest.raises(ConfigError, match=SETTINGS):
        read_settings(tmp_path)


@pytest.mark.parametrize("place", ["", "checkpoints", "../"])
def test_settings_in_a_folder_of_runs_are_not_read(tmp_path: Path, place: str) -> None:
    cell = tmp_path / "sweep" / "unet-dice-s0-12345678"
    (cell / "checkpoints").mkdir(parents=True)
    (cell / "run.json").write_text("{}")
    folder = cell / place
    (folder / SETTINGS).write_text('packages = ["evil"]')
    assert read_settings(folder) == Settings()
    outputs = tmp_path / "outputs"
    (tmp_path / "sweep").rename(tmp_path / "moved")
    outputs.mkdir()
    (tmp_path / "moved").rename(outputs / "sweep")
    (outputs / SETTINGS).write_text('packages = ["evil"]')
    assert read_settings(outputs) == Settings()


def test_the_command_line_and_the_environment_come_first(
    segbench: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for folder in ("mine", "other"):
        (tmp_path / folder / "model").mkdir(parents=True)
        (tmp_path / folder / "model" / f"of_{folder}.yaml").write_text("# A network\n")
    (tmp_path / SETTINGS).write_text('packages = ["mylab"]\nconfig_dir = "mine"\n')
    monkeypatch.setenv("SEGBENCH_PACKAGES", "typed")
    assert segbench("list", "models") == 0
    assert "of_mine" in capsys.readouterr().out
    assert os.environ["SEGBENCH_PACKAGES"] == "typed"
    assert segbench("list", "models", "--config-dir", "other") == 0
    said = capsys.readouterr().out
    assert "of_other" in said
    assert "of_mine" not in said
