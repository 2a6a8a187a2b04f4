"""Predictor: applies trained networks to pictures of any size, without files or configs."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from segbench.cell.resizing import Strip, resize_strips, resized_strips
from segbench.cell.windows import slide, without_padding
from segbench.colours import ClassColours, class_colours
from segbench.data.decoding.display import check_bands, displayed
from segbench.data.options import as_size
from segbench.data.store.normalisation import Normalisation, imagenet
from segbench.data.store.patches import padded
from segbench.data.store.transforms import Array, Values, resize_image
from segbench.errors import ConfigError
from segbench.hardware.device import auto_precision
from segbench.inference.averaging import Averaged, check_tta
from segbench.inference.pixels import as_pixels, as_values
from segbench.inference.thresholds import check_threshold
from segbench.types import predicted_labels, probabilities

Floats = npt.NDArray[np.float32]
Picture = Array | Image.Image
PRECISIONS = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class Prediction:
    """The prediction for a picture.

    Args:
        labels: class ids (H, W) uint8.
        probabilities: (num_classes, H, W) float32, or None if not asked for.
    """

    labels: Array
    probabilities: Floats | None


class Predictor:
    """Predicts masks of pictures of any size, at the pictures' own size.

    A picture is resized to the networks' size as in training, and the logits are resized back. With
    a ``window`` it is not resized, but predicted window by window. Called with a NumPy array (H, W)
    or (H, W, C) of uint8 or a PIL image, it returns class ids (H, W) uint8; called with a list, it
    returns a list.

    Args:
        networks: one network, or several whose probabilities are averaged.
        class_names: background first.
        size: (height, width) in pixels to which pictures are resized.
        in_channels: 1, 3 or 4, to which pictures are converted; or that of arrays with more.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        precision: ``auto``, ``32-true``, ``bf16-mixed`` or ``16-mixed``, as in training.
        tta: test-time augmentation; ``flips`` averages over the mirror images.
        window: the side of sliding windows in the picture's own pixels, or [height, width].
        overlap: the fraction of a window that the next window also covers, in [0, 1).
        batch_size: number of pictures, or windows, in a batch.
        threshold: with two classes, the foreground's smallest probability; None: ½.
        normalisation: that of training; None: ImageNet's, of pictures of 8 bits. With another one,
            pictures are arrays (H, W, C) of stored values.
        scale: of networks that were trained on patches: pictures are resized by it first, and
            padded to the size of a window.
        show: the numbers of the channels that overlays show, as ``data.show``.
        colours: how the classes are painted; None: the background is black.

    Raises:
        ConfigError: an option is out of range, or the device does not exist.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        class_names: Sequence[str],
        size: tuple[int, int],
        in_channels: int = 3,
        *,
        device: str = "auto",
        precision: str = "auto",
        tta: str | None = None,
        window: int | Sequence[int] | None = None,
        overlap: float = 0.5,
        batch_size: int = 8,
        threshold: float | None = None,
        normalisation: Normalisation | None = None,
        scale: float | None = None,
        show: Sequence[int] | None = None,
        colours: ClassColours | None = None,
    ) -> None:
        if threshold is not None:
            check_threshold(threshold, len(class_names))
        self.threshold = 0.5 if threshold is None else threshold
        if not 0 <= overlap < 1:
            raise ConfigError(f"overlap={overlap}: expected 0 or more, and less than 1")
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size}: expected 1 or more")
        self.class_names, self.size, self.in_channels = list(class_names), size, in_channels
        self.colours = colours or class_colours(self.class_names)
        self.device = find_device(device)
        self.precision = auto_precision(self.device.type) if precision == "auto" else precision
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision={precision}: expected auto, {', '.join(PRECISIONS)}")
        self.normalisation = normalisation or imagenet(in_channels)
        self.bands = check_bands(show, in_channels)
        self.window, self.scale = None if window is None else _as_window(window), scale
        self.overlap, self.batch_size = overlap, batch_size
        self.network = Averaged(networks, check_tta(tta)).to(self.device).eval()

    def displayed(self, picture: Values) -> Array:
        """A picture (H, W, C) as (H, W, 3) of 8 bits, as overlays and contact sheets show it."""
        return displayed(picture, self.bands)

    @property
    def palette(self) -> list[tuple[int, int, int]]:
        """The colour of each class as red, green and blue, 0 to 255."""
        return [*self.colours.colours]

    @overload
    def __call__(self, pictures: Picture) -> Array: ...
    @overload
    def __call__(self, pictures: Sequence[Picture]) -> list[Array]: ...
    def __call__(self, pictures: Any) -> Any:
        """Class ids (H, W) uint8 of a picture, or a list of them."""
        masks = [each.labels for each in self._predict_all(pictures, False)]
        return masks if isinstance(pictures, list | tuple) else masks[0]

    @overload
    def probabilities(self, pictures: Picture) -> Floats: ...
    @overload
    def probabilities(self, pictures: Sequence[Picture]) -> list[Floats]: ...
    def probabilities(self, pictures: Any) -> Any:
        """Probabilities (num_classes, H, W) float32 of a picture, or a list of them."""
        found = [each.probabilities for each in self._predict_all(pictures, True)]
        return found if isinstance(pictures, list | tuple) else found[0]

    def _predict_all(self, pictures: Any, with_probabilities: bool) -> Iterator[Prediction]:
        several = pictures if isinstance(pictures, list | tuple) else [pictures]
        for start in range(0, len(several), self.batch_size):
            chosen = several[start : start + self.batch_size]
            pixels = [self._as_pixels(each) for each in chosen]
            sizes = [each.shape[:2] for each in pixels]
            prepared = [self.prepare(each) for each in pixels]
            yield from self.predict(prepared, sizes, with_probabilities)

    def _as_pixels(self, picture: Any) -> Values:
        convert = as_pixels if self.normalisation.method == "imagenet" else as_values
        return convert(picture, self.in_channels)

    def prepare(self, picture: Values) -> Values:
        """A picture (H, W, C) as `predict` takes it: at the networks' size, except for windows."""
        if self.normalisation.method != "imagenet":
            picture = picture.astype(np.float32, copy=False)
        if self.window is None:
            return resize_image(picture, self.size)
        if self.scale is None:
            return picture
        scaled = resize_image(picture, self._scaled(picture.shape))
        return padded(scaled, np.empty(scaled.shape[:2], np.uint8), self.window, 0)[0]

    def _scaled(self, size: tuple[int, ...]) -> tuple[int, int]:
        """The size at which windows are predicted of a picture of (height, width, …)."""
        scale = self.scale or 1
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def predict(
        self,
        prepared: Sequence[Values],
        sizes: Sequence[tuple[int, ...]],
        with_probabilities: bool = False,
    ) -> Iterator[Prediction]:
        """Predict pictures one after another.

        Args:
            prepared: the pictures as `prepare` returns them.
            sizes: their original (height, width).
            with_probabilities: whether probabilities are returned besides class ids.
        """
        for strips, (height, width) in zip(self._strips(prepared, sizes), sizes, strict=True):
            labels = np.empty((height, width), np.uint8)
            shape = (len(self.class_names), height, width)
            kept = np.empty(shape, np.float32) if with_probabilities else None
            for top, logits in strips:
                rows = slice(top, top + logits.shape[1])
                found = predicted_labels(logits[None], self.threshold)[0]
                labels[rows] = found.to(torch.uint8).cpu().numpy()
                if kept is not None:
                    kept[:, rows] = probabilities(logits[None])[0].cpu().numpy()
            yield Prediction(labels, kept)

    def _strips(
        self, prepared: Sequence[Values], sizes: Sequence[tuple[int, ...]]
    ) -> Iterator[Iterator[Strip]]:
        """For each picture its logits (K, h, W), in strips from top to bottom."""
        if self.window is not None:
            for picture, size in zip(prepared, sizes, strict=True):
                strips = slide(picture, self._channels, self.window, self.overlap, self.batch_size)
                yield self._at(size, strips)
            return
        for start in range(0, len(prepared), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            for logits, size in zip(
                self._forward(np.stack(prepared[chosen])), sizes[chosen], strict=True
            ):
                yield resized_strips(logits, size)

    def _at(self, size: tuple[int, ...], strips: Iterator[Strip]) -> Iterator[Strip]:
        """Logits of windows' strips at a picture's own size, without what was padded."""
        scaled = self._scaled(size)
        logits = without_padding(strips, scaled)
        yield from logits if scaled == size else resize_strips(logits, scaled[0], size)

    @torch.inference_mode()
    def _forward(self, images: Values) -> Tensor:
        """Logits (N, K, H, W) float32 of images (N, H, W, C)."""
        moved = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2)
        with self._autocast():
            return self.network(self.normalisation(moved)).float()  # type: ignore[no-any-return]

    def _channels(self, images: Values) -> Tensor:
        """Probabilities (N, K, H, W) for each logit channel; K = 1 is the foreground."""
        logits = self._forward(images)
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)

    def _autocast(self) -> AbstractContextManager[Any]:
        dtype = PRECISIONS[self.precision]
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)


def find_device(name: str) -> torch.device:
    """The torch device called ``name``; ``auto`` is a GPU where there is one.

    Raises:
        ConfigError: torch does not know the device, or it is not available.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device={name}: not available here ({reason}); give auto, cpu …"
        ) from error
    return device


def _as_window(window: int | Sequence[int]) -> tuple[int, int]:
    try:
        return as_size(window)
    except ValueError as error:
        raise ConfigError(
            f"window={window}: expected one positive number, or [height, width]"
        ) from error
