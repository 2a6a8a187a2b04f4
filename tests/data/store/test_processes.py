"""Loading processes: the same batches for any number of them, and no end without a word."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from segbench.data.store import processes
from segbench.data.store.processes import Parcel, workers_with_room
from segbench.data.synthetic import SyntheticDataModule
from segbench.errors import SegbenchError

SCRIPT = (sys.executable, "-c")
LOADING = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_processes import module
loader = module(2).train_dataloader()
next(iter(loader))
pids = [worker.pid for worker in loader._iterator._workers]"""
PARTS = ("train_dataloader", "val_dataloader", "test_dataloader")


def module(workers: int, batch_size: int = 2, epoch: int = 0) -> SyntheticDataModule:
    split = {"train": 12, "val": 3, "test": 3}
    flip = {"HorizontalFlip": {"p": 0.5}}
    data = SyntheticDataModule(
        count=18, size=32, batch_size=batch_size, split=split, augment=flip, num_workers=workers
    )
    current = SimpleNamespace(processed=epoch)
    loop = SimpleNamespace(epoch_progress=SimpleNamespace(current=current))
    data.trainer = SimpleNamespace(world_size=1, global_rank=0, fit_loop=loop)  # type: ignore[assignment]
    return data


def set_epoch(data: SyntheticDataModule, epoch: int) -> None:
    data.trainer.fit_loop.epoch_progress.current.processed = epoch  # type: ignore[union-attr]


def batches(loader: DataLoader[Any], rest: float = 0.0) -> list[dict[str, Any]]:
    found = []
    for batch in loader:
        time.sleep(rest)
        found.append(batch)
    return found


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.stride() == other.stride()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_resumed_epoch_is_drawn_alike_by_any_number_of_workers(workers: int) -> None:
    """Each epoch as a run draws it that resumed there, and as one that was never disturbed."""
    undisturbed, beside = module(0), module(workers)
    loaders = undisturbed.train_dataloader(), beside.train_dataloader()
    for epoch in range(2):
        set_epoch(undisturbed, epoch)
        set_epoch(beside, epoch)
        one, other = map(batches, loaders)
        assert alike(one, other)
    resumed = module(workers, epoch=1).train_dataloader()
    iterator = iter(resumed)  # Lightning makes it, and only then tells the sampler its epoch
    first = next(iterator)
    resumed.sampler.set_epoch(1)  # type: ignore[attr-defined]
    assert alike([first, *iterator], other)
    assert not alike(batches(module(workers).train_dataloader()), other)


@pytest.mark.parametrize("shared", [True, False])
def test_batches_are_the_same_with_and_without_shared_memory(
    shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> bytes:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    if not shared:
        # of this module alone, in loading processes too, for they are forked
        monkeypatch.setattr(processes, "ForkingPickler", SimpleNamespace(dumps=refuse))
    alone, beside = module(0), module(2)
    for part in PARTS:
        one, other = (batches(getattr(data, part)()) for data in (alone, beside))
        assert alike(one, other)


def test_an_epoch_broken_off_or_read_slowly_leaves_the_next_one_whole() -> None:
    alone, beside = module(0).train_dataloader(), module(2, batch_size=2).train_dataloader()
    for stop in (0, 3):
        for number, _ in enumerate(beside):
            if number == stop:
                break
        assert alike(batches(alone), batches(beside, rest=0.01))


def test_loaders_leave_the_networks_random_numbers_alone() -> None:
    """Otherwise dropout after a validation in mid-epoch would depend on the number of workers."""
    for workers in (0, 1):
        loader = module(workers).val_dataloader()
        torch.manual_seed(0)
        before = torch.get_rng_state()
        batches(loader)
        assert torch.equal(torch.get_rng_state(), before)


def test_a_parcel_is_its_batch_and_its_errors_come_at_once() -> None:
    import pickle

    batch = next(iter(module(0).train_dataloader()))
    assert alike(pickle.loads(pickle.dumps(Parcel(batch))), batch)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        Parcel({"image": lambda: None})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("free", "room"), [(None, 4), (10**9, 4), (64 * 2**20, 2), (12 * 2**20, 0), (4096, 0)]
)
def test_too_little_shared_memory_means_fewer_workers_and_a_word(
    free: int | None, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "free_shared_memory", lambda: free)
    if room == 4:
        assert workers_with_room(4, 5 * 10**6) == 4
        return
    with pytest.warns(UserWarning, match=f"/dev/shm: .* loading with {room or 'none'} of them"):
        assert workers_with_room(4, 5 * 10**6) == room


def test_the_largest_batch_is_measured() -> None:
    data = module(1)
    for part in PARTS:
        loader = getattr(data, part)()
        largest = loader.dataset.batch_bytes(data.batch_size)
        sizes = [_bytes_of(list(batch.values())) for batch in loader]
        assert max(sizes) <= largest <= 2 * max(sizes)


def _bytes_of(value: Any) -> int:
    return value.nbytes if isinstance(value, torch.Tensor) else sum(map(_bytes_of, value))


def test_processes_that_cannot_be_started_are_done_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: DataLoader[Any]) -> Any:
        if self.num_workers:
            raise OSError(28, "No space left on device")
        return start(self)

    start = DataLoader._get_iterator
    monkeypatch.setattr(DataLoader, "_get_iterator", refuse)
    with pytest.warns(UserWarning, match="2 loading processes cannot be started"):
        found = batches(module(2).train_dataloader())
    assert alike(found, batches(module(0).train_dataloader()))


def test_a_killed_loading_process_ends_in_one_line() -> None:
    """In a process of its own, whose signal handlers it changes.

    The loading process is killed at its work, as one that wants memory is: one that is killed
    while it looks whether it should end would leave torch waiting for its lock.
    """
    killed = "loader.dataset.augment = lambda *_: os.kill(os.getpid(), 9)"
    words = [*SCRIPT, f"{LOADING.replace('next(iter', f'{killed}; next(iter')}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    said = r"SegbenchError: a loading process .* for want of memory; data.num_workers=0"
    assert re.search(said, done.stderr.splitlines()[-1]), done.stderr


def test_a_loading_process_that_ends_between_batches_is_an_error_of_the_next_batch() -> None:
    script = """
os.kill(pids[0], 15)
os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT)
time.sleep(0.1)
print("worked on")
try:
    for _ in range(99): list(loader)
except Exception as error: print(error)"""
    words = [*SCRIPT, LOADING + script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert re.search(r"worked on\na loading process .* for want of memory", done.stdout), done


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError(104, "reset by peer")])
def test_a_process_that_ended_before_its_batch_was_fetched_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: Any) -> Any:
        raise error

    loader = module(1).train_dataloader()
    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_try_get_data", fetch)
    with pytest.raises(SegbenchError, match=r"^a loading process ended, .* data.num_workers=0"):
        batches(loader)


def test_loading_processes_end_with_a_killed_parent() -> None:
    process = subprocess.Popen(
        [*SCRIPT, f"{LOADING}; print(*pids, flush=True); time.sleep(100)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()  # "preparing 18 images"
    pids = [int(word) for word in process.stdout.readline().split()]
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 10
    while any(map(lives, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(pids) == 2


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody asks about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("size", ["4k", "1m"])
def test_a_cell_is_trained_where_shared_memory_is_small(size: str, tmp_path: Path) -> None:
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("only root can give a process a small /dev/shm")
    from tiny import TINY, only_cell

    from segbench.records.record import read_record

    mount = f"mount -t tmpfs -o size={size} tmpfs /dev/shm"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("this system mounts nothing")
    small = ("unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh")
    words = (*TINY, "trainer.max_epochs=1", "data.num_workers=2", "data.size=96")
    done = subprocess.run(
        [*small, sys.executable, "-m", "segbench", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "warning: /dev/shm: " in done.stderr
    assert read_record(only_cell(tmp_path))["status"] == "done"


def test_what_torch_says_of_a_bus_error_becomes_one_line() -> None:
    said = "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that …"
    line = processes.explain(RuntimeError(said))
    assert line is not None
    assert line.startswith("a loading process was killed (bus error), perhaps for want of memory")
    assert processes.explain(RuntimeError("shapes differ")) is None
