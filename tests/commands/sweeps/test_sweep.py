"""A sweep survives failing cells, kills and a second sweep beside it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from forked import Forked
from hydra.core.plugins import Plugins
from tiny import TINY

from segbench.commands.sweeps import planned
from segbench.commands.sweeps.board import Planned
from segbench.records.record import read_record, write_record

Run = Callable[..., int]
Start = Callable[..., Forked]
GRID = ("-m", *TINY, "model=unet", "loss=dice,bce", "seed=0,1")


def cells(folder: Path, name: str = "default") -> dict[str, Path]:
    found = (folder / "outputs" / name).glob("*/run.json")
    return {path.parent.name: path.parent for path in sorted(found)}


def fitted(cell: Path) -> int:
    """How often the cell's first epoch was trained."""
    return len(re.findall(r"^epoch 1/", (cell / "log.txt").read_text(), re.M))


def wait_for(process: Forked | subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_runs_what_is_missing_and_ends_in_a_comparison(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*GRID) == 0
    said = capsys.readouterr().out
    assert "4 cells: 4 waiting, 4 to run" in said
    assert "[4/4] unet-bce-s1: done, test IoU" in said
    assert "train loss" not in said  # a cell's own lines stand in its log
    assert [fitted(cell) for cell in cells(tmp_path).values()] == [1, 1, 1, 1]
    assert (tmp_path / "outputs/default/report/index.html").is_file()
    before = {name: (cell / "run.json").stat() for name, cell in cells(tmp_path).items()}
    assert segbench(*GRID, "model.base_channels=4") == 0  # again, and the same in other words
    assert "4 cells: 4 done, 0 to run" in capsys.readouterr().out
    after = {name: (cell / "run.json").stat() for name, cell in cells(tmp_path).items()}
    assert {k: v.st_mtime_ns for k, v in before.items()} == {
        k: v.st_mtime_ns for k, v in after.items()
    }
    assert segbench(*GRID, "loss=dice,bce,focal") == 0
    assert "6 cells: 4 done, 2 waiting, 2 to run" in capsys.readouterr().out


EXPERIMENT = """# @package _global_
defaults:
  - override /loss: bce
name: mine
hydra:
  sweeper:
    params:
      loss: bce,dice
      seed: 0,1
published:
  caption: what others found
  table: [[loss, IoU], [BCE, 0.8]]
"""


def test_an_experiment_brings_its_grid_and_its_published_table(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    words = ("-m", "--config-dir", "own", *TINY, "experiment=mine")
    assert segbench(*words, "seed=3") == 0  # the command line's seed, not the experiment's
    said = capsys.readouterr().out
    assert "2 cells: 2 waiting, 2 to run" in said
    assert "published: what others found" in said
    found = cells(tmp_path, "mine")
    assert sorted(name[:-9] for name in found) == ["unet-bce-s3", "unet-dice-s3"]
    assert segbench(*words) == 0
    assert "4 cells: 4 waiting" in capsys.readouterr().out
    # the same cells without the experiment: what it is called changes nothing
    assert segbench("-m", *TINY, "name=mine", "loss=bce,dice", "seed=0,1") == 0
    assert "4 cells: 4 done, 0 to run" in capsys.readouterr().out


def test_each_of_several_experiments_brings_its_own_grid(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "own" / "experiment"
    folder.mkdir(parents=True)
    head = "# @package _global_\n"
    grid = "hydra: {sweeper: {params: {loss: 'bce,dice', seed: '0,1'}}}\n"
    (folder / "plain.yaml").write_text(f"{head}name: plain\nmodel: {{depth: 1}}\n")
    (folder / "mine.yaml").write_text(f"{head}name: mine\n{grid}")
    (folder / "other.yaml").write_text(f"{head}name: other\n{grid.replace('bce,dice', 'focal')}")
    words = ("-m", "--config-dir", "own", *TINY[:1], *TINY[2:], "trainer=smoke", "seed=3")
    assert segbench(*words, "experiment=plain,mine,other") == 0
    found = {name: sorted(cells(tmp_path, name)) for name in ("plain", "mine", "other")}
    assert [name[:-9] for name in found["plain"]] == ["unet-bce_dice-s3"]
    assert [name[:-9] for name in found["mine"]] == ["unet-bce-s3", "unet-dice-s3"]
    assert [name[:-9] for name in found["other"]] == ["unet-focal-s3"]
    assert (tmp_path / "outputs" / "mine+other+plain" / "report" / "index.html").is_file()
    said = capsys.readouterr().out
    assert "4 cells: 4 waiting, 4 to run" in said
    assert "combinations come to" not in said
    assert segbench(*words, "experiment=mine") == 0  # the same cells as one by one
    assert "2 cells: 2 done, 0 to run" in capsys.readouterr().out
    assert segbench(*words, "experiment=mine,nosuch") == 2
    assert "experiment=nosuch: no such option" in capsys.readouterr().err


def test_each_network_may_bring_its_own_settings(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "own" / "experiment"
    folder.mkdir(parents=True)
    recipes = "recipes: [[model=unet, optimizer.lr=3e-4], [model=segnet, optimizer.lr=1e-3]]\n"
    grid = "hydra: {sweeper: {params: {loss: 'bce,dice'}}}\n"
    for name in ("pairs", "twice"):
        (folder / f"{name}.yaml").write_text(f"# @package _global_\nname: {name}\n{recipes}{grid}")
    words = ("-m", "--config-dir", "own", *TINY[:1], *TINY[2:], "trainer=smoke")
    assert segbench(*words, "experiment=pairs", "loss=dice") == 0
    found = {name[:-9]: read_record(cell) for name, cell in cells(tmp_path, "pairs").items()}
    assert sorted(found) == ["segnet-dice-s0", "unet-dice-s0"]
    rates = [
        yaml.safe_load((cell / "config.yaml").read_text())["optimizer"]["lr"]
        for cell in cells(tmp_path, "pairs").values()
    ]
    assert rates == [1e-3, 3e-4]
    said = capsys.readouterr().out
    assert "2 cells: 2 waiting, 2 to run" in said
    assert "optimizer.lr differs too, always together" in " ".join(said.split())
    assert segbench(*words, "experiment=twice", "model=unetpp") == 2
    assert "model: set by recipes and by the grid or the command line" in capsys.readouterr().err
    assert segbench(*words, "experiment=twice", "recipes=3") == 2
    assert "recipes: expected a list of lists of options" in capsys.readouterr().err


def test_a_damaged_cell_is_scored_again_and_no_other(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("-m", *TINY, "loss=dice", "seed=0,1")
    assert segbench(*words) == 0
    cell, other = cells(tmp_path).values()
    before = {file: (cell / file).read_bytes() for file in ("scores.csv", "split.json")}
    kept = (other / "run.json").stat().st_mtime_ns
    for name, text in (("scores.csv", (cell / "scores.csv").read_text()[:-9]), ("run.json", "{")):
        (cell / name).write_text(text)
        capsys.readouterr()
        assert segbench("compare") == 1
        seen = capsys.readouterr()
        assert seen.err.startswith(f"damaged: outputs/default/{cell.name}/{name}: ")
        assert seen.err.count("\n") == 1
        assert segbench(*words) == 0
        said = capsys.readouterr().out
        assert "2 cells: 1 done, 1 waiting, 1 to run" in said
        assert f"note: run or scored again: outputs/default/{cell.name}/{name}: " in said
        assert fitted(cell) == 1  # not trained again
        assert {file: (cell / file).read_bytes() for file in before} == before
        assert (other / "run.json").stat().st_mtime_ns == kept
    assert segbench("compare") == 0


def test_a_failing_cell_stops_no_other_and_every_failure_is_listed(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("-m", *TINY, "loss=dice,bce", "optimizer.lr=1e30,0.001")
    assert segbench(*words) == 1
    seen = capsys.readouterr()
    listed = seen.err.strip().splitlines()
    assert len(listed) == 3
    assert all(
        re.fullmatch(r"failed: outputs/default/unet-(dice|bce)-s0-\w+: .*became nan.*", line)
        for line in listed[:2]
    )
    assert "retry_failed=true" in listed[2]
    assert "Traceback" not in seen.err
    assert sorted(read_record(cell)["status"] for cell in cells(tmp_path).values()) == [
        *("done", "done", "failed", "failed")
    ]
    assert segbench(*words) == 1  # they are not tried again, and not forgotten either
    seen = capsys.readouterr()
    assert "4 cells: 2 done, 2 failed, 0 to run" in seen.out
    assert seen.err.count("failed: ") == 2
    assert segbench(*words, "retry_failed=true") == 1
    assert "2 waiting, 2 to run" in capsys.readouterr().out


def test_a_slip_anywhere_in_the_grid_is_said_before_any_training(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("-m", *TINY, "loss=dice,nosuch") == 2
    assert "loss=nosuch: no such option" in capsys.readouterr().err
    assert segbench("-m", *TINY, "experiment=nosuch") == 2  # not the default cell in its place
    assert "experiment=nosuch: no such option" in capsys.readouterr().err
    assert segbench("-m", *TINY, "trainer.max_epochs=2,fast") == 2
    assert "trainer.max_epochs" in capsys.readouterr().err
    assert not cells(tmp_path)


def test_two_combinations_that_come_to_one_cell_are_one(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("-m", *TINY, "callbacks.samples.count=2,3") == 0
    said = capsys.readouterr().out
    assert "[1/1]" in said
    (note,) = [line for line in said.splitlines() if line.startswith("note: 2 combinations")]
    assert note.startswith("note: 2 combinations come to 1 cell, as")
    assert "callbacks.samples.count=2 and callbacks.samples.count=3 are both unet-" in note
    assert len(cells(tmp_path)) == 1


def test_operations_are_counted_once_for_each_network(
    segbench: Run, tmp_path: Path, monkeypatch
) -> None:
    from torch.utils import flop_counter

    from segbench.cell import trial

    asked = []
    counter = flop_counter.FlopCounterMode
    trial._try_network.cache_clear()
    monkeypatch.setattr(
        flop_counter, "FlopCounterMode", lambda **k: asked.append(1) or counter(**k)
    )
    sweep = ("-m", *TINY, "trainer=smoke", "seed=0,1", "data.size=32,48")
    assert segbench(*sweep) == 0
    records = [read_record(folder) for folder in cells(tmp_path).values()]
    assert len(records) == 4
    assert len(asked) == 2
    assert len({record["flops"] for record in records}) == 2


def test_killed_with_all_its_cells_it_loses_no_more_than_an_epoch(
    start: Start, tmp_path: Path
) -> None:
    words = ("-m", *TINY, "loss=dice,bce,focal", "trainer.max_epochs=4")
    process = start(tmp_path, *words)

    def second_is_under_way() -> bool:
        begun = list(cells(tmp_path).values())
        return len(begun) == 2 and any(
            (cell / "checkpoints" / "last.ckpt").is_file()
            and read_record(cell).get("status") == "running"
            for cell in begun
        )

    wait_for(process, second_is_under_way)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = start(tmp_path, *words)
    out, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    assert "3 cells: 1 done, 2 waiting, 2 to run" in out
    assert [fitted(cell) for cell in cells(tmp_path).values()] == [1, 1, 1]
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    whole = start(undisturbed, *words)
    assert whole.communicate(timeout=240)[1] == ""
    for name, cell in cells(tmp_path).items():
        alike = undisturbed / "outputs" / "default" / name
        assert (cell / "scores.csv").read_bytes() == (alike / "scores.csv").read_bytes()


def test_two_sweeps_at_once_run_each_cell_once(start: Start, tmp_path: Path) -> None:
    both = [start(tmp_path, *GRID), start(tmp_path, *GRID)]
    said = [process.communicate(timeout=280) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [fitted(cell) for cell in cells(tmp_path).values()] == [1, 1, 1, 1]
    assert all(read_record(cell)["status"] == "done" for cell in cells(tmp_path).values())


def test_a_cell_that_another_process_ends_between_two_looks_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_now(folder: Path) -> bool:
        (folder / "scores.csv").touch()
        write_record(folder, {"status": "done", "metrics": {}})
        return False

    monkeypatch.setattr(planned, "is_locked", end_now)
    cell = Planned(tmp_path, (), 1)
    cell.settle_launched("another process is running this cell")
    assert cell.state == "done"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_sweep_and_not_the_cell_alone(
    start: Start, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    process = start(tmp_path, *GRID, "trainer.max_epochs=200")
    wait_for(process, lambda: any(tmp_path.glob("outputs/*/*/checkpoints/last.ckpt")))
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out.splitlines()[-1].endswith("waiting: interrupted; the same command resumes it")
    assert "failed" not in out + err
    assert "Traceback" not in err
    assert [read_record(cell)["status"] for cell in cells(tmp_path).values()] == ["interrupted"]


def test_a_pool_of_processes_survives_one_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")  # its processes print on such a pipe too
    words = ("-m", *TINY, "seed=0,1,2", "hydra/launcher=joblib", "trainer.max_epochs=20")
    command = [sys.executable, "-m", "segbench", *words]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    guilty: list[Path] = []

    def killed(times: int) -> bool:
        """Kill the process of one cell, always the same, whenever it has come to an epoch."""
        begun = tmp_path.glob("outputs/*/*/checkpoints/last.ckpt")
        guilty.extend([] if guilty else [path.parents[1] for path in begun][:1])
        pid = holder(guilty[0]) if guilty else None
        if pid is None or pid in (*pids, process.pid):  # which looks at locks
            return False
        os.kill(pid, signal.SIGKILL)
        pids.append(pid)
        return len(pids) == times

    pids: list[int] = []
    wait_for(process, lambda: killed(2))  # the second time it was alone
    out, err = process.communicate(timeout=280)
    assert process.returncode == 1, err
    assert "~ cannot be told from the best" in " ".join(out.split())
    states = {name: read_record(cell)["status"] for name, cell in cells(tmp_path).items()}
    assert states == {name: "failed" if name == guilty[0].name else "done" for name in states}
    assert len(states) == 3
    assert f"failed: outputs/default/{guilty[0].name}: its process was killed" in err
    assert "Traceback" not in err


def holder(cell: Path) -> int | None:
    """The process that holds a cell's lock, as Linux lists it."""
    wanted = (cell / ".lock").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[5].endswith(f":{wanted}"):
            return int(fields[4])
    return None


def test_submitit_runs_cells_in_processes_of_their_own(
    segbench: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    assert segbench("-m", *TINY, "loss=dice,bce", "hydra/launcher=submitit_local") == 0
    assert "[2/2] unet-bce-s0: done" in capfd.readouterr().out
    assert [read_record(cell)["status"] for cell in cells(tmp_path).values()] == ["done", "done"]


def test_a_launcher_that_is_not_installed_is_named(
    segbench: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Plugins.instance().class_name_to_class
    name = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"
    monkeypatch.delitem(known, name, raising=False)
    assert segbench("-m", *TINY, "hydra/launcher=ray", "seed=0,1") == 2
    assert "segbench[ray]" in capsys.readouterr().err
