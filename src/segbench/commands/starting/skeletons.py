"""The files that ``segbench new`` writes: for each kind a module, a YAML file and a test.

In the texts ``@name@`` is the name of the file and of the option, ``@Class@`` that of the class,
``@package@`` the user's package, and ``@configs@`` the folder of the user's YAML files.
"""

NETWORK = {
    "@package@/@name@.py": '''\
"""A network for segbench: from images to logits of the same height and width."""

import torch
from torch import Tensor, nn


class @Class@(nn.Module):
    """Two levels of convolutions, the lower one at half the resolution.

    Args:
        in_channels: channels of the images.
        out_channels: channels of the logits: 1 for two classes, else one for each class.
        base_channels: channels of the first level.
    """

    def __init__(self, in_channels: int, out_channels: int, base_channels: int = 16) -> None:
        super().__init__()
        self.upper = _convolutions(in_channels, base_channels)
        self.lower = _convolutions(base_channels, 2 * base_channels)
        self.merge = _convolutions(3 * base_channels, base_channels)
        self.head = nn.Conv2d(base_channels, out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, out_channels, H, W) of images (N, in_channels, H, W)."""
        upper = self.upper(image)
        lower = self.lower(nn.functional.max_pool2d(upper, 2, ceil_mode=True))
        larger = nn.functional.interpolate(lower, size=upper.shape[-2:], mode="nearest")
        return self.head(self.merge(torch.cat([upper, larger], dim=1)))


def _convolutions(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
''',
    "@configs@/model/@name@.yaml": """\
# My own network @Class@, in @package@/@name@.py
_target_: @package@.@name@.@Class@
in_channels: ${data.in_channels}
out_channels: ${logit_channels:${data.num_classes}} # 1 for two classes, else one for each
base_channels: 16
""",
    "tests/test_@name@.py": '''\
"""@Class@ gives logits of the size of its images, and every weight learns."""

import pytest
import torch

from @package@.@name@ import @Class@


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_logits_have_the_size_of_the_images(size):
    network = @Class@(in_channels=3, out_channels=2).eval()
    assert network(torch.rand(2, 3, *size)).shape == (2, 2, *size)


def test_every_weight_gets_a_gradient():
    network = @Class@(in_channels=1, out_channels=1)
    network(torch.rand(2, 1, 16, 16)).square().mean().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.parameters())
''',
}
LOSS = {
    "@package@/@name@.py": '''\
"""A loss for segbench: a number that is smaller the better the logits fit the classes."""

import torch
from torch import Tensor

from segbench.losses import SegmentationLoss


class @Class@(SegmentationLoss):
    """Mean squared error of the probabilities of the classes, over all pixels.

    Args:
        ignore_index: the class id of pixels that do not count.
    """

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (N, K, H, W) and class ids (N, H, W); K is 1 for two classes."""
        valid = (target != self.ignore_index).unsqueeze(1)
        classes = target.masked_fill(target == self.ignore_index, 0).unsqueeze(1)
        if logits.shape[1] == 1:
            errors = (logits.sigmoid() - classes.to(logits.dtype)).square()
        else:
            truth = torch.zeros_like(logits).scatter(1, classes, 1.0)
            errors = (logits.softmax(dim=1) - truth).square().sum(dim=1, keepdim=True)
        return (errors * valid).sum() / valid.sum().clamp(min=1)
''',
    "@configs@/loss/@name@.yaml": """\
# My own loss @Class@, in @package@/@name@.py
_target_: @package@.@name@.@Class@
ignore_index: ${data.ignore_index}
""",
    "tests/test_@name@.py": '''\
"""@Class@ is smaller for better logits, and pixels that do not count do not count."""

import pytest
import torch

from @package@.@name@ import @Class@


@pytest.mark.parametrize("channels", [1, 3])
def test_better_logits_have_a_smaller_loss(channels):
    target = torch.randint(0, max(2, channels), (2, 8, 8))
    if channels == 1:
        right = (20.0 * target - 10).unsqueeze(1)
    else:
        right = 20.0 * torch.nn.functional.one_hot(target, channels).permute(0, 3, 1, 2)
    loss = @Class@(ignore_index=255)
    assert loss(right.float(), target) < 1e-3 < loss(-right.float(), target)


def test_ignored_pixels_change_neither_value_nor_gradient():
    logits = torch.randn(1, 1, 4, 4, requires_grad=True)
    target = torch.ones(1, 4, 4, dtype=torch.long)
    target[0, 0] = 255
    @Class@(ignore_index=255)(logits, target).backward()
    assert logits.grad[0, 0, 0].abs().sum() == 0
    assert logits.grad[0, 0, 1:].abs().min() > 0
''',
}
DATA = {
    "@package@/@name@.py": '''\
"""A data set for segbench: which files belong together, and how they are read."""

import hashlib
import io
from pathlib import Path

import numpy as np

from segbench.data import Case, Decoded, SegmentationDataModule


class @Class@(SegmentationDataModule):
    """Pictures <id>.png, each beside <id>.npy, which holds class ids (H, W) uint8.

    Images and masks that are both pictures need no class: data=folder reads them.
    """

    folder_name = "@name@"

    def find_cases(self) -> list[Case]:
        """The cases of the data set, each with its files, the image's first."""
        images = sorted(self.find_root().glob("*.png"))
        return [Case(each.stem, (str(each), str(each.with_suffix(".npy")))) for each in images]

    def read(self, case: Case) -> Decoded:
        """Image (H, W, C) uint8 and mask (H, W) uint8 of a case, and a digest of its files."""
        image, mask = (self.read_file(file) for file in case.files)
        digest = hashlib.sha256(image + mask).hexdigest()
        pixels = self.read_image(image, Path(case.files[0]))
        return Decoded(pixels, np.load(io.BytesIO(mask)), digest)
''',
    "@configs@/data/@name@.yaml": """\
# My own data set, read by @Class@ in @package@/@name@.py
defaults:
  - _files # what every data set of files has
  - _self_
_target_: @package@.@name@.@Class@
root: data/@name@
class_names: [background, object]
size: 64
batch_size: 8
split: {train: 0.6, val: 0.2, test: 0.2}
""",
    "tests/test_@name@.py": '''\
"""@Class@ finds the cases of a folder, and reads images and masks as they are."""

import numpy as np
from PIL import Image

from @package@.@name@ import @Class@


def test_images_and_masks_are_read_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    masks = {f"case{k}": rng.integers(0, 2, (20, 24), dtype=np.uint8) for k in range(5)}
    for name, mask in masks.items():
        Image.fromarray(np.stack([mask * 255] * 3, axis=-1)).save(tmp_path / f"{name}.png")
        np.save(tmp_path / f"{name}.npy", mask)
    data = @Class@(
        root=str(tmp_path),
        num_classes=2,
        class_names=["background", "object"],
        size=16,
        batch_size=2,
        split={"train": 0.6, "val": 0.2, "test": 0.2},
    )
    cases = data.find_cases()
    assert [case.id for case in cases] == sorted(masks)
    for case in cases:
        found = data.read(case)
        assert (found.mask == masks[case.id]).all()
        assert (found.image[..., 0] == masks[case.id] * 255).all()
''',
}
EXPERIMENT = {
    "@configs@/experiment/@name@.yaml": """\
# @package _global_
# My own comparison. Run it, and repeat the command to resume it:
#   segbench -m experiment=@name@
defaults:
  - override /data: synthetic
  - override /optimizer: adam

name: @name@ # the folder under outputs/
data:
  size: 64
trainer:
  max_epochs: 20
hydra:
  sweeper:
    params: # every combination is a cell
      model: unet_compact,segnet
      model.base_channels: 8
      loss: bce,dice
      seed: 0,1,2
""",
    "tests/test_@name@.py": '''\
"""The cells of the experiment @name@ can be planned; none is run."""

import subprocess
import sys


def test_its_cells_can_be_planned():
    command = [sys.executable, "-m", "segbench", "-m", "--dry-run", "experiment=@name@"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "12 cells" in done.stdout
''',
}
KINDS = {"network": NETWORK, "loss": LOSS, "data": DATA, "experiment": EXPERIMENT}
GROUPS = {"network": "model", "loss": "loss", "data": "data", "experiment": "experiment"}
