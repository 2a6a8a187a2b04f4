"""Every architecture as a graph and as ONNX, at sizes that it was not traced at."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from segbench.config.registry import compose, config_groups
from segbench.data.store.normalisation import imagenet
from segbench.errors import ConfigError, SegbenchError
from segbench.inference.export import METADATA, describe, export, largest_difference
from segbench.types import probabilities

onnxruntime = pytest.importorskip("onnxruntime")
# Each needs padding in another way, or none.
SIZES = ((1, 64, 96), (1, 67, 45), (3, 33, 64), (1, 40, 71))
FACTS = describe(["background", "cell"], (32, 48), imagenet(3))


def small(model: str, classes: int = 2) -> nn.Module:
    cfg = compose(overrides=[f"model={model}", f"data.num_classes={classes}"])
    for key, value in {"base_channels": 4, "depth": 2, "encoder": "resnet18"}.items():
        if key in cfg.model and cfg.model[key] != "mobilenet_v2":
            cfg.model[key] = value
    torch.manual_seed(0)
    network: nn.Module = instantiate(cfg.model)
    return network.to(memory_format=torch.channels_last).eval()


def images(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (count, 3, height, width), np.uint8)


def test_there_are_models() -> None:
    assert len(config_groups()["model"]) >= 14


# One network for each kind of operation: tests/models/test_models_contract.py has the graph, from
# which both files are made, of every network. What ONNX can, the archive of torch.export can too.
# A plain U-Net's file is run by the test below.
ONNX = ("segnet", "attention_unet", "unet3plus", "unetpp_ds", "deeplabv3_resnet50")


@pytest.mark.parametrize(
    ("model", "kind"),
    [*((model, "onnx") for model in ONNX), ("unetpp_ds", "torch_export")],
)
def test_a_file_gives_the_same_logits_at_any_size(tmp_path: Path, model: str, kind: str) -> None:
    network = small(model)
    answer = export(network, tmp_path / f"net{'.onnx' if kind == 'onnx' else '.pt2'}", kind, FACTS)
    assert len(list(tmp_path.iterdir())) == 1
    for size in SIZES:
        assert largest_difference(network, answer, images(*size), imagenet(3)) < 1e-4, size


def test_onnx_runtime_runs_the_file_and_reads_what_it_says(tmp_path: Path) -> None:
    network, path = small("unet", classes=4), tmp_path / "net.onnx"
    export(network, path, "onnx", describe(["sky", "a", "b", "c"], (32, 48), imagenet(3)))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    picture = images(2, 50, 70)
    (found,) = session.run(None, {"image": picture.astype(np.float32)})
    with torch.no_grad():
        expected = probabilities(network(imagenet(3)(torch.from_numpy(picture))))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    says = session.get_modelmeta().custom_metadata_map
    assert json.loads(says["class_names"]) == ["sky", "a", "b", "c"]
    assert json.loads(says["size"]) == [32, 48]
    assert len(json.loads(says["palette"])) == 4
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]


def test_the_archive_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    export(small("unet"), path, "torch_export", FACTS)
    extra = {METADATA: ""}
    torch.export.load(path, extra_files=extra)
    assert json.loads(extra[METADATA]) == FACTS


class Branches(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image[:, :1] * (2 if image.mean() > 0 else 1)


def test_what_cannot_be_exported_is_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(SegbenchError, match="Branches cannot be exported") as told:
        export(Branches(), tmp_path / "net.onnx", "onnx", FACTS)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="format=tflite: expected onnx, torch_export"):
        export(Branches(), tmp_path / "net", "tflite", FACTS)


def test_a_wrong_answer_is_seen() -> None:
    network = small("unet")
    wrong = np.zeros((1, 2, 20, 20), np.float32)
    given = images(1, 20, 20), imagenet(3)
    assert largest_difference(network, lambda _: wrong, *given) > 0.4
    assert largest_difference(network, lambda _: wrong[:, :, 1:], *given) == np.inf
