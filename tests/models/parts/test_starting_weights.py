"""Weights from a file or a cell: names, shapes, what does not fit, and the cell's identity."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from tiny import TINY
from torch import Tensor, nn
from torchvision.models import get_model

from segbench.config.identity import settings
from segbench.config.registry import compose
from segbench.errors import WeightsError
from segbench.models.encoder_unet import EncoderUNet
from segbench.models.parts.pretrained import adapted_filters
from segbench.models.parts.starting_weights import load_weights
from segbench.models.smp import SMPModel
from segbench.models.torchvision_models import TorchvisionModel
from segbench.records.record import read_record
from segbench.records.weight_files import digest_of, find_weights, read_weights
from segbench.types import IMAGENET_STD

Run = Callable[..., int]
NAME = "tu-mobilenetv3_small_050"


def loaded(net: nn.Module, file: Path) -> None:
    load_weights(net, read_weights(file), str(file))


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
    net = SMPModel(3, 1, "unet", NAME)
    loaded(net, tmp_path / file)
    own = net.net.encoder.model.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[key], state[key]) for key in state if "num_batches" not in key)


def test_filters_are_adapted_and_what_does_not_fit_is_named(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    state = saved(file, **{"classifier.weight": torch.zeros(3)})
    with pytest.warns(UserWarning, match=r"weights.pth: these weights are not used: classifier.w"):
        loaded(net := SMPModel(5, 1, "unet", NAME), file)
    first = next(net.encoder_parameters())
    torch.testing.assert_close(first, adapted_filters(state["conv_stem.weight"], 5))


def test_missing_layers_are_named_and_nothing_fitting_is_an_error(tmp_path: Path) -> None:
    torch.save({"0.weight": torch.ones(2, 3, 1, 1)}, tmp_path / "some.pth")
    encoder = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1))
    with pytest.warns(UserWarning, match=r"stay random: 0.bias, 1.weight, 1.bias"):
        loaded(encoder, tmp_path / "some.pth")
    assert encoder[0].weight.eq(1).all()
    torch.save({"other": torch.ones(1)}, tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=r"none of its 1 weights fits .*the source has other"):
        loaded(encoder, tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(WeightsError, match="damaged, or holds more than weights"):
        loaded(encoder, tmp_path / "text.pth")


def test_a_file_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.pth").write_bytes(b"1")
    with pytest.raises(
        WeightsError, match=r"model.weights=mine.pth: no such file, here or .*SEGBENCH_WEI"
    ):
        find_weights("mine.pth")
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))
    assert find_weights("mine.pth") == tmp_path / "mine.pth"
    before = digest_of(tmp_path / "mine.pth")
    (tmp_path / "mine.pth").write_bytes(b"22")
    assert digest_of(tmp_path / "mine.pth") != before


@pytest.mark.filterwarnings("default:.*not used")
def test_the_content_of_the_file_is_part_of_the_cell(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "a.pth")
    words = (*TINY[2:], "trainer=smoke", "model=smp", f"model.encoder_name={NAME}")
    assert segbench(*words, "model.weights=a.pth") == 0
    (run,) = tmp_path.glob("outputs/default/*/run.json")
    record = read_record(run.parent)
    assert record["weights"] == {"file": "a.pth", "sha256": digest_of(tmp_path / "a.pth")}
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


@pytest.mark.filterwarnings("ignore:.*not used")
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "mobilenet_v3_large"])
def test_torchvisions_own_names_fit_its_encoders(name: str) -> None:
    given = get_model(name, weights=None)
    net = EncoderUNet(3, 1, encoder=name)
    load_weights(net, given.state_dict(), "a file")
    mine = {their: net.state_dict()[own] for their, own in net.torchvision_names().items()}
    assert len(mine) == len(net.encoder.state_dict())
    state = given.state_dict()
    assert all(torch.equal(mine[key], state[key]) for key in mine if "num_batches" not in key)


@pytest.mark.filterwarnings("ignore:.*not used")
def test_a_backbone_of_torchvisions_networks() -> None:
    given = get_model("mobilenet_v3_large", weights=None)
    net = TorchvisionModel(3, 2, "lraspp_mobilenet_v3_large")
    load_weights(net, given.state_dict(), "a file")
    first = next(iter(net.encoder_parameters()))
    assert torch.equal(first, given.features[0][0].weight)


@pytest.mark.filterwarnings("ignore:.*not used")
def test_images_are_converted_for_weights_of_the_encoder_alone(tmp_path: Path) -> None:
    """An EfficientNet-Lite's weights expect images from -1 to 1; a whole network has its own."""
    name = "tu-tf_efficientnet_lite0"
    net = SMPModel(3, 1, "unet", name)
    assert net.scale.eq(1).all()
    trained, before = deepcopy(net.state_dict()), "net.encoder.model."
    of_encoder = {k.removeprefix(before): v for k, v in trained.items() if before in k}
    load_weights(net, of_encoder, "timm")
    assert net.scale.flatten().tolist() == pytest.approx([2 * std for std in IMAGENET_STD])
    theirs = {k.removeprefix("net."): v for k, v in trained.items() if k.startswith("net.")}
    for state in (trained, theirs):  # a cell's, and that of the package itself
        whole = SMPModel(3, 1, "unet", name)
        load_weights(whole, state, "a whole network")
        assert whole.scale.eq(1).all()
        assert all(torch.equal(whole.state_dict()[key], trained[key]) for key in trained)


@pytest.mark.filterwarnings("default:.*(stay random|not used)")
def test_a_cell_starts_from_another_one(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By folder, hash or sweep; a head for other classes is fresh, which is said."""
    words = (*TINY, "trainer=smoke")
    assert segbench(*words, "name=first", "data.num_classes=2") == 0
    (first,) = (path.parent for path in tmp_path.glob("outputs/first/*/run.json"))
    digest = first.name.rpartition("-")[2]
    for weights in (f"outputs/first/{first.name}", digest, "outputs/first"):
        capsys.readouterr()
        assert segbench(*words, "name=second", f"model.weights={weights}", "seed=1") == 0
    assert "already done" in capsys.readouterr().out  # the same weights are the same cell
    (second,) = (path.parent for path in tmp_path.glob("outputs/second/*/run.json"))
    known = read_record(second)["weights"]
    assert known["sha256"] == digest_of(first / "checkpoints" / "best.ckpt")
    assert segbench("evaluate", f"run={second}") == 0
    assert segbench(*words, "name=third", "data.num_classes=3", f"model.weights={digest}") == 0
    told = capsys.readouterr().err
    assert f"warning: {digest}: these layers stay random: head.weight, head.bias" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model.weights=imagenet"], "model.weights=imagenet: UNet has no weights of this name"),
        (["model.weights=0123abcd"], "model.weights=0123abcd: no cell outputs/*/*-0123abcd"),
        (["model.weights=outputs/nothing"], "model.weights=outputs/nothing: no such folder"),
        (["model.weights=bad.pth"], "bad.pth: damaged, or holds more than weights"),
        (["model.weights=other.pth"], "other.pth: none of its 1 weights fits this network"),
    ],
)
def test_mistakes_are_found_before_data_are_read(
    words: list[str],
    told: str,
    segbench: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bad.pth").write_text("no weights")
    torch.save({"other": torch.ones(1)}, tmp_path / "other.pth")
    assert segbench(*TINY, "trainer=smoke", *words) in (1, 2)
    assert told in capsys.readouterr().err
    assert not list(tmp_path.glob("outputs/*/*/run.json"))


def test_named_weights_are_looked_for_in_a_folder_before_any_download(
    segbench: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is fetched: a download would end in an error here."""
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *_, **__: 1 / 0)
    torch.manual_seed(3)
    given = get_model("resnet18", weights=None)
    file = tmp_path / "resnet18-f37072fd.pth"
    torch.save(given.state_dict(), file)
    net = EncoderUNet(3, 1, encoder="resnet18", weights="imagenet")
    assert torch.equal(next(net.encoder_parameters()), given.conv1.weight)
    state = saved(tmp_path / "mobilenetv3_small_050-imagenet.pth")
    other = SMPModel(3, 1, "unet", NAME, weights="imagenet")
    assert torch.equal(next(other.encoder_parameters()), state["conv_stem.weight"])
    smp = ["model=smp", f"model.encoder_name={NAME}", "model.weights=imagenet"]
    before = settings(compose(overrides=smp))["model"]["weights"]
    saved(tmp_path / "mobilenetv3_small_050-imagenet.pth", further=torch.zeros(1))
    assert before != settings(compose(overrides=smp))["model"]["weights"]  # part of the hash
    large = get_model("mobilenet_v3_large", weights=None)
    torch.save(large.state_dict(), tmp_path / "mobilenet_v3_large-8738ca79.pth")
    third = TorchvisionModel(3, 2, "lraspp_mobilenet_v3_large", weights="imagenet")
    assert torch.equal(next(iter(third.encoder_parameters())), large.features[0][0].weight)
    words = (*TINY[2:], "trainer=smoke", "model=resnet34_unet", "model.encoder=resnet18")
    assert segbench(*words, "model.weights=imagenet") == 0
    assert f"weights: {file}" in capsys.readouterr().out
    (run,) = tmp_path.glob("outputs/default/*/run.json")
    assert read_record(run.parent)["weights"]["sha256"] == digest_of(file)
