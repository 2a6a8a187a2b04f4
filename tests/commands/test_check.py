"""`python -m segbench check` as its user meets it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.data.synthetic import draw_cells

Run = Callable[..., int]
SMALL = ("data.count=20", "data.size=32")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve images with black-and-white masks."""
    root = tmp_path / "pictures"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(12):
        image, mask = draw_cells(index)
        Image.fromarray(image).save(root / "images" / f"{index}.png")
        Image.fromarray(mask * 255).save(root / "masks" / f"{index}.png")
    return root


def folder(root: Path) -> tuple[str, ...]:
    return ("data=folder", f"data.root={root}", "data.mask_values=[0,255]", "data.size=32")


def test_a_healthy_data_set_leaves_a_record_and_a_sheet(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("check", *SMALL, "augment=standard") == 0
    said = capsys.readouterr()
    assert said.err == ""
    where = Path("outputs/default/check-synthetic")
    for word in ("train", "val", "test", "cell", "generated (20)", str(where / "check.json")):
        assert word in said.out
    found = json.loads((tmp_path / where / "check.json").read_text())
    assert found["problems"] == []
    assert found["parts"]["all"]["cases"] == 20
    with Image.open(tmp_path / where / "contact_sheet.png") as sheet:
        assert sheet.size == (6 * 196 + 4, 8 * 210 + 30)
        assert len(sheet.getcolors(1 << 24) or []) > 1000
    assert {file.name for file in (tmp_path / where).iterdir()} == {
        "check.json",
        "contact_sheet.png",
    }


def test_it_takes_the_words_of_a_cell(segbench: Run, tmp_path: Path) -> None:
    words = ("model=unetpp", "loss=dice", "trainer.max_epochs=3", "name=mine")
    assert segbench("check", *SMALL, *words) == 0
    assert (tmp_path / "outputs/mine/check-synthetic/check.json").is_file()


def test_errors_are_listed_and_the_exit_code_tells(
    segbench: Run, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "images" / "3.png").write_bytes(b"no picture")
    (pictures / "masks" / "5.png").unlink()
    assert segbench("check", *folder(pictures)) == 1
    said = capsys.readouterr()
    assert said.err == "error: data: would corrupt results (errors above: 2)\n"
    assert "error, incomplete: 1" in said.out
    assert "error, unreadable: 1" in said.out
    assert f"{pictures / 'images' / '3.png'}: cannot be read as a picture" in said.out
    where = tmp_path / "outputs/default/check-folder"
    found = json.loads((where / "check.json").read_text())
    assert found["errors"] == 2
    assert [problem["file"] for problem in found["problems"]] == [
        str(pictures / "images" / "5.png"),
        str(pictures / "images" / "3.png"),
    ]
    assert (where / "contact_sheet.png").is_file()  # of what can be read


def test_notices_alone_are_no_failure(
    segbench: Run, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = pictures / "masks" / "3.png"
    Image.fromarray(np.zeros_like(np.asarray(Image.open(mask)))).save(mask)
    assert segbench("check", *folder(pictures)) == 0
    assert "notice, empty mask: 1" in capsys.readouterr().out


def test_many_problems_of_a_kind_are_cut_short_on_the_terminal(
    segbench: Run, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(30):
        (pictures / "masks" / f"orphan[{index}].png").write_bytes(b"")
    assert segbench("check", *folder(pictures)) == 1
    out = capsys.readouterr().out
    assert "error, incomplete: 30" in out
    assert out.count("orphan[") == 2 * 20  # its file and the image that it misses
    assert "… and 10 more in check.json" in out


def test_a_data_set_that_is_not_there(segbench: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert segbench("check", "data=dsb2018") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: data.root=data: no such folder")
    assert error.count("\n") == 1


def test_a_slip_in_the_options_is_told_as_in_training(
    segbench: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("check", "data.sise=3") == 2
    assert "did you mean 'data.size'" in capsys.readouterr().err
    assert segbench("check", "data.count=abc") == 2
    assert "data.count: expected int" in capsys.readouterr().err


def test_a_sweep_checks_each_data_set_though_one_is_wrong(
    segbench: Run, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("-m", "data=folder,synthetic", f"+data.root={pictures}", "data.size=32")
    assert segbench("check", *words) == 1  # the folder's masks are black and white
    assert "data.mask_values='[0, 255]'" in capsys.readouterr().out
    for name in ("folder", "synthetic"):
        assert (tmp_path / f"outputs/default/check-{name}/check.json").is_file()


def test_groups_are_counted_and_a_split_that_misses_its_sizes_is_told(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("check", *SMALL, 'data.group="^....[01234]?"') == 0
    said = capsys.readouterr().out
    assert "data.group: 12 groups of 1 to 5 cases (median 1)" in said
    assert "groups" in said.partition("stored as")[0]
    found = json.loads((tmp_path / "outputs/default/check-synthetic/check.json").read_text())
    assert found["groups"]["number"]["all"] == 12


def test_an_expression_that_misses_a_case_is_an_error(
    segbench: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("check", *SMALL, 'data.group="^(0000.)"') == 1
    assert "does not match in the case '00010'" in capsys.readouterr().out
    assert segbench("check", *SMALL, "data.group='('") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: data.group=(: not a regular expression")
    assert error.count("\n") == 1
