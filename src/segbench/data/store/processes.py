"""Loading processes: how they start and end, their number, and how they pass batches on."""

import os
import pickle
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing.reduction import ForkingPickler
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader, get_worker_info

from segbench.data.store.loading import EpochSampler, PreparedCases
from segbench.errors import SegbenchError
from segbench.hardware.parents import end_with_pool
from segbench.types import Batch

PREFETCH = 2  # batches that a loading process prepares ahead; DataLoader's default
# The start method. In a joblib pool the default would be that of the pool, which torch cannot use;
# in Python 3.14 it would be a fork server, which would be the processes' parent.
START = "fork" if sys.platform == "linux" else None
SHARED = "/dev/shm"
PAGE = 4096  # bytes; each semaphore of a queue takes one
ADVICE = "data.num_workers=0 loads in the process that trains"


class Parcel:
    """A pickled batch, which is unpickled as the batch itself.

    A queue pickles in its own thread. An error there is only printed, and the training process
    waits for the batch forever. Therefore batches are pickled before they are put into the queue.
    Tensors go to shared memory, or to the pipe if shared memory or file handles are exhausted.
    """

    def __init__(self, batch: Batch) -> None:
        try:
            self.content = bytes(ForkingPickler.dumps(batch))
        except (RuntimeError, OSError):
            self.content = pickle.dumps(batch)

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.content,)


def hand_over(batch: Any) -> Any:
    """Collate function for complete batches; a loading process wraps them in a `Parcel`."""
    return batch if get_worker_info() is None else Parcel(batch)


def start_loading(_: int) -> None:
    """End this loading process when the process that it loads for ends."""
    end_with_pool()


def free_shared_memory() -> int | None:
    """Free bytes of shared memory; None where the system does not tell."""
    try:
        found = os.statvfs(SHARED)
    except (OSError, AttributeError):
        return None
    return found.f_bavail * found.f_frsize


def shared_memory_for(workers: int, batch_bytes: int) -> int:
    """Bytes of shared memory that loading processes need for batches and semaphores."""
    return (PREFETCH * workers + 2) * batch_bytes + (4 * workers + 16) * PAGE if workers else 0


def workers_with_room(wanted: int, batch_bytes: int) -> int:
    """The number of loading processes that fit into shared memory, with a warning if it is smaller.

    Half of the free memory is left to other loaders and other cells.

    Args:
        wanted: the number of loading processes asked for.
        batch_bytes: bytes of a batch.
    """
    free = free_shared_memory()
    if not wanted or free is None:
        return wanted
    fitting = (n for n in range(wanted, 0, -1) if shared_memory_for(n, batch_bytes) <= free // 2)
    found = next(fitting, 0)
    if found < wanted:
        warnings.warn(
            f"{SHARED}: {_size(free)} of shared memory are free, and {wanted} loading processes "
            f"with batches of {_size(batch_bytes)} need "
            f"{_size(2 * shared_memory_for(wanted, batch_bytes))}; loading with {found or 'none'} "
            "of them (a container gets more by --shm-size=1g)",
            stacklevel=2,
        )
    return found


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


class ErrorsWhileWaiting:
    """Delays PyTorch's error about an ended loading process until a batch is waited for.

    PyTorch raises it in the handler of the signal, wherever the main process happens to be: while
    it writes a checkpoint or ends after Ctrl-C, for example.

    Args:
        handler: PyTorch's signal handler.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self._handler = handler
        self._waiting = self._delayed = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal now if a batch is waited for, otherwise when one will be."""
        if self._waiting:
            self._handler(number, frame)
        else:
            self._delayed = True

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A context in which errors are raised at once, after those that were delayed."""
        self._waiting = True
        try:
            if self._delayed:
                self._delayed = False
                self._handler(signal.SIGCHLD, None)
            yield
        finally:
            self._waiting = False


def waiting() -> AbstractContextManager[None]:
    """A context for waiting for a batch; outside it, loading processes that end raise no error."""
    if not hasattr(signal, "SIGCHLD") or current_thread() is not main_thread():
        return nullcontext()
    handler = signal.getsignal(signal.SIGCHLD)
    if not callable(handler):
        return nullcontext()
    if not isinstance(handler, ErrorsWhileWaiting):
        handler = ErrorsWhileWaiting(handler)
        signal.signal(signal.SIGCHLD, handler)
    return handler.waiting()


class BatchLoader(DataLoader[Batch]):
    """PyTorch's DataLoader with one-line errors about its loading processes."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Start the loading processes with the first batch, and yield the batches.

        Raises:
            SegbenchError: a loading process was killed, or failed.
        """
        try:
            batches = self._started()
            while True:
                with waiting() if self.num_workers else nullcontext():
                    batch = next(batches, None)
                if batch is None:
                    return
                yield batch
        except Exception as error:
            line = explain(error)
            if line is None and self.num_workers and isinstance(error, EOFError | OSError):
                line = f"a loading process ended, perhaps for want of memory; {ADVICE}"
            if line is None:
                raise
            raise SegbenchError(line) from error

    def _started(self) -> Iterator[Batch]:
        try:
            return super().__iter__()
        except OSError as error:  # no resources for a process, a pipe or a semaphore
            if not self.num_workers:
                raise
            warnings.warn(
                f"{self.num_workers} loading processes cannot be started ({error.strerror}); "
                "loading with none of them",
                stacklevel=3,
            )
            self.num_workers = 0
            return super().__iter__()


def make_loader(
    cases: PreparedCases, batch_size: int, workers: int, sampler: EpochSampler | None = None
) -> BatchLoader:
    """A loader of whole batches.

    Args:
        cases: the cases of a part.
        batch_size: images in a batch.
        workers: wanted number of loading processes; fewer where shared memory has no room.
        sampler: the order; None: that of the cases.
    """
    workers = workers_with_room(workers, cases.batch_bytes(batch_size))
    return BatchLoader(
        cases,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
        multiprocessing_context=START if workers else None,
        collate_fn=hand_over,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=start_loading,
        # a separate one, so that the number of workers does not change the global one
        generator=torch.Generator(),
    )


def explain(error: Exception) -> str | None:
    """One line about the end of a loading process; None if the error has another cause."""
    text = str(error)
    if caught := re.match(r"Caught \w+ in (DataLoader worker process|pin memory thread)", text):
        where = "loading process" if "worker" in caught[1] else "loading thread"
        return f"a {where} failed: {text.strip().splitlines()[-1]}"
    if re.match(r"DataLoader worker \(pid|Pin memory thread exited", text):
        how = re.search(r"killed by signal: ([\w ]+)", text)
        ended = f"was killed ({how[1].lower()})" if how else "ended"
        return f"a loading process {ended}, perhaps for want of memory; {ADVICE}"
    return None
