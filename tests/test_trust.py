"""Run folders and experiments from elsewhere run no code, reach no network, write nowhere else."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hostile import SECRET, TARGETS, write_experiments, write_runs
from made_run import make_run
from PIL import Image
from tiny import TINY

import segbench
from segbench.config.own_packages import protect_children
from segbench.config.registry import compose
from segbench.config.targets import build
from segbench.errors import ConfigError, SegbenchError
from segbench.inference.runs import load_network, read_run

TESTS = Path(__file__).parent / "helpers"
VALUE = "s3cr3t-value"
START = f"""
import json, os, sys
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
sys.dont_write_bytecode = True
scratch = Path(os.environ["SCRATCH"])
os.chdir(scratch / "here")
from segbench.__main__ import _prepare_environment, main
_prepare_environment()
import segbench, segbench.errors, segbench.hardware.device
import segbench.inference.evaluation, segbench.inference.export
import segbench.inference.files
import torch
from watched import foreign, imported_from, watch
segbench.hardware.device.git_commit = lambda: None  # it runs git, in segbench's own folder
torch.set_num_threads(1)
asked = json.loads(os.environ["ASKED"])
watch(scratch)
found = {{}}
"""
LOAD = """
for run in asked:
    try:
        segbench.load(run)
        found[run] = 0, ""
    except segbench.errors.SegbenchError as error:
        found[run] = 2, str(error)
"""
COMMANDS = """
for line in asked:
    found[" ".join(line)] = main(line), ""
"""
NODES = """
import itertools
from omegaconf import OmegaConf
from segbench.config.targets import build, check_targets
for (name, node), group in itertools.product(asked.items(), ("callbacks", "loss", "trainer")):
    cfg = OmegaConf.create({"name": "os", group: {"x": [node]}})
    for what, do in ("check", lambda: check_targets(cfg)), ("build", lambda: build(cfg[group])):
        try:
            do()
            found[f"{name}, {group}, {what}"] = 0, ""
        except segbench.errors.ConfigError as error:
            found[f"{name}, {group}, {what}"] = 2, str(error)
"""
END = """
ran = [str(path) for path in scratch.rglob("ran")] + [str(path) for path in Path("/").glob("ran")]
print("\\n" + json.dumps([found, foreign, imported_from(scratch), ran]))
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A home, a folder for temporary files, and a current folder with modules of a stranger."""
    for name in ("here", "home", "tmp"):
        (tmp_path / name).mkdir()
    plant(tmp_path / "here", tmp_path / "here" / "ran")
    Image.new("RGB", (40, 30)).save(tmp_path / "here" / "picture.png")
    return tmp_path


def plant(folder: Path, mark: Path) -> None:
    """Modules that are imported sooner or later, in versions that leave a mark."""
    code = f"open({str(mark)!r}, 'a').write(__name__ + '\\n')\n"
    names = ("typing", "pathlib", "cv2", "torch", "yaml", "hydra", "evil", "joblib", "triton")
    for name in (*names, "hydra_plugins/evil", "sitecustomize", "_cell_of_a_stranger", "wandb"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(code)


def watched(scratch: Path, code: str, asked: object) -> tuple[dict[str, tuple[int, str]], str]:
    """Run code under the audit hook; what each thing asked came to, and all that was printed."""
    more = {"SCRATCH": str(scratch), "ASKED": json.dumps(asked), SECRET: VALUE}
    more |= {"HOME": str(scratch / "home"), "TMPDIR": str(scratch / "tmp")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", START + code + END],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "MPLCONFIGDIR": str(scratch / "tmp"), **more},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said, _, last = done.stdout.rstrip().rpartition("\n")
    found, foreign, imported, ran = json.loads(last)
    assert not foreign
    assert not imported
    assert not ran
    assert VALUE not in said + done.stderr
    assert "Traceback" not in done.stderr
    return found, done.stderr


def contains(folder: Path, text: str) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


def test_hostile_runs_are_refused_in_one_line_or_load_without_what_is_hostile(
    scratch: Path,
) -> None:
    runs = write_runs(make_run(scratch / "honest"), scratch / "runs")
    assert len(runs) > 250
    found, _ = watched(scratch, LOAD, [str(run) for run in runs])
    for run, (name, refused) in runs.items():
        code, text = found[str(run)]
        assert bool(code) == refused, (name, code, text)
        assert "\n" not in text
        assert not refused or str(run) in text, (name, text)
    assert not contains(scratch, VALUE)


def test_no_command_builds_what_is_hostile(scratch: Path) -> None:
    runs = write_runs(make_run(scratch / "honest"), scratch / "runs")
    chosen = {
        run: refused
        for run, (name, refused) in runs.items()
        if not name.startswith(("data: ", "layer: ", "in the model: ", "model: "))
        or name.endswith(("os.system", "interpolation", "current folder"))
    }
    expected = {}
    for place, (run, refused) in enumerate(chosen.items()):
        lines = [["evaluate", f"run={run}", f"name={run.name}"]]
        if not refused or place % 5 == 0:
            lines += [["predict", f"run={run}", "input=picture.png", f"output=masks/{run.name}"]]
        if refused and place % 5 == 1:
            lines += [["export", f"run={run}", "format=torch_export"]]
        expected |= {" ".join(line): (line, 2 if refused else 0) for line in lines}
    found, said = watched(scratch, COMMANDS, [line for line, _ in expected.values()])
    wrong = {line: found[line] for line, (_, code) in expected.items() if found[line][0] != code}
    assert not wrong, said[-2000:]
    assert not contains(scratch, VALUE)


def test_hostile_experiments_are_refused_before_hydra_acts_on_them(scratch: Path) -> None:
    options = write_experiments(scratch / "mine")
    common = ["--config-dir", str(scratch / "mine"), *TINY, "trainer.max_epochs=1"]
    lines = {}
    for option, name in options.items():
        lines[name] = [*common, f"experiment={option}"]
        if "launcher" in name or "sweeper" in name:
            lines[f"{name}, a sweep"] = [*lines[name], "-m"]
    found, said = watched(scratch, COMMANDS, list(lines.values()))
    accepted = [name for name, line in lines.items() if found[" ".join(line)][0] == 0]
    assert not accepted, said[-2000:]


def test_a_config_of_ones_own_may_name_no_more(scratch: Path) -> None:
    allowed = ("Trainer", "logger", "callback", "optimizer")  # all built by a cell
    asked = {name: node for name, node in TARGETS.items() if name not in allowed}
    found, _ = watched(scratch, NODES, asked)
    accepted = [name for name, (code, _) in found.items() if code == 0]
    assert len(found) == 6 * len(asked)
    assert not accepted


def test_neither_a_runs_cache_nor_its_download_is_taken(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    names = {"class_names": ["a", "b"], "root": str(tmp_path), "num_workers": 10**6}
    pets = {"_target_": "segbench.data.pets.PetsDataModule", "border": "background"}
    config["data"] = {**config["data"], **names, **pets, "download": True, "cache": "/ran"}
    del config["data"]["count"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    data = read_run(folder).data
    assert (data.download, data.cache, data.num_workers) == (False, None, None)


FROM_THE_FOLDER = {
    "module": ("-m", "segbench"),
    "console script": ("-P", "-c", "import segbench.__main__ as m, sys; sys.exit(m.main())"),
}


@pytest.mark.parametrize("start", FROM_THE_FOLDER.values(), ids=FROM_THE_FOLDER)
def test_modules_of_the_folder_are_not_imported(scratch: Path, start: tuple[str, ...]) -> None:
    here = scratch / "here"
    make_run(here / "run")
    environment = {**os.environ, "SEGBENCH_PACKAGES": "mylab", "NO_ALBUMENTATIONS_UPDATE": "1"}
    words = ["predict", "run=run", "input=picture.png"]
    done = subprocess.run(
        [sys.executable, *start, *words],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (here / "ran").exists()
    assert (here / "masks" / "picture.png").is_file()


def test_child_processes_find_only_the_packages_that_are_listed_in_the_folder(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = scratch / "here"
    (here / "mylab").mkdir()
    (here / "mylab" / "__init__.py").write_text("")
    (here / "mylab" / "nets.py").write_text("")
    monkeypatch.chdir(here)
    monkeypatch.setenv("SEGBENCH_PACKAGES", "mylab")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    protect_children()
    code = (
        "import typing, joblib, sys, segbench.config.own_packages as own\n"
        "assert 'ran' not in sys.path\n"
        "own.search_current_folder(); own.search_current_folder(); import mylab.nets\n"
        "try: import evil\nexcept ModuleNotFoundError: print(len(sys.meta_path))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    assert not (here / "ran").exists()


OWN = """
import torch
from pathlib import Path
class Tiny(torch.nn.Conv2d):
    def __init__(self, out_channels: int) -> None:
        super().__init__(3, out_channels, 3, padding=1)
def tiny(out_channels: int) -> Tiny:
    return Tiny(out_channels)
"""


def test_a_users_own_network_is_built_of_a_run_when_it_is_trusted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "our_own_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SEGBENCH_PACKAGES", "our_own_nets")
    folder = make_run(tmp_path / "run")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for name in ("Tiny", "tiny"):
        config["model"] = {"_target_": f"our_own_nets.{name}", "out_channels": 1}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        network = import_module("our_own_nets").Tiny(1)
        state = {f"network.{key}": value for key, value in network.state_dict().items()}
        torch.save({"state_dict": state}, folder / "checkpoints" / "best.ckpt")
        with pytest.raises(ConfigError, match="model._target_: .*trust=mypackage"):
            segbench.load(folder)
        with pytest.raises(ConfigError, match="trust=mypackage"):
            segbench.load(folder, trust="torch_geometric")
        mask = segbench.load(folder, trust=["our_own_nets"])(np.zeros((8, 8, 3), np.uint8))
        assert mask.shape == (8, 8)
    config["model"] = {"_target_": "our_own_nets.Path", "out_channels": 1}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match="not a permitted target"):
        segbench.load(folder, trust="our_own_nets")


def test_torchvisions_models_are_built_without_fetching_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("weights were fetched")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fetch)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    folder = make_run(tmp_path / "run")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    target = "torchvision.models.segmentation.lraspp_mobilenet_v3_large"
    config["model"] = {"_target_": target, "num_classes": 1}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SegbenchError, match="best.ckpt: does not fit"):
        load_network(read_run(folder))


def test_a_resumed_cells_checkpoint_runs_no_code(scratch: Path) -> None:
    """The folder of a cell that is under way, put there by somebody else."""
    words = [*TINY, "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=cell"]
    cell = scratch / "here" / "cell"
    (cell / "checkpoints").mkdir(parents=True)
    code = "cos\nsystem\n(S'touch ran'\ntR."  # a pickle, as text
    for name in ("best", "last"):
        (cell / "checkpoints" / f"{name}.ckpt").write_bytes(code.encode())
    (cell / "config.yaml").write_text("model: {_target_: os.system, command: touch ran}")
    (cell / "run.json").write_text('{"status": "running"}')
    found, _ = watched(scratch, COMMANDS, [words])
    assert next(iter(found.values()))[0] != 0


def test_hydras_own_whitelist_gets_the_very_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for Hydra 1.4, which permits nothing else while it builds."""
    permitted: list[tuple[str, ...]] = []

    @contextmanager
    def execution_whitelist(*names: str) -> Iterator[None]:
        permitted.append(names)
        yield

    monkeypatch.setattr("hydra.utils.execution_whitelist", execution_whitelist, raising=False)
    build(compose(overrides=["optimizer=sgd"]).optimizer)
    assert permitted == [("torch.optim.SGD", "torch.optim.sgd.SGD")]


def test_only_one_module_instantiates() -> None:
    sources = (TESTS.parents[1] / "src").rglob("*.py")
    pattern = re.compile("utils.instantiate|import .*instantiate")
    users = [file.name for file in sources if pattern.search(file.read_text())]
    assert users == ["targets.py"]
