"""Train, val and test parts, made from sorted sample ids and a seed of their own."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segbench.errors import DataError

PARTS = ("train", "val", "test")
Part = float | str | Sequence[str]  # a share or count, "val", or ids


def make_split(
    ids: Sequence[str],
    split: Mapping[str, Part],
    seed: int,
    strata: Sequence[str] | None = None,
    folds: int | None = None,
    fold: int = 0,
) -> dict[str, list[int]]:
    """Indices of the train, val and test cases, each part sorted.

    Args:
        ids: sample ids, sorted and without repeats.
        split: for each part its share (all together 1), its number of cases, or its ids; shares
            and numbers are of the cases that no other part names. ``test`` may be ``"val"``.
        seed: decides which case goes where, and nothing else does.
        strata: a word for each case; every part gets its share of the cases of each word.
        folds: cross-validation: ``test`` is one ``folds``-th of the cases, and train and val
            share the others as ``split`` says.
        fold: which one, from 0.

    Raises:
        ValueError: a part is missing or empty, or the parts do not fit the number of cases.
        DataError: a part names a case that is not there, or two parts the same one.
    """
    if list(ids) != sorted(set(ids)):
        raise ValueError("sample ids must be sorted and unique")
    if set(split) != set(PARTS):
        raise ValueError(f"data.split needs the parts {', '.join(PARTS)}, got {dict(split)}")
    named = _named_parts(ids, split)
    taken = {index for part in named.values() for index in part}
    rest = np.asarray([index for index in range(len(ids)) if index not in taken], np.int64)
    order = _shuffled(rest, seed, strata)
    shares = {name: value for name, value in split.items() if isinstance(value, int | float)}
    if folds is not None:
        parts = _folded(order, split, folds, fold, spread=strata is not None)
    else:
        parts = _deal(order, _part_sizes(len(order), shares), spread=strata is not None)
    parts |= named
    if split["test"] == "val":
        parts["test"] = parts["val"]
    empty = [name for name in PARTS if not parts.get(name)]
    if empty:
        raise ValueError(f"data.split={_shown(split)}: no cases for {', '.join(empty)}")
    return {name: sorted(parts[name]) for name in PARTS}


def read_part(file: Path) -> list[str]:
    """Sample ids from a text file: the first word of each line, but for comments (#).

    Raises:
        DataError: the file holds none.
    """
    lines = (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    found = [line.split()[0] for line in lines if line and not line.startswith("#")]
    if not found:
        raise DataError(f"{file}: names no cases; expected one id on each line")
    return found


def read_split(file: Path) -> dict[str, list[str]]:
    """The parts of a ``split.json``, such as each cell leaves in its folder.

    Raises:
        DataError: the file is none.
    """
    try:
        parts = json.loads(file.read_text())["parts"]
        return {name: [case["id"] for case in parts[name]] for name in PARTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"data.split={file}: cannot be read as a split.json of an earlier cell "
            f"({type(error).__name__}: {error}); give shares, numbers, or such a file"
        ) from error


def _named_parts(ids: Sequence[str], split: Mapping[str, Part]) -> dict[str, list[int]]:
    places = {id_: index for index, id_ in enumerate(ids)}
    named: dict[str, list[int]] = {}
    owner: dict[str, str] = {}
    for name, value in split.items():
        if isinstance(value, str) and (name, value) != ("test", "val"):
            raise ValueError(f"data.split.{name}={value!r}: expected a share, a number, or ids")
        if isinstance(value, int | float | str):
            continue
        for id_ in value:
            if id_ not in places:
                raise DataError(
                    f"data.split.{name} names the case {id_!r}, which is not among the "
                    f"{len(ids)} there, such as {ids[0]!r}; mend the list or restore the case"
                )
            if id_ in owner:
                raise DataError(
                    f"data.split: the case {id_!r} is in {owner[id_]} and in {name}: a leak; "
                    "name it once"
                )
            owner[id_] = name
        named[name] = [places[id_] for id_ in value]
    return named


def _shuffled(rest: np.ndarray, seed: int, strata: Sequence[str] | None) -> list[int]:
    order = rest[np.random.default_rng(seed).permutation(len(rest))]
    if strata is None:
        return [int(i) for i in order]
    return sorted((int(i) for i in order), key=lambda index: strata[index])


def _deal(order: list[int], sizes: Mapping[str, int], spread: bool) -> dict[str, list[int]]:
    """Deal an order out: slice by slice, or spread evenly along it."""
    parts: dict[str, list[int]] = {name: [] for name in sizes}
    if not spread:
        start = 0
        # test first: it stays the same when train and val share the rest differently
        for name in reversed([part for part in PARTS if part in sizes]):
            parts[name] = order[start : start + sizes[name]]
            start += sizes[name]
        return parts
    wanted = {**sizes, "": len(order) - sum(sizes.values())}
    dealt = dict.fromkeys(wanted, 0)
    for place, index in enumerate(order, start=1):
        # whoever is furthest behind its share takes the next; all end at their sizes exactly
        name = max(wanted, key=lambda part: place * wanted[part] / len(order) - dealt[part])
        dealt[name] += 1
        parts.setdefault(name, []).append(index)
    parts.pop("", None)
    return parts


def _folded(
    order: list[int], split: Mapping[str, Part], folds: int, fold: int, spread: bool
) -> dict[str, list[int]]:
    train, val, test = (split[name] for name in PARTS)
    if not all(isinstance(value, int | float) for value in (train, val, test)):
        raise ValueError(
            f"data.folds={folds} makes the test part itself, but data.split={_shown(split)}: give "
            "shares or numbers for all parts, or data.folds=null"
        )
    if not (2 <= folds <= len(order) and 0 <= fold < folds):
        raise ValueError(
            f"data.folds={folds}, data.fold={fold}: expected 2 to {len(order)} folds (the number "
            "of cases), and a fold from 0 to the last"
        )
    rest = [index for place, index in enumerate(order) if place % folds != fold]
    share = val / (train + val)  # type: ignore[operator]
    count = max(1, round(len(rest) * share))
    parts = _deal(rest, {"train": len(rest) - count, "val": count}, spread)
    return {**parts, "test": order[fold::folds]}


def _part_sizes(total: int, split: Mapping[str, float]) -> dict[str, int]:
    if not split:
        return {}
    if all(isinstance(share, int) for share in split.values()):
        sizes = {name: int(split[name]) for name in split}
    else:
        sizes = _from_shares(total, split)
    if min(sizes.values()) < 1 or sum(sizes.values()) > total:
        raise ValueError(
            f"data.split={dict(split)} makes parts of {sizes} cases from {total}: each part needs "
            "one at least, and together no more than there are; give other shares or counts"
        )
    return sizes


def _from_shares(total: int, split: Mapping[str, float]) -> dict[str, int]:
    if abs(sum(split.values()) - 1) > 1e-6 or min(split.values()) <= 0:
        raise ValueError(f"data.split={dict(split)}: shares must be positive and add up to 1")
    names = [name for name in PARTS if name in split]
    sizes = {name: round(total * split[name]) for name in names[1:]}
    return {names[0]: total - sum(sizes.values()), **sizes}


def _shown(split: Mapping[str, Part]) -> dict[str, str]:
    """A split for a message, long lists of ids left out."""
    plain = int | float | str
    return {k: str(v) if isinstance(v, plain) else f"{len(v)} ids" for k, v in split.items()}
