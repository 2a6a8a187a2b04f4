"""Measures a cell's own peak memory, without that of earlier cells in the same process."""

import atexit
import ctypes
import gc
import sys
from pathlib import Path

import torch

_left_out: list[bool] = []


def release_memory() -> None:
    """Free the memory of earlier cells of this process, so that it is not counted for this one.

    Objects that exist before the first cell, mostly those of libraries, are left out of all later
    garbage collections, which took a twentieth of the time of a short cell.
    """
    if _leave_out_libraries():
        gc.collect()  # a trainer and its task refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
        if trim:
            trim(0)


def _leave_out_libraries() -> bool:
    """Leave out what exists now; returns whether this had been done before."""
    before = bool(_left_out)
    if not before:
        gc.freeze()
        atexit.register(gc.unfreeze)  # otherwise nanobind reports leaks
        _left_out.append(True)  # asking gc for the number of these objects takes 0.1 s
    return before


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
