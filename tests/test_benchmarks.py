"""The benchmarks' own arithmetic; the script for a GPU runs, and ends what takes too long."""

import io
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def gpu(benchmarks: None) -> ModuleType:
    import gpu

    return gpu


def test_a_device_is_busy_while_at_least_one_of_its_events_is_under_way(benchmarks, monkeypatch):
    import idle

    monkeypatch.setattr(idle, "BUSY", {"kernel", "gpu_memcpy"})

    def event(kind: str, start: float, microseconds: float) -> dict[str, object]:
        return {"cat": kind, "ts": start, "dur": microseconds}

    events = [
        event("kernel", 100, 50),  # 100 to 150
        event("gpu_memcpy", 140, 20),  # to 160, of which 10 are counted already
        event("kernel", 145, 5),  # inside both
        event("kernel", 200, 10),  # after a gap of 40
        event("cpu_op", 0, 1000),  # not the device's
        event("gpu_user_annotation", 0, 1000),  # a name over a span of time, not work
        {"name": "process_name", "ph": "M"},  # has neither
    ]
    assert idle.busy_seconds(events) == pytest.approx(70e-6)
    assert idle.busy_seconds([]) == 0


def test_each_round_is_compared_with_itself(benchmarks) -> None:
    import rounds

    values = {rounds.OURS: [1.0, 2.0, 4.0], "peer": [2.0, 6.0, 8.0]}
    assert rounds.Measured("", "s", values).times_better("peer") == 2.0  # of 2, 3 and 2
    assert rounds.Measured("", "images/s", values, True).times_better("peer") == 0.5
    assert rounds.Measured("", "s", values).times_better(rounds.OURS) is None


def test_contenders_take_turns_in_an_order_that_rotates(benchmarks) -> None:
    import rounds

    order: list[str] = []
    turns = {name: lambda name=name: order.append(name) or float(len(order)) for name in "ab"}
    assert rounds.alternate(turns, rounds=2, warmup=1) == {"a": [3.0, 6.0], "b": [4.0, 5.0]}
    assert "".join(order) == "baabba"


def test_the_gpu_script_runs_from_a_checkout_and_has_eight_minutes(gpu) -> None:
    assert sum(seconds for *_, seconds in gpu.PLAN) <= gpu.SECONDS < 8 * 60
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name, *_ in gpu.PLAN)
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--quick", "idle"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = (line for line in done.stdout.splitlines() if "nuclei 96², idle" in line)
    assert 0 < float(row.split("|")[3].removesuffix(" % ")) < 100


def test_what_takes_too_long_is_ended_with_all_that_it_started(gpu, monkeypatch, tmp_path: Path):
    child = "import pathlib, time; time.sleep(3); pathlib.Path('late').touch()"
    parent = (
        "import subprocess, sys; print('started', flush=True); "
        f"subprocess.run([sys.executable, '-c', {child!r}])"
    )
    log = io.StringIO()
    monkeypatch.chdir(tmp_path)
    assert not gpu.run([sys.executable, "-c", parent], 1.0, log)
    time.sleep(4)
    assert "started" in log.getvalue()
    assert "cut off" in log.getvalue()
    assert not list(tmp_path.iterdir())


def test_what_a_benchmark_leaves_over_the_later_ones_share(gpu, monkeypatch) -> None:
    limits = []
    monkeypatch.setattr(gpu, "run", lambda command, limit, log: limits.append(limit) or True)
    plan = [("start", [], 30), ("surface", [], 10)]
    assert gpu.run_all(plan, True, time.monotonic() + 80, io.StringIO()) == 0
    assert limits == pytest.approx([60, 80], abs=1)  # the first took no time at all


def test_packages_that_are_missing_are_named_before_anything_runs(gpu, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(gpu, "NEEDED", ("json", "nowhere_to_be_found"))
    with pytest.raises(SystemExit, match="missing here: nowhere_to_be_found.*--wheels=FOLDER"):
        gpu.put_in_place(None, tmp_path)
    with pytest.raises(SystemExit, match=r"--wheels=.*: no \*\.whl there"):
        gpu.put_in_place(tmp_path, tmp_path)
