"""Prints docs/architectures.md's table: parameters and FLOPs of every network of conf/model.

    python benchmarks/architectures.py

Counted by torch.utils.flop_counter on the meta device, so that nothing is computed or allocated:
the convolutions and matrix products of one forward pass, two operations for each multiply-add.
"""

import re
from pathlib import Path

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segbench.types import logit_channels

CONFIGS = Path(__file__).parents[1] / "conf" / "model"
VARIANTS = {  # beside each config's own defaults
    "unet": [{"up": "bilinear"}],
    "unet_compact": [{"base_channels": 8}],
    "segnet": [{"base_channels": 8}],
    "unetpp_ds": [{"level": 1}, {"level": 2}, {"level": 3}],
    "resnet34_unet": [{"encoder": f"resnet{layers}"} for layers in (18, 50, 101, 152)],
    "mobilenet_unet": [{"encoder": "mobilenet_v3_large"}],
}
STUDIES_CLASSES = {("unet", "up=bilinear"): 8}  # where a study's number is for more than one logit


def build(name: str, options: dict[str, object], num_classes: int) -> nn.Module:
    data = {"in_channels": 3, "num_classes": num_classes}
    cell = OmegaConf.create({"data": data, "model": OmegaConf.load(CONFIGS / f"{name}.yaml")})
    try:
        with torch.device("meta"):
            return instantiate(cell.model, **options).eval()
    except InstantiationException:  # its constructor asks for the value of a tensor
        return instantiate(cell.model, **options).eval().to("meta")


def flops(net: nn.Module, size: int = 256) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, 3, size, size, device="meta"))
    return counter.get_total_flops()


def paper(name: str) -> str:
    """What the config's first line names, its arXiv numbers as links."""
    header = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    return re.sub(r"arXiv:([\d.]+\d)", r"[\1](https://arxiv.org/abs/\1)", header)


def rows(name: str) -> list[str]:
    lines = []
    for options in [{}, *VARIANTS.get(name, [])]:
        chosen = " ".join(f"{key}={value}" for key, value in options.items())
        num_classes = STUDIES_CLASSES.get((name, chosen), 2)
        net = build(name, options, num_classes)
        parameters = sum(parameter.numel() for parameter in net.parameters())
        note = f"{logit_channels(num_classes)} classes" if num_classes > 2 else ""
        what = ", ".join(filter(None, [f"`{chosen}`" if chosen else paper(name), note]))
        label = f"`{name}`" if not chosen else ""
        lines.append(f"| {label} | {what} | {parameters:,} | {flops(net) / 1e9:.1f} |")
    return lines


def main() -> None:
    OmegaConf.register_new_resolver("logit_channels", logit_channels, replace=True)
    print("| `model=` | what | parameters | GFLOPs |\n| --- | --- | ---: | ---: |")
    for path in sorted(CONFIGS.glob("*.yaml")):
        print("\n".join(rows(path.stem)))


if __name__ == "__main__":
    main()
