"""Files of weights: the folder that is looked in before any download, and their tensors."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from segbench.errors import WeightsError

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import Tensor

SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt")
VARIABLE = "SEGBENCH_WEIGHTS"  # the environment variable that names the folder


def in_own_folder(*names: str) -> Path | None:
    """The first file of these names in the folder ``$SEGBENCH_WEIGHTS``; None without any."""
    folder = os.environ.get(VARIABLE)
    paths = [Path(folder) / name for name in names] if folder else []
    return next((path for path in paths if path.is_file()), None)


def encoder_file(encoder_name: str, weights: str) -> Path | None:
    """The file in ``$SEGBENCH_WEIGHTS`` for named weights of an encoder of `SMPModel`.

    It is called ``<encoder>-<weights>`` with a suffix, such as ``resnet34-imagenet.pth``; the
    ``tu-`` of timm's encoders is left out.
    """
    plain = f"{encoder_name.removeprefix('tu-')}-{weights}"
    return in_own_folder(*(f"{plain}{suffix}" for suffix in SUFFIXES))


def read_tensors(path: Path) -> "dict[str, Tensor]":
    """The tensors of a file, by name; nothing else in it is loaded.

    Raises:
        WeightsError: the file is damaged, or cannot be read without running code from it.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        import torch

        return tensors_in(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file can cause any error
        text = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: damaged, or holds more than weights ({text})") from error


def tensors_in(state: object) -> "dict[str, Tensor]":
    """The tensors of a loaded file, which may hold them under a key of its own."""
    for key in ("state_dict", "model", "model_state_dict"):
        inner = state.get(key) if isinstance(state, Mapping) else None
        state = inner if isinstance(inner, Mapping) else state
    found = state.items() if isinstance(state, Mapping) else ()
    return {str(key): value for key, value in found if hasattr(value, "shape")}
