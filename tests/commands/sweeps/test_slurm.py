"""Sweeps on a real SLURM of this machine; skipped where it is missing or the user is not root."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from engines import lacks

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "slurm.sh"
PROGRAMS = ("sbatch", "slurmctld", "slurmd", "munged")


@pytest.mark.timeout(600)
def test_an_array_of_four_cells_comes_to_the_numbers_of_the_sweep_without_slurm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        lacks("slurm", f"no {', '.join(missing)} here" if missing else "only root can start SLURM")
    monkeypatch.setenv("PYTHON", sys.executable)
    command = ["timeout", "500", SCRIPT, "1"]  # which lets it stop what it started
    done = subprocess.run(command, capture_output=True, text=True, timeout=560)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 cells: 4 waiting, 4 to run" in done.stdout
    assert "note: this SLURM keeps no accounts" in done.stdout
    assert "equal scores and curves of 4 cells: array and plain" in done.stdout
    (scratch,) = re.findall("^scratch folder: (.*)$", done.stdout, re.MULTILINE)
    assert not Path(scratch).exists()
