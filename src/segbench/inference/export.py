"""Writes a trained network as one file for other programs, and compares it with the network."""

import json
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as tracing

from segbench.colours import ClassColours, class_colours
from segbench.data.store.normalisation import Normalisation
from segbench.data.store.transforms import Array
from segbench.errors import ConfigError, SegbenchError
from segbench.records.record import atomic_write
from segbench.types import probabilities

FORMATS = {"onnx": ".onnx", "torch_export": ".pt2"}
METADATA = "segbench.json"  # among the extra files of torch.export's archive
TORCHS_OWN = ".*LeafSpec|The given buffer is not writable"  # torch 2.11's warnings about itself
TOLERANCE = 1e-3  # of a probability; both compute in float32
Answer = Callable[[Array], Array]  # images (N, C, H, W) float32 to probabilities (N, K, H, W)


class Exported(nn.Module):
    """A network that includes normalisation and the conversion of logits to probabilities.

    It maps images ``(N, C, H, W)`` float32, 0 to 255 or as stored, to probabilities
    ``(N, num_classes, H, W)``.

    Args:
        network: maps normalised images to logits.
        normalisation: that of training.
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        # with channels_last weights the graph would depend on the number of images
        self.network = network.to(memory_format=torch.contiguous_format)
        self.cuts = normalisation.cuts
        offset, scale = (
            torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)
            for values in (normalisation.offset, normalisation.scale)
        )
        self.register_buffer("offset", (-offset / scale).float())
        self.register_buffer("scale", (1 / scale).float())  # (C, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Probabilities ``(N, num_classes, H, W)`` of images ``(N, C, H, W)``, background first."""
        scaled = image * self.scale + self.offset
        return probabilities(self.network(scaled.clamp(0, 1) if self.cuts else scaled))


def describe(
    class_names: Sequence[str],
    size: tuple[int, int],
    normalisation: Normalisation,
    any_size: bool = True,
    colours: ClassColours | None = None,
) -> dict[str, Any]:
    """The metadata of an exported file, which are stored as JSON.

    Args:
        class_names: background first.
        size: (height, width) of training.
        normalisation: that of training, which the file includes.
        any_size: whether the file takes images of any size, or of ``size`` alone.
        colours: of the classes in pictures; None: those of a data set without a palette.
    """
    values = "with the values of the training images' files"
    if normalisation.method == "imagenet":
        values = "0 to 255, RGB"
    return {
        "class_names": list(class_names),
        "palette": [list(each) for each in (colours or class_colours(class_names)).colours],
        "size": list(size),  # (height, width) that the network was trained at
        "any_size": any_size,  # else images must have this size
        "in_channels": len(normalisation.offset),
        "normalisation": normalisation.record,  # done by the file itself
        "input": f"image: (N, C, H, W) float32, {values}",
        "output": "probabilities: (N, classes, H, W) float32",
    }


def export(network: nn.Module, path: Path, kind: str, facts: dict[str, Any]) -> Answer:
    """Write ``path`` atomically.

    Args:
        network: maps normalised images to logits.
        path: the file to write.
        kind: the format, ``onnx`` or ``torch_export``.
        facts: the metadata that `describe` returns.

    Returns:
        A function that runs the written file: images (N, C, H, W) float32 to probabilities.

    Raises:
        ConfigError: the format is unknown.
        ImportError: a package that ONNX needs is missing.
        SegbenchError: torch cannot export this network in this format.
    """
    if kind not in FORMATS:
        raise ConfigError(f"format={kind}: expected {', '.join(FORMATS)}")
    module = Exported(network, Normalisation.from_record(facts["normalisation"])).eval()
    write, read = (_write_onnx, _read_onnx) if kind == "onnx" else (_write_archive, _read_archive)
    if kind == "onnx":
        onnx_packages()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", TORCHS_OWN)
        with atomic_write(path) as temporary:
            try:
                write(trace(module, facts), temporary, facts)
            except Exception as error:  # exporters raise many kinds of errors
                name, reason = type(network).__name__, " ".join(str(error).split())[:300]
                raise SegbenchError(
                    f"format={kind}: {name} cannot be exported ({reason}); {way_out(kind, facts)}"
                ) from error
        return read(path)


def way_out(kind: str, facts: dict[str, Any]) -> str:
    """What to try if a network cannot be exported."""
    other = "torch_export" if kind == "onnx" else "onnx"
    height, width = facts["size"]
    fixed = f"size=fixed, for images of {width} x {height} alone, or " if facts["any_size"] else ""
    return f"try {fixed}format={other}"


def trace(module: nn.Module, facts: dict[str, Any]) -> torch.export.ExportedProgram:
    """The module's graph for any number of images, of any height and width unless it is fixed."""
    size = (67, 93) if facts["any_size"] else facts["size"]
    image = torch.rand(2, facts["in_channels"], *size) * 255
    axes = (0, 2, 3) if facts["any_size"] else (0,)
    free = dict.fromkeys(axes, torch.export.Dim.DYNAMIC)
    # Without this the graph would accept only sizes that need the same padding as this example.
    with tracing.patch(backed_size_oblivious=True), torch.no_grad():  # type: ignore[attr-defined]
        return torch.export.export(module, (image,), dynamic_shapes={"image": free}, strict=False)


def onnx_packages() -> ModuleType:
    """The module ``onnxruntime``.

    Raises:
        ImportError: a package that export to ONNX needs is not installed.
    """
    try:
        found = [import_module(name) for name in ("onnx", "onnxscript", "onnxruntime")]
    except ImportError as error:
        raise ImportError(
            f"format=onnx needs more packages ({error}): pip install 'segbench[export]'"
        ) from error
    return found[-1]


def _write_onnx(program: torch.export.ExportedProgram, path: Path, facts: dict[str, Any]) -> None:
    names = {0: "batch", 2: "height", 3: "width"} if facts["any_size"] else {0: "batch"}
    made = torch.onnx.export(
        program,
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_shapes={"image": names},
        dynamo=True,
        verbose=False,
    )
    assert made is not None
    texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in facts.items()}
    made.model.metadata_props.update(texts)
    made.save(path, external_data=False)


def _read_onnx(path: Path) -> Answer:
    session = onnx_packages().InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(None, {"image": images})[0])


def _write_archive(
    program: torch.export.ExportedProgram, path: Path, facts: dict[str, Any]
) -> None:
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={METADATA: json.dumps(facts)})


def _read_archive(path: Path) -> Answer:
    module = torch.export.load(path).module()

    def answer(images: Array) -> Array:
        with torch.no_grad():
            found: Array = module(torch.from_numpy(images)).numpy()
        return found

    return answer


def largest_difference(
    network: nn.Module, answer: Answer, images: Any, normalisation: Normalisation
) -> float:
    """The largest absolute difference between the probabilities of a network and of its file.

    The network's probabilities are computed as in training and prediction.

    Args:
        network: maps normalised images to logits.
        answer: runs the exported file.
        images: (N, C, H, W), not normalised.
        normalisation: that of training.

    Returns:
        The difference; infinity where the shapes differ.
    """
    with torch.no_grad():
        expected = probabilities(network.float().cpu()(normalisation(torch.from_numpy(images))))
    found = answer(images.astype(np.float32))
    if found.shape != tuple(expected.shape):
        return float("inf")
    return float(np.abs(found - expected.numpy()).max())
