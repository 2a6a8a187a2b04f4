"""Likely groups: found in ids and pictures, and not where there are none."""

import re
import shlex
from collections.abc import Sequence

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from segbench.data.check.duplicates import Fingerprint, fingerprint
from segbench.data.check.likely_groups import describe_groups, likely_groups
from segbench.data.groups.naming import groups_in_ids


def pictures(scenes: Sequence[int]) -> list[Fingerprint]:
    """A picture for each number; those of one number are nearly the same."""
    drawn = [np.random.default_rng(scene).integers(0, 256, (8, 8, 3)) for scene in scenes]
    large = [np.kron(each, np.ones((8, 8, 1))).astype(np.uint8) for each in drawn]
    return [fingerprint(each ^ np.uint8(k % 8)) for k, each in enumerate(large)]


def told(ids: Sequence[str], scenes: Sequence[int] | None = None) -> str:
    ids = sorted(ids)
    parts = {"train": range(0, len(ids), 2), "test": range(1, len(ids), 2)}
    problems = likely_groups(ids, parts, pictures(range(len(ids)) if scenes is None else scenes))
    return " ".join(problem.message for problem in problems)


def typed(message: str) -> str:
    """The pattern in the argument that a message tells to type, as Hydra reads it."""
    (argument,) = shlex.split(message.rpartition("in one part: ")[2])
    override = OverridesParser.create().parse_override(argument)
    assert override.key_or_group == "data.group"
    return str(override.value())


@pytest.mark.parametrize(
    "form",
    [
        "p{}_{}",
        "train/p{}_f{}",
        "a_p{}-{}",
        "p{}/{}",
        "val/p{}/s/{}",
        "p{}.{}",
        "p{} {}",
        "p{}x{}",
    ],
)
def test_ids_name_groups(form: str) -> None:
    ids = [form.format(k, f"{n:03d}") for k in range(4) for n in range(5)]
    message = told(ids)
    assert "the ids name 4 groups of 5 to 5 cases (median 5), 4 of them in several parts" in message
    assert "; if they are patients, slides, plates or videos, keep each in one part" in message
    groups = groups_in_ids(ids, typed(message))
    assert [re.sub("[^p0-3]", "", group) for group in groups] == [f"p{k // 5}" for k in range(20)]


@pytest.mark.parametrize(
    "form", ["{:03d}", "IMG_{:03d}", "train/{:03d}", "{:03d}_image", "scan {:03d}/image"]
)
def test_numbered_ids_name_none(form: str) -> None:
    assert told([form.format(k) for k in range(30)]) == ""


def test_one_id_of_another_form_is_enough_to_doubt() -> None:
    assert told([*(f"p{k // 5}_{k}" for k in range(20)), "odd"]) == ""


def test_neighbours_that_are_alike_tell_of_a_video() -> None:
    ids = [f"{k:03d}" for k in range(40)]
    video = [k // 8 for k in range(40)]
    assert told(ids, video).startswith("100% of the pictures are nearly the same as their neighb")
    assert "data.group=groups.csv" in told(ids, video)
    assert told(ids, [k // 2 for k in range(40)]) == ""  # pairs are duplicates, not a video
    assert told(ids[:10], video[:10]) == ""
    both = told([f"p{k // 8}_{k % 8}" for k in range(40)], video)
    assert "the ids name 5 groups of 8 to 8 cases" in both
    assert "; 100% of the pictures are nearly the same as their neighbours by id; if" in both


def test_given_groups_are_counted_in_each_part() -> None:
    found = describe_groups(["b", "a", "a", "c"], {"train": [0, 1], "test": [2, 3]})
    assert found == {
        "told": "3 groups of 1 to 2 cases (median 1)",
        "number": {"all": 3, "train": 2, "test": 2},
        "cases": {"a": 2, "b": 1, "c": 1},
    }
