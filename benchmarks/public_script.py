"""Does the public script of the UNet++ study end where segbench ends, on the same split and score?

    git clone https://github.com/4uiiurz1/pytorch-nested-unet
    python benchmarks/public_script.py pytorch-nested-unet data docs/studies/records/dsb2018_narrow

The script prepares the images, trains in fp32 with its own network, loss and loop, and stops early;
the test part is that of the records. Its masks are scored by `segbench score`. Changed from outside
are the split, the number of channels, CUDA (the CPU instead), and its augmentation, which the
experiment of segbench does not use. The script divides normalised pixels by 255 once more, which
leaves its first layer less variance than batch normalisation's ε; --once leaves that out. Twenty
minutes on one core for the U-Net with 16 channels.
"""

import argparse
import os
import runpy
import subprocess
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from statistics import mean, stdev
from typing import Any
from unittest.mock import patch

import albumentations
import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from segbench.records.cells import Cell, find_cells

# What is changed in the script's files; its U-Net does not take all arguments of its train.py.
FILTERS = ("archs.py", "nb_filter = [32, 64, 128, 256, 512]")
ARGUMENTS = ("archs.py", "input_channels=3, **kwargs")
DIVISION = ("dataset.py", "img = img.astype('float32') / 255")
CHANGED = ("RandomRotate90", "Flip", "HueSaturationValue", "RandomBrightness", "RandomContrast")


def parts_of(cell: Cell) -> dict[str, list[str]]:
    """The ids of each part of a cell's data."""
    return {part: [case["id"] for case in cases] for part, cases in cell.parts.items()}


def prepare(script: Path, data: Path, work: Path, channels: int, once: bool) -> None:
    """A copy of the script with the data where it looks for them, and a network of other width."""
    for file in script.glob("*.py"):
        (work / file.name).write_text(file.read_text())
    change(work, FILTERS, f"nb_filter = {[channels << level for level in range(5)]}")
    change(work, ARGUMENTS, "input_channels=3, *args, **kwargs")
    if once:
        change(work, DIVISION, DIVISION[1].removesuffix(" / 255"))
    source = work / "inputs" / "data-science-bowl-2018"
    source.mkdir(parents=True, exist_ok=True)
    if not (source / "stage1_train").exists():
        (source / "stage1_train").symlink_to((data / "dsb2018" / "stage1_train").resolve())
    if not (work / "inputs" / "dsb2018_96").exists():
        subprocess.run([sys.executable, "preprocess_dsb2018.py"], cwd=work, check=True)


def change(work: Path, place: tuple[str, str], text: str) -> None:
    """Replace a text in one of the script's files, which must hold it."""
    name, old = place
    before = (work / name).read_text()
    if old not in before:
        sys.exit(f"{name} of the script has no {old!r}; this benchmark knows commit 557ea02")
    (work / name).write_text(before.replace(old, text))


def modules(parts: dict[str, list[str]]) -> dict[str, Any]:
    """What the script imports: the records' split, and its transforms without augmentation."""
    selection: Any = types.ModuleType("sklearn.model_selection")
    selection.train_test_split = lambda ids, **options: (parts["train"], parts["val"])
    transforms: Any = types.ModuleType("transforms")
    transforms.Resize, transforms.Normalize = albumentations.Resize, albumentations.Normalize
    for name in CHANGED:
        setattr(transforms, name, albumentations.NoOp)
    augmentations: Any = types.ModuleType("albumentations.augmentations")
    augmentations.transforms = transforms
    made = {"sklearn.model_selection": selection, "albumentations.augmentations": augmentations}
    made["sklearn"] = types.ModuleType("sklearn")
    for name, module in made.items():
        module.__spec__ = ModuleSpec(name, None)  # PyTorch looks whether sklearn is installed
    return made


def train(work: Path, parts: dict[str, list[str]], words: list[str], seed: int) -> None:
    """Run the script's train.py in its folder, on the CPU."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    on_cpu = patch.object(nn.Module, "cuda", lambda self: self)
    tensors = patch.object(torch.Tensor, "cuda", lambda self: self)
    arguments = patch.object(sys, "argv", ["train.py", *words])
    with on_cpu, tensors, arguments, patch.dict(sys.modules, modules(parts)):
        runpy.run_path(str(work / "train.py"), run_name="__main__")


@torch.no_grad()
def predict(work: Path, name: str, arch: str, ids: list[str], once: bool) -> Path:
    """Masks of the test part at the pictures' own sizes, by the script's network."""
    network = runpy.run_path(str(work / "archs.py"))[arch](1, 3)
    network.load_state_dict(torch.load(work / "models" / name / "model.pth"))
    network.eval()
    normalize = albumentations.Normalize()
    masks = work / "masks" / name
    masks.mkdir(parents=True, exist_ok=True)
    for case in ids:
        image = cv2.imread(str(work / "inputs" / "dsb2018_96" / "images" / f"{case}.png"))
        pixels = normalize(image=image)["image"].transpose(2, 0, 1)
        logits = network(torch.from_numpy(pixels)[None] / (1 if once else 255))  # as trained
        picture = work / "inputs/data-science-bowl-2018/stage1_train" / case / "images"
        height, width = cv2.imread(str(picture / f"{case}.png")).shape[:2]
        whole = F.interpolate(logits, (height, width), mode="bilinear")
        cv2.imwrite(str(masks / f"{case}.png"), (whole[0, 0] > 0).numpy().astype(np.uint8))
    return masks


def score(masks: Path, data: Path, model: str, cell: Cell, seed: int) -> float:
    """The test IoU of the masks, by `segbench score` in the records' split."""
    options = [f"pred={masks}", "data=dsb2018", f"data.root={data}", "name=public_script"]
    options += [f"model={model}", "loss=bce_dice", f"seed={seed}", "overwrite=true"]
    split = cell.folder.resolve() / "split.json"
    subprocess.run(
        [sys.executable, "-m", "segbench", "score", *options, f"data.split={split}"], check=True
    )
    scored = find_cells([Path("outputs") / "public_script"])
    alike = [each for each in scored if (each.choices["model"], each.seed) == (model, seed)]
    newest = max(alike, key=lambda each: (each.folder / "run.json").stat().st_mtime)
    return float(newest.averages["iou"] or 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", type=Path, help="the folder of its clone")
    parser.add_argument("data", type=Path, help="the folder that holds dsb2018")
    parser.add_argument("records", type=Path, help="the cells to compare with")
    parser.add_argument("--model", default="unet_vgg", choices=["unet_vgg", "unetpp"])
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--patience", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--once", action="store_true", help="divide pixels by 255 once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("outputs/public_script_work"))
    chosen = parser.parse_args()
    found = [each for each in find_cells([chosen.records]) if each.status == "done"]
    alike = [each for each in found if each.choices["model"] == chosen.model]
    ours = [each for each in alike if not each.config["model.deep_supervision"]]
    if not ours:
        sys.exit(f"{chosen.records}: no finished cell of model={chosen.model}")
    work, data = chosen.work.resolve(), chosen.data.resolve()
    work.mkdir(parents=True, exist_ok=True)
    prepare(chosen.script, data, work, chosen.channels, chosen.once)
    arch = {"unet_vgg": "UNet", "unetpp": "NestedUNet"}[chosen.model]
    once = "_once" * chosen.once
    name = f"{arch}_{chosen.channels}_{chosen.seed}{once}"
    words = f"--name {name} --arch {arch} --optimizer Adam --lr 3e-4 --weight_decay 0"
    words += f" --scheduler ConstantLR --early_stopping {chosen.patience} --num_workers 0"
    home, parts = Path.cwd(), parts_of(ours[0])
    os.chdir(work)
    sys.path.insert(0, str(work))
    finished = work / "models" / name / "finished"  # its weights are there after the first epoch
    if not finished.exists():
        train(work, parts, [*words.split(), "--epochs", str(chosen.epochs)], chosen.seed)
        finished.touch()
    masks = predict(work, name, arch, parts["test"], chosen.once)
    os.chdir(home)
    theirs = score(masks, data, f"script_{chosen.model}{once}", ours[0], chosen.seed)
    known = [each.averages["iou"] or 0 for each in ours]
    spread = f" ± {stdev(known):.4f}" if len(known) > 1 else ""
    print(f"public script {theirs:.4f}; segbench {mean(known):.4f}{spread}, {len(known)} seeds:")
    print(", ".join(f"{each:.4f}" for each in sorted(known)))


if __name__ == "__main__":
    main()
