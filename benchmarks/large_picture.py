"""The largest memory of check, training, testing and predicting with one picture of 20,000².

    python benchmarks/large_picture.py [--side 20000] [--format tif] [--noise 60] [--only train …]

The picture is smooth with noise, its mask three large discs and 2,000 small ones. Memory is the
largest resident set of the command's process as the system counts it, which includes the pages of
memory-mapped files that the system could give back.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import tifffile

SMALL = 300  # pixels of the side of the other pictures
GIB = 2**20  # of ru_maxrss, which counts KiB


def draw(folder: Path, name: str, side: int, suffix: str, noise: int) -> None:
    """Write a picture of side² pixels with ``noise`` levels of noise, and its mask."""
    chance = np.random.default_rng([side, *name.encode()])
    mask = np.zeros((side, side), np.uint8)
    for radius, count in ((side // 8, 3), (max(3, side // 400), 2000)):
        for x, y in chance.integers(0, side, (count, 2)).tolist():
            cv2.circle(mask, (x, y), radius, 1, -1)
    picture = np.repeat(mask[:, :, None] * np.uint8(90), 3, axis=2)
    for start in range(0, side, 1000):
        rows = picture[start : start + 1000]
        rows += chance.integers(60, 60 + noise, rows.shape, np.uint8)
    for kind, values in (("images", picture), ("masks", mask)):
        file = folder / kind / f"{name}.{suffix if kind == 'images' else 'png'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".tif":
            tifffile.imwrite(file, values, photometric="rgb")
        else:
            cv2.imwrite(str(file), values, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def make(folder: Path, side: int, suffix: str, noise: int) -> None:
    """A data set of the large picture and four small ones, and a list for each part."""
    draw(folder, "large", side, suffix, noise)
    for name in "abcd":
        draw(folder, name, SMALL, suffix, noise)
    for chosen in ("train", "test"):
        parts = {"train": "a", "val": "b", "test": "c"} | {chosen: "large"}
        for part, name in parts.items():
            (folder / f"large-in-{chosen}-{part}.txt").write_text(f"{name}\n")


def memory(command: list[str], cwd: Path) -> float:
    """The largest memory of a command in GiB."""
    read, write = os.pipe()
    if not os.fork():  # a process of its own, whose children's maximum is this command's
        done = subprocess.run(command, cwd=cwd, check=False)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / GIB
        os.write(write, f"{used if done.returncode == 0 else -1}".encode())
        os._exit(0)
    os.wait()
    found = float(os.read(read, 64))
    os.close(read), os.close(write)
    if found < 0:
        sys.exit(f"failed: {' '.join(command)}")
    return found


def main() -> None:
    """Make the pictures, run the commands and print their memory."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--side", type=int, default=20000)
    options.add_argument("--format", choices=("tif", "png"), default="tif")
    options.add_argument(
        "--noise", type=int, default=60, help="levels of noise; more are larger PNGs"
    )
    options.add_argument("--scale", type=float, default=1)
    options.add_argument("--folder", type=Path, help="keep the data here, and use them again")
    options.add_argument("--only", nargs="*", choices=("check", "train", "test", "predict"))
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        if not (folder / "large-in-test-test.txt").is_file():
            make(folder, asked.side, asked.format, asked.noise)
        pixels = asked.side**2
        here = [sys.executable, "-m", "segbench"]
        data = ["data=folder", f"data.root={folder}", f"data.max_pixels={pixels}"]
        data += ["data.class_names=[none,disc]", "data.patch=256", f"data.scale={asked.scale}"]
        data += ["data.patches_per_epoch=64", "data.batch_size=8", "name=large"]
        data += ["model=unet_compact", "model.base_channels=4", "trainer.max_epochs=1"]
        of_three = "data.split={train: 3, val: 1, test: 1}"
        split = "data.split={{train: {0}-train.txt, val: {0}-val.txt, test: {0}-test.txt}}"
        picture = folder / "images" / f"large.{asked.format}"
        masks = [f"output={folder / 'predicted'}", f"max_pixels={pixels}"]
        commands = {
            "check": [*here, "check", *data[:4], of_three],
            "train": [*here, *data, split.format(folder / "large-in-train")],
            "test": [
                *here,
                *data,
                "name=large_test",
                split.format(folder / "large-in-test"),
            ],
            "predict": [*here, "predict", "run=outputs/large", f"input={picture}", *masks],
        }
        for name, command in commands.items():
            if asked.only is None or name in asked.only:
                print(f"{name}: {memory(command, folder):.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
