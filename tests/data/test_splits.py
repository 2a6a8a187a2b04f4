"""Shares, numbers, lists, strata and folds."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from segbench.data.splits import make_split, read_part, read_split
from segbench.errors import ConfigError, DataError

IDS = [f"{k:03d}" for k in range(100)]
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def everything(parts: dict[str, list[int]]) -> list[int]:
    return sorted(index for part in parts.values() for index in part)


def test_parts_are_whole_disjoint_sorted_and_decided_by_the_seed() -> None:
    parts = make_split(IDS, SHARES, seed=3)
    assert {name: len(part) for name, part in parts.items()} == {"train": 70, "val": 10, "test": 20}
    assert everything(parts) == list(range(100))
    assert all(part == sorted(part) for part in parts.values())
    assert make_split(IDS, SHARES, seed=3) == parts
    assert make_split(IDS, SHARES, seed=4) != parts


def test_the_test_part_stays_when_train_and_val_share_otherwise() -> None:
    other = {"train": 0.5, "val": 0.3, "test": 0.2}
    assert make_split(IDS, other, 0)["test"] == make_split(IDS, SHARES, 0)["test"]


def test_numbers_may_leave_cases_over_and_are_met() -> None:
    parts = make_split(IDS, {"train": 50, "val": 20, "test": 10}, 0)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [50, 20, 10]
    assert len(set(everything(parts))) == 80


def test_the_studies_sizes() -> None:
    pets = [f"{k:05d}" for k in range(7349)]
    assert len(make_split(pets, SHARES, 0)["train"]) == 5144
    large = [f"{k:05d}" for k in range(9339)]
    parts = make_split(large, {"train": 6538, "val": 934, "test": 1867}, 0)
    assert len(everything(parts)) == 9339


def test_ids_are_taken_as_named_and_the_others_shared() -> None:
    parts = make_split(IDS, {"train": 0.9, "val": 0.1, "test": IDS[90:]}, 0)
    assert parts["test"] == list(range(90, 100))
    assert (len(parts["train"]), len(parts["val"])) == (81, 9)
    assert everything(parts) == list(range(100))
    named = {"train": IDS[:5], "val": IDS[5:7], "test": IDS[9:10]}
    assert make_split(IDS, named, 0) == {"train": [0, 1, 2, 3, 4], "val": [5, 6], "test": [9]}


def test_val_may_stand_for_a_test_part_that_a_study_does_not_have() -> None:
    parts = make_split(IDS, {"train": 0.8, "val": 0.2, "test": "val"}, 0)
    assert parts["test"] == parts["val"]
    assert (len(parts["train"]), len(parts["val"])) == (80, 20)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("split", [SHARES, {"train": 30, "val": 7, "test": 12}])
def test_strata_get_their_share_of_every_part_to_within_one(
    seed: int, split: dict[str, float]
) -> None:
    strata = ["rare" if k < 10 else "common" if k < 90 else "odd" for k in range(100)]
    parts = make_split(IDS, split, seed, strata)
    plain = make_split(IDS, split, seed)
    assert {n: len(p) for n, p in parts.items()} == {n: len(p) for n, p in plain.items()}
    for word, count in (("rare", 10), ("common", 80), ("odd", 10)):
        for part in parts.values():
            here = sum(strata[index] == word for index in part)
            assert abs(here - count * len(part) / 100) <= 2
    assert len(set(everything(parts))) == sum(map(len, parts.values()))
    assert make_split(IDS, split, seed + 1, strata) != parts


@pytest.mark.parametrize("strata", [None, ["a"] * 30 + ["b"] * 70])
def test_folds_test_every_case_once(strata: list[str] | None) -> None:
    tested: list[int] = []
    for fold in range(5):
        parts = make_split(IDS, SHARES, 0, strata, folds=5, fold=fold)
        assert everything(parts) == list(range(100))
        assert [len(parts[n]) for n in ("train", "val", "test")] == [70, 10, 20]
        tested += parts["test"]
        if strata:
            assert sum(strata[index] == "a" for index in parts["test"]) == 6
    assert sorted(tested) == list(range(100))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": 0.5, "val": 0.4, "test": 0.3}, "got a sum of 1.2"),
        ({"train": 0.7, "val": 0.3}, "needs the parts"),
        ({"train": 90, "val": 10, "test": 10}, "no more than there are"),
        ({"train": 1.0, "val": 0.0, "test": 0.0}, "expected positive fractions"),
        ({"train": 0.99, "val": 0.004, "test": 0.006}, "one at least"),
        ({"train": 0.9, "val": 0.1, "test": "somewhere"}, "data.split.test='somewhere'"),
        ({"train": IDS, "val": [], "test": "val"}, "no cases for val, test"),
    ],
)
def test_splits_that_cannot_be_made_say_so(split: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_split(IDS, split, 0)


def test_lists_that_leak_or_name_what_is_not_there_are_refused() -> None:
    with pytest.raises(DataError, match="'nobody', which is not among the 100"):
        make_split(IDS, {"train": 0.9, "val": 0.1, "test": ["nobody"]}, 0)
    with pytest.raises(DataError, match="'001' is in train and in test: a leak"):
        make_split(IDS, {"train": IDS[:2], "val": 5, "test": ["001"]}, 0)
    with pytest.raises(DataError, match="'001' is in val and in val"):
        make_split(IDS, {"train": 5, "val": ["001", "001"], "test": 5}, 0)


@pytest.mark.parametrize(("folds", "fold"), [(1, 0), (5, 5), (5, -1), (101, 0)])
def test_impossible_folds_are_refused(folds: int, fold: int) -> None:
    with pytest.raises(ValueError, match=f"data.folds={folds}, data.fold={fold}"):
        make_split(IDS, SHARES, 0, folds=folds, fold=fold)


def test_folds_make_the_test_part_themselves() -> None:
    with pytest.raises(ValueError, match="makes the test part itself"):
        make_split(IDS, {"train": 0.9, "val": 0.1, "test": IDS[:3]}, 0, folds=5)


def test_ids_must_be_sorted_and_unique() -> None:
    with pytest.raises(ValueError, match="sorted and unique"):
        make_split(["b", "a"], SHARES, 0)


def test_lists_are_read_with_comments_and_columns(tmp_path: Path) -> None:
    file = tmp_path / "test.txt"
    file.write_text("\ufeff# Image CLASS SPECIES\nAbyssinian_1 1 1 1\n\n  beagle_2\n", "utf-8")
    assert read_part(file) == ["Abyssinian_1", "beagle_2"]
    file.write_text("# nothing\n")
    with pytest.raises(DataError, match="test.txt: names no cases"):
        read_part(file)


def test_an_earlier_cells_split_is_read(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    parts = {name: [{"id": id_, "sha256": "0"}] for name, id_ in zip(SHARES, "abc", strict=True)}
    file.write_text(json.dumps({"parts": parts}))
    assert read_split(file) == {"train": ["a"], "val": ["b"], "test": ["c"]}
    for broken in ("{}", '{"parts": {"train": []}}', "no json"):
        file.write_text(broken)
        with pytest.raises(DataError, match="split.json: cannot be read as a split.json"):
            read_split(file)


def test_numbers_are_ids_where_no_leading_zero_can_be_lost() -> None:
    ids = ["10", "7", "8", "9"]
    parts = make_split(ids, {"train": [8, 9], "val": [10], "test": ["7"]}, 0)
    assert parts == {"train": [2, 3], "val": [0], "test": [1]}
    # YAML reads 010 as 8, and 007 as 7
    with pytest.raises(ConfigError, match=r"leading zeros, such as 007; quote .*'\[\"007\"\]'"):
        make_split(["007", "010", "8", "9"], {"train": 1, "val": 1, "test": [8]}, 0)
    with pytest.raises(ConfigError, match=r"data.split.test: off without quotes.*'\[\"off\"\]'"):
        make_split(ids, {"train": 1, "val": 1, "test": [False]}, 0)  # type: ignore[list-item]
    for wrong in (True, None):
        with pytest.raises(ConfigError, match=f"data.split.test={wrong}: expected a fraction"):
            make_split(ids, {"train": 1, "val": 1, "test": wrong}, 0)  # type: ignore[dict-item]


def test_numbers_in_an_earlier_cells_split_are_text(tmp_path: Path) -> None:
    parts = {name: [{"id": k}] for k, name in enumerate(SHARES)}
    (tmp_path / "split.json").write_text(json.dumps({"parts": parts}))
    assert read_split(tmp_path / "split.json") == {"train": ["0"], "val": ["1"], "test": ["2"]}


@pytest.mark.parametrize("share", [float("nan"), float("inf"), 10**400, -1.0])
@pytest.mark.parametrize("folds", [None, 3])
def test_shares_that_are_no_shares_are_refused(share: float, folds: int | None) -> None:
    split = {"train": share, "val": 0.1, "test": 0.2}
    with pytest.raises(ValueError, match=r"data\.split=.*expected positive fractions"):
        make_split(list("abcdefgh"), split, 0, None, folds, 0)


def test_folds_of_no_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="expected positive fractions"):
        make_split(list("abcdefgh"), {"train": 0, "val": 0, "test": 0.2}, 0, None, 3, 0)


@pytest.mark.parametrize("strata", [None, ["a", "b", "b"] * 20])
@pytest.mark.parametrize("groups", [None, [str(k // 3) for k in range(60)]])
def test_smaller_training_parts_are_subsets_beside_the_same_val_and_test(
    strata: list[str] | None, groups: list[str] | None
) -> None:
    ids = [f"{k:02d}" for k in range(60)]
    made = [
        make_split(ids, {"train": train, "val": 0.2, "test": 0.2}, 3, strata, groups=groups)
        for train in (6, 12, 24, 0.6)
    ]
    for small, large in pairwise(made):
        assert set(small["train"]) < set(large["train"])
        assert (small["val"], small["test"]) == (large["val"], large["test"])
    assert [len(parts["train"]) for parts in made] == [6, 12, 24, 36]
    if strata and not groups:
        assert [sum(strata[k] == "b" for k in p["train"]) for p in made] == [4, 8, 16, 24]
