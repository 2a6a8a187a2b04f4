"""A data set's hashes change with any content that is read, and with nothing else."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_data import box, make_ph2, module, picture, save

from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.reads import recorded_reads
from segbench.data.store.contents import read_contents
from segbench.data.store.prepared import Case, Decoded
from segbench.data.synthetic import SyntheticDataModule
from segbench.errors import DataError


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name in ("image", "mask", "other"):
        (tmp_path / name).write_bytes(name.encode())
    return [str(tmp_path / name) for name in ("image", "mask", "other")]


def read(file: str) -> bytes:
    return Path(file).read_bytes()


def digest(files: list[str], id_: str = "a", others: list[str] | None = None) -> str:
    root = Path(files[0]).parent
    case = Case(id_, tuple(files))
    return read_contents([case], others or [], root, root / "known.json", read).digest


def test_it_changes_with_ids_files_and_their_content(files: list[str]) -> None:
    first = digest(files[:2])
    assert digest(files[:2]) == first
    assert digest(files[:2], "b") != first
    assert digest(files[:1]) != first
    assert digest(files[:2], others=files[2:]) != first
    Path(files[1]).write_bytes(b"MASK")  # its size is the same
    assert digest(files[:2]) != first
    Path(files[1]).write_bytes(b"mask")
    assert digest(files[:2]) == first


def test_an_edit_that_keeps_size_and_time_is_seen(files: list[str]) -> None:
    first, facts = digest(files[:2]), os.stat(files[1])
    Path(files[1]).write_bytes(b"MASK")
    os.utime(files[1], ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert digest(files[:2]) != first


def test_files_are_hashed_once_and_damaged_notes_are_made_anew(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, known = digest(files), Path(files[0]).parent / "known.json"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", lambda *_: pytest.fail("read again"))
        assert digest(files) == first
    for text in ("", "[]", '{"case a": 3}', '{"case a": ["x"]}', "\0"):
        known.write_text(text)
        assert digest(files) == first


def test_a_missing_file_is_named(files: list[str]) -> None:
    Path(files[1]).unlink()
    with pytest.raises(DataError, match="mask: No such file or directory; restore the file"):
        digest(files)


def test_a_folder_that_cannot_be_written_changes_nothing(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("read-only")

    first = digest(files)
    (Path(files[0]).parent / "known.json").unlink()
    monkeypatch.setattr("segbench.data.store.contents.write_text", refuse)
    assert digest(files) == first


def test_every_way_to_open_a_file_is_recorded(files: list[str], tmp_path: Path) -> None:
    found: set[str] = set()
    np.save(tmp_path / "array.npy", np.zeros(3))
    with recorded_reads(found):
        with open(files[0], "rb") as opened:
            opened.read()
        Path(files[1]).read_text()
        os.close(os.open(files[2], os.O_RDONLY))
        np.load(tmp_path / "array.npy", mmap_mode="r")
        (tmp_path / "written").write_text("x")
        import this  # noqa: F401  # program code is none of the data
    Path(files[0]).read_text()
    assert found == {*files, str(tmp_path / "array.npy")}


class CocoLike(SegmentationDataModule):
    """The recipe of the README: masks come from one list of annotations."""

    def __init__(self, annotations: str, lazy: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.lazy, self.file = lazy, self.root / annotations
        self.boxes = {} if lazy else json.loads(self.file.read_text())

    def find_cases(self) -> list[Case]:
        return [Case(file.stem, (str(file),)) for file in self.root.glob("*.png")]

    def read(self, case: Case) -> Decoded:
        boxes = json.loads(self.file.read_text()) if self.lazy else self.boxes
        image = cv2.imread(case.files[0])
        mask = np.zeros(image.shape[:2], np.uint8)
        y, x, side = boxes[case.id]
        mask[y : y + side, x : x + side] = 1
        return Decoded(image, mask, "of the image alone")


def coco(root: Path, **options: Any) -> CocoLike:
    own = {"class_names": ["background", "box"], "num_classes": 2, "size": 16, "batch_size": 2}
    split = {"train": 4, "val": 1, "test": 1}
    return CocoLike("boxes.json", root=str(root), split=split, **own, **options)


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    for k in range(6):
        save(tmp_path / f"p{k}.png", picture(k))
    (tmp_path / "boxes.json").write_text(json.dumps({f"p{k}": [k, k, 8] for k in range(6)}))
    return tmp_path


@pytest.mark.parametrize("lazy", [False, True])
def test_edited_annotations_make_another_store(annotated: Path, lazy: bool) -> None:
    before = coco(annotated, lazy=lazy)
    before.setup()
    assert list(before.contents.files) == ["boxes.json"]
    (annotated / "boxes.json").write_text(json.dumps({f"p{k}": [0, 0, 4] for k in range(6)}))
    after = coco(annotated, lazy=lazy)
    after.setup()
    assert after.look() != before.look()
    assert after.prepared.original(0)[:4, :4].all()
    assert after.prepared.original(0).sum() == 16
    assert before.split_record()["files"] != after.split_record()["files"]


def test_every_argument_of_the_constructor_makes_another_store(annotated: Path) -> None:
    options = [coco(annotated).options(), coco(annotated, lazy=True).options()]
    assert options[0] != options[1]
    assert options[0]["annotations"] == "boxes.json"
    for name, value in {"batch_size": 3, "split_seed": 1, "seed": 5, "num_workers": 1}.items():
        data = coco(annotated)
        setattr(data, name, value)
        assert data.options() == options[0], name


def test_edited_reading_code_makes_another_store(
    annotated: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path_factory.mktemp("code") / "readers_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helper.py").write_text("def value():\n    return 1\n")
    (package / "sets.py").write_text(
        "from segbench.data.folder import FolderDataModule\nfrom readers_of_mine import helper\n"
        "class Mine(FolderDataModule):\n    pass\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    import readers_of_mine.sets as sets

    from segbench.data.store.contents import source_digest

    first = source_digest(sets.Mine, SegmentationDataModule)
    for file in ("sets.py", "helper.py"):
        text = (package / file).read_text()
        (package / file).write_text(text + "# edited\n")
        assert source_digest(sets.Mine, SegmentationDataModule) != first, file
        (package / file).write_text(text)
    assert source_digest(sets.Mine, SegmentationDataModule) == first


def test_the_fingerprint_is_of_the_content_not_of_the_place(tmp_path: Path) -> None:
    make_ph2(tmp_path / "one")
    first = module("ph2", tmp_path / "one").look()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert module("ph2", tmp_path / "two").look() == first
    (tmp_path / "one").rename(tmp_path / "moved")
    assert module("ph2", tmp_path / "moved").look() == first
    mask = next((tmp_path / "moved").rglob("*_lesion.bmp"))
    time.sleep(0.01)
    save(mask, box(99) > 0)
    assert module("ph2", tmp_path / "moved").look() != first


def test_lists_of_ids_are_part_of_the_fingerprint_whatever_their_name(tmp_path: Path) -> None:
    make_ph2(tmp_path)
    lists = {"a.txt": "IMD000\n", "b.txt": "IMD000\n", "c.txt": "IMD001\n"}
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    found = [
        module("ph2", tmp_path, split={"train": 3, "val": 1, "test": str(tmp_path / name)}).look()
        for name in lists
    ]
    assert found[0] == found[1] != found[2]


def test_generated_images_need_no_fingerprint() -> None:
    split = {"train": 4, "val": 1, "test": 1}
    assert SyntheticDataModule(count=6, size=16, batch_size=2, split=split).look() == ""
