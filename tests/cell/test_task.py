"""The one LightningModule: heads, losses, labels, and no waiting for the device."""

from functools import partial
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn

from segbench.cell.resizing import resize_logits
from segbench.cell.task import SegmentationTask
from segbench.losses.cross_entropy import BCELoss
from segbench.metrics.epoch_iou import EpochIoU
from segbench.types import Batch, logit_channels, predicted_labels, probabilities


class TwoHeads(nn.Module):
    """Deep supervision: in training two heads, the second the network's answer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 1, 1)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        heads = [self.first(image), self.second(image)]
        return heads if self.training else heads[-1]


class PlainLoss(nn.Module):
    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 0], target.float())


def make_task(network: nn.Module) -> SegmentationTask:
    task = SegmentationTask(network, BCELoss(), partial(torch.optim.SGD, lr=0.1))
    task.log = Mock()  # type: ignore[method-assign]
    return task


def make_batch(device: str = "cpu") -> Batch:
    return {
        "image": torch.randn(2, 3, 8, 8, device=device),
        "mask": torch.randint(0, 2, (2, 8, 8), device=device),
        "index": torch.arange(2, device=device),
    }


def test_the_loss_is_the_mean_of_the_heads_and_the_last_is_scored() -> None:
    task, batch = make_task(TwoHeads()), make_batch()
    loss = task.training_step(batch, 0)
    heads = task.network(batch["image"])
    expected = (BCELoss()(heads[0], batch["mask"]) + BCELoss()(heads[1], batch["mask"])) / 2
    assert torch.allclose(loss, expected)
    alone = EpochIoU(["background", "cell"])
    alone.update(predicted_labels(heads[1]), batch["mask"], batch["index"])
    assert task.train_iou.compute() == alone.compute()


def test_a_training_step_never_waits_for_the_device() -> None:
    # A meta tensor has no values: whatever would wait for one raises. (autocast, which our losses
    # turn off, does not know this device; that they do not wait is tested beside them.)
    task = make_task(TwoHeads())
    task.loss = PlainLoss()
    task.to("meta")
    loss = task.training_step(make_batch("meta"), 0)
    loss.backward()
    assert loss.device.type == "meta"


def test_nothing_is_logged_within_a_step() -> None:
    task = make_task(TwoHeads())
    task.training_step(make_batch(), 0)
    calls = {call.args[0]: call.kwargs for call in task.log.call_args_list}  # type: ignore[attr-defined]
    assert set(calls) == {"train/loss", "train/iou"}
    assert all(kept["on_epoch"] and not kept["on_step"] for kept in calls.values())


@pytest.mark.parametrize(("num_classes", "channels"), [(2, 1), (3, 3), (21, 21)])
def test_labels_and_probabilities_agree(num_classes: int, channels: int) -> None:
    assert logit_channels(num_classes) == channels
    logits = torch.randn(2, channels, 5, 7)
    shares = probabilities(logits)
    assert shares.shape == (2, num_classes, 5, 7)
    assert torch.allclose(shares.sum(dim=1), torch.ones(2, 5, 7))
    assert torch.equal(shares.argmax(dim=1), predicted_labels(logits))


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2, got 1"):
        logit_channels(1)


def test_resized_logits_keep_what_is_constant_and_their_size() -> None:
    logits = torch.full((1, 2, 4, 6), 1.5)
    assert torch.allclose(resize_logits(logits, (9, 5)), torch.full((1, 2, 9, 5), 1.5))
    assert resize_logits(logits, (4, 6)) is logits


def test_the_scored_loss_is_the_mean_over_images_at_the_networks_size() -> None:
    task = make_task(TwoHeads()).eval()
    losses = []
    for count in (2, 1):
        batch = {key: value[:count] for key, value in make_batch().items()}
        batch["original"] = list(batch["mask"].repeat_interleave(2, dim=1))
        losses += count * [BCELoss()(task(batch["image"]), batch["mask"]).item()]
        task.test_step(batch, 0)
    assert task.scored_loss.compute().item() == pytest.approx(sum(losses) / 3)


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.7])
def test_a_threshold_is_a_probability(threshold: float) -> None:
    logits = torch.randn(2, 1, 5, 7)
    found = predicted_labels(logits, threshold)
    assert torch.equal(found, (probabilities(logits)[:, 1] >= threshold).long())
    assert torch.equal(predicted_labels(torch.zeros(1, 1, 1, 1)), torch.ones(1, 1, 1).long())
