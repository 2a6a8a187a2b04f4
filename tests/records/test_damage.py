"""Damaged folders: one cell's damage is named, and the others' report is there without it."""

import json
import os
import random
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_folders import write_cell

from segbench.errors import SegbenchError
from segbench.records.cells import find_cells
from segbench.records.files import open_regular, parse_json, parse_yaml, read_text
from segbench.records.record import (
    damaged_files,
    is_done,
    read_record,
    remove_damaged,
    write_json,
    write_record,
)
from segbench.report.compare.build import compare_cells
from segbench.report.page.page import write_page
from segbench.report.sections.as_json import as_dict
from segbench.report.sections.comparison import Comparison
from segbench.report.tables.exports import write_tables

FILES = ("run.json", "config.yaml", "scores.csv", "split.json", "curves.csv")
CURVES = "epoch,train/loss,val/loss,val/iou,train/iou,lr\n1,1,1,0.5,0.5,0.1\n2,0.5,1,0.6,0.6,0.1\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three finished cells of two configurations, with every file that a report reads."""
    folder = tmp_path_factory.mktemp("whole") / "made"
    for model, seed in (("unet", 0), ("unet", 1), ("segnet", 0)):
        ious = np.linspace(0.4, 0.9, 6) + 0.01 * seed
        config = {"data.class_names": ["background", "cell"], "data.root": "data"}
        cell = write_cell(folder, ious, model=model, seed=seed, config=config, tag="cell")
        (cell / "curves.csv").write_text(CURVES)
    return folder


@pytest.fixture
def sweep(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "made"))


def compared(sweep: Path) -> Comparison:
    return compare_cells(find_cells([sweep]), ["made"], replicates=20)


def reported(sweep: Path) -> Comparison:
    """All of a report but its figures, which need a second each."""
    comparison = compared(sweep)
    write_json(sweep / "report" / "comparison.json", as_dict(comparison))
    write_tables(comparison, sweep / "report")
    write_page(comparison, sweep / "report" / "index.html")
    return comparison


def edited(**changes: object) -> Callable[[Path], None]:
    """Changes keys of ``run.json``."""

    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def bomb(opening: str, level: str) -> str:
    """YAML whose aliases stand for 10^20 nodes."""
    names = "abcdefghijklmnopqrst"
    lines = [f"a: &a {opening}"]
    lines += [f"{b}: &{b} {level.format(*[f'*{a}'] * 10)}" for a, b in pairwise(names)]
    return "\n".join(lines)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def as_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    """Ten gigabytes that take no room."""
    with path.open("wb") as file:
        file.truncate(10 * 2**30)


ANY = [
    as_folder,
    as_fifo,
    as_loop,
    as_device,
    sparse,
    b"",
    b"\xff\xfe\x00",
    b"\0" * 100,
    b"{",
    b"[]",
]
TEN = "[{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]"
RECORDS = [
    *(b"null", b'"x"', b"{}", b"NaN", b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000),
    *(
        edited(seed="a"),
        edited(seed=True),
        edited(seed=1.5),
        edited(seed=10**30),
        edited(seed=None),
    ),
    *(edited(choices=[]), edited(choices={"model": ["unet"]}), edited(choices=None)),
    *(edited(metrics="text"), edited(metrics={"test": 1}), edited(metrics={"test": {"iou": "x"}})),
    *(edited(metrics={"test": {"iou": 10**400}}), edited(metrics={"test": {"iou": True}})),
    *(edited(status="dome"), edited(status=[]), edited(status={}), edited(error=[1])),
    *(edited(best_epoch="5"), edited(epochs=-1), edited(flops=[]), edited(parameters=1e300)),
    *(edited(environment=[]), edited(environment={"versions": []}), edited(evaluated="all")),
    *(edited(files=[]), edited(files={"scores.csv": 1}), edited(files={"scores.csv": "0" * 64})),
    *(replaced('"epochs": 20', '"epochs": NaN'), replaced('"epochs": 20', '"epochs": 1e999')),
    *(replaced('"epochs": 20', f'"epochs": {"9" * 5000}'), edited(command={"a": 1})),
    # a flipped bit of a digit: the mean is no longer that of the scores
    edited(metrics={"test": {"iou": 0.75}}),
]
CONFIGS = [
    *(bomb(TEN.format(*range(10)), TEN).encode(), bomb("{x: 1}", "{{<<: " + TEN + "}}").encode()),
    *(b"a: &a [*a]", b"!!python/object/apply:os.system ['true']", b"a: !!binary aGk=", b"words"),
    *(b"- a", b"[" * 5000, b"? [a]\n: b", b"a: [", b"seed: 0x" + b"f" * 5000, b"a\t: b: c"),
    *(b"data: {ignore_index: many}", b"data: {ignore_index: 300}", b"published: words"),
    *(b"published: {caption: a, table: [[a]]}", b"published: {caption: a}"),
]
ROW = ",1500,0,0,"
TABLES = [
    *(replaced("id,class", "id,klass"), replaced("id,class", "name,class"), replaced("tp,", "")),
    *(replaced("410", "many"), replaced("410", "-410"), replaced("410", "1e300")),
    *(replaced("000,cell", "001,cell"), replaced("000,cell", "000,other"), replaced("000", "999")),
    *(replaced("000,cell", "\x00,cell"), replaced("000,cell", ",cell"), replaced("000,", '"000,')),
    *(replaced("cell", "cell,extra"), replaced("0.4", "inf"), replaced("0.4", "4"), b"id,class\n"),
    *(replaced("0.4", "0.5"), replaced("0.4", ""), replaced("0.4", "True")),
    lambda path: path.write_text(path.read_text() + path.read_text().partition("\n")[2]),
    lambda path: path.write_text(path.read_text().partition("\n")[0] + "\n"),
    lambda path: path.write_text("\n".join(path.read_text().splitlines()[:-2]) + "\n"),
]
SPLITS = [
    *(b"null", b'{"parts": []}', b'{"parts": {"test": 1}}', b'{"parts": {"test": [{"id": 1}]}}'),
    *(b'{"parts": {"test": [{"id": "000", "sha256": 1}]}}', b'{"parts": {"test": []}}'),
    *(b"[" * 100_000, replaced('"000"', '"999"'), replaced('"000"', "[]")),
]
LINES = [
    *(b"x,y\n1,2\n", replaced("2,0.5", "1,0.5"), replaced("2,0.5", "two,0.5")),
    *(replaced("2,0.5", "1e300,0.5"), replaced("0.6", "many"), replaced("2,0.5", "nan,0.5")),
    replaced("2,0.5", "2.5,0.5"),
]
CASES = [(name, damage) for name in FILES for damage in ANY] + [
    (name, damage)
    for name, kinds in zip(FILES, (RECORDS, CONFIGS, TABLES, SPLITS, LINES), strict=True)
    for damage in kinds
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_damage_is_named_and_the_others_are_compared(sweep: Path, number: int) -> None:
    name, damage = CASES[number]
    path = sweep / "unet-dice-s1-cell" / name
    path.write_bytes(damage) if isinstance(damage, bytes) else damage(path)
    comparison = compared(sweep)
    ((cell, reason),) = comparison.damaged
    assert cell == "unet-dice-s1-cell"
    assert "made/unet-dice-s1-cell" in reason
    assert len(reason) < 1000
    assert "\n" not in reason
    (section,) = comparison.sections
    assert sorted(entry.label for entry in section.scored) == ["segnet", "unet"]
    assert [entry.seeds for entry in section.scored] == [[0], [0]]
    json.dumps(as_dict(comparison), allow_nan=False)


@pytest.mark.parametrize("name", FILES)
def test_every_output_names_a_damaged_cell(sweep: Path, name: str) -> None:
    (sweep / "unet-dice-s1-cell" / name).write_text("{")
    reported(sweep)
    for output in ("table.md", "table.tex", "index.html", "comparison.json"):
        assert "unet-dice-s1-cell" in (sweep / "report" / output).read_text(), output
    assert "1 damaged" in (sweep / "report" / "index.html").read_text()


def test_what_reads_the_same_is_not_damaged(sweep: Path) -> None:
    """A byte order mark, Windows' line ends, and whole numbers that are written as 1000.0."""
    cell = sweep / "unet-dice-s1-cell"
    for name in FILES:
        content = (cell / name).read_bytes()
        (cell / name).write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    (cell / "scores.csv").write_text((cell / "scores.csv").read_text().replace("1500", "1500.0"))
    assert reported(sweep).damaged == []


def test_nothing_whole_is_still_a_report(sweep: Path) -> None:
    for cell in sweep.glob("*-cell"):
        (cell / "run.json").write_text("{")
    comparison = reported(sweep)
    assert len(comparison.damaged) == 3
    assert comparison.sections == []


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A file after one of the accidents of disks, editors and programs."""
    place = rng.randrange(len(content) + 1)
    length = rng.choice((1, 2, 8, 64, 512))
    tokens = (
        b"null",
        b"[]",
        b"{}",
        b"-1",
        b"1e999",
        b"NaN",
        b",",
        b"\n",
        b'"',
        b"\xff",
        b"true",
        b"9" * 30,
    )
    kind = rng.randrange(6)
    if kind == 0:  # bits
        flipped = bytearray(content or b"x")
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    if kind == 1:
        return content[:place]
    if kind == 2:
        return content[:place] + b"\0" * length + content[place + length :]
    if kind == 3:
        return content[:place] + content[place + length :]
    if kind == 4:
        return content[:place] + rng.choice(tokens) + content[place + rng.choice((0, length)) :]
    other = rng.randrange(len(content) + 1)
    return content[:place] + content[other : other + length] + content[place:]


@pytest.mark.timeout(200)
@pytest.mark.parametrize("seed", range(3))
def test_mutated_files_never_take_the_report_down(sweep: Path, seed: int) -> None:
    rng = random.Random(seed)
    cell = sweep / "unet-dice-s1-cell"
    contents = {name: (cell / name).read_bytes() for name in FILES}
    found = 0
    for _ in range(25):
        name = rng.choice(FILES)
        (cell / name).write_bytes(mutated(contents[name], rng))
        comparison = compared(sweep)
        json.dumps(as_dict(comparison), allow_nan=False)
        scored = {e.label: e for section in comparison.sections for e in section.scored}
        assert {"unet", "segnet"} <= {label.split(" ")[0] for label in scored}
        assert {damaged for damaged, _ in comparison.damaged} <= {cell.name}
        found += len(comparison.damaged)
        (cell / name).write_bytes(contents[name])
    assert found > 10


def finished(sweep: Path) -> Path:
    """One of the cells with its checksums, as a cell of today has them."""
    cell = sweep / "unet-dice-s1-cell"
    write_record(cell, read_record(cell))
    return cell


def test_a_finished_cells_record_holds_its_files_checksums(sweep: Path) -> None:
    cell = finished(sweep)
    assert sorted(read_record(cell)["files"]) == sorted(set(FILES) - {"run.json"})
    assert is_done(cell)
    assert reported(sweep).damaged == []
    write_record(cell, read_record(cell) | {"status": "running", "files": {}})
    assert read_record(cell)["files"] == {}


@pytest.mark.parametrize("name", [name for name in FILES if name != "run.json"])
def test_any_changed_byte_of_a_finished_cell_is_seen(sweep: Path, name: str) -> None:
    cell = finished(sweep)
    content = bytearray((cell / name).read_bytes())
    content[-1] ^= 1
    (cell / name).write_bytes(bytes(content))
    assert list(damaged_files(cell, read_record(cell))) == [name]
    assert not is_done(cell)
    ((_, reason),) = reported(sweep).damaged
    assert f"{name}: damaged or edited" in reason


def test_what_a_comparison_needs_may_not_be_missing(sweep: Path) -> None:
    cell = finished(sweep)
    (cell / "curves.csv").unlink()
    assert is_done(cell)
    (cell / "split.json").unlink()
    assert not is_done(cell)
    ((_, reason),) = reported(sweep).damaged
    assert "split.json: cannot be read" in reason


def test_the_record_names_no_file_outside_the_folder(sweep: Path) -> None:
    cell = finished(sweep)
    record = read_record(cell)
    write_json(cell / "run.json", record | {"files": {"../x": "0" * 64, "/dev/zero": "0" * 64}})
    assert damaged_files(cell, read_record(cell)) == {}


def test_only_what_is_damaged_is_removed(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = finished(sweep)
    remove_damaged(cell)
    assert capsys.readouterr().out == ""
    (cell / "scores.csv").write_text("")
    as_folder(cell / "curves.csv")
    remove_damaged(cell)
    out = capsys.readouterr().out
    assert out.startswith(f"made again: {cell / 'scores.csv'}: ")
    assert f"curves of earlier epochs are lost: {cell / 'curves.csv'}: " in out
    assert {path.name for path in cell.iterdir()} == {"run.json", "config.yaml", "split.json"}
    (cell / "run.json").write_text("{")
    assert not is_done(cell)
    remove_damaged(cell)
    assert "not a record" in capsys.readouterr().out
    assert {path.name for path in cell.iterdir()} == {"config.yaml", "split.json"}


def test_reading_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_text(path, 5) == "12345"
    with pytest.raises(SegbenchError, match="at most 0 MB"):
        read_text(path, 4)
    with pytest.raises(SegbenchError, match="not a regular file"), open_regular(tmp_path, 9):
        pass
    with pytest.raises(SegbenchError, match="cannot be read"):
        read_text(tmp_path / "none", 9)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[" * 40 + "]" * 40, "[" * 10**5, "{,}"])
def test_no_json(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize("text", ["a: &a 1\nb: *a", "a: !x 1", "[" * 40 + "]" * 40, "- " * 9999])
def test_no_yaml(text: str) -> None:
    with pytest.raises(ValueError):
        parse_yaml(text)
