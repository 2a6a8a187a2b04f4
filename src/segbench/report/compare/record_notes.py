"""The notes that the records and configs of a section's cells call for."""

from collections.abc import Callable
from typing import Any

from segbench.metrics.registry import OF_OBJECTS, OPTIONAL, SURFACE
from segbench.records.cells import Cell
from segbench.report.sections.comparison import Section
from segbench.report.sections.entries import FOUND
from segbench.report.sections.image_scores import has_images
from segbench.report.sections.options import BUDGET
from segbench.text.wording import count, listed

LATE = 0.9  # of its epochs: a best epoch after this share was perhaps not the best to be had


def cell_notes(section: Section, score: str) -> list[str]:
    """The notes that the cells' records and configs call for."""
    makers: tuple[Callable[[Section], str], ...] = (
        _shifted,
        _selected_on_test,
        _seen_in_training,
        _missing_seeds,
        _collapsed,
        _late_epochs,
        _budgets,
        _environments,
    )
    found = [_unlike_images(score), _lacking(section, score)]
    found += [maker(section) for maker in makers]
    if score.partition("/")[0] in OF_OBJECTS:
        ways = "Predicted objects were found in different ways, so that scores do not compare"
        found.append(_differing(section, ways, lambda cell: cell.record.get("objects")))
    if score.partition("/")[0] in SURFACE:
        found.append(_surface_failures(section, score))
    return [*filter(None, found)]


def _unlike_images(score: str) -> str:
    if has_images(score):
        return ""
    return (
        f"{score} is made from counts summed over all test images and has no value for a single "
        "one: mean and standard deviation over seeds are all there is, no interval and no test."
    )


def _lacking(section: Section, score: str) -> str:
    lacking = {entry.label: len(entry.lacking) for entry in section.entries if entry.lacking}
    if not lacking:
        return ""
    told = listed([f"{label} {number}" for label, number in lacking.items()])
    return f"Finished cells without the score {score}, left out here: {told}. {_how_to_get(score)}"


def _how_to_get(score: str) -> str:
    if score.partition("/")[0] in OPTIONAL:
        return (
            f"With scores=[{score}], `segbench evaluate` scores their weights, and overwrite=true "
            "runs them again."
        )
    return (
        "They are of an earlier version; overwrite=true runs them again, and other scores have "
        "them."
    )


def _shifted(section: Section) -> str:
    if section.shift is None:
        return ""
    kind, severity = section.shift
    return f"The images were made worse by {kind} of severity {severity} before they were scored."


def _seen_in_training(section: Section) -> str:
    """Evaluations of images that the weights were trained or selected on."""
    told = []
    for entry in section.scored:
        for cell in entry.done:
            facts = cell.record.get("evaluated") or {}
            seen = facts.get("seen_in_training")
            if isinstance(seen, int) and seen > 0:
                told.append(f"{entry.label} ({cell.run_name}: {seen} of {len(cell.scored_ids)})")
    if not told:
        return ""
    return (
        f"Scored on images that the weights were trained or selected on: {listed(told)}; such "
        "scores are too good."
    )


def _selected_on_test(section: Section) -> str:
    if section.part != "test":
        return ""
    parts = next((c.parts for e in section.entries for c in e.cells if c.split), {})
    val, test = ({case["id"] for case in parts.get(name, [])} for name in ("val", "test"))
    if not test & val:
        return ""
    return (
        "The test part is the val part: weights were selected on the images that they are scored "
        "on, so that all scores are too good."
        if test == val
        else f"{len(test & val)} of the {len(test)} test images are also in the val part, which "
        "selected the weights."
    )


def _missing_seeds(section: Section) -> str:
    cells = [cell for entry in section.entries for cell in entry.cells]
    wanted = {cell.repeat: cell.run_name for cell in cells}
    what = "seeds and folds" if any(cell.fold is not None for cell in cells) else "seeds"
    told = []
    for entry in section.entries:
        states = {cell.repeat: cell.status for cell in entry.cells}
        done = {cell.repeat for cell in entry.done}
        lacking = [
            f"{wanted[repeat]} {states.get(repeat, 'not there')}"
            for repeat in sorted(wanted)
            if repeat not in done
        ]
        if lacking:
            told.append(f"{entry.label} ({listed(lacking)})")
    return f"Without all of the {len(wanted)} {what}: {listed(told)}." if told else ""


def _collapsed(section: Section) -> str:
    """Trainings that went wrong: as outliers they are part of what a configuration does."""
    told = [
        f"{entry.label} ({run}: {listed(classes)})"
        for entry in section.scored
        for run, classes in entry.collapsed.items()
    ]
    if not told:
        return ""
    of = {e.label: f"{len(e.collapsed)} of {count(len(e.done), 'cell')}" for e in section.scored}
    shares = listed([f"{e.label} {of[e.label]}" for e in section.scored if e.collapsed])
    return (
        f"Collapsed, finding less than {FOUND:.0%} of a class's pixels: {listed(told)}; that is "
        f"{shares}. Look at their curves. Neither the mean over seeds nor its interval describes "
        "such a configuration; of several seeds the table gives the median too (Agarwal et al. "
        "2021)."
    )


def _late_epochs(section: Section) -> str:
    def late(cell: Cell) -> bool:
        best, epochs = cell.record.get("best_epoch"), cell.record.get("epochs")
        return bool(best and epochs and best > LATE * epochs)

    labels = [e.label for e in section.scored if any(late(cell) for cell in e.done)]
    if not labels:
        return ""
    return (
        "Not trained to the end, as their best epoch is among the last tenth: "
        f"{listed(labels)}. With more epochs the order may change."
    )


def _budgets(section: Section) -> str:
    return _differing(section, "Training budgets differ, in epochs", _budget)


def _budget(cell: Cell) -> Any:
    return cell.config.get(BUDGET)


def _environments(section: Section) -> str:
    def of(name: str) -> Callable[[Cell], Any]:
        return lambda cell: (cell.record.get("environment") or {}).get(name)

    def torch_version(cell: Cell) -> Any:
        environment = cell.record.get("environment") or {}
        return (environment.get("versions") or {}).get("torch")

    return " ".join(
        filter(
            None,
            (
                _differing(section, "Precisions differ", of("precision")),
                _differing(section, "Devices differ, so times do not compare", of("device")),
                _differing(section, "Versions of torch differ", torch_version),
            ),
        )
    )


def _differing(section: Section, what: str, value: Callable[[Cell], Any]) -> str:
    """``what: a (x, y), b (z)`` where finished cells have several values."""
    holders: dict[str, dict[str, None]] = {}
    for entry in section.scored:
        for cell in entry.done:
            if value(cell) is not None:
                holders.setdefault(str(value(cell)), {})[entry.label] = None
    if len(holders) < 2:
        return ""
    told = "; ".join(f"{each} ({listed(list(labels), 4)})" for each, labels in holders.items())
    return f"{what}: {told}."


def _surface_failures(section: Section, score: str) -> str:
    _, slash, of = score.partition("/")
    told = []
    for entry in section.scored:
        metrics = [cell.averages for cell in entry.done]
        failures = sum(each.get(f"surface_failures{slash}{of}") or 0 for each in metrics)
        if failures:
            told.append(f"{entry.label} {failures:.0f}")
    if not told:
        return ""
    return (
        "Masks of which one alone is empty score the image's diagonal, or 0 in NSD; over all "
        f"seeds there are: {listed(told)}."
    )
