"""Whatever is no readable regular file is named, and never opened."""

import builtins
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_data import MAKERS, make_folder, module, picture, save

from segbench.data.decoding.files import find_pictures, read_file, read_text
from segbench.data.splits import make_split, read_part, read_split
from segbench.errors import DataError

# The second case's files in each published layout.
PLACES = {
    "folder": ("images/b.png", "masks/b.png"),
    "dsb2018": (
        f"dsb2018/stage1_train/{1:064x}/images/{1:064x}.png",
        f"dsb2018/stage1_train/{1:064x}/masks/2.png",
    ),
    "ph2": (
        "ph2/PH2Dataset/PH2 Dataset images/IMD001/IMD001_Dermoscopic_Image/IMD001.bmp",
        "ph2/PH2Dataset/PH2 Dataset images/IMD001/IMD001_lesion/IMD001_lesion.bmp",
    ),
    "pets": (
        "oxford-iiit-pet/images/Abyssinian_1.jpg",
        "oxford-iiit-pet/annotations/trimaps/Abyssinian_1.png",
    ),
}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_RDONLY)  # the path itself may be too long for a socket
        made.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def nowhere(path: Path) -> None:
    path.symlink_to("gone.png")


SPECIAL = [fifo, device, a_socket, loop, nowhere]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were opened."""
    names: list[str] = []
    real = builtins.open

    def watched(file: Any, *args: Any, **options: Any) -> Any:
        names.append(str(file))
        return real(file, *args, **options)

    monkeypatch.setattr(builtins, "open", watched)
    return names


@pytest.mark.parametrize("make", SPECIAL)
@pytest.mark.parametrize("place", [(n, k) for n in PLACES for k in (0, 1)], ids=str)
def test_what_is_no_file_in_a_data_set(
    make: Callable[[Path], None], place: tuple[str, int], tmp_path: Path, opened: list[str]
) -> None:
    name, which = place
    MAKERS[name](tmp_path)
    file = tmp_path / PLACES[name][which]
    file.unlink()
    make(file)
    opened.clear()
    with pytest.raises(DataError) as caught:
        module(name, tmp_path).setup()
    assert file.name in str(caught.value)
    assert str(file) not in opened


def test_links_that_lead_back_are_named_and_end(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "images" / "again").symlink_to(tmp_path / "images")
    with pytest.raises(DataError, match=r"images/again: a link to the folder .*images, whose"):
        module("folder", tmp_path).setup()
    faults: list[DataError] = []
    found = find_pictures(tmp_path / "images", faults.append)
    assert [Path(file).name for file in found] == [f"{name}.png" for name in "abcdef"]
    assert len(faults) == 1


def test_links_to_files_and_folders_elsewhere_are_followed(tmp_path: Path) -> None:
    make_folder(tmp_path / "far")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "town").symlink_to(tmp_path / "far" / "images")
    (tmp_path / "images" / "x.png").symlink_to(tmp_path / "far" / "images" / "a.png")
    found = find_pictures(tmp_path / "images", list[DataError]().append)
    assert len(found) == 7


def test_folders_that_cannot_be_entered_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path)
    save(tmp_path / "images" / "town" / "g.png", picture(0))
    real = os.scandir

    def closed(folder: Any) -> Any:
        if str(folder).endswith("town"):  # root may enter whatever its permissions are
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"town: the folder cannot be read \(Permission denied\)"):
        module("folder", tmp_path).setup()


@pytest.mark.parametrize("name", [b"a\xff.png", b"a\x1b[2J.png", b"a\nb.png"])
def test_names_that_no_record_can_hold(name: bytes, tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "images" / os.fsdecode(name)).write_bytes(b"")
    with pytest.raises(DataError, match="control characters, or one that is not UTF-8") as caught:
        module("folder", tmp_path).setup()
    assert str(caught.value).isprintable()
    ids = [os.fsdecode(name), "b", "c"]
    with pytest.raises(DataError, match="not UTF-8; rename it"):
        make_split(sorted(ids), {"train": 1, "val": 1, "test": 1}, 0)


def test_folders_that_are_called_as_pictures_are(tmp_path: Path) -> None:
    save(tmp_path / "album.png" / "a.png", picture(0))
    (tmp_path / "empty.png").mkdir()
    faults: list[DataError] = []
    assert [Path(file).name for file in find_pictures(tmp_path, faults.append)] == ["a.png"]
    assert [str(fault).partition(": ")[2] for fault in faults] == [
        "a folder without pictures, not a picture; remove it"
    ]


def test_the_size_of_a_file_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)  # a terabyte that takes no room
    with pytest.raises(DataError, match=r"large\.png: cannot be read: 1,099,511,627,776 bytes"):
        read_file(file, 1 << 30)
    make_folder(tmp_path)
    (tmp_path / "images" / "b.png").unlink()
    file.rename(tmp_path / "images" / "b.png")
    with pytest.raises(DataError, match=r"b\.png: cannot be read: .* data\.max_pixels"):
        module("folder", tmp_path).setup()
    with pytest.raises(DataError, match="cannot be read"):
        read_file("a\0b", 10)


def test_lists_of_ids_are_read_the_same_way(tmp_path: Path) -> None:
    fifo(tmp_path / "test.txt")
    for read in (read_part, read_split, read_text):
        with pytest.raises(DataError, match="test.txt.*a named pipe"):
            read(tmp_path / "test.txt")
    (tmp_path / "latin.txt").write_bytes("größe\n".encode("latin-1"))
    with pytest.raises(DataError, match="latin.txt: not text in UTF-8"):
        read_part(tmp_path / "latin.txt")
    deep = tmp_path / "split.json"
    deep.write_text("[" * 100_000)
    with pytest.raises(DataError, match="cannot be read as a split.json"):
        read_split(deep)
