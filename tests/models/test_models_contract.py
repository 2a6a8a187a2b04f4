"""What every network of conf/model promises, whichever it is."""

import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from segbench.types import logit_channels

CONFIGS = Path(__file__).parents[2] / "conf" / "model"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
SMALL = {  # the smallest that still has every kind of layer
    "resnet34_unet": {"encoder": "resnet18"},
    "smp": {"encoder_name": "resnet18"},
    "deeplabv3_resnet50": {"arch": "deeplabv3_mobilenet_v3_large"},
}
PARAMETERS = {  # RGB in, one logit out
    "attention_unet": 32_070_724,
    "deeplabv3_resnet50": 39_633_729,
    "fcn_resnet50": 32_946_753,
    "lraspp_mobilenet_v3_large": 3_218_138,
    "mobilenet_unet": 5_558_977,
    "resnet34_unet": 24_349_441,
    "segnet": 17_195_149,
    "smp": 24_436_369,
    "unet": 31_037_633,
    "unet3plus": 26_989_637,
    "unet_compact": 13_599_425,
    "unet_compact_8": 214_361,
    "unet_vgg": 7_852_545,
    "unetpp": 9_163_329,
    "unetpp_ds": 9_163_428,
}

if not NAMES:
    raise FileNotFoundError(f"no network to test in {CONFIGS}")
pytestmark = pytest.mark.parametrize("name", NAMES)


def build(name: str, in_channels: int = 3, num_classes: int = 2, **options: object) -> nn.Module:
    OmegaConf.register_new_resolver("logit_channels", logit_channels, replace=True)
    data = {"in_channels": in_channels, "num_classes": num_classes}
    cell = OmegaConf.create({"data": data, "model": OmegaConf.load(CONFIGS / f"{name}.yaml")})
    return instantiate(cell.model, **options)


def small(name: str, in_channels: int = 3, num_classes: int = 2) -> nn.Module:
    torch.manual_seed(0)
    text = (CONFIGS / f"{name}.yaml").read_text()
    options = {"base_channels": 4} if "base_channels" in text else {}
    return build(name, in_channels, num_classes, **{**options, **SMALL.get(name, {})})


@cache
def calibrated_once(name: str) -> nn.Module:
    """A network in evaluation whose running statistics are those of one batch."""
    net = small(name)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, 33, 47))
    return net.eval()


@pytest.fixture
def net(name: str) -> nn.Module:
    return copy.deepcopy(calibrated_once(name))


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 3, 33, 47, generator=torch.Generator().manual_seed(1))


def as_heads(output: Tensor | list[Tensor]) -> list[Tensor]:
    return output if isinstance(output, list) else [output]


def test_parameter_count_is_the_documented_one(name):
    with torch.device("meta"):
        net = build(name)
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMETERS[name]
    table = (CONFIGS.parents[1] / "docs" / "architectures.md").read_text(encoding="utf-8")
    (row,) = [line for line in table.splitlines() if line.startswith(f"| `{name}` |")]
    assert f"| {PARAMETERS[name]:,} |" in row


@pytest.mark.parametrize(
    ("in_channels", "num_classes", "size"), [(3, 2, (33, 47)), (1, 4, (5, 3)), (5, 3, (1, 1))]
)
def test_any_size_any_channels_one_image(name, in_channels, num_classes, size):
    net = small(name, in_channels, num_classes)
    image = torch.randn(1, in_channels, *size)
    for head in as_heads(net.train()(image)):
        assert head.shape == (1, logit_channels(num_classes), *size)
        assert head.isfinite().all()
    logits = net.eval()(image)
    assert isinstance(logits, Tensor)
    assert logits.shape == (1, logit_channels(num_classes), *size)


def test_gradient_reaches_every_parameter(name, image):
    net = small(name, num_classes=3).train()
    heads = as_heads(net(image))
    sum((head * torch.randn_like(head)).sum() for head in heads).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


def test_evaluation_is_deterministic_and_independent_of_the_batch(net, image):
    with torch.no_grad():
        logits = net(image)
        assert torch.equal(logits, net(image))
        torch.testing.assert_close(net(image[1:]), logits[1:], rtol=1e-4, atol=1e-4)


def test_training_runs_under_deterministic_algorithms(net, image):
    torch.use_deterministic_algorithms(True)
    try:
        sum(head.square().sum() for head in as_heads(net.train()(image))).backward()
    finally:
        torch.use_deterministic_algorithms(False)


def test_state_dict_round_trips(name, net, image, tmp_path):
    torch.save(net.state_dict(), tmp_path / "net.pt")
    other = small(name).eval()
    with torch.no_grad():
        assert not torch.equal(other(image), net(image))
        other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
        assert torch.equal(other(image), net(image))


def test_export_gives_the_same_logits_at_any_size(name, net, image):
    sizes = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    exported = torch.export.export(net, (image,), dynamic_shapes=(sizes,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(image), net(image))
        if name == "fcn_resnet50" and torch.__version__.startswith("2.11."):
            return  # torch 2.11 lets this one's exported width keep its parity only
        other = torch.randn(3, 3, 50, 41)
        torch.testing.assert_close(exported(other), net(other))


def test_bfloat16_is_close_to_float32(net, image):
    """As close as the network is stable: bf16 rounds the first layer's input by 2⁻⁸ already."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        exact, moved = net(image), net(image * (1 + 2**-8 * noise))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = net(image)
    assert rounded.dtype == torch.bfloat16
    error = (rounded.float() - exact).norm()
    assert error < 5 * (moved - exact).norm()
    assert error < 0.4 * exact.norm()


def test_channels_last_gives_the_same_logits(net, image):
    with torch.no_grad():
        logits = net(image)
        last = net.to(memory_format=torch.channels_last)
        again = last(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(again, logits, rtol=1e-3, atol=1e-3)


def test_operations_are_counted_on_the_meta_device(net, image):
    net, image = net.to("meta"), image.to("meta")
    with FlopCounterMode(display=False) as counter:
        assert net(image).shape == (2, 1, 33, 47)
    assert counter.get_total_flops() > 0
