"""The critical-difference diagram."""

from pathlib import Path

import numpy as np
import pytest

from segbench.report.figures.across_figures import joined
from segbench.report.plain import compare_table
from segbench.report.write import write_report


def test_bars_join_ranks_closer_than_the_critical_difference() -> None:
    assert joined(np.array([3.0, 1.0, 1.5, 2.8]), 1.0) == [(1.0, 1.5), (2.8, 3.0)]
    assert joined(np.array([1.0, 1.8, 2.6]), 1.0) == [(1.0, 1.8), (1.8, 2.6)]
    assert joined(np.array([1.0, 3.0]), 1.0) == []


@pytest.mark.parametrize("tasks", [4, 6])
def test_five_data_sets_have_a_test_and_a_diagram(tasks: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["task,algorithm,case,value"]
    for task in range(tasks):
        for case in range(6):
            score = rng.uniform(0.4, 0.6)
            rows += [
                f"t{task},{name},{case},{score - place / 10}" for place, name in enumerate("abc")
            ]
    (tmp_path / "scores.csv").write_text("\n".join(rows))
    comparison = compare_table(tmp_path / "scores.csv", replicates=50)
    write_report(comparison, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    there = tasks >= 5
    assert ("Friedman&#39;s test over 6 data sets" in page) == there
    assert ("Mean ranks over all data sets" in page) == there
    assert (tmp_path / "report" / "figures" / "across.png").is_file() == there
    assert ("support no test" in comparison.across_note) != there
