"""Weights of an encoder from a file: names, shapes, what does not fit, and the cell's identity."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import TINY
from torch import Tensor, nn

from segbench.models.encoder_files import load_encoder
from segbench.models.pretrained import adapted_filters
from segbench.models.smp import SMPModel
from segbench.records.record import read_record
from segbench.weight_files import WeightsError, digest_of, find_file

Run = Callable[..., int]
NAME = "tu-mobilenetv3_small_050"


def saved(path: Path, prefix: str = "", wrapped: bool = False, **more: Tensor) -> dict[str, Tensor]:
    """Weights of an encoder in timm's own names, written to a file."""
    import timm

    torch.manual_seed(7)
    net = timm.create_model(NAME.removeprefix("tu-"), features_only=True)
    state = {f"{prefix}{key}": value for key, value in net.state_dict().items()} | more
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        torch.save({"state_dict": state} if wrapped else state, path)
    return net.state_dict()


@pytest.mark.parametrize(
    ("file", "prefix", "wrapped"),
    [
        ("timm.pth", "", False),
        ("timm.safetensors", "", False),
        ("smp.pt", "encoder.model.", False),
        ("lightning.pth", "network.net.encoder.model.", True),
    ],
)
def test_an_encoder_starts_from_a_file(
    file: str, prefix: str, wrapped: bool, tmp_path: Path
) -> None:
    state = saved(tmp_path / file, prefix, wrapped)
    net = SMPModel(3, 1, "unet", NAME, weights=str(tmp_path / file))
    own = net.net.encoder.model.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[key], state[key]) for key in state if "num_batches" not in key)


def test_filters_are_adapted_and_what_does_not_fit_is_named(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    state = saved(file, **{"classifier.weight": torch.zeros(3)})
    with pytest.warns(UserWarning, match=r"weights.pth: these weights are not used: classifier.w"):
        net = SMPModel(5, 1, "unet", NAME, weights=str(file))
    first = next(net.encoder_parameters())
    torch.testing.assert_close(first, adapted_filters(state["conv_stem.weight"], 5))


def test_missing_layers_are_named_and_nothing_fitting_is_an_error(tmp_path: Path) -> None:
    torch.save({"0.weight": torch.ones(2, 3, 1, 1)}, tmp_path / "some.pth")
    encoder = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1))
    with pytest.warns(UserWarning, match=r"stay random: 0.bias, 1.weight, 1.bias"):
        load_encoder(encoder, tmp_path / "some.pth")
    assert encoder[0].weight.eq(1).all()
    torch.save({"other": torch.ones(1)}, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=r"none of its 1 weights fits .*the file has other"):
        load_encoder(encoder, tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(WeightsError, match="damaged, or holds more than weights"):
        load_encoder(encoder, tmp_path / "text.pth")


def test_a_file_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.pth").write_bytes(b"1")
    with pytest.raises(WeightsError, match=r"model.weights=mine.pth: no such file; .*SEGBENCH_WEI"):
        find_file("mine.pth")
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))
    assert find_file("mine.pth") == tmp_path / "mine.pth"
    before = digest_of("mine.pth")
    (tmp_path / "mine.pth").write_bytes(b"22")
    assert digest_of("mine.pth") != before


@pytest.mark.filterwarnings("default:.*these weights are not used")
def test_the_content_of_the_file_is_part_of_the_cell(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "a.pth")
    words = (*TINY[2:], "trainer=smoke", "model=smp", f"model.encoder_name={NAME}")
    assert segbench(*words, "model.weights=a.pth") == 0
    (run,) = tmp_path.glob("outputs/default/*/run.json")
    record = read_record(run.parent)
    assert record["weights"] == {"file": "a.pth", "sha256": digest_of(str(tmp_path / "a.pth"))}
    capsys.readouterr()
    (tmp_path / "a.pth").rename(tmp_path / "b.pth")
    assert segbench(*words, "model.weights=b.pth") == 0
    assert "already done" in capsys.readouterr().out
    saved(tmp_path / "b.pth", further=torch.zeros(1))
    assert segbench(*words, "model.weights=b.pth") == 0
    assert "warning: b.pth: these weights are not used: further" in capsys.readouterr().err
    assert len(list(tmp_path.glob("outputs/default/*/run.json"))) == 2
    (tmp_path / "b.pth").unlink()
    assert segbench("evaluate", f"run={run.parent}") == 0  # the run has its own weights
    assert segbench(*words, "model.weights=b.pth", "seed=1") in (1, 2)
    assert "model.weights=b.pth: no such file" in capsys.readouterr().err
