import pytest
import torch

from segbench.models.unet3plus import UNet3Plus
from segbench.models.unetpp import UNetPP

IMAGE = torch.randn(2, 3, 33, 47, generator=torch.Generator().manual_seed(0))


def nested(**options: object) -> UNetPP:
    return UNetPP(3, 2, base_channels=4, deep_supervision=True, **options)


def without_batch_statistics(net: torch.nn.Module) -> torch.nn.Module:
    """In training, so that all heads answer, but normalising as in evaluation."""
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    return net


@pytest.mark.parametrize("up", ["bilinear", "transpose"])
def test_a_pruned_unetpp_is_the_whole_ones_head(up, tmp_path):
    torch.manual_seed(0)
    whole = nested(up=up)
    with torch.no_grad():
        whole(IMAGE)  # running statistics that are not the initial ones
        heads = without_batch_statistics(whole)(IMAGE)
    assert len(heads) == 4
    torch.save(whole.state_dict(), tmp_path / "whole.pt")
    parameters = []
    for level in (1, 2, 3, 4):
        pruned = nested(up=up, level=level)
        pruned.load_state_dict(torch.load(tmp_path / "whole.pt", weights_only=True))
        with torch.no_grad():
            torch.testing.assert_close(pruned.eval()(IMAGE), heads[level - 1])
        assert len(pruned.train()(IMAGE)) == level
        parameters.append(sum(parameter.numel() for parameter in pruned.parameters()))
    assert parameters == sorted(set(parameters))
    assert parameters[-1] == sum(parameter.numel() for parameter in whole.parameters())


def test_a_pruned_unetpp_inside_another_module_loads_too():
    """As in a task's checkpoint, where every key has a prefix."""
    whole, pruned = torch.nn.ModuleList([nested()]), torch.nn.ModuleList([nested(level=2)])
    pruned.load_state_dict(whole.state_dict())
    assert torch.equal(pruned[0].heads["2"].weight, whole[0].heads["2"].weight)


def test_pruning_forgives_no_other_key():
    state = nested().state_dict()
    with pytest.raises(RuntimeError, match=r"Unexpected.*stranger"):
        nested(level=2).load_state_dict({**state, "nodes.stranger.weight": torch.zeros(1)})
    del state["nodes.x0_1.0.weight"]
    with pytest.raises(RuntimeError, match="Missing"):
        nested(level=2).load_state_dict(state)


def test_levels_that_do_not_exist():
    with pytest.raises(ValueError, match="from 1 to depth=4, got 5"):
        nested(level=5)
    with pytest.raises(ValueError, match="from 1 to depth=4, got 0"):
        nested(level=0)
    with pytest.raises(ValueError, match="level=2 needs deep_supervision=True"):
        UNetPP(3, 2, base_channels=4, level=2)


@pytest.mark.parametrize(("network", "heads"), [(UNetPP, 4), (UNet3Plus, 5)])
def test_evaluation_gives_the_last_head(network, heads):
    torch.manual_seed(0)
    net = without_batch_statistics(network(3, 2, base_channels=4, deep_supervision=True))
    with torch.no_grad():
        outputs = net(IMAGE)
        assert len(outputs) == heads
        torch.testing.assert_close(net.eval()(IMAGE), outputs[-1])
        assert not torch.allclose(outputs[0], outputs[-1])


@pytest.mark.parametrize("network", [UNetPP, UNet3Plus])
def test_without_deep_supervision_there_is_one_head(network):
    net = network(3, 2, base_channels=4, deep_supervision=False)
    assert net.train()(IMAGE).shape == (2, 2, 33, 47)
    assert len(net.heads) == 1
