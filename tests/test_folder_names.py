"""Names and output folders stay where they belong, in every command that takes one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_run import make_run

from segbench.errors import ConfigError
from segbench.inference.masks import _tails
from segbench.names import as_folder_name, as_path

Run = Callable[..., int]
BAD = ["../../x", "..", "a/../b", "/tmp/x", "", " ", "x" * 300, "a//b", "./a", "ä" * 150]


@pytest.mark.parametrize("name", [*BAD, "a\x1bb", "a\nb", "\udcff", None, True, 1.5, ["a"]])
def test_names_that_are_none(name: Any) -> None:
    with pytest.raises(ConfigError, match="^name=") as caught:
        as_folder_name(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["a", "größe 1", "study/first", 2024, "a+b", "..a", "a=b", "[x]"])
def test_names_that_are(name: Any) -> None:
    assert as_folder_name(name) == str(name)


def test_paths_to_write_to() -> None:
    assert as_path("~/a", "output") == Path.home() / "a"
    assert as_path("../a", "output") == Path("../a")
    for wrong in ("", None, "a\x1b", "b/" + "x" * 300):
        with pytest.raises(ConfigError, match="^output="):
            as_path(wrong, "output")


@pytest.mark.parametrize("name", ["../../x", "", "x" * 300])
@pytest.mark.parametrize("command", ["train", "sweep", "check", "compare", "evaluate"])
def test_no_command_leaves_its_folder(
    segbench: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    command: str,
) -> None:
    inside = tmp_path / "a" / "b" / "here"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    words = {"train": ["train"], "sweep": ["-m", "seed=0,1"]}.get(command, [command])
    if command == "evaluate":
        words.append(f"run={make_run(tmp_path / 'run')}")
    before = sorted(tmp_path.rglob("*"))
    assert segbench(*words, f"name={name}") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: name=")
    left = set(tmp_path.rglob("*")) - set(before)
    assert {file.name for file in left} <= {"outputs", "log.txt"}


def test_the_files_of_classes_are_told_apart_and_stay_inside() -> None:
    assert _tails(["a", "b"]) == ["", ""]
    names = ["a/b", "a_b", "..", "/etc/x", "x" * 300, "road", "c\0d"]
    tails = _tails(names)
    assert len(set(tails)) == len(names)
    assert tails[5] == ".road"
    assert all("/" not in tail and "\0" not in tail and len(tail) < 80 for tail in tails)
