import pytest
import torch
from torch import nn
from torch.nn import functional as F

from segbench.models.attention_unet import AttentionGate, AttentionUNet
from segbench.models.encoder_unet import MOBILENETS, RESNETS, EncoderUNet
from segbench.models.segnet import SegNet, max_unpool
from segbench.models.unet import UNet
from segbench.models.unet_compact import UNetCompact


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("network", "out_channels", "options", "parameters"),
    [
        (UNet, 8, {"up": "bilinear"}, 31_385_288),
        (UNetCompact, 1, {"base_channels": 8}, 214_361),
        (SegNet, 1, {"base_channels": 8}, 270_493),
        (EncoderUNet, 1, {"encoder": "resnet18"}, 14_241_281),
        (EncoderUNet, 1, {"encoder": "mobilenet_v3_large"}, 6_025_457),
    ],
)
def test_parameter_counts_of_variants(network, out_channels, options, parameters):
    with torch.device("meta"):
        assert count(network(3, out_channels, **options)) == parameters


@pytest.mark.parametrize("network", [UNet, UNetCompact, SegNet, AttentionUNet])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_any_depth(network, depth):
    net = network(3, 2, base_channels=2, depth=depth)
    assert net(torch.randn(1, 3, 19, 37)).shape == (1, 2, 19, 37)


@pytest.mark.parametrize("encoder", [*RESNETS, *MOBILENETS])
@pytest.mark.parametrize("up", ["transpose", "bilinear"])
def test_every_encoder(encoder, up):
    with torch.device("meta"):
        net = EncoderUNet(4, 3, encoder, base_channels=2, up=up)
        strides = [x.shape[-1] for x in stage_outputs(net, torch.empty(1, 4, 64, 64))]
        assert strides == [32, 16, 8, 4, 2]
        assert net(torch.empty(1, 4, 50, 70)).shape == (1, 3, 50, 70)
    assert {id(p) for p in net.encoder_parameters()} < {id(p) for p in net.parameters()}


def stage_outputs(net: EncoderUNet, x: torch.Tensor) -> list[torch.Tensor]:
    outputs = []
    for stage in net.encoder:
        x = stage(x)
        outputs.append(x)
    return outputs


def test_dropout_acts_at_the_end_of_the_encoder_in_training_alone():
    torch.manual_seed(0)
    net, image = UNet(3, 1, base_channels=4, depth=2, dropout=0.5), torch.randn(2, 3, 16, 16)
    assert not torch.equal(net(image), net(image))
    net.eval()
    assert torch.equal(net(image), net(image))


def test_unpooling_is_torchs():
    x = torch.randn(2, 3, 6, 10, requires_grad=True)
    pooled, index = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(max_unpool(pooled, index), F.max_unpool2d(pooled, index, 2))
    weight = torch.randn(2, 3, 6, 10)
    (ours,) = torch.autograd.grad((max_unpool(pooled, index) * weight).sum(), x, retain_graph=True)
    (theirs,) = torch.autograd.grad((F.max_unpool2d(pooled, index, 2) * weight).sum(), x)
    assert torch.equal(ours, theirs)


def test_an_open_gate_makes_attention_unet_a_unet():
    """With α driven to 1 what is left is the U-Net of the same weights."""
    torch.manual_seed(0)
    plain, gated = UNet(3, 2, base_channels=4).eval(), AttentionUNet(3, 2, base_channels=4).eval()
    renamed = {
        key.replace(".block.", "."): value
        for key, value in gated.state_dict().items()
        if ".gate." not in key
    }
    plain.load_state_dict(renamed)
    image = torch.randn(2, 3, 40, 24)
    gates = [module for module in gated.modules() if isinstance(module, AttentionGate)]
    assert len(gates) == 3
    assert not torch.allclose(plain(image), gated(image))
    for gate in gates:
        nn.init.constant_(gate.attention.bias, 100.0)
    torch.testing.assert_close(plain(image), gated(image))
