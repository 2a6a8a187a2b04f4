"""What a cell's training costs, whenever it validates, and the random numbers of its processes."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from segbench.callbacks.life import Cost, EpochSeed

STEP, VALIDATION, TAIL = 2.0, 50.0, 7.0  # seconds; after the last step or validation of an epoch
STEPS, EPOCHS, IMAGES = 4, 3, 5


class Clock:
    """Stands still until it is told how long something took."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


def train(cost: Cost, clock: Clock, after: set[int], every: int = 1) -> None:
    """Hooks in Lightning's order; a validation ``after`` those steps of each ``every``-th epoch."""
    trainer: Any = SimpleNamespace(world_size=1)
    module: Any = SimpleNamespace(device=torch.device("cpu"))
    batch = {"image": torch.zeros(IMAGES, 1)}
    for epoch in range(1, EPOCHS + 1):
        cost.on_train_epoch_start(trainer, module)
        for step in range(1, STEPS + 1):
            clock.now += STEP
            cost.on_train_batch_end(trainer, module, None, batch, step - 1)
            if step in after and epoch % every == 0:
                cost.on_validation_start(trainer, module)
                clock.now += VALIDATION
                cost.on_validation_end(trainer, module)
        cost.on_train_epoch_end(trainer, module)
        clock.now += TAIL


@pytest.mark.parametrize(
    ("after", "every", "validations"),
    [
        ({STEPS}, 1, EPOCHS),  # as by default
        ({STEPS}, 2, 1),  # check_val_every_n_epoch=2
        ({2, STEPS}, 1, 2 * EPOCHS),  # val_check_interval=0.5
        ({3}, 1, EPOCHS),  # val_check_interval=3: the last step follows
        (set(), 1, 0),  # limit_val_batches=0
    ],
)
def test_speed_is_that_of_the_steps(
    monkeypatch: pytest.MonkeyPatch, after: set[int], every: int, validations: int
) -> None:
    clock, cost = Clock(), Cost()
    monkeypatch.setattr("segbench.callbacks.life.time", clock)
    sanity: Any = SimpleNamespace(device=torch.device("cpu"))
    cost.on_validation_start(sanity, sanity)  # Lightning's sanity check is before all epochs
    clock.now += VALIDATION
    cost.on_validation_end(sanity, sanity)
    train(cost, clock, after, every)
    record = Cost.record(cost.state_dict())
    assert record["images_per_second"] == pytest.approx(IMAGES / STEP)
    assert record["train_seconds"] == EPOCHS * STEPS * STEP + validations * VALIDATION


def seed_of(rank: int, epoch: int, seed: int = 3) -> int:
    trainer: Any = SimpleNamespace(current_epoch=epoch, global_rank=rank)
    EpochSeed(seed).on_train_batch_start(trainer, trainer, None, 0)
    return torch.initial_seed()


def test_each_process_and_epoch_has_numbers_of_its_own() -> None:
    seeds = [seed_of(rank, epoch) for rank in range(8) for epoch in range(20)]
    assert len(set(seeds)) == len(seeds)
    assert len({seed_of(rank, 5, seed=2**32 - 1) for rank in range(1023)}) == 1023


def test_a_single_process_draws_what_it_always_drew() -> None:
    assert seed_of(rank=0, epoch=5) == 3 * 1_000_003 + 5
