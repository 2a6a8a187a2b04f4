"""What every loss in ``conf/loss`` keeps, for one channel and for many."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from segbench.losses import fused

IGNORE = 255
FILES = sorted((Path(__file__).parents[2] / "conf" / "loss").glob("*.yaml"))
DATA = {"ignore_index": IGNORE, "num_classes": 4, "class_names": ["none", "a", "b", "c"]}

every_loss = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
channels = pytest.mark.parametrize("channels", [1, 4])


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On tensors this small, waiting for a second thread takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(file: Path) -> nn.Module:
    config = OmegaConf.create({"data": DATA, "loss": OmegaConf.load(file)})
    return instantiate(config.loss)


def sample(channels: int, batch: int = 3, size: int = 12) -> tuple[Tensor, Tensor]:
    """Random logits, and targets with every class and a stripe of ignored pixels in each image."""
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(batch, channels, size, size, generator=generator) * 2
    target = torch.randint(max(channels, 2), (batch, size, size), generator=generator)
    target[:, 2:4] = IGNORE
    return logits, target


def value_and_gradient(loss: nn.Module, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    value = loss(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


def perfect_logits(target: Tensor, channels: int, scale: float) -> Tensor:
    """Logits that are sure of the target."""
    classes = torch.arange(channels) + (channels == 1)
    return scale * (2.0 * (target[:, None] == classes.view(-1, 1, 1)) - 1)


def test_there_are_losses() -> None:
    asked = "ce bce dice jaccard bce_dice ce_dice focal focal_positive tversky focal_tversky lovasz"
    assert {*asked.split(), "boundary", "compound"} <= {file.stem for file in FILES}


@every_loss
@channels
def test_value_is_a_positive_float32_scalar_with_a_gradient(file: Path, channels: int) -> None:
    value, gradient = value_and_gradient(build(file), *sample(channels))
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value > 0
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


@every_loss
@channels
@pytest.mark.parametrize("scale", [30.0, 1e4])
def test_perfect_prediction_is_the_minimum_and_0(file: Path, channels: int, scale: float) -> None:
    loss = build(file)
    logits, target = sample(channels)
    value, gradient = value_and_gradient(loss, perfect_logits(target, channels, scale), target)
    assert value == pytest.approx(0, abs=1e-5)
    assert gradient.abs().max() < 1e-6
    for row, column in [(0, 0), (7, 5), (11, 11)]:
        worse = perfect_logits(target, channels, scale)
        worse[1, :, row, column] = worse[1, :, row, column].neg()
        assert loss(worse, target) > value + 1e-5
    assert loss(logits, target) > 0.01


@every_loss
@channels
@pytest.mark.parametrize("label", [0, 1, "random"])
def test_huge_logits_and_empty_masks_stay_finite(
    file: Path, channels: int, label: int | str
) -> None:
    logits, target = sample(channels)
    if label != "random":
        target = torch.full_like(target, int(label))
    for values in (logits.sign() * 1e4, torch.full_like(logits, -1e4), torch.zeros_like(logits)):
        value, gradient = value_and_gradient(build(file), values, target)
        assert value.isfinite()
        assert value >= 0
        assert gradient.isfinite().all()


@every_loss
@channels
def test_all_ignored_is_0_with_gradient_0(file: Path, channels: int) -> None:
    logits, target = sample(channels)
    value, gradient = value_and_gradient(build(file), logits, torch.full_like(target, IGNORE))
    assert value == 0
    assert (gradient == 0).all()


@every_loss
@channels
def test_ignored_pixels_have_no_influence(file: Path, channels: int) -> None:
    loss = build(file)
    logits, target = sample(channels)
    ignored = (target == IGNORE)[:, None]
    value, gradient = value_and_gradient(loss, logits, target)
    other, other_gradient = value_and_gradient(loss, torch.where(ignored, -50.0, logits), target)
    assert other == value
    assert (gradient * ignored == 0).all()
    torch.testing.assert_close(gradient * ~ignored, other_gradient * ~ignored)


@every_loss
@channels
def test_ignoring_is_cropping(file: Path, channels: int) -> None:
    loss = build(file)
    logits, target = sample(channels)
    half = target.clone()
    half[:, :, 6:] = IGNORE
    torch.testing.assert_close(loss(logits, half), loss(logits[..., :6], target[..., :6]))


@every_loss
@channels
def test_wholly_ignored_image_has_no_influence(file: Path, channels: int) -> None:
    loss = build(file)
    logits, target = sample(channels)
    with_ignored = target.clone()
    with_ignored[1] = IGNORE
    rest = torch.tensor([0, 2])
    torch.testing.assert_close(loss(logits, with_ignored), loss(logits[rest], target[rest]))


@every_loss
@channels
@pytest.mark.parametrize("ignore_index", [0, 1, -1])
def test_any_label_can_be_the_ignored_one(file: Path, channels: int, ignore_index: int) -> None:
    """Class 0 ignored equals 255 in its place."""
    config = OmegaConf.create(
        {"data": {"ignore_index": ignore_index}, "loss": OmegaConf.load(file)}
    )
    logits, target = sample(channels)
    target[target == IGNORE] = ignore_index
    as_255 = torch.where(target == ignore_index, IGNORE, target)
    torch.testing.assert_close(
        instantiate(config.loss)(logits, target), build(file)(logits, as_255)
    )


@every_loss
@channels
def test_order_of_images_and_memory_format_do_not_matter(file: Path, channels: int) -> None:
    loss = build(file)
    logits, target = sample(channels)
    value = loss(logits, target)
    torch.testing.assert_close(loss(logits.flip(0), target.flip(0)), value)
    strided = logits.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(loss(strided, target), value)
    transposed = logits.transpose(2, 3), target.transpose(1, 2)  # not contiguous
    torch.testing.assert_close(loss(*transposed), value)


@every_loss
@channels
def test_gradcheck(file: Path, channels: int) -> None:
    logits, target = sample(channels, batch=2, size=4)
    loss = build(file)
    logits = logits.double().requires_grad_()
    assert loss(logits, target).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits)


@every_loss
@channels
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(
    file: Path, channels: int, dtype: torch.dtype
) -> None:
    loss = build(file)
    logits, target = sample(channels)
    logits = logits.to(dtype)
    expected, expected_gradient = value_and_gradient(loss, logits.float(), target)
    with torch.autocast("cpu", dtype=dtype):
        value, gradient = value_and_gradient(loss, logits, target)
    assert value.dtype == torch.float32
    assert value == expected
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient, expected_gradient.to(dtype))


@every_loss
@channels
def test_large_half_precision_images_keep_their_value(file: Path, channels: int) -> None:
    """2048×2048: a sum in float16 would be infinite, one in float32 may lose nothing visible."""
    logits, target = sample(channels, batch=1, size=64)
    logits, target = logits.half().repeat(1, 1, 32, 32), target.repeat(1, 32, 32)
    loss = build(file)
    with torch.autocast("cpu", dtype=torch.float16):
        value, gradient = value_and_gradient(loss, logits, target)
    assert gradient.isfinite().all()
    with torch.no_grad():
        exact = loss(logits.double(), target)
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)


@every_loss
@channels
def test_only_the_boundary_waits_for_the_device(
    file: Path, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors without values refuse whatever would have to read one."""
    loss = build(file)
    monkeypatch.setattr(fused, "on_cpu", lambda _: False)
    with FakeTensorMode(allow_non_fake_inputs=True):
        logits = torch.zeros(2, channels, 4, 4, requires_grad=True)
        target = torch.zeros(2, 4, 4, dtype=torch.int64)
        if "boundary" in file.read_text().lower():
            with pytest.raises(RuntimeError):
                loss(logits, target)
        else:
            loss(logits, target).backward()


@every_loss
def test_wrong_shapes_are_named(file: Path) -> None:
    loss = build(file)
    logits, target = sample(4)
    with pytest.raises(ValueError, match=r"logits are \(N, K, H, W\) float, got \(4, 12, 12\)"):
        loss(logits[0], target)
    with pytest.raises(ValueError, match=r"target is \(3, 12, 12\) int64 .* got \(3, 12, 6\)"):
        loss(logits, target[..., :6])
    with pytest.raises(ValueError, match="float32"):
        loss(logits, target.float())
