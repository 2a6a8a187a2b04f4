"""What a cell runs on: its precision, its device, its versions, its cost in operations."""

import copy
import ctypes
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segbench.report.record import package_version

PACKAGES = ("segbench", "torch", "torchvision", "lightning", "torchmetrics", "numpy", "scipy")


def auto_precision(accelerator: str) -> str:
    """What ``trainer.precision=auto`` stands for: bf16-mixed where it is native.

    That is on GPUs from Ampere on and on CPUs with bf16 instructions (AVX-512 BF16, AMX); older
    GPUs get 16-mixed, everything else 32-true.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(False) else "16-mixed"
    on_cpu = accelerator == "cpu" or (
        accelerator == "auto" and not torch.backends.mps.is_available()
    )
    return "bf16-mixed" if on_cpu and cpu_has_bf16() else "32-true"


def available_cores() -> int:
    """Cores that this process may use, which on a shared machine may be few of many."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 natively; emulated it would be slower than fp32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if any(getattr(torch.cpu, check, bool)() for check in checks):
        return True
    try:  # 64-bit Arm says it among its features
        return "bf16" in Path("/proc/cpuinfo").read_text().split("Features", 1)[1].split("\n")[0]
    except (OSError, IndexError):
        return False


def count_flops(network: nn.Module, in_channels: int, size: tuple[int, int]) -> int:
    """Floating-point operations of one image's forward pass; a multiply-add counts as two.

    Counted on shapes alone, so it takes no time to speak of. Source: torch.utils.flop_counter.
    """
    tensors = [*network.parameters(), *network.buffers()]
    shapes = {id(t): t.detach().to("meta") for t in tensors}  # instead of a copy of the weights
    shadow = copy.deepcopy(network, shapes).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(torch.empty(1, in_channels, *size, device="meta"))
    return int(counter.get_total_flops())


def environment(device: torch.device, precision: str) -> dict[str, Any]:
    """Versions, device, precision and the commit of the code, for the record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {
        "device": name,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git_commit": git_commit(),
        "versions": {package: package_version(package) for package in PACKAGES},
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(ln for ln in lines if ln.startswith("model name")).split(":", 1)[1].strip()
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """The commit that segbench's own code is at, with ``+`` where it was changed since."""
    code = Path(__file__).parent
    commit = _git("rev-parse", "HEAD", "--show-toplevel", cwd=code).split()
    if len(commit) != 2 or not (Path(commit[1]) / "src" / "segbench").is_dir():
        return None  # installed, perhaps inside somebody else's checkout
    return commit[0] + (
        "+" if _git("status", "--porcelain", "src", "conf", cwd=code.parents[1]) else ""
    )


def _git(*words: str, cwd: Path) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# Of glibc's mallopt: what is free at the heap's top before it is given back; from which size on a
# block has a mapping of its own, 32 MB at most; how many of those there may be.
_TRIM, _OWN, _MAPPINGS = -1, -3, -4
_LARGE = 32 * 2**20


def keep_freed_memory(large: bool = False) -> bool:
    """Let malloc keep what a training step frees for the next one.

    glibc gives it back to the system, and each step pays for new pages, which the system fills
    with zeros. Blocks from 32 MB on have mappings of their own and still go back, unless ``large``:
    then they come from the heap too, which is faster and takes more memory. Returns whether there
    is a glibc to tell.
    """
    told = _tell_malloc({_OWN: _LARGE, _TRIM: 2**31 - 1})
    return told and (not large or _tell_malloc({_MAPPINGS: 0}))


def return_freed_memory() -> bool:
    """The opposite, with the limits that glibc comes to by itself; what is free goes back now."""
    return _tell_malloc({_TRIM: 2 * _LARGE, _MAPPINGS: 65536}, trim=True)


def _tell_malloc(options: dict[int, int], trim: bool = False) -> bool:
    try:
        libc = ctypes.CDLL("libc.so.6")
        told = [libc.mallopt(option, value) for option, value in options.items()]
        if trim:
            libc.malloc_trim(0)
    except (OSError, AttributeError):  # macOS, Windows, musl
        return False
    return all(told)
