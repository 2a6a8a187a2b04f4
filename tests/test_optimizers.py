"""Adam and AdamW: torch's numbers and state, without its copies."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import profile

from segbench import optimizers

LAST = torch.channels_last


def network() -> nn.Module:
    """Weights of four dimensions in channels_last, one that is in both orders, and of one."""
    torch.manual_seed(0)
    convolutions = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 1), nn.ConvTranspose2d(8, 2, 2)
    return nn.Sequential(*convolutions, nn.BatchNorm2d(2)).to(memory_format=LAST)


def train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: range = range(3)) -> None:
    for step in steps:
        images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        network(images.contiguous(memory_format=LAST)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("options", [{}, {"amsgrad": True, "weight_decay": 0.1}], ids=str)
def test_the_numbers_and_the_state_are_torchs(
    name: str, fused: bool, options: dict[str, Any]
) -> None:
    ours, theirs = network(), network()
    of_ours = getattr(optimizers, name)(ours.parameters(), lr=0.1, fused=fused, **options)
    of_torch = getattr(torch.optim, name)(theirs.parameters(), lr=0.1, fused=fused, **options)
    train(ours, of_ours)
    train(theirs, of_torch)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)
        assert of_ours.state[mine].keys() == of_torch.state[other].keys()
        for key, value in of_ours.state[mine].items():
            torch.testing.assert_close(value, of_torch.state[other][key], rtol=1e-5, atol=1e-9)
            assert value.stride() == of_torch.state[other][key].stride()


def test_state_goes_from_torchs_to_ours_and_on() -> None:
    whole, halved = network(), network()
    train(whole, optimizers.Adam(whole.parameters(), lr=0.1, fused=True), range(3))
    first = torch.optim.Adam(halved.parameters(), lr=0.1, fused=True)
    train(halved, first, range(2))
    second = optimizers.Adam(halved.parameters(), lr=0.1, fused=True)
    second.load_state_dict(first.state_dict())
    train(halved, second, range(2, 3))
    for mine, other in zip(halved.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


def test_no_gradient_is_copied() -> None:
    trained = network()
    optimizer = optimizers.Adam(trained.parameters(), fused=True)
    train(trained, optimizer, range(1))
    assert any(not weight.grad.is_contiguous() for weight in trained.parameters())  # type: ignore[union-attr]
    with profile(acc_events=True) as seen:  # torch 2.11 warns without
        optimizer.step()
    names = {event.name for event in seen.events() or ()}
    assert "aten::_fused_adam_" in names
    assert "aten::clone" not in names
