"""Shows images of any number of channels and any values as 8-bit pictures."""

from collections.abc import Sequence

import numpy as np

from segbench.data.decoding.channels import Values
from segbench.data.decoding.pictures import Array
from segbench.errors import ConfigError

_DARK, _BRIGHT = 2, 98  # percentiles of the image that become 0 and 255


def check_bands(show: Sequence[int] | None, in_channels: int) -> tuple[int, ...] | None:
    """``data.show`` as indices from 0.

    Raises:
        ConfigError: not one or three numbers from 1 to the number of channels.
    """
    if show is None:
        return None
    bands = list(show)
    whole = all(isinstance(band, int) and 1 <= band <= in_channels for band in bands)
    if len(bands) not in (1, 3) or not whole:
        raise ConfigError(
            f"data.show={bands}: expected the numbers of three channels (or of one), 1 to "
            f"{in_channels}, for red, green and blue"
        )
    return tuple(band - 1 for band in bands)


def displayed(image: Values, bands: Sequence[int] | None) -> Array:
    """An image (H, W, C) as a picture (H, W, 3) of uint8.

    Images of 8 bits keep their values. Of others, percentiles 2 and 98 of each shown channel become
    0 and 255.

    Args:
        image: the image.
        bands: the indices of three channels, or of one; None: the first three, or the first one.
    """
    chosen = bands or (range(3) if image.shape[2] >= 3 else (0,))
    shown = image[:, :, list(chosen)]
    if shown.dtype != np.uint8:
        low, high = np.percentile(shown, [_DARK, _BRIGHT], axis=(0, 1))
        scaled = (shown - low) * (255 / np.where(high > low, high - low, 1))
        shown = scaled.round().clip(0, 255).astype(np.uint8)
    return shown if shown.shape[2] == 3 else np.repeat(shown, 3, axis=2)
