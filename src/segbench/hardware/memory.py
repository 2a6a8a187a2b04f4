"""Measures a cell's own peak memory, without that of earlier cells in the same process."""

import atexit
import ctypes
import gc
import sys
from functools import cache
from pathlib import Path

import torch


def release_memory() -> None:
    """Free the memory of earlier cells of this process, so that it is not counted for this one.

    Objects that exist before the first cell, mostly those of libraries, are left out of the
    garbage collections, which would look at them before each cell.
    """
    _leave_out_libraries()
    gc.collect()  # a trainer and its task refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
        if trim:
            trim(0)


@cache
def _leave_out_libraries() -> None:
    gc.freeze()
    atexit.register(gc.unfreeze)  # otherwise nanobind reports leaks


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak that `peak_memory` returns, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Linux: reset the peak
    except OSError:
        return  # elsewhere the peak is that since the process started


def peak_memory(device: torch.device) -> int:
    """Peak since the last reset in bytes: allocated on a GPU, or resident in the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
