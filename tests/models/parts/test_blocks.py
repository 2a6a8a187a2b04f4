import pytest
import torch
from torch import nn

from segbench.models.attention_unet import AttentionUNet
from segbench.models.encoder_unet import EncoderUNet
from segbench.models.parts.blocks import (
    ConvBlock,
    UpBlock,
    channel_widths,
    crop_like,
    pad_to_multiple,
    upsampling,
)
from segbench.models.parts.normalisation import (
    BatchNorm,
    SampleNorm,
    accept_single_values,
    normalisation,
)
from segbench.models.segnet import SegNet
from segbench.models.unet import UNet
from segbench.models.unet3plus import UNet3Plus
from segbench.models.unet_compact import UNetCompact
from segbench.models.unetpp import UNetPP


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (16, 16), (17, 32)])
def test_padding_repeats_the_border_and_cropping_undoes_it(size):
    image = torch.randn(2, 3, *size)
    padded = pad_to_multiple(image, 16)
    assert [side % 16 for side in padded.shape[-2:]] == [0, 0]
    assert all(0 <= p - s < 16 for p, s in zip(padded.shape[-2:], size, strict=True))
    assert torch.equal(crop_like(padded, image), image)
    assert torch.equal(padded[..., -1, -1], image[..., -1, -1])


def test_batch_norm_is_torchs_but_for_a_single_value():
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_mean, theirs.running_mean)
    single = x[:1, :, :1, :1]
    with pytest.raises(ValueError, match="more than 1 value"):
        theirs(single)
    assert torch.equal(ours(single), theirs.eval()(single))
    assert torch.equal(ours.running_mean, theirs.running_mean)


def test_a_foreign_network_learns_to_accept_single_values():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    state = {key: value.clone() for key, value in net.state_dict().items()}
    assert accept_single_values(net)(torch.randn(1, 3, 1, 1)).shape == (1, 4, 1, 1)
    assert net.state_dict().keys() == state.keys()


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("conv-norm-relu", [nn.Conv2d, BatchNorm, nn.ReLU]),
        ("conv-relu-norm", [nn.Conv2d, nn.ReLU, BatchNorm]),
    ],
)
def test_order_of_a_block(order, kinds):
    assert [type(layer) for layer in ConvBlock((3, 4, 5), order=order)] == 2 * kinds


@pytest.mark.parametrize("up", ["transpose", "bilinear"])
@pytest.mark.parametrize("skip_channels", [0, 5])
def test_up_block_doubles_the_size(up, skip_channels):
    skip = torch.randn(1, skip_channels, 6, 8) if skip_channels else None
    assert UpBlock(4, skip_channels, 3, up)(torch.randn(1, 4, 3, 4), skip).shape == (1, 3, 6, 8)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"up must be .* got 'nearest'"):
        upsampling("nearest", 4, 2)
    with pytest.raises(ValueError, match="base_channels=0 and depth=4"):
        channel_widths(0, 5)
    with pytest.raises(ValueError, match="base_channels=8 and depth=0"):
        channel_widths(8, 1)


@pytest.mark.parametrize(("base", "depth"), [(64, 10**6), (10**9, 4), (10**30, 1), (64, 9)])
def test_what_no_memory_could_hold_is_refused_before_it_is_built(base, depth):
    for network in (UNet, UNetPP, UNet3Plus, UNetCompact, SegNet, AttentionUNet):
        with pytest.raises(ValueError, match=f"base_channels={base} and depth={depth}: expected"):
            network(3, 1, base_channels=base, depth=depth)
    with pytest.raises(ValueError, match="expected a depth of at most"):
        EncoderUNet(3, 1, "mobilenet_v2", base_channels=10**9)


def test_group_normalisation_is_torchs_but_for_a_single_value():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, 5)
    (instance,), (group,) = normalisation("instance", 6), normalisation("group", 6)
    torch.testing.assert_close(instance(x), nn.InstanceNorm2d(6)(x))
    assert torch.equal(group(x), nn.GroupNorm(group.num_groups, 6)(x))
    single = x[:1, :, :1, :1]
    assert torch.equal(instance(single), single)  # its weights are 1 and its biases 0


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (4, 2), (7, 1), (12, 2), (32, 16), (64, 32), (1024, 32)]
)
def test_groups_divide_the_channels(channels, groups):
    (layer,) = normalisation("group", channels)
    assert isinstance(layer, SampleNorm)
    assert (layer.num_groups, layer.num_channels) == (groups, channels)
