"""The config of a search: what it refuses, and what it proposes."""

from typing import Any

import pytest

from segbench.config.registry import compose
from segbench.config.search import (
    Search,
    at_limit,
    distributions,
    make_sampler,
    override,
    read_search,
)
from segbench.errors import ConfigError

GOOD: dict[str, Any] = {
    "trials": 3,
    "seed": 9,
    "sampler": "random",
    "batch": 2,
    "pruner": None,
    "space": {"optimizer": {"lr": "log 1e-5 1e-2"}, "model.norm": ["batch", "group"]},
}


def test_nested_and_dotted_options_and_lists_are_read() -> None:
    found = read_search(GOOD)
    assert found.space == {"optimizer.lr": "log 1e-5 1e-2", "model.norm": "choice batch group"}
    both = distributions(found)
    assert both["optimizer.lr"].to_internal_repr(1e-3) == 1e-3
    assert both["model.norm"].choices == ("batch", "group")  # type: ignore[attr-defined]


def test_the_options_of_the_package_are_searches() -> None:
    for name, count in (("lr", 1), ("lr_weight_decay", 2)):
        assert len(read_search(compose(overrides=[f"tune={name}"]).tune).space) == count


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"trials": 0}, "tune.trials=0: expected a whole number from 1 on"),
        ({"batch": 1.5}, "tune.batch=1.5"),
        ({"sampler": "grid"}, "tune.sampler=grid: expected one of random, tpe"),
        ({"pruner": "none"}, "tune.pruner=none: expected one of null, median, hyperband"),
        ({"space": {}}, "tune.space: empty"),
        ({"space": {"a": "log 0 1"}}, "tune.space: a: 'log 0 1'"),
        ({"space": {"a": "uniform 2 1"}}, "uniform 2 1"),
        ({"space": {"a": "int 1 2.5"}}, "int 1 2.5"),
        ({"space": {"a": "choice x"}}, "choice x"),
        ({"space": {"a": 3}}, "'3': expected"),
        ({"space": {"a": "uniform 0 inf"}}, "uniform 0 inf"),
        ({"more": 1}, "tune: expected the keys trials, seed"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_search(GOOD | change)
    assert told in str(error.value)


def test_proposals_depend_on_the_trial_alone() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = read_search(GOOD)

    def asked(numbers: list[int]) -> list[dict[str, Any]]:
        study = optuna.create_study()
        for number in numbers:
            study.sampler = make_sampler(search, number)
            study.ask(distributions(search))
        return [trial.params for trial in study.trials]

    assert asked([0, 1, 2]) == [*asked([0]), *asked([1]), *asked([2])]
    assert len({str(each) for each in asked([0, 1, 2])}) == 3


def test_values_as_overrides_and_at_the_limits() -> None:
    assert override("optimizer.lr", 0.000123456) == "optimizer.lr=0.0001235"
    assert override("model.depth", 3) == "model.depth=3"
    search: Search = read_search(GOOD)
    places = {1.1e-5: True, 2e-4: False, 9e-3: True}
    assert {lr: at_limit(search, "optimizer.lr", lr) for lr in places} == places
    assert not at_limit(search, "model.norm", "batch")
