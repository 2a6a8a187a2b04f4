"""Made once, whole or not at all, and opened at once."""

import os
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_data import COUNT, make_dsb2018, make_ph2, module
from made_store import CASES, FORM, prepare, quiet, read

from segbench.data.store import on_disk as store
from segbench.data.store.loading import PreparedCases
from segbench.data.store.on_disk import open_store
from segbench.data.store.prepared import Case, Decoded
from segbench.errors import DataError
from segbench.records.checksums import DamagedError


def refuse(case: Case) -> Decoded:
    raise AssertionError("the store was to be opened, not made")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_is_stored_is_what_was_read(tmp_path: Path) -> None:
    made = prepare(tmp_path / "cache" / "set-key")
    kept = prepare(tmp_path / "cache" / "set-key", refuse)
    assert isinstance(kept.images, np.memmap)
    assert kept.images.shape == (20, 8, 10, 3)
    assert kept.masks.shape == (20, 8, 10)
    for place, case in enumerate(CASES):
        fresh = read(case)
        np.testing.assert_array_equal(kept.original(place), fresh.mask)
        assert kept.sizes[place] == fresh.mask.shape
        assert kept.labels[place] == np.unique(fresh.mask).tolist()
        assert kept.sha256[place] == fresh.sha256
        small = cv2.resize(fresh.image, (10, 8), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(kept.images[place], small)
    np.testing.assert_array_equal(made.masks, kept.masks)
    assert names(tmp_path / "cache") == ["set-key", "set-key.lock"]


def test_in_memory_it_is_the_same(tmp_path: Path) -> None:
    kept, memory = prepare(tmp_path / "s"), store.prepare_in_memory(CASES, read, FORM, quiet)
    for field in ("images", "masks", "originals"):
        np.testing.assert_array_equal(getattr(kept, field), getattr(memory, field))
    assert (kept.offsets, kept.sizes) == (memory.offsets, memory.sizes)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def broken(case: Case) -> Decoded:
        if case.id == "15":
            raise DataError("15.png: broken")
        return read(case)

    with pytest.raises(DataError, match="15.png"):
        prepare(tmp_path / "s", broken)
    assert names(tmp_path) == ["s.lock"]


KILLED = """
import os, sys
sys.path[:0] = [{tests!r}]
import made_store as t
from pathlib import Path
def read(case):
    if case.id == "15":
        os.kill(os.getpid(), 9)
    return t.read(case)
t.prepare(Path({folder!r}), read)
"""

COUNTED = """
import sys, time
sys.path[:0] = [{tests!r}]
import made_store as t
from pathlib import Path
def read(case):
    with open({log!r}, "a") as file:
        file.write(case.id + "\\n")
    time.sleep(0.02)
    return t.read(case)
store = t.prepare(Path({folder!r}), read)
assert store.sha256[7] == "hash 07"
"""


def start(code: str, **values: Any) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).parents[2] / "helpers")
    return subprocess.Popen([sys.executable, "-c", code.format(tests=tests, **values)])


def test_killed_it_is_not_taken_for_whole_and_is_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    assert start(KILLED, folder=str(folder)).wait() == -9
    assert any(name.startswith(".s.") for name in names(tmp_path))
    assert open_store(folder) is None
    assert len(prepare(folder).images) == 20
    assert names(tmp_path) == ["s", "s.lock"]


def test_processes_that_start_at_once_make_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [start(COUNTED, folder=str(tmp_path / "s"), log=str(log)) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(log.read_text().split()) == [case.id for case in CASES]


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "originals.bin", "index.json"])
@pytest.mark.parametrize("keep", [0, 0.5])
def test_a_damaged_store_is_made_again(tmp_path: Path, name: str, keep: float) -> None:
    before = prepare(tmp_path / "s")
    expected = before.images.copy()
    file = tmp_path / "s" / name
    os.truncate(file, int(file.stat().st_size * keep))
    again = prepare(tmp_path / "s")
    np.testing.assert_array_equal(again.images, expected)
    prepare(tmp_path / "s", refuse)


def test_a_full_disk_falls_back_to_memory(tmp_path: Path) -> None:
    # A limit on the size of files fails the write just as a full disk does.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.warns(UserWarning, match=r"cannot keep prepared images.*data\.cache=…"):
            made = prepare(tmp_path / "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(made.images) == 20
    assert names(tmp_path) == ["s.lock"]


def test_a_folder_that_cannot_be_written_falls_back_to_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="cannot keep prepared images"):
        assert len(prepare(tmp_path / "file" / "s").images) == 20


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_falls_back_to_memory_but_serves_what_it_holds(tmp_path: Path) -> None:
    prepare(tmp_path / "whole")
    tmp_path.chmod(0o555)
    try:
        prepare(tmp_path / "whole", refuse)
        with pytest.warns(UserWarning, match="cannot keep prepared images"):
            prepare(tmp_path / "other")
    finally:
        tmp_path.chmod(0o755)


def test_a_store_that_is_there_needs_no_lock(tmp_path: Path) -> None:
    prepare(tmp_path / "s")
    (tmp_path / "s.lock").unlink()
    prepare(tmp_path / "s", refuse)
    assert names(tmp_path) == ["s"]


def test_a_data_module_opens_what_another_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_ph2(tmp_path)
    first = module("ph2", tmp_path)
    first.setup()
    second = module("ph2", tmp_path)
    monkeypatch.setattr(type(second), "_read_checked", lambda self, case: refuse(case))
    second.setup()
    np.testing.assert_array_equal(first.prepared.images, second.prepared.images)
    assert second.split_record() == first.split_record()
    assert [file.name.split("-")[0] for file in (tmp_path / ".segbench").iterdir()] == [
        "ph2datamodule"
    ] * 3  # the store, its lock, the hashes of the files
    other = module("ph2", tmp_path, size=8)
    with pytest.raises(AssertionError, match="opened, not made"):
        other.setup()


def test_the_cache_may_lie_elsewhere(tmp_path: Path) -> None:
    make_dsb2018(tmp_path / "data")
    data = module("dsb2018", tmp_path / "data", cache=str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.setup()
    assert len(names(tmp_path / "cache")) == 3  # the store, its lock, the hashes of the files
    assert names(tmp_path / "data") == ["dsb2018"]
    assert len(data.prepared.images) == COUNT


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "originals.bin", "index.json"])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_a_flipped_bit_anywhere_makes_the_store_anew(
    name: str, place: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = prepare(tmp_path / "s")
    images, masks = np.array(first.images), np.array(first.masks)
    content = bytearray((tmp_path / "s" / name).read_bytes())
    content[int(place * (len(content) - 1))] ^= 16
    (tmp_path / "s" / name).write_bytes(content)
    again = prepare(tmp_path / "s")
    assert "damaged prepared images are made again" in capsys.readouterr().err
    np.testing.assert_array_equal(again.images, images)
    np.testing.assert_array_equal(again.masks, masks)
    assert prepare(tmp_path / "s", refuse).sizes == first.sizes


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "originals.bin", "index.json"])
def test_a_pipe_or_a_folder_in_its_place_makes_the_store_anew(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for put in (os.mkfifo, os.mkdir):
        prepare(tmp_path / "s")
        (tmp_path / "s" / name).unlink()
        put(tmp_path / "s" / name)
        prepare(tmp_path / "s")
        assert f"{name} is not a regular file" in capsys.readouterr().err
    assert prepare(tmp_path / "s", refuse).sizes


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "originals.bin"])
def test_of_a_large_store_each_case_is_checked_when_it_is_used(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path / "s")
    monkeypatch.setattr(store, "CHECKED_AT_ONCE", 0)
    content = bytearray((tmp_path / "s" / name).read_bytes())
    content[-1] ^= 1
    (tmp_path / "s" / name).write_bytes(content)
    opened = open_store(tmp_path / "s")
    assert opened is not None
    opened.original(0)
    PreparedCases(opened, [0, 1]).__getitems__([0, 1])
    last = len(CASES) - 1
    for use in (
        lambda: opened.original(last),
        lambda: PreparedCases(opened, [last]).__getitems__([0]),
    ):
        with pytest.raises(DamagedError, match="remove this folder, and the next run prepares"):
            use()
