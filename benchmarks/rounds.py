"""The harness of all benchmarks: contenders take turns, round after round, in one process.

On a shared machine two measurements are comparable only if they were taken at the same time: in
each round every contender has its turn, in an order that rotates, and a ratio is the median of the
rounds' own ratios. Results go to benchmarks/results/<name>.json, tables to the screen.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch

from segbench.hardware.device import environment

RESULTS = Path(__file__).parent / "results"
OURS = "segbench"
Turn = Callable[[], float]  # does its work once and returns what it measured


@dataclass
class Measured:
    """What each contender measured in each round of one case; a peer's name by its numbers."""

    case: str
    unit: str
    rounds: dict[str, list[float]]
    higher_is_better: bool = False
    notes: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return median(self.rounds[name])

    def spread(self, name: str) -> tuple[float, float]:
        """First and third quartile."""
        values = self.rounds[name]
        if len(values) < 2:
            return values[0], values[0]
        low, _, high = quantiles(values, n=4, method="inclusive")
        return low, high

    def times_better(self, name: str) -> float | None:
        """How many times better segbench did than ``name``: the median over the rounds."""
        if OURS not in self.rounds or name == OURS:
            return None
        pairs = zip(self.rounds[name], self.rounds[OURS], strict=True)
        ratios = [us / them if self.higher_is_better else them / us for them, us in pairs if us]
        return median(ratios) if ratios else None


def alternate(turns: Mapping[str, Turn], rounds: int, warmup: int = 1) -> dict[str, list[float]]:
    """Give every contender its turn in each of ``rounds``, after ``warmup`` turns that are lost."""
    names = list(turns)
    values: dict[str, list[float]] = {name: [] for name in names}
    for each in range(-warmup, rounds):
        first = each % len(names)
        for name in names[first:] + names[:first]:
            value = turns[name]()
            if each >= 0:
                values[name].append(value)
    return values


HEAD = "| case | contender | median | quartiles | segbench is |\n| --- | --- | ---: | ---: | ---: |"


def lines(result: Measured) -> str:
    """A result's rows of the Markdown table."""
    rows = []
    for name in result.rounds:
        low, high = result.spread(name)
        times = result.times_better(name)
        ratio = "" if times is None else f"{times:.2f}× as good"
        median, unit = number(result.median(name)), result.unit
        spread = f"{number(low)} to {number(high)}"
        rows.append(f"| {result.case} | {name} | {median} {unit} | {spread} | {ratio} |")
    return "\n".join(rows)


def number(value: float) -> str:
    """Three digits that count."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine() -> dict[str, Any]:
    """What it was measured on."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {**environment(device, "see the cases"), "cores": len(os.sched_getaffinity(0))}


def publish(name: str, measured: Iterable[Measured], keep: bool = True, **more: Any) -> None:
    """Print the table as it is measured; ``keep`` it, with its rounds, in results/<name>.json.

    Written after each case, so that a run that is cut off keeps what it has.
    """
    results = []
    print(HEAD, flush=True)
    for result in measured:
        print(lines(result), flush=True)
        results.append(result)
        if keep:
            write(name, results, more)


def write(name: str, results: list[Measured], more: dict[str, Any]) -> None:
    """The rows of ``results`` with all their rounds, and on what they were measured."""
    RESULTS.mkdir(exist_ok=True)
    rows = [
        {
            "case": result.case,
            "unit": result.unit,
            "contender": contender,
            "median": result.median(contender),
            "quartiles": result.spread(contender),
            "segbench_times_better": result.times_better(contender),
            "rounds": values,
            "note": result.notes.get(contender),
        }
        for result in results
        for contender, values in result.rounds.items()
    ]
    content = {
        "command": " ".join(["python", *sys.argv]),
        "machine": machine(),
        **more,
        "rows": rows,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
