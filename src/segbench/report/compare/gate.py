"""A condition on two configurations, for the exit code of `compare` in an automatic check."""

import re
from dataclasses import dataclass

from segbench.errors import ConfigError
from segbench.report.sections.comparison import Comparison, Entry, Section

HOLDS, FAILS, UNDECIDED = 0, 3, 4  # exit codes; 1 and 2 are failures and wrong usage
_FORM = re.compile(
    r"(?P<one>.+?)\s*(?P<sign>[<>]=)\s*(?P<other>.+?)(?P<shift>\s+[+-]\s*[\d.eE-]+)?"
)


@dataclass(frozen=True)
class Gate:
    """``one >= other + shift`` or ``one <= other + shift``, of mean scores.

    Args:
        text: as the user typed it.
        one: the label of a configuration, or its model's name.
        other: the same of another one.
        sign: 1 for ``>=``, -1 for ``<=``.
        shift: the number that is added to the score of ``other``.
    """

    text: str
    one: str
    other: str
    sign: int
    shift: float


def parse_gate(text: str) -> Gate:
    """The gate that a user typed, such as ``unetpp >= unet - 0.01``.

    Raises:
        ConfigError: it has another form.
    """
    found = _FORM.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        shift = float((found["shift"] or "0").replace(" ", ""))
    except ValueError as error:
        raise ConfigError(
            f"gate={text!r}: expected two configurations, such as gate='unetpp >= unet - 0.01'"
        ) from error
    sign = 1 if found["sign"] == ">=" else -1
    return Gate(text.strip(), found["one"], found["other"], sign, shift)


def judge(gate: Gate, comparison: Comparison) -> tuple[int, list[str]]:
    """The exit code, and a line for each section.

    The gate holds if the 95 % interval of the difference lies on its side, fails if it lies on the
    other side, and is undecided if it holds both. Over several sections the worst counts.

    Args:
        gate: the condition.
        comparison: the comparison.

    Raises:
        ConfigError: a section has no such configuration.
    """
    codes, lines = [], []
    for section in comparison.sections:
        one, other = (_entry(name, section, gate) for name in (gate.one, gate.other))
        low, high = _interval(one, other, section, comparison.lower_is_better)
        code = _code(gate, low, high)
        word = {HOLDS: "holds", FAILS: "does not hold", UNDECIDED: "is undecided"}[code]
        told = f"{one.label} minus {other.label} is {low:+.4f} to {high:+.4f} (95 % interval)"
        if low != low:
            told = section.unranked or "the two have no interval: more seeds or images are needed"
        codes.append(code)
        lines.append(f"gate {gate.text}: {word} on {section.data}; {told}")
    if not codes:
        return UNDECIDED, [f"gate {gate.text}: is undecided; nothing is finished"]
    worst = next(code for code in (FAILS, UNDECIDED, HOLDS) if code in codes)
    return worst, lines


def _code(gate: Gate, low: float, high: float) -> int:
    if low != low or high != high:
        return UNDECIDED
    nearest, farthest = (low, high) if gate.sign > 0 else (-high, -low)
    if nearest >= gate.sign * gate.shift:
        return HOLDS
    return FAILS if farthest < gate.sign * gate.shift else UNDECIDED


def _interval(
    one: Entry, other: Entry, section: Section, lower_is_better: bool
) -> tuple[float, float]:
    """The interval of the score of ``one`` minus that of ``other``; NaN where there is none."""
    if one is other:
        return 0.0, 0.0
    pair = section.pair(one, other)
    if pair is None or section.unranked:
        return float("nan"), float("nan")
    is_better = section.entries[pair.better] is one
    if is_better != lower_is_better:
        return pair.low, pair.high
    return -pair.high, -pair.low


def _entry(name: str, section: Section, gate: Gate) -> Entry:
    """The configuration with a label, or the only one with a model's or another option's name."""
    found = [entry for entry in section.scored if entry.label == name]
    found = found or [entry for entry in section.scored if name in entry.label.split(" · ")]
    if len(found) == 1:
        return found[0]
    known = ", ".join(entry.label for entry in section.scored) or "none"
    what = "no configuration" if not found else "several configurations"
    raise ConfigError(f"gate={gate.text!r}: {what} {name!r} on {section.data}; there are {known}")
