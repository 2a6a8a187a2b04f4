"""A process enters the folder of the sweep, or says that it is missing."""

from pathlib import Path

import pytest

from segbench.hardware import folders


def test_it_works_in_the_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv(folders.FOLDER, str(tmp_path))
    folders.enter_folder()
    assert Path.cwd() == tmp_path


def test_a_machine_without_the_folder_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(folders.FOLDER, str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError, match="missing"):
        folders.enter_folder()
