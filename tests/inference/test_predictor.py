"""Predictions equal what scoring computes; windows equal MONAI's; pictures may be of any kind."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from made_run import balanced, blobs
from monai.inferers import sliding_window_inference
from PIL import Image
from torch import Tensor, nn

from segbench.cell.windows import gaussian_weights, slide, window_starts
from segbench.data.store.normalisation import imagenet
from segbench.data.store.transforms import resize_image
from segbench.errors import ConfigError, DataError
from segbench.inference.averaging import Averaged, mean_logits
from segbench.inference.pixels import as_pixels
from segbench.inference.predictor import Predictor
from segbench.models.unet import UNet
from segbench.types import predicted_labels, probabilities


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    smooth = blobs(height, width, channels) * 60 + 120
    return smooth.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def network(classes: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return balanced(UNet(3, 1 if classes == 2 else classes, base_channels=4, depth=2))


def predictor(classes: int = 2, count: int = 1, **options: object) -> Predictor:
    names = [str(k) for k in range(classes)]
    networks = [network(classes, seed) for seed in range(count)]
    return Predictor(networks, names, (32, 40), precision="32-true", **options)  # type: ignore[arg-type]


@torch.no_grad()
def by_hand(net: nn.Module, image: np.ndarray) -> Tensor:
    small = torch.from_numpy(resize_image(image, (32, 40))).permute(2, 0, 1)[None]
    logits = net(imagenet(3)(small))
    size = image.shape[:2]
    return nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_prediction_is_what_scoring_computes(classes: int) -> None:
    pictures = [picture(*size) for size in ((70, 51), (20, 90), (32, 40), (116, 1), (1, 1))]
    tool = predictor(classes, batch_size=2)
    for image, mask, shares in zip(
        pictures, tool(pictures), tool.probabilities(pictures), strict=True
    ):
        logits = by_hand(network(classes), image)
        assert mask.size < 3000 or len(np.unique(mask)) == classes
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, predicted_labels(logits)[0].numpy())
        np.testing.assert_allclose(shares, probabilities(logits)[0].numpy(), atol=1e-6)
    assert tool(pictures[0]).shape == (70, 51)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mean_of_logits_has_the_mean_probability(channels: int) -> None:
    several = [torch.randn(2, channels, 5, 6) * 9 for _ in range(3)]
    mean = torch.stack([probabilities(each) for each in several]).mean(0)
    torch.testing.assert_close(probabilities(mean_logits(several)), mean)
    assert mean_logits(several[:1]) is several[0]
    sure = [torch.full((1, channels, 1, 1), 200.0), torch.full((1, channels, 1, 1), 300.0)]
    assert torch.isfinite(mean_logits(sure)).all()


def test_an_ensemble_and_flips_are_means_of_probabilities() -> None:
    image = torch.randn(2, 3, 32, 40)
    networks = [network(seed=0), network(seed=1)]
    with torch.no_grad():
        found = probabilities(Averaged(networks, flips=True)(image))
        expected = [
            probabilities(net(image.flip(dims) if dims else image)).flip(dims or [])
            for net in networks
            for dims in ([], [2], [3], [2, 3])
        ]
    torch.testing.assert_close(found, torch.stack(expected).mean(0))
    flat = picture(50, 60)
    turned = predictor(tta="flips")(flat[:, ::-1])
    np.testing.assert_array_equal(turned, predictor(tta="flips")(flat)[:, ::-1])


def forward_of(net: nn.Module) -> Callable[[np.ndarray], Tensor]:
    def forward(windows: np.ndarray) -> Tensor:
        with torch.no_grad():
            shares: Tensor = net(
                imagenet(3)(torch.from_numpy(windows).permute(0, 3, 1, 2))
            ).sigmoid()
        return shares

    return forward


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("size", [(32, 32), (33, 77), (97, 64), (150, 131)])
def test_windows_equal_monais(size: tuple[int, int], overlap: float) -> None:
    net, image = network(), picture(*size)
    strips = list(slide(image, forward_of(net), (32, 32), overlap, batch_size=3))
    assert [top for top, _ in strips] == window_starts(size[0], 32, overlap)
    found = torch.cat([values for _, values in strips], dim=1)
    assert found.shape == (1, *size)
    with torch.no_grad():
        expected = sliding_window_inference(
            imagenet(3)(torch.from_numpy(image).permute(2, 0, 1)[None]),
            roi_size=(32, 32),
            sw_batch_size=4,
            predictor=lambda windows: net(windows).sigmoid(),
            overlap=overlap,
            mode="gaussian",
        )
    torch.testing.assert_close(found, expected[0], atol=2e-6, rtol=1e-5)


def test_a_strip_holds_one_row_of_windows_whatever_the_height() -> None:
    image = picture(400, 50)
    rows = [v.shape for _, v in slide(image, forward_of(network()), (32, 32), 0.5, 4)]
    assert max(shape[1] for shape in rows) == 32
    assert sum(shape[1] for shape in rows) == 400


def test_weights_fall_from_the_middle_and_never_to_nothing() -> None:
    weights = gaussian_weights(8, 9)
    assert weights.argmax() in (3 * 9 + 4, 4 * 9 + 4)
    assert torch.equal(weights, weights.flip([0, 1]))
    assert weights.min() == pytest.approx(1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_window_as_large_as_the_picture_is_the_network_itself(classes: int) -> None:
    image = picture(45, 37)
    with torch.no_grad():
        logits = network(classes)(imagenet(3)(torch.from_numpy(image).permute(2, 0, 1)[None]))
    tool = predictor(classes, window=[200, 300])
    np.testing.assert_array_equal(tool(image), predicted_labels(logits)[0].numpy())
    shares = tool.probabilities(image)
    np.testing.assert_allclose(shares, probabilities(logits)[0].numpy(), atol=1e-5)


def test_every_kind_of_picture() -> None:
    rgb = picture(30, 20)
    expected = predictor()(rgb)
    alpha = np.dstack([rgb, np.full((30, 20), 7, np.uint8)])
    for each in (Image.fromarray(rgb), alpha, Image.fromarray(alpha)):
        np.testing.assert_array_equal(predictor()(each), expected)
    grey = picture(30, 20, 1)
    for each in (grey, grey[:, :, 0], Image.fromarray(grey[:, :, 0])):
        np.testing.assert_array_equal(as_pixels(each, 3), np.repeat(grey, 3, axis=2))
    deep = Image.fromarray(grey[:, :, 0].astype(np.uint16) * 257)
    np.testing.assert_array_equal(as_pixels(deep, 1), grey)
    indexed = Image.fromarray(rgb).convert("P")
    indexed.info["transparency"] = 0
    assert as_pixels(indexed, 4).shape == (30, 20, 4)
    for wrong in (rgb.astype(np.float32), picture(5, 5, 2), rgb[0, 0], "a.png", None):
        with pytest.raises(DataError, match="a picture of"):
            predictor()(wrong)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"overlap": 1.0}, "overlap=1.0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"tta": "rotations"}, "tta=rotations: expected null or flips"),
        ({"window": 0}, "window=0: expected one positive number"),
        ({"window": [1, 2, 3]}, "window="),
        ({"device": "abacus"}, "device=abacus"),
        ({"precision": "8"}, "precision=8: expected auto"),
    ],
)
def test_a_slip_in_the_options_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as told:
        Predictor([network()], ["a", "b"], (8, 8), **options)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_lower_precision_moves_few_pixels() -> None:
    image = picture(64, 64)
    low = Predictor([network()], ["a", "b"], (32, 40), precision="bf16-mixed").probabilities(image)
    np.testing.assert_allclose(low, predictor().probabilities(image), atol=0.05)
