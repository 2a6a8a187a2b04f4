"""Without accounts SLURM is asked once, and one note says so."""

import os
import sys
from pathlib import Path

import pytest

from segbench.commands.sweeps.accounting import ask_sacct_once

slurm = pytest.importorskip("submitit.slurm.slurm")


def write_sacct(folder: Path, text: str, code: int) -> None:
    """A program which notes that it was called."""
    lines = (
        f"#!{sys.executable}",
        "import sys",
        f"open({str(folder / 'calls')!r}, 'a').write('1')",
    )
    more = (f"print({text!r}, file=sys.stderr)", f"sys.exit({code})")
    (folder / "sacct").write_text("\n".join((*lines, *more)))
    (folder / "sacct").chmod(0o755)


@pytest.fixture
def watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """submitit's watcher of one job, with a `sacct` of the test's folder."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    usual = slurm.SlurmInfoWatcher._make_command
    monkeypatch.setattr(slurm.SlurmInfoWatcher, "_make_command", usual)  # put back at the end
    watcher = slurm.SlurmInfoWatcher()
    watcher.register_job("12_0")
    return watcher


def test_without_accounts_submitit_asks_no_more(
    watcher, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_sacct(tmp_path, "Slurm accounting storage is disabled", 1)
    ask_sacct_once()
    assert not watcher.is_done("12_0", mode="force")
    out, err = capfd.readouterr()
    assert out.count("note: this SLURM keeps no accounts") == 1
    assert err == ""
    assert (tmp_path / "calls").read_text() == "1"


@pytest.mark.parametrize(("text", "code"), [("", 0), ("sacct: error: connection refused", 1)])
def test_with_accounts_it_goes_on_asking(
    watcher, text: str, code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_sacct(tmp_path, text, code)
    ask_sacct_once()
    watcher.is_done("12_0", mode="force")
    assert "note" not in capfd.readouterr().out
    assert (tmp_path / "calls").read_text() == "11"


def test_where_there_is_no_sacct_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ask_sacct_once()
    assert capfd.readouterr() == ("", "")
