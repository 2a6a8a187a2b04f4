"""Peak memory of a cell: its own, not that of an earlier cell in the same process."""

import atexit
import ctypes
import gc
import sys
from pathlib import Path

import torch


def release_memory() -> None:
    """Give back what an earlier cell of this process no longer needs, so that it is not ours."""
    if gc.get_freeze_count():
        gc.collect()  # a trainer and its task refer to each other
    else:  # the process's first cell: what is there by now, libraries mostly, stays to its end
        gc.freeze()
        atexit.register(gc.unfreeze)  # nanobind would report as leaks what is frozen then
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
        if trim:
            trim(0)


def reset_peak_memory(device: torch.device) -> None:
    """Start counting anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak becomes the present size
    except OSError:
        return  # elsewhere the process's whole life counts


def peak_memory(device: torch.device) -> int:
    """Bytes: allocated on a GPU, else resident in the process, since the last reset."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
