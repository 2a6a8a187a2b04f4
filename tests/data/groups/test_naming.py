"""Groups by regular expressions and tables, and the errors that name a case."""

from pathlib import Path

import pytest

from segbench.data.groups.naming import check_group, groups_in_ids, groups_in_table, parse_groups
from segbench.errors import ConfigError, DataError

FILE = Path("groups.csv")


def test_a_group_is_the_first_capturing_group_or_the_whole_match() -> None:
    ids = ["p1_left_3", "p1_right_4", "p02_left_3"]
    assert groups_in_ids(ids, "^[^_]+") == ["p1", "p1", "p02"]
    assert groups_in_ids(ids, "^p(.+?)_(.+?)_") == ["1", "1", "02"]
    assert groups_in_ids(["train/a_1", "val/b_1"], "([^/]+)_[^_]+$") == ["a", "b"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("^p", r"data.group=\^p: does not match in the case 'q1'"),
        ("^p?", r"data.group=\^p\?: is empty in the case 'q1'"),
        ("^(p)?.", "is empty in the case 'q1'"),
    ],
)
def test_an_id_without_a_group_is_named(pattern: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        groups_in_ids(["p1", "q1"], pattern)


@pytest.mark.parametrize("group", [3, True, "", ["a"], "(", "[^", "a{99999999999999999999}"])
def test_what_is_no_expression_is_refused(group: object) -> None:
    with pytest.raises(ConfigError, match=r"data.group=.*expected null, a regular expression"):
        check_group(group)


def test_expressions_and_paths_are_accepted() -> None:
    for group in (None, "^[^_]+", "no/such/(file.CSV"):
        check_group(group)


def test_a_table_may_have_other_columns_more_cases_and_blank_lines() -> None:
    text = 'Group, age,ID\nA, 7,x\n\n"B, left",8, y \nA,9,z\n'
    groups = parse_groups(text, FILE)
    assert groups == {"x": "A", "y": "B, left", "z": "A"}
    assert groups_in_table(["x", "y"], groups, FILE) == ["A", "B, left"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns id and group, separated by commas, got nothing"),
        ("id;group\nx;A\n", "expected the columns id and group, separated by commas, got id;group"),
        ("id,group,group\nx,A,A\n", "expected the columns id and group"),
        ("id,group\n\n", "no rows below the column names"),
        ("id,group\nx,A\nx,B\n", "row 3: the case 'x' occurs twice, with the groups 'A' and 'B'"),
        ("id,group\nx,\n", "row 2: the case 'x' has the group ''"),
        ("id,group\nx\n", "row 2: the case 'x' has the group ''"),
        ("id,group\n,A\n", "row 2: the case '' has the group 'A'"),
        ("id,group\nx,A\x1b\n", "row 2: the group .* of the case 'x' has control characters"),
        ('id,group\n"x,A\n', "cannot be read as CSV"),
    ],
)
def test_faults_of_a_table_are_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"data.group=groups.csv.*{message}"):
        parse_groups(text, FILE)


def test_a_table_without_a_case_names_it() -> None:
    with pytest.raises(DataError, match="no row for the case '007'; .* got 1 such as '7'"):
        groups_in_table(["007"], {"7": "A"}, FILE)
