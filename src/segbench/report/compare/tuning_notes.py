"""What a reader must know of the search by which the compared options were chosen."""

from collections.abc import Sequence

from segbench.records.cells import Cell
from segbench.records.tuning import Tuning, read_tuning
from segbench.report.sections.comparison import Entry, Section, score_title
from segbench.text.wording import count, listed


def tuning_of(cells: Sequence[Cell]) -> Tuning | None:
    """The search that chose the options of an entry's cells; None where there was none."""
    for cell in cells:
        if digest := cell.config.get("search"):
            return read_tuning(cell.folder.parent).get(str(digest))
    return None


def searched(cells: Sequence[Cell]) -> set[str]:
    """The options that searches chose for all of these cells; none if one was not searched for."""
    one_of_each = {(cell.folder.parent, str(cell.config.get("search"))): cell for cell in cells}
    found = [tuning_of([cell]) for cell in one_of_each.values()]  # each is read from a file
    spaces = [set(each.space) if each else set() for each in found]
    return set.intersection(*spaces) if spaces else set()


def tuning_note(section: Section) -> str:
    """How the options of the entries were chosen; empty where none were searched for."""
    found = {entry.label: tuning_of(entry.cells) for entry in section.entries}
    tuned = {label: each for label, each in found.items() if each}
    if not tuned:
        return ""
    left = [label for label in found if label not in tuned]
    if left:
        return (
            f"Options of {listed(list(tuned), 4)} were searched for on val, those of "
            f"{listed(left, 4)} were not: the comparison favours the former."
        )
    efforts = {label: _effort(each) for label, each in tuned.items()}
    chosen = [f"{label} {_chosen(each)}" for label, each in tuned.items()]
    ended = [
        f"{label} {len(each.scores)} of {each.trials}"
        for label, each in tuned.items()
        if len(each.scores) < each.trials
    ]
    told = f" Trained to their end: {listed(ended, 6)}." if ended else ""
    if len(set(efforts.values())) > 1:
        each = "; ".join(f"{label}: {text}" for label, text in efforts.items())
        return f"The entries were not tuned alike: {each}.{told}"
    return (
        f"Options were searched for alike, for each entry in {next(iter(efforts.values()))}; the "
        f"test part was not looked at. Chosen: {listed(chosen, 6)}.{told}"
    )


def _effort(found: Tuning) -> str:
    space = ", ".join(f"{option} ({text})" for option, text in found.space.items())
    score = score_title(found.score)
    return f"{count(found.trials, 'trial')} ({found.sampler}) of {space} by {score} on val"


def _chosen(found: Tuning) -> str:
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in found.chosen.items())


def tuned_entries(section: Section) -> list[tuple[Entry, Tuning]]:
    """The scored entries with the searches that chose their options."""
    found = [(entry, tuning_of(entry.cells)) for entry in section.scored]
    return [(entry, each) for entry, each in found if each and each.scores]
