"""What is said about the groups of a split."""

from segbench.data.groups.notices import cut_groups, cut_notice, group_sizes, size_notice

PARTS = {"train": [0, 1, 2], "val": [3], "test": [4, 5]}


def test_sizes_are_told_where_they_are_not_those_asked_for() -> None:
    assert size_notice(PARTS, PARTS) is None
    told = size_notice(PARTS, {"train": [0, 1], "val": [2, 3], "test": [4, 5]})
    assert told == (
        "data.group: whole groups make parts of 3 train, 1 val, 2 test cases; without groups there "
        "would be 2 train, 2 val, 2 test"
    )


def test_cut_groups_are_named_with_their_parts() -> None:
    assert cut_notice(PARTS, ["a", "a", "a", "b", "c", "c"]) is None
    told = cut_notice(PARTS, ["a", "b", "c", "b", "c", "a"])
    assert told is not None
    assert told.startswith(
        "data.group: 3 of 3 groups stand in several parts (a in train and test; b in train and "
        "val; c in train and test), since data.split or folders name the cases of parts: "
    )
    many = {"train": range(9), "test": range(9, 18)}
    told = cut_notice(many, [*"abcdefghi", *"abcdefghi"])
    assert told is not None
    assert "c in train and test; and 6 more)" in told


def test_a_test_part_that_is_val_cuts_nothing() -> None:
    assert cut_groups({"train": [0], "val": [1, 2], "test": [1, 2]}, ["a", "b", "b"]) == {}


def test_sizes_of_groups() -> None:
    assert group_sizes(["a"] * 4) == "1 group of 4 cases"
    assert group_sizes([*"aaab", "c"]) == "3 groups of 1 to 3 cases (median 1)"
