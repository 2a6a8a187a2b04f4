"""``segbench plan`` on made records."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_folders import write_cell

Run = Callable[..., int]


def sweep(seeds: int, between: float = 0.01) -> None:
    """Cells of three networks; ``between`` is the standard deviation of their seeds."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0.4, 0.9, 40)
    for place, model in enumerate(("unet", "segnet", "unetpp")):
        own = rng.normal(0, 0.04, 40)
        for seed in range(seeds):
            shift = rng.normal(-0.02 * place, between)
            scores = images + own + shift + rng.normal(0, 0.01, 40)
            write_cell(Path("outputs/pilot"), list(scores.clip(0, 1)), seed=seed, model=model)


def test_it_says_what_a_difference_takes(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(3)
    assert segbench("plan", "name=pilot", "difference=0.05") == 0
    said = capsys.readouterr().out
    words = " ".join(said.split())
    assert "to find a true difference of 0.05 between two of 3 configurations" in words
    assert "there are 40 test images now" in words
    rows = [line.split() for line in said.splitlines() if line.strip()[:2].strip().isdecimal()]
    assert [row[0] for row in rows] == ["2", "3", "4", "5", "7", "10", "15", "20"]
    needed = [int(row[1].replace(",", "")) for row in rows if row[1] != "–"]
    assert needed == sorted(needed, reverse=True)
    assert [row[3] for row in rows] == [str(3 * int(row[0])) for row in rows]
    power = [int(row[2].rstrip("%")) for row in rows]
    assert power == sorted(power)
    assert segbench("plan", "records=outputs/pilot", "difference=0.05") == 0
    assert capsys.readouterr().out == said  # of records anywhere too


def test_a_spread_that_was_not_seen_is_said(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = "A standard deviation of 0 means that these cells are too few to show one"
    for between, is_said in ((0.01, False), (0.0, True)):
        sweep(2, between)
        assert segbench("plan", "name=pilot", "difference=0.01") == 0
        said = " ".join(capsys.readouterr().out.split())
        assert (note in said) == is_said
        assert ("standard deviations of 0 between seeds" in said) == is_said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("name=pilot", "difference=0.01"), "a plan needs at least two configurations with two"),
        (("name=pilot", "difference=-1"), "difference=-1: expected a positive difference"),
        (("name=pilot",), "difference is missing; expected a value such as difference=0.01"),
        (("difference=0.01",), "name is missing; expected a value such as name=pilot"),
    ],
)
def test_what_a_plan_needs(
    words: tuple[str, ...],
    message: str,
    segbench: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep(1)
    assert segbench("plan", *words) == 2
    assert message in capsys.readouterr().err
