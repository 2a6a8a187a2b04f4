"""Nothing outside the listed packages is ever built."""

import pytest
from omegaconf import OmegaConf

from segbench.errors import ConfigError
from segbench.targets import check_targets, resolve_target


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
        "segbench.hardware.subprocess.run",
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
