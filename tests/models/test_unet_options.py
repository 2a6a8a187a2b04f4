"""Normalisation, places of dropout and deep supervision: options of the whole U-Net family."""

import pytest
import torch
from tiny import TINY, only_cell
from torch import Tensor, nn

from segbench.models.attention_unet import AttentionUNet
from segbench.models.parts.blocks import ConvBlock, DropoutAt, dropout_rates
from segbench.models.parts.normalisation import Norm
from segbench.models.unet import UNet
from segbench.models.unet3plus import UNet3Plus
from segbench.models.unet_compact import UNetCompact
from segbench.models.unetpp import UNetPP
from segbench.records.record import read_record

FAMILY = [UNet, AttentionUNet, UNetCompact, UNetPP, UNet3Plus]
SUPERVISED = [UNet, AttentionUNet, UNetCompact]
NORMS: list[Norm] = ["batch", "instance", "group", "none"]
PLACES: list[DropoutAt] = ["bottleneck", "encoder", "each"]


def image(size: int = 16, count: int = 2) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def layers(net: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("network", FAMILY)
def test_each_normalisation_has_its_layers_and_trains_on_one_tiny_image(network):
    for norm in NORMS:
        net = network(3, 1, base_channels=4, depth=2, norm=norm)
        logits = net(image(size=4, count=1))  # the coarsest level is one pixel
        last = logits[-1] if isinstance(logits, list) else logits
        assert last.shape == (1, 1, 4, 4)
        last.mean().backward()
        blocks = sum(len(layers(block, nn.Conv2d)) for block in layers(net, ConvBlock))
        kinds = {"batch": nn.BatchNorm2d, "instance": nn.GroupNorm, "group": nn.GroupNorm}
        for kind in (nn.BatchNorm2d, nn.GroupNorm):
            assert len(layers(net, kind)) == (blocks if kinds.get(norm) is kind else 0)
        if norm == "none":
            assert all(conv.bias is not None for block in layers(net, ConvBlock)
                       for conv in layers(block, nn.Conv2d))  # fmt: skip


@pytest.mark.parametrize("network", FAMILY)
def test_dropout_acts_where_it_is_asked_for(network):
    convolutions = {}
    for at in PLACES:
        net = network(3, 1, base_channels=4, depth=2, dropout=0.3, dropout_at=at)
        found = layers(net, nn.Dropout)
        acting = [layer for layer in found if layer.p]
        assert {layer.p for layer in acting} == {0.3}
        convolutions[at] = len(acting)
        in_blocks = [layer for block in layers(net, ConvBlock) for layer in block
                     if isinstance(layer, nn.Dropout)]  # fmt: skip
        assert len(in_blocks) == (0 if at == "bottleneck" else len(acting))
        evaluated = net.eval()
        assert torch.equal(evaluated(image()), evaluated(image()))
    blocks = layers(network(3, 1, base_channels=4, depth=2), ConvBlock)
    every = sum(len(layers(block, nn.Conv2d)) for block in blocks)
    assert convolutions == {"bottleneck": 1, "encoder": 6, "each": every}


@pytest.mark.parametrize("network", SUPERVISED)
@pytest.mark.parametrize("depth", [1, 3])
def test_deep_supervision_adds_heads_to_the_same_network(network, depth):
    plain = network(3, 2, base_channels=4, depth=depth, norm="group")
    net = network(3, 2, base_channels=4, depth=depth, norm="group", deep_supervision=True)
    added = net.load_state_dict(plain.state_dict(), strict=False)
    assert len(added.missing_keys) == 2 * (depth - 1)
    assert not added.unexpected_keys
    outputs = net(image(19))
    heads = outputs if isinstance(outputs, list) else [outputs]
    assert [head.shape for head in heads] == depth * [(2, 2, 19, 19)]
    assert torch.equal(heads[-1], plain(image(19)))
    assert torch.equal(net.eval()(image(19)), plain.eval()(image(19)))
    assert len({head.std().item() for head in heads}) == depth


@pytest.mark.parametrize("network", SUPERVISED)
def test_every_head_trains_its_own_level(network):
    net = network(3, 1, base_channels=4, depth=3, deep_supervision=True)
    sum(head.mean() for head in net(image(16))).backward()
    for parameter in net.parameters():
        assert parameter.grad is not None


def test_a_side_head_is_a_convolution_of_its_level_resized():
    torch.manual_seed(0)
    net = UNet(3, 1, base_channels=4, depth=2, norm="none", deep_supervision=True)
    levels = []
    net.decoder[0].register_forward_hook(lambda *seen: levels.append(seen[2]))
    coarse, _ = net(image(16))
    (head,) = net.side_heads
    resized = nn.functional.interpolate(
        head(levels[0]), size=(16, 16), mode="bilinear", align_corners=True
    )
    assert torch.equal(coarse, resized)


def test_errors_name_the_option():
    with pytest.raises(ValueError, match=r"dropout_at must be one of .* got 'nowhere'"):
        dropout_rates(0.1, "nowhere")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"norm must be batch, .* got 'layer'"):
        UNet(3, 1, norm="layer")  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["unet_vgg", "attention_unet"])
def test_a_cell_is_trained_with_all_of_them(segbench, model, tmp_path):
    wishes = ["model.deep_supervision=true", "model.norm=instance", "model.dropout=0.1"]
    words = (*TINY, f"model={model}", "trainer.max_epochs=1", *wishes, "model.dropout_at=each")
    assert segbench(*words) == 0
    assert read_record(only_cell(tmp_path))["status"] == "done"
