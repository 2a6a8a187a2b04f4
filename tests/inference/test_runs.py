"""Cells are found by folder, hash and name; what comes from elsewhere is vetted first."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made_run import make_run
from omegaconf import OmegaConf

from segbench.errors import ConfigError, SegbenchError
from segbench.inference.runs import check_alike, find_runs, load_network, make_predictor, read_run
from segbench.records.record import write_record


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(folder: Path, **values: object) -> None:
    cfg = OmegaConf.load(folder / "config.yaml")
    for key, value in values.items():
        OmegaConf.update(cfg, key.replace("__", "."), value, force_add=True)
    OmegaConf.save(cfg, folder / "config.yaml")


def test_a_cell_is_found_by_folder_hash_and_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = make_run(here / "outputs" / "mine" / "unet-dice-s0-00000001", iou=0.4)
    better = make_run(here / "outputs" / "mine" / "unet-dice-s1-1234e567", iou=0.6)
    beside = here / "outputs" / "mine" / "unet-dice-s1-1234e567-on-ph2-99999999"
    write_record(beside, {"status": "done", "metrics": {"val": {"iou": 0.9}}})  # no weights
    assert find_runs(worse)[0].folder == worse
    assert find_runs("1234e567")[0].folder == better.relative_to(here)
    capsys.readouterr()
    assert find_runs("outputs/mine")[0].folder == better.relative_to(here)
    assert f"{better.relative_to(here)}, val IoU 0.6000, the best of 2" in capsys.readouterr().out
    assert len(find_runs([worse, "1234e567"])) == 2
    for word in ("outputs/none", "ffffffff", "99999999", "x"):
        with pytest.raises(ConfigError, match=f"run={word}: no "):
            find_runs(word)
    make_run(here / "outputs" / "other" / "unet-dice-s1-1234e567")
    with pytest.raises(ConfigError, match="name one of them"):
        find_runs("1234e567")


@pytest.mark.parametrize(
    ("key", "node"),
    [
        ("model", {"_target_": "os.system", "command": "touch ran"}),
        ("model", {"_target_": "segbench.records.record.write_text", "path": "ran", "text": ""}),
        ("model", {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.save"}]}),
        ("model", {"_target_": "torch.optim.Adam"}),
        ("model", {"in_channels": 3}),
        ("data", {"_target_": "torch.nn.Identity", "class_names": ["a", "b"]}),
    ],
)
def test_a_config_from_elsewhere_builds_nothing_foreign(
    here: Path, key: str, node: dict[str, object]
) -> None:
    run = make_run(here / "run")
    cfg = OmegaConf.load(run / "config.yaml")
    cfg[key] = node
    OmegaConf.save(cfg, run / "config.yaml")
    with pytest.raises(ConfigError, match=rf"config.yaml: {key}[^\n]*_target_") as told:
        read_run(run)
    assert "\n" not in str(told.value)
    assert not (here / "ran").exists()


def test_what_inference_does_not_need_is_not_even_looked_at(here: Path) -> None:
    run = make_run(here / "run")
    change(run, loss={"_target_": "mylab.losses.Mine"}, callbacks={"x": {"_target_": "os.system"}})
    assert make_predictor([read_run(run)]).class_names == ["background", "cell"]


@pytest.mark.parametrize("text", ["", "- a list", "model: {", "model: {}\nseed: 0"])
def test_what_is_no_config_is_said_in_one_line(here: Path, text: str) -> None:
    run = make_run(here / "run")
    (run / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match="config.yaml: ") as told:
        read_run(run)
    assert "\n" not in str(told.value)


def test_a_cell_of_an_older_version_knows_fewer_flags(here: Path) -> None:
    run = make_run(here / "run")
    cfg = OmegaConf.load(run / "config.yaml")
    del cfg["retry_failed"], cfg["debug"]
    OmegaConf.save(cfg, run / "config.yaml")
    assert read_run(run).config.debug is False


class Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("ran"),)


def test_a_checkpoint_that_holds_code_is_not_loaded(here: Path) -> None:
    run = read_run(make_run(here / "run"))
    file = here / "run" / "checkpoints" / "best.ckpt"
    torch.save({"state_dict": {}, "more": Runs()}, file)
    with pytest.raises(SegbenchError, match="holds more than weights"):
        load_network(run)
    file.write_bytes(pickle.dumps(Runs(), protocol=2))
    with pytest.raises(SegbenchError, match="not loaded"):
        load_network(run)
    assert not (here / "ran").exists()
    file.unlink()
    with pytest.raises(SegbenchError, match="best.ckpt: no such file"):
        load_network(run)


def test_weights_that_do_not_fit_are_named(here: Path) -> None:
    folder = make_run(here / "run")
    change(folder, model__base_channels=8)
    with pytest.raises(SegbenchError, match="best.ckpt: does not fit the model") as told:
        load_network(read_run(folder))
    assert "\n" not in str(told.value)


def test_pretrained_weights_are_not_fetched_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(here / "run", "model=mobilenet_unet")
    change(folder, model__weights="imagenet")

    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("weights were fetched")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fetch)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    assert not load_network(read_run(folder)).training


def test_an_ensembles_members_answer_the_same_question(here: Path) -> None:
    first = make_run(here / "a")
    other = make_run(here / "b", "data.num_classes=3")
    grey = make_run(here / "c", "data.in_channels=1")
    large = make_run(here / "d", "data.size=48")
    for run, word in ((other, "classes"), (grey, "channels"), (large, "size")):
        with pytest.raises(ConfigError, match=f"an ensemble's {word} must be the same"):
            check_alike(find_runs([first, run]))
    assert make_predictor(find_runs([first, large]), size=40).size == (40, 40)


def test_importing_segbench_is_light() -> None:
    code = "import sys, segbench; sys.exit('torch' in sys.modules or 'hydra' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
