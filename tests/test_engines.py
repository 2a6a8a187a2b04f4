"""A test of a missing engine is skipped, and fails where the engine is required."""

import engines
import pytest


@pytest.mark.parametrize("named", ["", "slurm"])
def test_what_is_not_required_is_skipped(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engines.VARIABLE, named)
    with pytest.raises(pytest.skip.Exception, match="no chromium here"):
        engines.lacks("browser", "no chromium here")


def test_what_is_required_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engines.VARIABLE, "browser,slurm")
    with pytest.raises(pytest.fail.Exception, match="names slurm, but no sbatch here"):
        engines.lacks("slurm", "no sbatch here")


def test_an_engine_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engines.VARIABLE, "browser,slum")
    with pytest.raises(pytest.UsageError, match="'slum' is none of browser, slurm, ray"):
        engines.required()
