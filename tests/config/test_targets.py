"""Nothing outside the listed packages is ever built."""

import pytest
from omegaconf import OmegaConf

from segbench.config.targets import check_targets, resolve_target
from segbench.errors import ConfigError


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "builtins.eval",
        "torch.os.system",
        "torch.load",
        "torch.hub.load",
        "torch.utils.cpp_extension.load",
        "lightning.pytorch.trainer.trainer.os.system",
        "segbench.hardware.device.subprocess.run",
        "hydra.utils.get_method",
        "torch",
        "",
        None,
        17,
    ],
)
def test_foreign_targets_are_refused(target: object) -> None:
    with pytest.raises(ConfigError, match=r"x\._target_"):
        resolve_target("x", target)


def test_what_does_not_exist_is_said() -> None:
    with pytest.raises(ConfigError, match="cannot find 'torch.optim.Adamm'"):
        resolve_target("optimizer", "torch.optim.Adamm")


def test_targets_hidden_in_lists_and_depths_are_found() -> None:
    root = {"seed": 0, "overwrite": False, "debug": False}
    inner = {"_target_": "os.system", "command": "true"}
    cfg = OmegaConf.create({**root, "a": {"b": [{"c": inner}]}})
    with pytest.raises(ConfigError, match=r"a\.b\[0\]\.c\._target_: 'os.system'"):
        check_targets(cfg)


def test_a_users_package_is_taken_from_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError):
        resolve_target("x", "sklearn.svm.SVC")
    monkeypatch.setenv("SEGBENCH_PACKAGES", "mylab, sklearn")
    assert resolve_target("x", "sklearn.svm.SVC").__name__ == "SVC"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ignore_index": None}, "data.ignore_index: expected int, got None"),
        ({"split": None}, "data.split: expected collections.abc.Mapping"),
        ({"class_names": None}, "data.class_names: expected collections.abc.Sequence"),
        ({"palette": 5}, "data.palette: expected"),
        ({"batch_size": 2.5}, "data.batch_size: expected int, got 2.5"),
    ],
)
def test_options_that_a_data_set_passes_on_are_held_against_their_annotations(
    change: dict[str, object], said: str
) -> None:
    node = {"_target_": "segbench.data.folder.FolderDataModule", "root": "x", **change}
    with pytest.raises(ConfigError, match=said):
        check_targets(OmegaConf.create({"data": node}))
