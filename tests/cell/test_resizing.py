"""Logits resized in strips are those that are resized whole."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from segbench.cell import resizing
from segbench.cell.resizing import (
    Strip,
    in_blocks,
    resize_logits,
    resize_strips,
    resized_strips,
)


def cut(values: Tensor, rows: list[int]) -> Iterator[Strip]:
    """The values (K, H, W) in strips that begin at ``rows``."""
    for top, end in zip(rows, [*rows[1:], values.shape[1]], strict=True):
        yield top, values[:, top:end]


def joined(strips: Iterator[Strip], height: int) -> Tensor:
    """All rows of strips, which must follow one another without a gap."""
    found, done = [], 0
    for top, values in strips:
        assert top == done
        found.append(values)
        done += values.shape[1]
    assert done == height
    return torch.cat(found, dim=1)


@pytest.mark.parametrize("size", [(40, 30), (7, 9), (13, 40), (12, 11), (1, 1), (200, 3)])
@pytest.mark.parametrize("rows", [[0], [0, 1, 5], [0, 11], [*range(12)]])
@pytest.mark.parametrize("most", [1, 200, 1 << 24])
def test_strips_are_resized_as_a_whole(
    size: tuple[int, int], rows: list[int], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resizing, "MOST", most)
    logits = torch.randn(3, 12, 11, generator=torch.Generator().manual_seed(0))
    whole = resize_logits(logits[None], size)[0]
    found = joined(resize_strips(cut(logits, rows), 12, size), size[0])
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        joined(resized_strips(logits, size), size[0]), whole, rtol=1e-5, atol=1e-5
    )


def test_usual_pictures_are_resized_to_the_last_bit() -> None:
    logits = torch.randn(2, 12, 11, generator=torch.Generator().manual_seed(0))
    ((top, found),) = resized_strips(logits, (31, 47))
    assert top == 0
    assert torch.equal(found, resize_logits(logits[None], (31, 47))[0])


@pytest.mark.parametrize("most", [1, 60, 1 << 24])
def test_strips_are_joined_up_to_a_limit(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resizing, "MOST", most)
    values = torch.arange(120.0).view(2, 12, 5)
    blocks = [*in_blocks(cut(values, [*range(12)]))]
    assert torch.equal(joined(iter(blocks), 12), values)
    assert all(each.numel() <= max(most, 10) for _, each in blocks)
    assert len(blocks) == (1 if most > 120 else 12 if most == 1 else 2)
