"""Numbers for people."""

from math import nan

import pytest

from segbench.text import numbers as units


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (9_163_329, "9.16 M"), (9.7e9, "9.70 G"), (999_999, "1.00 M")],
)
def test_counts(value: float, text: str) -> None:
    assert units.count_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(512, "512 B"), (1536, "1.50 KiB"), (1.3e9, "1.21 GiB"), (1e12, "931 GiB")]
)
def test_memory(value: float, text: str) -> None:
    assert units.memory_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.26, "4.3 s"), (48.2, "48 s"), (59.7, "1.0 min"), (1410, "23.5 min"), (14_760, "4.1 h")],
)
def test_times(seconds: float, text: str) -> None:
    assert units.time_text(seconds) == text


def test_scores_have_the_decimals_of_their_unit() -> None:
    assert units.score_text(0.83674) == "0.8367"
    assert units.score_text(0.5, "assd/nucleus") == "0.50"
    assert units.score_text(130.0, "value") == "130.00"
    assert units.score_text(0.83674) + units.spread_text(0.00312) == "0.8367 ± 0.0031"
    assert units.spread_text(nan) == ""


def test_shares_and_p_values_do_not_look_like_certainty() -> None:
    shares = [0, 0.001, 0.42, 0.999, 1]
    assert [units.share_text(x) for x in shares] == ["0 %", "< 1 %", "42 %", "> 99 %", "100 %"]
    assert [units.p_text(x) for x in (0.0004, 0.0499, 1.0)] == ["< 0.001", "0.050", "1.000"]


@pytest.mark.parametrize(
    "text",
    [units.score_text, units.share_text, units.p_text, units.count_text, units.time_text],
)
def test_nothing_is_a_dash(text) -> None:
    assert text(nan) == units.NONE
