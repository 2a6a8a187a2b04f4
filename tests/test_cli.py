"""The command line as its user meets it: in a process of its own, and slip by slip."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from forked import Forked
from tiny import TINY, only_cell

from segbench.records.record import read_record

Run = Callable[..., int]
Start = Callable[..., Forked]


def test_help_names_commands_groups_and_examples_and_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = (
        "import sys; from segbench.__main__ import main; main(['--help']); "
        "heavy = {'torch', 'hydra', 'lightning', 'pandas', 'numpy'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", heavy], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for word in ("train", "unetpp", "bce_dice", "dsb2018", "synthetic", "--config-dir", "-m"):
        assert word in done.stdout
    assert done.stdout.count("python -m segbench ") >= 4


def test_a_cell_leaves_its_record_and_prints_no_more_than_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").touch(0o755)  # as on the login node of a cluster
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    command = [sys.executable, "-m", "segbench", *TINY]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("cell: outputs/default/unet-bce_dice-s0-")
    assert re.match(r"preparing 20 images: [\d.]+ s", lines[1])
    part = r"loss [\d.]+ IoU [\d.]+  "
    assert lines[2].startswith("note: early stopping with patience=20 cannot act")
    assert re.match(rf"epoch 1/2  train {part}val {part}", lines[3])
    assert lines[5] == "training ended after epoch 2: trainer.max_epochs=2"
    assert lines[6].startswith("test scores at the original resolution")
    for word in ("Warning", "warning", "Tip", "deprecat", "INFO"):
        assert word not in done.stdout
    cell = only_cell(tmp_path)
    for name in ("config.yaml", "run.json", "scores.csv", "split.json", "log.txt", "curves.csv"):
        assert (cell / name).is_file(), name
    assert str(cell.relative_to(tmp_path)) in done.stdout
    assert list((cell / "tensorboard").glob("events.*"))
    kept = {f.name for f in (cell / "checkpoints").iterdir()}
    assert kept == {"best.ckpt", "last.ckpt", "last-1.ckpt"}  # the last: for a longer training


def test_killed_in_mid_epoch_it_goes_on_to_the_same_numbers(start: Start, tmp_path: Path) -> None:
    # dropout: random numbers in the network must repeat too
    words = [*TINY[:-1], "trainer.max_epochs=30", "model.dropout=0.2"]
    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    process = start(tmp_path / "killed", *words)
    for line in process.stdout:
        if line.startswith("epoch 4/"):
            break
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    cell = only_cell(tmp_path / "killed")
    assert read_record(cell)["status"] == "running"

    again = start(tmp_path / "killed", *words)
    said, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "resuming after epoch" in said
    assert "epoch 2/30" not in said
    undisturbed = start(tmp_path / "whole", *words)
    assert undisturbed.communicate()[1] == ""
    whole = only_cell(tmp_path / "whole")
    assert cell.name == whole.name
    assert (cell / "scores.csv").read_text() == (whole / "scores.csv").read_text()
    assert (cell / "curves.csv").read_text() == (whole / "curves.csv").read_text()
    assert len(pd.read_csv(cell / "curves.csv")) == 30
    one, other = read_record(cell), read_record(whole)
    for field in ("metrics", "best_epoch", "epochs", "hash", "parameters", "flops"):
        assert one[field] == other[field]


def test_ctrl_c_ends_cleanly_with_what_is_known_recorded(start: Start, tmp_path: Path) -> None:
    process = start(tmp_path, *TINY, "trainer.max_epochs=2000")
    for line in process.stdout:
        if line.startswith("epoch 3/"):
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "resumes after the last complete epoch" in errors
    assert "Traceback" not in errors
    record = read_record(only_cell(tmp_path))
    assert record["status"] == "interrupted"
    assert record["epochs"] >= 2  # the third may have been on its way to the disk
    assert record["train_seconds"] > 0


def test_sigterm_is_no_success(start: Start, tmp_path: Path) -> None:
    process = start(tmp_path, *TINY, "trainer.max_epochs=2000", "data.num_workers=1")
    for line in process.stdout:
        if line.startswith("epoch 3/"):
            os.killpg(process.pid, signal.SIGTERM)  # its loading process gets it too
            break
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert read_record(only_cell(tmp_path))["status"] == "interrupted"


def test_the_same_command_finds_a_finished_cell(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*TINY) == 0
    cell = only_cell(tmp_path)
    first = (cell / "run.json").read_bytes()
    capsys.readouterr()
    assert segbench(*TINY) == 0
    assert "already done" in capsys.readouterr().out
    assert (cell / "run.json").read_bytes() == first
    assert segbench(*TINY, "overwrite=true") == 0
    assert (cell / "run.json").read_bytes() != first  # seconds differ
    numbers = [read_record(cell)["metrics"], __import__("json").loads(first)["metrics"]]
    assert numbers[0] == numbers[1]  # and nothing else: seeded runs repeat


SLIPS = [
    (("model=unett",), 2, "did you mean 'unet'"),
    (("modle=unet",), 2, "did you mean 'model'"),
    (("trainer.max_epoch=3",), 2, "did you mean 'trainer.max_epochs'"),
    (("max_epochs=3",), 2, "did you mean 'trainer.max_epochs'"),
    (("trainer.max_epochs=abc",), 2, "trainer.max_epochs: expected int or null, got 'abc'"),
    (("model.base_channels=x",), 2, "model.base_channels: expected int, got 'x'"),
    (("+model.foo=3",), 2, "model.foo: UNet has no argument 'foo'"),
    (("+model.drop_out=0.1",), 2, "did you mean 'dropout'"),
    (("seed=abc",), 2, "seed: expected int, got 'abc'"),
    (("trian",), 2, "did you mean 'train'"),
    (("--multi-run",), 2, "did you mean '--multirun'"),
    (("model=[",), 2, "with quotes: 'model=\"[\"'"),
    (("data.size=[1,2,3]",), 2, "data.size=[1, 2, 3]: expected one positive number"),
    (("data.size=0",), 2, "data.size=0: expected one positive number"),
    (("data.batch_size=0",), 2, "data.batch_size=0"),
    (("data.num_classes=1",), 2, "data.num_classes=1: the synthetic data set takes"),
    (("data.split={train:0.5,val:0.4,test:0.3}",), 2, "got a sum of 1.2"),
    (("data=dsb2018",), 1, "data.root=data: no such folder"),
    (("data=ph2", 'data.root="~no-such-user/x"'), 1, "data.root=~no-such-user/x: no such folder"),
    (("predict", 'run="~no-such-user/x"', "input=a"), 2, "run=~no-such-user/x: no such folder"),
    (('model.weights="~no-such-user/x"',), 1, "model.weights=~no-such-user/x: no such folder"),
    (('resume_from="~no-such-user/x"',), 2, "resume_from=~no-such-user/x: holds no cell"),
    (("optimizer.lr=-1", *TINY), 2, "optimizer: Invalid learning rate"),
    (("trainer.precision=17",), 2, "trainer.precision: expected 'auto' or"),
    (("trainer.max_epochs=-5",), 2, "trainer.max_epochs=-5: expected 1 or more, or -1"),
    (("trainer.accelerator=cpu", "trainer.devices=4096"), 2, "trainer.devices=4096"),
    (("model._target_=os.system",), 2, "not a permitted target"),
]


@pytest.mark.parametrize(("words", "code", "said"), SLIPS, ids=[" ".join(s[0]) for s in SLIPS])
def test_a_slip_gets_one_line_and_no_traceback(
    segbench: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert segbench(*words) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*"))  # nothing is left that a comparison would list


def test_debug_shows_the_traceback_and_the_log_keeps_it(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("data.size=0", "debug=true") == 2
    assert "Traceback" in capsys.readouterr().err
    assert segbench(*TINY, "optimizer.lr=1e38", "debug=true") == 1
    assert "Traceback" in capsys.readouterr().err
    log = only_cell(tmp_path) / "log.txt"
    assert "Traceback" in log.read_text()
    assert read_record(only_cell(tmp_path))["status"] == "failed"


def test_a_users_own_yamls_and_packages(
    segbench: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "tiny.yaml").write_text(
        "_target_: mylab_nets.Tiny\nout_channels: ${logit_channels:${data.num_classes}}\n"
    )
    (tmp_path / "mylab_nets.py").write_text(
        "import torch\nclass Tiny(torch.nn.Conv2d):\n"
        "    def __init__(self, out_channels: int) -> None:\n"
        "        super().__init__(3, out_channels, 3, padding=1)\n"
    )
    words = ["--config-dir", "mine", "model=tiny", *(w for w in TINY if not w.startswith("model"))]
    assert segbench(*words) == 2
    assert "SEGBENCH_PACKAGES=mypackage" in capsys.readouterr().err
    monkeypatch.setenv("SEGBENCH_PACKAGES", "mylab_nets")
    assert segbench(*words) == 0
    assert read_record(only_cell(tmp_path))["parameters"] == 28
    segbench("--config-dir", "mine", "--help")
    assert " tiny " in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"]", b"a: \x00", b"# \xb7\na: 1", b"a: " + b"[" * 5000])
def test_a_yaml_that_cannot_be_read_is_named(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    file = tmp_path / "mine" / "experiment" / "x.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert segbench("--config-dir", "mine", "experiment=x") == 2
    said = capsys.readouterr().err
    assert f"{file}: cannot be read as YAML" in said
    assert "traceback" not in said.lower()
    assert said.count("\n") == 1


def test_flags_may_stand_anywhere(segbench: Run, tmp_path: Path) -> None:
    assert segbench(*TINY, "seed=0,1", "-m", "name=both") == 0
    cells = list((tmp_path / "outputs" / "both").glob("*/run.json"))
    assert len(cells) == 2
    assert segbench("data.size=32", "--config-dir", str(tmp_path), "--cfg", "job", "seed=3") == 0


def test_two_classes_or_more_and_grey(segbench: Run, tmp_path: Path) -> None:
    words = ("data.num_classes=4", "data.in_channels=1", "data.size=[24,40]", "loss=ce")
    tiny = [word for word in TINY if not word.startswith("data.size")]
    assert segbench(*tiny, *words) == 0
    cell = only_cell(tmp_path)
    test = read_record(cell)["metrics"]["test"]
    assert {"iou/background", "iou/cell1", "iou/cell3"} <= set(test)
    scores = pd.read_csv(cell / "scores.csv")
    assert len(scores) == 5 * 4
    assert (scores.iou.dropna() <= scores.dice.dropna()).all()
