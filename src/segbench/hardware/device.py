"""A cell's precision, device, versions and number of operations; memory settings of glibc."""

import copy
import ctypes
import math
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segbench.records.record import package_version

PACKAGES = ("segbench", "torch", "torchvision", "lightning", "torchmetrics", "numpy", "scipy")


def auto_precision(accelerator: str) -> str:
    """The precision that ``trainer.precision=auto`` stands for.

    It is bf16-mixed on GPUs from Ampere on and on CPUs with bf16 instructions (AVX-512 BF16, AMX),
    16-mixed on older GPUs, and 32-true on everything else.

    Args:
        accelerator: Lightning's name of the accelerator, such as ``auto``, ``cpu`` or ``gpu``.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(False) else "16-mixed"
    on_cpu = accelerator == "cpu" or (
        accelerator == "auto" and not torch.backends.mps.is_available()
    )
    return "bf16-mixed" if on_cpu and cpu_has_bf16() else "32-true"


def available_cores() -> int:
    """Number of cores that this process may use; the machine may have more."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def computes_on_cpu(accelerator: str | None) -> bool:
    """Whether a Trainer with this option ``accelerator`` computes on this machine's CPU."""
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    return accelerator == "cpu" or (accelerator in ("auto", None) and not gpu)


def largest_memory() -> float:
    """Bytes of the machine's main memory or of its largest GPU, whichever has more."""
    main = math.inf
    if hasattr(os, "sysconf"):
        main = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpus = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return max([main, *(gpu.total_memory for gpu in gpus)])


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 natively; emulation would be slower than fp32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if any(getattr(torch.cpu, check, bool)() for check in checks):
        return True
    try:  # 64-bit Arm lists it among its features
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return "bf16" in facts.split("Features", 1)[1].split("\n")[0]
    except (OSError, IndexError):
        return False


def count_flops(network: nn.Module, in_channels: int, size: tuple[int, int]) -> int:
    """Floating-point operations of one image's forward pass; a multiply-add counts as two.

    Computed from shapes on the meta device, without any arithmetic. Source: PyTorch's
    ``torch.utils.flop_counter``.

    Args:
        network: the network; it is not changed.
        in_channels: number of channels of the image.
        size: (height, width) of the image in pixels.
    """
    tensors = [*network.parameters(), *network.buffers()]
    shapes = {id(t): t.detach().to("meta") for t in tensors}  # instead of a copy of the weights
    shadow = copy.deepcopy(network, shapes).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(torch.empty(1, in_channels, *size, device="meta"))
    return int(counter.get_total_flops())


def environment(device: torch.device, precision: str) -> dict[str, Any]:
    """Versions, device, precision and the commit of the code, as ``run.json`` records them."""
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
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(ln for ln in lines if ln.startswith("model name")).split(":", 1)[1].strip()
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """The commit of segbench's own code, followed by ``+`` where the code was changed since.

    None where segbench is installed without its repository.
    """
    code = Path(__file__).parent
    commit = _git("rev-parse", "HEAD", "--show-toplevel", cwd=code).split()
    if len(commit) != 2 or not (Path(commit[1]) / "src" / "segbench").is_dir():
        return None  # installed, perhaps inside somebody else's checkout
    return commit[0] + (
        "+" if _git("status", "--porcelain", "src", "conf", cwd=code.parents[2]) else ""
    )


def _git(*arguments: str, cwd: Path) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else ""


# Options of glibc's mallopt: M_TRIM_THRESHOLD, the number of free bytes at the heap's top above
# which they are returned; M_MMAP_THRESHOLD, the size (at most 32 MB) from which a block gets a
# mapping of its own; M_MMAP_MAX, the greatest number of such mappings.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGE = 32 * 2**20


def keep_freed_memory(large: bool = False) -> bool:
    """Let malloc keep what a training step frees for the next one.

    By default glibc returns it to the system, and each step waits for new pages, which the system
    fills with zeros.

    Args:
        large: whether blocks of 32 MB and more are kept too. Otherwise they have mappings of their
            own, which are returned. Keeping them is faster and takes more memory.

    Returns:
        Whether the settings were made; False where the C library is not glibc.
    """
    done = _set_malloc({_MMAP_THRESHOLD: _LARGE, _TRIM_THRESHOLD: 2**31 - 1})
    return done and (not large or _set_malloc({_MMAP_MAX: 0}))


def return_freed_memory() -> bool:
    """Restore glibc's default thresholds and return free memory.

    Returns:
        Whether the settings were made; False where the C library is not glibc.
    """
    return _set_malloc({_TRIM_THRESHOLD: 2 * _LARGE, _MMAP_MAX: 65536}, trim=True)


def _set_malloc(options: dict[int, int], trim: bool = False) -> bool:
    try:
        libc = ctypes.CDLL("libc.so.6")
        accepted = [libc.mallopt(option, value) for option, value in options.items()]
        if trim:
            libc.malloc_trim(0)
    except (OSError, AttributeError):  # macOS, Windows, musl
        return False
    return all(accepted)
