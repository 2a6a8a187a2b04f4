"""Batches of loading processes come as they are, however slowly or briefly they are read."""

import pickle
import time
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from segbench.data.loading import PreparedCases
from segbench.data.ring import PREFETCH, Ring
from segbench.data.synthetic import SyntheticDataModule


def module(workers: int, batch_size: int = 1) -> SyntheticDataModule:
    split = {"train": 12, "val": 3, "test": 3}
    flip = {"HorizontalFlip": {"p": 0.5}}
    return SyntheticDataModule(
        count=18, size=32, batch_size=batch_size, split=split, augment=flip, num_workers=workers
    )


def batches(loader: DataLoader[Any], epoch: int = 0, rest: float = 0.0) -> list[dict[str, Any]]:
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    found = []
    for batch in loader:
        time.sleep(rest)
        found.append(batch)
    return found


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
        for a, b in zip(one, other, strict=True)
    )


def test_what_is_put_comes_out_of_the_pipe_and_stays() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (7, 4, 8, 6, 3), np.uint8)
    ring, kept = Ring(2, 4, (8, 6, 3)), []
    for turn, each in enumerate(images):
        part = each[: 4 if turn < 6 else 2]  # the last one is small
        told = ring.put(1, part, part[..., 0], np.arange(len(part)) + turn)
        assert len(pickle.dumps(told)) < 200
        kept.append(pickle.loads(pickle.dumps(told)))
    for turn, (each, batch) in enumerate(zip(images, kept, strict=True)):
        n = len(batch["image"])
        np.testing.assert_array_equal(batch["image"].permute(0, 2, 3, 1), each[:n])
        np.testing.assert_array_equal(batch["mask"], each[:n, ..., 0])
        assert batch["index"].tolist() == list(range(turn, turn + n))
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)


def test_as_many_places_as_batches_under_way() -> None:
    ring = Ring(1, 1, (2, 2, 1))
    told = [
        ring.put(0, [np.full((2, 2, 1), k, np.uint8)], [np.zeros((2, 2), np.uint8)], np.array([k]))
        for k in range(PREFETCH)
    ]
    read = [pickle.loads(pickle.dumps(each))["image"].unique().tolist() for each in told]
    assert read == [[k] for k in range(PREFETCH)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_slow_reader_gets_every_batch(workers: int) -> None:
    alone, beside = module(0).train_dataloader(), module(workers).train_dataloader()
    for epoch in range(2):
        assert same(batches(alone, epoch), batches(beside, epoch, rest=0.01))


def test_an_epoch_broken_off_leaves_the_next_one_whole() -> None:
    alone, beside = module(0).train_dataloader(), module(2).train_dataloader()
    for stop in (1, 4):
        for number, _ in enumerate(beside):
            if number == stop:
                break
        assert same(batches(alone, stop), batches(beside, stop))


def test_processes_that_start_afresh_share_it_too() -> None:
    alone, beside = module(0, 5).train_dataloader(), module(1, 5).train_dataloader()
    beside.multiprocessing_context = "spawn"
    assert same(batches(alone), batches(beside))


def test_masks_of_original_sizes_have_no_place_in_it() -> None:
    data = module(1)
    rings = []
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        assert isinstance(loader.dataset, PreparedCases)
        rings.append(loader.dataset.ring is not None)
    assert rings == [True, True, False]
    assert all("original" in batch for batch in data.test_dataloader())
