"""Whole groups in parts and folds, against scikit-learn."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from segbench.data.groups.dealing import WholeGroups


def drawn(seed: int) -> tuple[list[str], np.ndarray]:
    """The group and the stratum of each case: 30 groups, which prefer one of three strata."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(30), rng.integers(2, 15, 30))
    preferred = rng.integers(0, 3, 30)[groups]
    strata = np.where(rng.random(len(groups)) < 0.6, preferred, rng.integers(0, 3, len(groups)))
    return [f"g{k}" for k in groups], strata


def test_very_many_groups_are_dealt_fast_and_exactly() -> None:
    groups = [f"{case // 3:06d}" for case in range(60_000)]
    sizes = {"train": 42_000, "val": 6_000, "test": 12_000}
    parts = WholeGroups(groups, None, 0).deal(range(60_000), sizes)
    assert {name: len(part) for name, part in parts.items()} == sizes


@pytest.mark.parametrize("stratified", [False, True])
def test_every_case_is_in_one_part_with_its_group(stratified: bool) -> None:
    for seed in range(5):
        groups, strata = drawn(seed)
        cases, n = range(len(groups)), len(groups)
        sizes = {"train": n - 50, "val": 20, "test": 30}
        whole = WholeGroups(groups, strata.astype(str).tolist() if stratified else None, seed)
        parts = whole.deal(cases, sizes)
        assert sorted(case for part in parts.values() for case in part) == list(cases)
        named = [{groups[case] for case in part} for part in parts.values()]
        assert sum(map(len, named)) == len(set(groups))
        off = [abs(len(part) - sizes[name]) for name, part in parts.items()]
        assert max(off) <= (4 if stratified else 0)


def test_cases_over_are_left_out_in_whole_groups() -> None:
    groups, strata = drawn(0)
    for labels in (None, strata.astype(str).tolist()):
        parts = WholeGroups(groups, labels, 0).deal(
            range(len(groups)), {"train": 60, "val": 20, "test": 30}
        )
        used = [case for part in parts.values() for case in part]
        assert abs(len(used) - 110) <= 6
        assert not {groups[case] for case in used} & {
            groups[case] for case in set(range(len(groups))) - set(used)
        }


def test_the_seed_decides_and_test_does_not_change_with_train_and_val() -> None:
    groups, _ = drawn(1)
    cases, n = range(len(groups)), len(groups)
    tests = []
    for val in (10, 40):
        for seed in (0, 1):
            sizes = {"train": n - 40 - val, "val": val, "test": 40}
            tests.append(WholeGroups(groups, None, seed).deal(cases, sizes)["test"])
    assert tests[:2] == tests[2:]
    assert tests[0] != tests[1]


def test_each_part_gets_a_group_even_where_one_is_large() -> None:
    groups = ["large"] * 100 + ["a", "b"]
    for strata in (None, ["x"] * 102):
        parts = WholeGroups(groups, strata, 0).deal(
            range(102), {"train": 72, "val": 10, "test": 20}
        )
        assert sorted(map(len, parts.values())) == [1, 1, 100]


def test_too_few_groups_are_refused() -> None:
    whole = WholeGroups(["a", "a", "b", "b"], None, 0)
    with pytest.raises(ValueError, match="data.group: 2 groups among the cases to split"):
        whole.deal(range(4), {"train": 2, "val": 1, "test": 1})
    with pytest.raises(ValueError, match="data.folds=3: 2 groups by data.group"):
        whole.folds(range(4), 3)


def spreads(folds: list[list[int]], strata: np.ndarray) -> tuple[float, float]:
    """Relative deviation of the folds' sizes, and mean deviation of the strata's shares."""
    sizes = np.array([len(fold) for fold in folds])
    counts = np.array([np.bincount(strata[fold], minlength=3) for fold in folds])
    shares = counts / counts.sum(axis=0)
    return float(sizes.std() / sizes.mean()), float(shares.std(axis=0).mean())


def test_folds_are_as_even_as_those_of_scikit_learn() -> None:
    ours, theirs = [], []
    for seed in range(15):
        groups, strata = drawn(seed)
        folds = WholeGroups(groups, strata.astype(str).tolist(), seed).folds(range(len(groups)), 5)
        assert sorted(case for fold in folds for case in fold) == list(range(len(groups)))
        assert sum(len({groups[case] for case in fold}) for fold in folds) == len(set(groups))
        ours.append(spreads(folds, strata))
        oracle = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        found = [fold.tolist() for _, fold in oracle.split(strata, strata, groups)]
        theirs.append(spreads(found, strata))
    assert (np.mean(ours, axis=0) < 0.8 * np.mean(theirs, axis=0)).all()
