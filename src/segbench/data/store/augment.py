"""Augmentation with albumentations; this is the only file that imports it, which takes a second.

albumentations 2.0.8 is the last release under MIT. Its random numbers are unsuitable for
comparisons (all transforms of a `Compose` share one stream, equal in every worker process).
Therefore each item gets new generators, seeded by (seed, epoch, case).
"""

import os
import random
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segbench.data.store.transforms import Array, Values, by_fours
from segbench.errors import ConfigError


def refuse_namesake() -> None:
    """Refuse AlbumentationsX, which is AGPL and installs a module of the same name.

    Raises:
        ConfigError: the package ``albumentationsx`` is installed.
    """
    try:
        found = version("albumentationsx")
    except PackageNotFoundError:
        return
    raise ConfigError(
        f"albumentationsx {found} is installed: it takes the place of albumentations under another "
        "licence (AGPL) and draws differently; `pip uninstall albumentationsx` and `pip install "
        "--force-reinstall albumentations==2.0.8`, or augment=none"
    )


refuse_namesake()
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask a registry for newer versions
import albumentations  # noqa: E402
from albumentations.core.type_definitions import Targets  # noqa: E402


class GridElastic(albumentations.DualTransform):  # type: ignore[misc]
    """The elastic deformation of the U-Net paper, applied equally to image and mask.

    The points of a coarse grid over the image get Gaussian displacements, and the pixels between
    them get displacements by bicubic interpolation. The image is then sampled bilinearly and the
    mask at the nearest pixel; both are mirrored beyond their borders.

    Args:
        steps: number of the grid's points along each axis, at least 2.
        sigma: standard deviation of the displacements in pixels, above 0.
        p: probability of applying the transform, 0 to 1.

    Raises:
        ValueError: ``steps`` or ``sigma`` is out of range.

    Source: Ronneberger, Fischer, Brox, MICCAI 2015, section 3.1.
    """

    _targets = (Targets.IMAGE, Targets.MASK)

    def __init__(self, steps: int = 3, sigma: float = 10.0, p: float = 0.5) -> None:
        super().__init__(p=p)
        if steps < 2 or sigma <= 0:
            raise ValueError(f"steps={steps}, sigma={sigma}: expected 2 or more, and more than 0")
        self.steps, self.sigma = steps, sigma

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw the displacements (H, W, 2) of one item."""
        shape = (self.steps, self.steps, 2)
        coarse = self.random_generator.normal(0, self.sigma, shape).astype(np.float32)
        return {"field": elastic_field(coarse, params["shape"][:2])}

    def apply(self, img: Values, field: npt.NDArray[np.float32], **params: Any) -> Values:
        """The deformed image (H, W, C)."""
        return _remap(img, field, cv2.INTER_LINEAR)

    def apply_to_mask(self, mask: Array, field: npt.NDArray[np.float32], **params: Any) -> Array:
        """The deformed mask (H, W)."""
        return _remap(mask, field, cv2.INTER_NEAREST)


def elastic_field(
    coarse: npt.NDArray[np.float32], size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Displacements of all pixels by bicubic interpolation in a grid of displacements.

    Args:
        coarse: (S, S, 2) in pixels, x before y; the outer points are at the image's corners.
        size: (height, width) of the image in pixels.

    Returns:
        Displacements (H, W, 2) in pixels.
    """
    along = [np.linspace(0, len(coarse) - 1, side, dtype=np.float32) for side in size]
    x, y = np.meshgrid(along[1], along[0])
    field = cv2.remap(coarse, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(field, np.float32)


def _remap(picture: Values, field: npt.NDArray[np.float32], how: int) -> Values:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    at = x + field[..., 0], y + field[..., 1]
    planes = picture.reshape(*picture.shape[:2], -1)
    moved = by_fours(
        planes, lambda part: cv2.remap(part, *at, how, borderMode=cv2.BORDER_REFLECT_101)
    )
    return moved.reshape(picture.shape)


OWN = {"GridElastic": GridElastic}


class Augmentation:
    """Applies transforms whose random numbers depend only on (seed, epoch, case).

    Args:
        transforms: names of albumentations' transforms (or `GridElastic`) with their arguments, in
            the order of application. OpenCV's constants may be given by name.
        seed: the cell's seed.

    Raises:
        ConfigError: a transform or an argument is unknown.
    """

    def __init__(self, transforms: Mapping[str, Any], seed: int) -> None:
        self.seed = seed
        self._compose = albumentations.Compose(_build_all(transforms, "augment"))

    def __call__(self, image: Values, mask: Array, epoch: int, index: int) -> tuple[Values, Array]:
        """The augmented image and mask of a case in an epoch.

        Args:
            image: (H, W, C), uint8, or floats of 0 to 1.
            mask: (H, W) uint8.
            epoch: from 0.
            index: of the case in the data set.
        """
        source = np.random.SeedSequence([self.seed, epoch, index])
        python = random.Random(int(source.generate_state(1, np.uint64)[0]))
        self._compose.set_random_state(np.random.default_rng(source), python)
        # copies, because some transforms write into their input, here the prepared store
        changed = self._compose(image=np.array(image), mask=np.array(mask))
        return changed["image"], changed["mask"]


def _build_all(transforms: Mapping[str, Any], where: str) -> list[Any]:
    return [_build(str(name), options, where) for name, options in transforms.items()]


def _build(name: str, options: Any, where: str) -> Any:
    kind = OWN.get(name) or getattr(albumentations, name, None)
    kinds = (albumentations.BasicTransform, albumentations.BaseCompose)
    if not (isinstance(kind, type) and issubclass(kind, kinds)):
        close = get_close_matches(name, [*OWN, *dir(albumentations)], n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see albumentations' list of transforms"
        raise ConfigError(f"{where}.{name}: no such transform; {hint}")
    arguments = _plain(options or {})
    if "transforms" in arguments:  # OneOf, SomeOf, Sequential
        arguments["transforms"] = _build_all(arguments["transforms"], f"{where}.{name}")
    if issubclass(kind, albumentations.BasicTransform) and name not in OWN:
        arguments["strict"] = True  # otherwise unknown arguments are ignored
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}.{name}: {' '.join(str(error).split())}") from error


def _plain(value: Any) -> Any:
    """The value with plain containers, and with names of OpenCV's constants replaced."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, str):
        return getattr(cv2, value, value) if value.startswith(("INTER_", "BORDER_")) else value
    return [_plain(each) for each in value] if isinstance(value, Sequence) else value
