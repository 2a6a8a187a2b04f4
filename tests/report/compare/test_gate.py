"""The condition whose truth is the exit code of `compare`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_folders import write_cell

from segbench.errors import ConfigError
from segbench.records.cells import find_cells
from segbench.report.compare.build import compare_cells
from segbench.report.compare.gate import FAILS, HOLDS, UNDECIDED, judge, parse_gate
from segbench.report.sections.comparison import Comparison

BASE = np.linspace(0.5, 0.7, 40)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """dice is better than bce by 0.1, and each differs by 0.01 between seeds."""
    folder = tmp_path_factory.mktemp("gate") / "a"
    for loss, more in (("dice", 0.1), ("bce", 0.0)):
        for seed in range(3):
            noise = np.random.default_rng([seed, int(10 * more)]).normal(0, 0.01, len(BASE))
            write_cell(folder, (BASE + more + noise).tolist(), loss=loss, seed=seed)
    return compare_cells(find_cells([folder]), ["a"], replicates=100)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("dice >= bce", HOLDS),
        ("dice >= bce + 0.05", HOLDS),
        ("dice>=bce + 0.2", FAILS),
        ("bce >= dice", FAILS),
        ("bce >= dice - 0.2", HOLDS),
        ("bce <= dice", HOLDS),
        ("dice <= bce + 0.05", FAILS),
        ("dice <= bce + 2e-1", HOLDS),
        ("dice >= dice", HOLDS),
        ("dice >= dice + 0.1", FAILS),
    ],
)
def test_intervals_decide(text: str, code: int, comparison: Comparison) -> None:
    found, (line,) = judge(parse_gate(text), comparison)
    assert found == code, line
    assert line.startswith(f"gate {text}: ")


def test_an_interval_with_the_limit_inside_decides_nothing(comparison: Comparison) -> None:
    (pair,) = comparison.sections[0].pairs
    middle = (pair.low + pair.high) / 2
    found, (line,) = judge(parse_gate(f"dice >= bce + {middle:.5f}"), comparison)
    assert found == UNDECIDED
    assert "is undecided" in line


def test_a_score_of_which_less_is_better(tmp_path: Path) -> None:
    for loss, more in (("dice", 0.1), ("bce", 0.0)):
        for seed in range(2):
            write_cell(tmp_path / "a", (BASE + more).tolist(), loss=loss, seed=seed)
    comparison = compare_cells(find_cells([tmp_path / "a"]), ["a"], "assd", replicates=50)
    scored = {entry.label: entry.mean for entry in comparison.sections[0].scored}
    one, other = scored
    less = one if scored[one] < scored[other] else other
    more = other if less == one else one
    assert comparison.sections[0].entries[0].label == less
    assert judge(parse_gate(f"{less} <= {more} + 0.5"), comparison)[0] == HOLDS
    assert judge(parse_gate(f"{more} <= {less} - 50"), comparison)[0] == FAILS


@pytest.mark.parametrize("text", ["dice", "dice > bce", "dice >= bce + 1.2.3", ">= bce", "dice >="])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected two configurations"):
        parse_gate(text)


def test_unknown_names_are_refused_with_those_that_there_are(comparison: Comparison) -> None:
    with pytest.raises(ConfigError, match="no configuration 'unetpp' on .*there are .*dice"):
        judge(parse_gate("unetpp >= dice"), comparison)


def test_exit_codes(segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for loss, more in (("dice", 0.1), ("bce", 0.0)):
        for seed in range(3):
            noise = np.random.default_rng([seed, int(10 * more)]).normal(0, 0.01, len(BASE))
            values = (BASE + more + noise).tolist()
            write_cell(tmp_path / "outputs" / "a", values, loss=loss, seed=seed)
    assert segbench("compare", "name=a", "gate='dice >= bce - 0.01'") == 0
    assert "gate dice >= bce - 0.01: holds" in capsys.readouterr().out
    assert segbench("compare", "name=a", "gate='bce >= dice'") == 3
    assert segbench("compare", "name=a", "gate=better") == 2
