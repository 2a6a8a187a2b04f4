"""Networks of segmentation_models.pytorch and MONAI: options, sizes, statistics, unused layers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import TINY
from torch import nn

from segbench.data.store.normalisation import imagenet
from segbench.models.monai import MONAIModel
from segbench.models.parts.packages import as_plain, drop_unused
from segbench.models.smp import SMPModel, import_smp

Run = Callable[..., int]


class Spare(nn.Module):
    """A network with a layer, and a part of a layer, that its output does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Conv2d(3, 1, 1), nn.Sequential(nn.Conv2d(3, 1, 1))
        self.mixed = nn.ModuleDict({"a": nn.Conv2d(1, 1, 1), "b": nn.BatchNorm2d(7)})

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.mixed["a"](self.used(image))


def test_what_the_output_does_not_depend_on_is_dropped() -> None:
    net, image = Spare(), torch.randn(1, 3, 4, 4)
    before = net(image)
    assert drop_unused(net, torch.empty(1, 3, 4, 4)) == ["spare", "mixed.b"]
    assert torch.equal(net(image), before)
    assert {name.split(".")[0] for name, _ in net.named_parameters()} == {"used", "mixed"}
    assert drop_unused(net, torch.empty(1, 3, 4, 4)) == []
    assert all(parameter.grad is None for parameter in net.parameters())


def test_options_reach_the_package_and_slips_are_named() -> None:
    plain = SMPModel(3, 1, "unet", "resnet18")
    scse = SMPModel(3, 1, "unet", "resnet18", options={"decoder_attention_type": "scse"})
    assert len(list(scse.parameters())) > len(list(plain.parameters()))
    with pytest.raises(ValueError, match=r"options=\{'decoder_attention': 'scse'\}: .*decoder_att"):
        SMPModel(3, 1, "unet", "tu-resnet18", options={"decoder_attention": "scse"})
    with pytest.raises(ValueError, match=r"options=\{'depth': 3\}: .*unexpected .*'depth'"):
        MONAIModel(3, 1, "segresnet", options={"depth": 3})
    with pytest.raises(ValueError, match="arch must be one of .*'dynunet'.* got 'nnunet'"):
        MONAIModel(3, 1, "nnunet")
    assert as_plain({"a": ({"b": (1,)}, "text")}) == {"a": [{"b": [1]}, "text"]}


def test_pretrained_weights_get_images_as_they_were_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first layer sees what the package's own preprocessing gives, for RGB and for grey."""
    smp = import_smp()
    create = smp.create_model
    asked = {"mean": [0.5, 0.4, 0.3], "std": [0.25, 0.5, 0.5], "input_range": [0, 1]}
    monkeypatch.setattr(
        smp, "create_model", lambda arch, name, _, *rest, **o: create(arch, name, None, *rest, **o)
    )
    monkeypatch.setattr(smp.encoders, "get_preprocessing_params", lambda *_: asked)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    net = SMPModel(3, 1, "fpn", "resnet18", weights="imagenet").eval()
    seen = []
    net.net.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits = net(imagenet(3)(pixels))
    expected = (pixels / 255 - torch.tensor(asked["mean"]).view(3, 1, 1)) / torch.tensor(
        asked["std"]
    ).view(3, 1, 1)
    torch.testing.assert_close(seen[0], expected)
    # a run that is loaded names no weights, and still converts
    again = SMPModel(3, 1, "fpn", "resnet18").eval()
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(imagenet(3)(pixels)), logits)
    asked["input_space"] = "BGR"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="its weights expect BGR"):
        SMPModel(3, 1, "fpn", "resnet18", weights="imagenet")


def test_weights_of_before_are_loaded() -> None:
    """They had neither statistics nor been rid of unused layers."""
    net = SMPModel(3, 1, "pspnet", "resnet18").eval()
    state = {key: each for key, each in net.state_dict().items() if key.startswith("net.")}
    state["net.encoder.layer4.0.conv1.weight"] = torch.zeros(1)
    other = SMPModel(3, 1, "pspnet", "resnet18").eval()
    other.load_state_dict(state)
    image = torch.randn(1, 3, 40, 40)
    assert torch.equal(other(image), net(image))
    with pytest.raises(RuntimeError, match="Unexpected"):
        other.load_state_dict({**state, "net.encoder.stranger": torch.zeros(1)})


def test_dynunets_heads_are_of_the_images_size_and_the_finest_is_the_last() -> None:
    options = {
        "kernel_size": [3] * 4,
        "strides": [1, 2, 2, 2],
        "upsample_kernel_size": [2] * 3,
        "filters": [4] * 4,
        "deep_supervision": True,
        "deep_supr_num": 2,
    }
    net = MONAIModel(3, 2, "dynunet", options, multiple=8, smallest=16)
    image = torch.randn(2, 3, 21, 9)
    heads = net(image)
    assert [head.shape for head in heads] == 3 * [(2, 2, 21, 9)]
    torch.testing.assert_close(net.eval()(image), heads[-1])


class Sizes(nn.Module):
    """A network that returns lists in evaluation too, or fails on some sizes."""

    def __init__(self, in_channels: int, multiple: int = 1) -> None:
        super().__init__()
        self.conv, self.multiple = nn.Conv2d(in_channels, 1, 1), multiple

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        if image.shape[-1] % self.multiple:
            raise RuntimeError(f"divisible by {self.multiple} only")
        return [self.conv(image)]


@pytest.mark.parametrize(
    ("multiple", "said"),
    [(1, "expected logits of the shape (2, 1, 32, 32)"), (14, "32 × 32 pixels (divisible by 14")],
)
def test_what_is_no_network_for_this_data_is_one_line(
    segbench: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    multiple: int,
    said: str,
) -> None:
    monkeypatch.setenv("SEGBENCH_PACKAGES", "test_packages")
    monkeypatch.syspath_prepend(Path(__file__).parent)
    (tmp_path / "own" / "model").mkdir(parents=True)
    text = f"_target_: test_packages.Sizes\nin_channels: 3\nmultiple: {multiple}\n"
    (tmp_path / "own" / "model" / "mine.yaml").write_text(text)
    assert segbench(*TINY[2:], "--config-dir", "own", "model=mine") == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("outputs/*/*/run.json"))


def test_a_network_is_checked_before_the_images_are_prepared(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("model=smp", "model.arch=dpt", "model.encoder_name=tu-vit_tiny_patch16_224")
    options = "model.options={dynamic_img_size: false}"
    assert segbench(*TINY[2:], *words, options) == 2
    said = capsys.readouterr()
    assert "error: model: " in said.err
    assert "doesn't match model (224)" in said.err
    assert "preparing" not in said.out
    assert not list(tmp_path.glob("outputs/*/*/run.json"))


def test_a_preset_is_trained_and_predicts(segbench: Run, tmp_path: Path) -> None:
    words = (*TINY[2:], "trainer=smoke", "model=segformer_b0", "data.batch_size=2")
    assert segbench(*words) == 0
    (run,) = tmp_path.glob("outputs/default/*/run.json")
    assert segbench("evaluate", f"run={run.parent}") == 0
