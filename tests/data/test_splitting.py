"""The groups of a data set's cases: by an expression or a table, in parts, folds and records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_data import make_pets

from segbench.config.identity import Identity
from segbench.data.synthetic import SyntheticDataModule
from segbench.errors import ConfigError, DataError
from segbench.records.record import write_json

SPLIT = {"train": 0.5, "val": 0.25, "test": 0.25}
TENS = "^..(..)."  # ten images in each group


def made(**options: Any) -> SyntheticDataModule:
    settings = {"count": 40, "size": 8, "batch_size": 2, "split": SPLIT, **options}
    return SyntheticDataModule(**settings)


def groups_of(data: SyntheticDataModule) -> list[set[str]]:
    """The groups in each part, according to the record."""
    parts = data.split_record()["parts"].values()
    return [{case["group"] for case in cases} for cases in parts]


def write_table(file: Path, groups: Sequence[str], start: int = 0) -> str:
    rows = [f"{k:05d},{group}\n" for k, group in enumerate(groups, start)]
    file.write_text("id,group\n" + "".join(rows))
    return str(file)


def test_parts_are_whole_groups_and_the_record_names_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = made(group=TENS)
    data.setup()
    assert [len(data.parts[name]) for name in SPLIT] == [20, 10, 10]
    assert sorted(len(groups) for groups in groups_of(data)) == [1, 1, 2]
    assert set().union(*groups_of(data)) == {"00", "01", "02", "03"}
    assert data.split_record()["group"] == TENS
    assert "data.group" not in capsys.readouterr().out


def test_a_record_without_groups_has_none() -> None:
    data = made()
    data.setup()
    assert data.split_record()["group"] is None
    assert all(set(case) == {"id", "sha256"} for case in data.split_record()["parts"]["test"])


def test_sizes_that_are_not_met_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    data = made(group=TENS, split={"train": 0.6, "val": 0.2, "test": 0.2})
    data.setup()
    data.setup()
    told = [line for line in capsys.readouterr().out.splitlines() if "data.group" in line]
    assert told == [
        "notice: data.group: whole groups make parts of 20 train, 10 val, 10 test cases; without "
        "groups there would be 24 train, 8 val, 8 test"
    ]


def test_folds_are_folds_of_groups() -> None:
    tested = []
    for fold in range(4):
        data = made(group=TENS, folds=4, fold=fold)
        data.setup()
        train, val, test = groups_of(data)
        assert not (train & val)
        assert not (train & test)
        assert not (val & test)
        tested += sorted(test)
    assert sorted(tested) == ["00", "01", "02", "03"]


@pytest.mark.parametrize("stratify", ["classes", "size", "name"])
def test_strata_keep_groups_whole(stratify: str, tmp_path: Path) -> None:
    data = made(group="^....", stratify=stratify, count=60)
    data.setup()
    train, val, test = groups_of(data)
    assert not (train & val)
    assert not (train & test)
    assert not (val & test)


def test_a_tables_groups_do_not_depend_on_the_order_of_its_rows(tmp_path: Path) -> None:
    names = [f"p{k % 7}" for k in range(40)]
    first = made(group=write_table(tmp_path / "a.csv", names))
    rows = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "b.csv").write_text("\n".join([rows[0], *reversed(rows[1:])]))
    second = made(group="b.csv", root=str(tmp_path))  # found in data.root too
    for data in (first, second):
        data.setup()
    assert first.parts == second.parts
    assert first.look() == second.look() != ""


def test_a_table_is_known_by_its_content_and_an_expression_by_its_text(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.csv", ["p", "q", "r", "s"] * 10)
    before = made(group=table).look()
    write_table(tmp_path / "a.csv", ["q", "p", "r", "s"] * 10)
    assert made(group=table).look() not in ("", before)
    assert made(group=TENS).look() == made().look() == ""


def test_a_list_of_ids_is_known_by_its_content(tmp_path: Path) -> None:
    listed = tmp_path / "test.txt"
    found = set()
    for ids in ("00001\n", "00002\n", "00002\n"):
        listed.write_text(ids)
        found.add(made(split={"train": 10, "val": 3, "test": str(listed)}).look())
    assert len(found - {""}) == 2


def test_fewer_groups_than_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="data.group: 1 groups among the cases to split"):
        made(group="^0").look()


def test_a_named_split_that_cuts_groups_is_kept_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = made()
    plain.setup()
    write_json(tmp_path / "split.json", plain.split_record())
    data = made(group=TENS, split=str(tmp_path / "split.json"))
    data.setup()
    assert data.parts == plain.parts
    out = capsys.readouterr().out
    assert "notice: data.group: 4 of 4 groups stand in several parts (00 in train and" in out
    assert all("group" in case for case in data.split_record()["parts"]["test"])


def test_cases_that_do_not_fit_are_named(tmp_path: Path) -> None:
    make_pets(tmp_path)
    table = write_table(tmp_path / "a.csv", ["p"] * 39)
    for group, message in (
        ("^(0000.)", "data.group=.*: does not match in the case '00010'"),
        (table, "data.group=.*a.csv: no row for the case '00039'; expected a row for each of the"),
        ("no.csv", "data.group=no.csv: no such file, here or in data; give a CSV file"),
    ):
        with pytest.raises((ConfigError, DataError), match=message):
            made(group=group).look()
    with pytest.raises(ConfigError, match="data.group=5: expected null, a regular expression"):
        made(group=5)


def test_a_cell_without_groups_keeps_its_hash() -> None:
    from segbench.config.identity import without_defaults

    target = "segbench.data.synthetic.SyntheticDataModule"
    plain = {"data": {"_target_": target, "count": 40}}
    hashes = [
        Identity(without_defaults({"data": {**plain["data"], **more}})).hash
        for more in ({}, {"group": None}, {"group": TENS})
    ]
    assert hashes[0] == hashes[1] != hashes[2]
