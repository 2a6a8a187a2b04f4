"""What varies among the cells of a comparison, and so which cells differ in their seed alone."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from segbench.errors import ConfigError
from segbench.records.cells import Cell
from segbench.records.record import ADDED

# Of two keys one of which is interpolated from the other, the one that the user sets comes first.
_ORDER = ("data", "trainer", "augment", "model", "loss", "optimizer")
BUDGET = "trainer.max_epochs"


def varying(cells: Sequence[Cell]) -> list[str]:
    """What differs among cells: config groups, then dotted keys among cells of equal choices."""
    choices = [cell.chosen for cell in cells]
    groups = sorted({group for each in choices for group in each if group != "data"}, key=_rank)
    alike: dict[tuple[tuple[str, str], ...], list[Cell]] = {}
    for cell, each in zip(cells, choices, strict=True):
        alike.setdefault(tuple(sorted(each.items())), []).append(cell)
    keys = {key for members in alike.values() for key in differing(members)}
    known = {group: _known(group, cells) for group in groups}
    return [
        *(group for group in groups if len(known[group]) > 1),
        *_without_copies(keys - seed_keys(cells), cells),
    ]


def _known(group: str, cells: Sequence[Cell]) -> set[str | None]:
    """The options of a config group among cells; None where a cell has none.

    Masks that another tool predicted have none of most groups, which is no difference.
    """
    return {cell.chosen.get(group) for cell in cells if group in cell.chosen or cell.is_trained}


def differing(cells: Sequence[Cell]) -> set[str]:
    """The dotted keys that are not the same in all cells."""
    settings = [cell.tuned for cell in cells if cell.config]
    found: set[str] = set()
    for other in settings[1:]:
        keys = {key for key, _ in set(settings[0].items()) ^ set(other.items())}
        found |= {key for key in keys if _value(settings[0], key) != _value(other, key)}
    return found


def _value(settings: Mapping[str, str], key: str) -> str:
    """A cell's value of a key; of one that its version lacked, the value that stands for that."""
    return settings.get(key, ADDED.get(key, "None"))


def seed_keys(cells: Sequence[Cell]) -> set[str]:
    """The dotted keys that hold the cell's seed in every cell, such as ``data.seed``."""
    held = [(cell.seed, cell.tuned) for cell in cells if cell.config]
    keys = set().union(*(values for _, values in held)) if held else set()
    return {key for key in keys if all(values.get(key) == str(seed) for seed, values in held)}


def _without_copies(keys: set[str], cells: Sequence[Cell]) -> list[str]:
    """The keys but for copies: those that, wherever they are, equal one that comes before."""
    settings = [cell.tuned for cell in cells if cell.config]
    kept: list[str] = []
    for key in sorted(keys, key=_rank):
        there = [each for each in settings if key in each]
        if not any(all(each[key] == each.get(first) for each in there) for first in kept):
            kept.append(key)
    return kept


def _rank(key: str) -> tuple[int, str]:
    group = key.partition(".")[0]
    return (_ORDER.index(group) if group in _ORDER else len(_ORDER)), key


def beside(cells: Sequence[Cell], options: Iterable[str]) -> list[str]:
    """Keys that differ although their group's choice does not, and that are no option.

    They changed together with an option, so that nothing tells the two apart.
    """
    cells = [cell for cell in cells if cell.config]
    groups = {group for cell in cells for group in cell.chosen}
    changed = {g for g in groups if len({cell.chosen.get(g) for cell in cells}) > 1}
    keys = differing(cells) - seed_keys(cells) - {BUDGET}
    keys = {key for key in keys if key.partition(".")[0] not in changed}
    known = [[option_values(cell, [name])[name] for cell in cells] for name in options]
    values = {key: [cell.tuned.get(key, "") for cell in cells] for key in keys}
    return [key for key in _without_copies(keys, cells) if values[key] not in known]


def option_values(cell: Cell, names: Iterable[str]) -> dict[str, str]:
    """What a cell has of each option; empty where it has none of it."""
    choices, keys = cell.choices, cell.tuned
    return {name: choices.get(name, keys.get(name, "")) for name in names}


def table_options(
    cells: Sequence[Cell],
    found: Sequence[str],
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
) -> tuple[list[str], list[str]]:
    """The options of the table's rows and columns; what else varies joins the rows.

    Raises:
        ConfigError: One is named that no cell has, or twice.
    """
    groups = {group for cell in cells for group in cell.choices}
    for name, given in (("rows", rows), ("columns", columns)):
        for option in given or []:
            _check_option(name, option, cells, groups, found)
    if rows is None:
        rows = [group for group in ("model",) if group in groups and group not in (columns or [])]
    if columns is None:
        columns = [group for group in ("loss",) if group in groups and group not in rows]
    twice = [option for option in rows if option in columns]
    if twice:
        raise ConfigError(f"columns={twice[0]}: is in rows already; name it once")
    return [*rows, *(each for each in found if each not in {*rows, *columns})], list(columns)


def _check_option(
    name: str, option: str, cells: Sequence[Cell], groups: set[str], found: Sequence[str]
) -> None:
    if option == "data":
        raise ConfigError(f"{name}=data: each data set has a table of its own; name another option")
    if option == "seed":
        raise ConfigError(f"{name}=seed: scores are means over the seeds; name another option")
    if option in groups or any(option in cell.tuned for cell in cells):
        return
    known = [*found, *sorted(groups - {"data", *found})]
    close = get_close_matches(option, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    varies = ", ".join(found) or "nothing"
    raise ConfigError(f"{name}={option}: no such option; {hint}among these cells {varies} varies")


def label_of(options: Mapping[str, str], names: Sequence[str]) -> str:
    """A configuration's name for people: ``unet · dice · lr=0.01``."""
    last = [name.rpartition(".")[2] for name in names]
    words = []
    for name, short in zip(names, last, strict=True):
        value = options.get(name, "")
        if value:
            shown = short if last.count(short) == 1 else name
            words.append(value if name in ("model", "loss") else f"{shown}={value}")
    return " · ".join(words)
