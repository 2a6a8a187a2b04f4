"""How often the conclusions of a comparison hold, by simulation against segbench's own functions.

    python benchmarks/calibration.py [--quick] [--rounds 1000] [--write]

Each world draws experiments: every configuration's score of every image with every seed, from a
known truth. `analyse` then says which pairs differ, and what it says is held against the truth:

- errors: the experiments in which any two configurations of equal means are told apart (5 %).
- power: the pairs that are told apart where one configuration is better by a known difference.
- coverage: the 95 % intervals of means that hold the configuration's mean.
- detected: the pairs told apart where the true difference is the one said to be found with 80 %
  power in an experiment of the same world (the median over experiments).
- intervals: the intervals of differences that hold the true one: of the pairs said to differ, and
  of those that cannot be told apart.
- equivalent: the pairs called equivalent whose true difference is the margin itself (5 %).
- first again: how often the configuration that leads an experiment leads another of that world.

Images differ by a standard deviation of 0.15, a configuration on an image by 0.05 and again by 0.03
with each seed, a seed's mean by 0.02 unless the world says otherwise.
"""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # set before NumPy is imported: a process for each core

import numpy as np

from segbench.report.compare.analysis import analyse
from segbench.report.sections.comparison import Entry, Pair, Section
from segbench.report.statistics.planning import images_needed, spread

IMAGE, OWN, LONG, REPEATED, SEED = 0.15, 0.05, 0.15, 0.03, 0.02  # standard deviations
SHARED = 0.6  # of the variance between images, by the images of a group
REPLICATES = 400
HEAD = "| what | nominal | observed | ± (2 SE) |\n| --- | ---: | ---: | ---: |"
PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"


@dataclass(frozen=True)
class World:
    """What experiments are drawn from.

    Args:
        images: the number of images.
        configurations: the number of configurations.
        seeds: the number of seeds of each.
        difference: by how much the first configuration is better than all others.
        seed: the standard deviation of a seed's mean.
        noisy: how many times as large it is in the last configuration.
        skewed: whether configurations differ in the shape of their scores, with equal means.
        collapse: the probability that a training fails and scores 0.3 lower.
        groups: the number of groups that the images come from; 0 where they are independent. An
            image shares 60 % of the variance of its difficulty, and of what a configuration makes
            of it, with its group.
        unaware: whether the comparison is not told of the groups.
        margin: the margin of equivalence.
    """

    images: int
    configurations: int
    seeds: int
    difference: float = 0.0
    seed: float = SEED
    noisy: float = 1.0
    skewed: bool = False
    collapse: float = 0.0
    groups: int = 0
    unaware: bool = False
    margin: float | None = None


Measure = Callable[[World, int], float]


def of_group(world: World, spread: float, rng: np.random.Generator) -> np.ndarray:
    """A normal value ``(n,)`` of each image, part of it shared by the images of a group."""
    n = world.images
    if not world.groups:
        return rng.normal(0, spread, n)
    shared = rng.normal(0, 1, world.groups)[np.arange(n) % world.groups]
    return spread * (np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * rng.normal(0, 1, n))


def draw(world: World, rng: np.random.Generator) -> list[np.ndarray]:
    """Scores ``(S, n)`` of each configuration; a collapsed training scores 0.3 lower."""
    n, seeds = world.images, world.seeds
    common = 0.7 + of_group(world, IMAGE, rng)
    entries = []
    for place in range(world.configurations):
        own = of_group(world, OWN, rng)
        if world.skewed and place % 2:  # mean 0, and a long tail downwards
            own = -LONG * (rng.exponential(1, n) - 1)
        spread = world.seed * (world.noisy if place == world.configurations - 1 else 1)
        means = rng.normal(0, spread, seeds) - 0.3 * (rng.random(seeds) < world.collapse)
        better = world.difference if place == 0 else 0.0
        repeated = rng.normal(0, REPEATED, (seeds, n))
        entries.append(common + own + better + means[:, None] + repeated)
    return entries


def conclude(world: World, entries: list[np.ndarray]) -> Section:
    """What segbench concludes from the scores of each configuration."""
    found = [
        Entry(str(place), {"model": str(place)}, seeds=list(range(len(values))), values=values,
              means=values.mean(axis=1))
        for place, values in enumerate(entries)
    ]  # fmt: skip
    for entry in found if world.collapse else ():  # as segbench finds it in the pixels of a class
        low = np.flatnonzero(entry.means < entry.means.max() - 0.15)
        entry.collapsed = {f"seed {seed}": ["class"] for seed in low}
    section = Section("simulated", "", [], [], found, margin=world.margin)
    if world.groups and not world.unaware:
        section.groups = [str(image % world.groups) for image in range(world.images)]
    section.sort(lower=False)
    analyse(section, replicates=REPLICATES)
    return section


def experiments(world: World, rounds: int, seed: int = 0) -> Iterator[Section]:
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        yield conclude(world, draw(world, rng))


def errors(world: World, rounds: int) -> float:
    """The fraction of experiments in which any two configurations are told apart; all are equal."""
    found = [any(pair.different for pair in s.pairs) for s in experiments(world, rounds)]
    return float(np.mean(found))


def power(world: World, rounds: int) -> float:
    """The fraction of the pairs with the better configuration that are told apart."""
    found = []
    for section in experiments(world, rounds):
        for pair in section.pairs:
            labels = [section.entries[place].label for place in (pair.better, pair.worse)]
            if "0" in labels:
                found.append(pair.different and labels[0] == "0")
    return float(np.mean(found))


def coverage(world: World, rounds: int) -> float:
    """The fraction of the intervals of means that hold the truth."""
    truth = 0.7 - 0.3 * world.collapse
    held = [e.low <= truth <= e.high for s in experiments(world, rounds) for e in s.entries]
    return float(np.mean(held))


def detected(world: World, rounds: int) -> float:
    """Power at the difference that experiments of the world say would be found."""
    said = [pair.detectable for s in experiments(world, rounds // 4) for pair in s.pairs]
    there = World(**{**vars(world), "difference": float(np.median(said))})
    return power(there, rounds)


def planned(world: World, rounds: int) -> float:
    """Power in experiments with as many images as pilots of the world say are needed."""
    rng, pilots, found = np.random.default_rng(1), 20, []
    tests = world.configurations * (world.configurations - 1) // 2
    for _ in range(pilots):
        pilot = World(**{**vars(world), "seeds": 3, "difference": 0.0})
        needed = images_needed(spread(draw(pilot, rng)), world.difference, world.seeds, tests)
        if needed is not None:
            there = World(**{**vars(world), "images": needed})
            found.append(power(there, rounds // pilots))
    return float(np.mean(found)) if found else np.nan


def true_gap(world: World, section: Section, pair: Pair) -> float:
    """The true difference of a pair, the one that is said to be better minus the other."""
    better, worse = (section.entries[place].label for place in (pair.better, pair.worse))
    return world.difference * ((better == "0") - (worse == "0"))


def intervals(different: bool) -> Measure:
    """The fraction of the intervals of differences that hold the true one."""

    def measure(world: World, rounds: int) -> float:
        held = [
            pair.low <= true_gap(world, section, pair) <= pair.high
            for section in experiments(world, rounds)
            for pair in section.pairs
            if pair.different == different
        ]
        return float(np.mean(held)) if held else np.nan

    return measure


def equivalent(world: World, rounds: int) -> float:
    """The fraction of experiments in which any pair at the margin is called equivalent."""
    found = [
        any(p.equivalent for p in s.pairs if true_gap(world, s, p))
        for s in experiments(world, rounds)
    ]
    return float(np.mean(found))


def first_again(world: World, rounds: int) -> float:
    """How often the leader of an experiment leads the next one as well."""
    leaders = [section.entries[0].label for section in experiments(world, rounds)]
    return float(np.mean([a == b for a, b in pairwise(leaders)]))


def said_first(world: World, rounds: int) -> float:
    """How often the leader is said to come first when the images and seeds at hand are redrawn."""
    return float(np.mean([s.entries[0].first for s in experiments(world, rounds)]))


Row = tuple[str, str, Measure, World]
GROUPS = ((27, 5), (13, 10), (10, 60))  # numbers of groups, and of images of each


def rows(quick: bool) -> Iterator[Row]:
    """Each row of the table: its words, the nominal value, the measure and the world."""
    if quick:
        yield "errors, 2 seeds, 2 equal configurations", "5 %", errors, World(133, 2, 2)
        return
    yield from error_rows()
    yield from group_rows()
    world = World(133, 6, 3, difference=0.05)
    yield "power, difference 0.05, 3 seeds, 6 configurations", "", power, world
    for seeds in (1, 2, 3, 5):
        world = World(133, 2, seeds, seed=0.0 if seeds == 1 else SEED)
        yield (
            f"detected, {seeds} seed{'s' * (seeds > 1)}, 2 configurations",
            "80 %",
            detected,
            world,
        )
    world = World(133, 6, 10, difference=0.05)
    yield "power as planned by pilots of 3 seeds: 10 seeds, difference 0.05", "80 %", planned, world
    yield from interval_rows()
    for configurations in (2, 6):
        world = World(133, configurations, 3, difference=0.02, margin=0.02)
        words = f"called equivalent at the margin, 3 seeds, {configurations} configurations"
        yield words, "5 %", equivalent, world
    world = World(133, 5, 3)
    yield "said to rank first: the leader of 5 equal ones, 3 seeds", "", said_first, world
    yield "ranks first again, in the next experiment", "", first_again, world


def error_rows() -> Iterator[Row]:
    """False differences between equal configurations."""
    for seeds in (2, 3, 5):
        for configurations in (2, 6, 10, 20):
            words = f"errors, {seeds} seeds, {configurations} equal configurations"
            yield words, "5 %", errors, World(133, configurations, seeds)
    for images in (10, 50, 500):
        yield f"errors, 3 seeds, 6 equal, {images} images", "5 %", errors, World(images, 6, 3)
    for seeds in (2, 3):
        words = f"errors, {seeds} seeds, 6 equal configurations, one 5 times as noisy"
        yield words, "5 %", errors, World(133, 6, seeds, noisy=5)
    for seeds in (2, 3):
        world = World(133, 6, seeds, collapse=0.15)
        yield f"errors, {seeds} seeds, 6 equal, 15 % of trainings collapse", "5 %", errors, world
    for images in (50, 133, 500):
        world = World(images, 2, 1, seed=0.0, skewed=True)
        yield f"errors, 1 seed, equal means of unlike shapes, {images} images", "5 %", errors, world


def group_rows() -> Iterator[Row]:
    """False differences where images come in groups, known and unknown to the comparison."""
    for groups, size in GROUPS:
        for seeds in (1, 3):
            world = World(groups * size, 2, seeds, seed=0.0, groups=groups)
            words = f"errors, {seeds} seed{'s' * (seeds > 1)}, {groups} groups of {size} images"
            yield words, "5 %", errors, world
            if seeds == 1:
                unaware = World(**{**vars(world), "unaware": True})
                yield f"{words}, not told of groups", "5 %", errors, unaware


def interval_rows() -> Iterator[Row]:
    """Intervals of means, and of differences that were picked out."""
    for seeds in (2, 3, 5):
        world = World(133, 6, seeds)
        yield f"coverage of means, {seeds} seeds, 6 configurations", "95 %", coverage, world
    world = World(133, 6, 3, collapse=0.15)
    yield "coverage of means, 3 seeds, 15 % of trainings collapse", "95 %", coverage, world
    yield "coverage of means, 1 seed", "95 %", coverage, World(133, 6, 1)
    for difference in (0.02, 0.05):
        world = World(133, 6, 3, difference=difference)
        words = f"intervals, 3 seeds, 6 configurations, difference {difference}, of pairs"
        yield f"{words} said to differ", "95 %", intervals(True), world
        yield f"{words} not told apart", "95 %", intervals(False), world


def observed(row: tuple[int, int, bool]) -> str:
    """A line of the table."""
    index, rounds, quick = row
    words, nominal, measure, world = list(rows(quick))[index]
    value = measure(world, rounds)
    error = 2 * np.sqrt(max(value * (1 - value), 1 / rounds) / rounds)
    return f"| {words} | {nominal} | {100 * value:.1f} % | {100 * error:.1f} % |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small world: does it run?")
    parser.add_argument("--rounds", type=int, default=1000, help="experiments of each world")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"replace the table in {PAGE}")
    chosen = parser.parse_args()
    rounds = 40 if chosen.quick else chosen.rounds
    tasks = [(index, rounds, chosen.quick) for index in range(len(list(rows(chosen.quick))))]
    lines = HEAD.splitlines()
    print(HEAD, flush=True)
    with multiprocessing.get_context("spawn").Pool(chosen.processes) as pool:
        for line in pool.imap(observed, tasks):
            print(line, flush=True)
            lines.append(line)
    if chosen.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEAD)
        after = rest.partition("\n\n")[2]
        PAGE.write_text("\n".join([before + lines[0], *lines[1:], "", after]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
