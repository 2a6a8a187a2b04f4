"""What cells must share to be compared, and how the sections that follow from it are called."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from segbench.records.cells import Cell, shifted_name, split_digest
from segbench.report.sections.image_scores import class_names
from segbench.report.sections.options import differing
from segbench.text.wording import listed


class Place(NamedTuple):
    """What cells must share to be compared."""

    data: str  # the option that chose the data set
    split: str
    classes: tuple[str, ...]
    part: str  # that was scored


TRAIN, SPLIT = "data.split.train", "data.split"
Groups = dict[Place, list[Cell]]
Titles = dict[Place, tuple[str, str]]


def _classes_of(cell: Cell) -> tuple[str, ...]:
    """All classes of a cell, the background first; empty where they are not known."""
    if cell.status == "done":
        return tuple(class_names(cell.scores))
    named = cell.config.get("data.class_names")
    return tuple(map(str, named)) if isinstance(named, list) else ()


def by_section(cells: Sequence[Cell]) -> tuple[Groups, list[Cell]]:
    """Cells by what they must share; and those that ended too early to know which of several."""
    groups: Groups = {}
    others = []
    for cell in cells:
        place = Place(cell.choices.get("data", ""), _split_of(cell), _classes_of(cell), cell.part)
        if place.split and place.classes:
            groups.setdefault(place, []).append(cell)
        else:
            others.append((place, cell))
    groups = _with_nested_training(groups)
    homeless = []
    for place, cell in others:
        known = [each for each in groups if _may_be(place, each)]
        if len(known) > 1:
            homeless.append(cell)
        else:
            groups.setdefault(known[0] if known else place, []).append(cell)
    return dict(sorted(groups.items())), homeless


def _split_of(cell: Cell) -> str:
    """What the cells of a section share of the split: all of it, or the folds that it is one of."""
    if cell.fold is None or not cell.parts:
        return cell.split
    cases = sorted((c["id"], c["sha256"]) for part in cell.parts.values() for c in part)
    keys = ("data.split_seed", "data.stratify", "data.group", "data.split.train", "data.split.val")
    facts = [cases, [str(cell.config.get(key)) for key in keys]]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]
    return f"{digest}, {cell.config['data.folds']} folds"


def _with_nested_training(groups: Groups) -> Groups:
    """Join splits with the same val and test parts whose training parts are subsets of another.

    So a learning curve over ``data.split.train`` is one section. Training parts that differ while
    every option is the same are no such curve, and stay apart.
    """
    joined: Groups = {}
    for place, cells in groups.items():
        home = next((each for each in joined if _is_nested(each, joined[each], place, cells)), None)
        if home is None:
            joined[place] = list(cells)
            continue
        members = [*joined.pop(home), *cells]
        shared = {part: members[0].parts[part] for part in ("val", "test")}
        joined[place._replace(split=split_digest(shared))] = members
    return joined


def _is_nested(home: Place, there: Sequence[Cell], place: Place, cells: Sequence[Cell]) -> bool:
    if home._replace(split="") != place._replace(split=""):
        return False
    if "folds" in home.split or "folds" in place.split:
        return False
    one, other = there[0], cells[0]
    if any(_cases(one, part) != _cases(other, part) for part in ("val", "test")):
        return False
    if one.tuned.get(TRAIN, one.tuned.get(SPLIT)) == other.tuned.get(TRAIN, other.tuned.get(SPLIT)):
        return False
    mine = _cases(other, "train")
    return all(mine <= _cases(each, "train") or mine >= _cases(each, "train") for each in there)


def _cases(cell: Cell, part: str) -> set[tuple[str, str]]:
    return {(case["id"], case["sha256"]) for case in cell.parts.get(part, [])}


def _may_be(place: Place, other: Place) -> bool:
    """Whether two places are one, as far as is known of the first."""
    return all(not mine or not its or mine == its for mine, its in zip(place, other, strict=True))


def section_titles(groups: Groups) -> Titles:
    """For each section its title, which no other has, and the name of its data set.

    Where several sections have one choice of ``data``, the title adds what tells them apart: the
    name of the data's folder, the part that was scored, the classes, the split.
    """
    titles = {}
    for place, cells in groups.items():
        alike = {other: members for other, members in groups.items() if other.data == place.data}
        root = _root(cells)
        roots = {_root(members) for members in alike.values()}
        data, shift = place.data, cells[0].shift
        plain = data.removesuffix(shifted_name("", *shift)) if shift else data
        folder = f" ({root})" if len(roots) > 1 and root else ""
        source = f"{plain}{folder}"
        same = [each for each in alike if len(roots) == 1 or _root(alike[each]) == root]
        words = [] if place.part == "test" else [f"part {place.part}"]
        same = [each for each in same if each.part == place.part]
        if len({each.classes for each in same}) > 1 and place.classes:
            words.append(f"classes {listed(place.classes, 4)}")
            same = [each for each in same if each.classes == place.classes]
        if len(same) > 1 and place.split:
            words.append(f"split {place.split}")
        titles[place] = (", ".join([f"{data}{folder}", *words]), source)
    return titles


def _root(cells: Sequence[Cell]) -> str:
    """The name of the folder that held the cells' data; empty where it is not known."""
    roots = [cell.config.get("data.root") for cell in cells]
    return next((PurePath(str(root)).name for root in roots if root), "")


def section_notes(place: Place, groups: Groups, titles: Titles) -> list[str]:
    """Why one data set has several sections, and how to get one."""
    alike = {
        other: members
        for other, members in groups.items()
        if titles[other][1] == titles[place][1]
        and (other.data, other.part) == (place.data, place.part)
        and other.split
    }
    classes = {other.classes for other in alike}
    notes = []
    if len(classes) > 1:
        told = "; ".join(listed(each, 8) for each in sorted(classes))
        notes.append(
            f"{titles[place][1]} has {len(classes)} lists of classes ({told}), each with a table "
            "of its own: scores of other classes make no pairs. For all cells the same "
            "data.class_names give one table."
        )
    same = [members for other, members in alike.items() if other.classes == place.classes]
    if len(same) > 1:
        notes.append(_split_note(titles[place][1], same))
    return notes


def _split_note(data: str, groups: Sequence[Sequence[Cell]]) -> str:
    changed = differing([members[0] for members in groups]) - {"data.seed"}
    keys = sorted(key for key in changed if key.startswith("data."))
    values = {key: {m[0].tuned.get(key, "–")[:40]: None for m in groups} for key in keys}
    told = "; ".join(f"{key} {', '.join(each)}" for key, each in values.items())
    way = "the same data options give one split" if keys else "the same files give one split"
    return (
        f"{data} was split in {len(groups)} ways ({told or 'its files differ'}), each with a table "
        "of its own: scores on different images, or of networks trained on one another's test "
        f"images, make no pairs. For all cells {way}, as does data.split=<a cell>/split.json."
    )
