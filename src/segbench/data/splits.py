"""Splits sorted case ids into train, val and test parts, by a seed."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segbench.data.decoding.files import check_name, read_text
from segbench.data.groups.dealing import WholeGroups
from segbench.data.options import as_texts
from segbench.errors import ConfigError, DataError

PARTS = ("train", "val", "test")
_MOST = 1e15  # the largest accepted number of cases
Part = float | str | Sequence[str | int]  # a fraction or count, "val", or ids


def make_split(
    ids: Sequence[str],
    split: Mapping[str, Part],
    seed: int,
    strata: Sequence[str] | None = None,
    folds: int | None = None,
    fold: int = 0,
    groups: Sequence[str] | None = None,
) -> dict[str, list[int]]:
    """Indices of the train, val and test cases, each part sorted.

    Args:
        ids: case ids, sorted and unique.
        split: for each part a fraction (their sum is at most 1), a number of cases, or ids.
            Fractions and numbers refer to the cases that no part names. ``test`` may be ``"val"``.
            A smaller ``train`` is a subset of a larger one, and leaves val and test as they are.
        seed: the seed of the random order.
        strata: a label for each case; each label is divided between the parts in proportion.
        folds: number of folds of cross-validation: ``test`` is one fold, and train and val divide
            the others in the proportion of ``split``.
        fold: index of the test fold, from 0.
        groups: the group of each case. No group is cut by parts that fractions, numbers or folds
            make, so that their sizes may differ from what is asked.

    Raises:
        ValueError: a part is missing or empty, or the parts do not fit the number of cases.
        DataError: a part names an unknown case, or two parts name the same case.
    """
    if list(ids) != sorted(set(ids)):
        raise ValueError("sample ids must be sorted and unique")
    for id_ in ids:
        if fault := check_name(f"the case {id_}", id_):
            raise fault
    if set(split) != set(PARTS):
        raise ValueError(f"data.split needs the parts {', '.join(PARTS)}, got {dict(split)}")
    named = _named_parts(ids, split)
    taken = {index for part in named.values() for index in part}
    rest = np.asarray([index for index in range(len(ids)) if index not in taken], np.int64)
    order = _shuffled(rest, seed, strata)
    fractions = {name: value for name, value in split.items() if isinstance(value, int | float)}
    whole = None if groups is None else WholeGroups(groups, strata, seed)
    if folds is not None:
        parts = _folded(order, split, folds, fold, strata is not None, whole)
    else:
        sizes = _part_sizes(len(order), fractions)
        spare = len(order) - sum(sizes.values())
        full = {**sizes, "train": sizes["train"] + spare} if "train" in sizes else sizes
        parts = whole.deal(order, full) if whole else _deal(order, full, strata is not None)
        if spare and "train" in sizes:  # val and test do not depend on the size of train
            parts["train"] = _beginning(parts["train"], order, sizes["train"], strata, groups)
    parts |= named
    if split["test"] == "val":
        parts["test"] = parts["val"]
    empty = [name for name in PARTS if not parts.get(name)]
    if empty:
        raise ValueError(f"data.split={_shown(split)}: no cases for {', '.join(empty)}")
    return {name: sorted(parts[name]) for name in PARTS}


def read_part(file: Path) -> list[str]:
    """Case ids from a text file: the first word of each line that is not a comment (#).

    Raises:
        DataError: the file has no ids.
    """
    lines = (line.strip() for line in read_text(file).splitlines())
    found = [line.split()[0] for line in lines if line and not line.startswith("#")]
    if not found:
        raise DataError(f"{file}: names no cases; expected one id on each line")
    return found


def read_split(file: Path) -> dict[str, list[str]]:
    """The ids of each part in a ``split.json``, which each cell writes to its folder.

    Raises:
        DataError: the file is not a ``split.json``.
    """
    try:
        parts = json.loads(read_text(file))["parts"]
        ids = {name: [case["id"] for case in parts[name]] for name in PARTS}
        return {name: as_texts(ids[name], f"{file}: {name}") for name in PARTS}
    except (DataError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"data.split={file}: cannot be read as a split.json of an earlier cell "
            f"({type(error).__name__}: {error}); give fractions, numbers, or such a file"
        ) from error


def _named_parts(ids: Sequence[str], split: Mapping[str, Part]) -> dict[str, list[int]]:
    indices = {id_: index for index, id_ in enumerate(ids)}
    named: dict[str, list[int]] = {}
    owner: dict[str, str] = {}
    for name, value in split.items():
        if isinstance(value, bool) or value is None:
            raise ConfigError(f"data.split.{name}={value}: expected a fraction, a number, or ids")
        if isinstance(value, str) and (name, value) != ("test", "val"):
            raise ValueError(f"data.split.{name}={value!r}: expected a fraction, a number, or ids")
        if isinstance(value, int | float | str):
            continue
        chosen = _as_ids(value, ids, f"data.split.{name}")
        for id_ in chosen:
            if id_ not in indices:
                raise DataError(
                    f"data.split.{name} names the case {id_!r}, which is not among the "
                    f"{len(ids)} there, such as {ids[0]!r}; correct the list or restore the case"
                )
            if id_ in owner:
                raise DataError(
                    f"data.split: the case {id_!r} is in {owner[id_]} and in {name}: a leak; "
                    "name it once"
                )
            owner[id_] = name
        named[name] = [indices[id_] for id_ in chosen]
    return named


def _as_ids(listed: Sequence[str | int], ids: Sequence[str], option: str) -> list[str]:
    """Listed ids as text; refuses numbers where YAML may have dropped leading zeros."""
    chosen = as_texts(listed, option)
    numbers = [id_ for id_ in listed if not isinstance(id_, str)]
    padded = next((id_ for id_ in ids if id_[0] == "0" and id_.isdecimal() and id_ != "0"), None)
    if numbers and padded:
        raise ConfigError(
            f"{option}: {numbers[0]} is a number, but there are ids with leading zeros, such as "
            f"{padded}; quote the ids: {option}='[\"{padded}\"]'"
        )
    return chosen


def _shuffled(rest: np.ndarray, seed: int, strata: Sequence[str] | None) -> list[int]:
    order = rest[np.random.default_rng(seed).permutation(len(rest))]
    if strata is None:
        return [int(i) for i in order]
    return sorted((int(i) for i in order), key=lambda index: strata[index])


def _deal(order: list[int], sizes: Mapping[str, int], spread: bool) -> dict[str, list[int]]:
    """Assign an order of cases to parts, as slices or spread evenly along the order."""
    parts: dict[str, list[int]] = {name: [] for name in sizes}
    if not spread:
        start = 0
        # test first, so that it does not change with the fractions of train and val
        for name in reversed([part for part in PARTS if part in sizes]):
            parts[name] = order[start : start + sizes[name]]
            start += sizes[name]
        return parts
    wanted = {**sizes, "": len(order) - sum(sizes.values())}
    dealt = dict.fromkeys(wanted, 0)
    for count, index in enumerate(order, start=1):
        # the part furthest behind its fraction takes the next case; all reach their sizes exactly
        name = max(wanted, key=lambda part: count * wanted[part] / len(order) - dealt[part])
        dealt[name] += 1
        parts.setdefault(name, []).append(index)
    parts.pop("", None)
    return parts


def _beginning(
    train: Sequence[int],
    order: Sequence[int],
    size: int,
    strata: Sequence[str] | None,
    groups: Sequence[str] | None,
) -> list[int]:
    """The first cases of a training part, about ``size``: whole groups, each stratum in proportion.

    A smaller size gives a subset of a larger one.
    """
    chosen = set(train)
    units: dict[str | int, list[int]] = {}
    for index in (index for index in order if index in chosen):
        units.setdefault(groups[index] if groups else index, []).append(index)
    members = list(units.values())
    if strata is not None:
        of = [strata[unit[0]] for unit in members]
        totals, seen, shares = Counter(of), Counter[str](), []
        for stratum in of:
            shares.append((seen[stratum] + 0.5) / totals[stratum])
            seen[stratum] += 1
        members = [members[place] for place in np.argsort(shares, kind="stable")]
    ends = np.cumsum([len(unit) for unit in members])
    last = int(np.argmin(np.abs(ends - size)))
    return [index for unit in members[: last + 1] for index in unit]


def _folded(
    order: list[int],
    split: Mapping[str, Part],
    folds: int,
    fold: int,
    spread: bool,
    whole: WholeGroups | None,
) -> dict[str, list[int]]:
    train, val, test = (split[name] for name in PARTS)
    if not all(isinstance(value, int | float) for value in (train, val, test)):
        raise ValueError(
            f"data.folds={folds} makes the test part itself, but data.split={_shown(split)}: give "
            "fractions or numbers for all parts, or data.folds=null"
        )
    if not (2 <= folds <= len(order) and 0 <= fold < folds):
        raise ValueError(
            f"data.folds={folds}, data.fold={fold}: expected 2 to {len(order)} folds (the number "
            "of cases), and a fold from 0 to the last"
        )
    if not (0 < train < _MOST and 0 < val < _MOST):  # type: ignore[operator]
        raise ValueError(
            f"data.split={_shown(split)}: expected positive fractions or numbers for train and val"
        )
    tested = whole.folds(order, folds)[fold] if whole else order[fold::folds]
    others = set(order).difference(tested)
    rest = [index for index in order if index in others]
    fraction = val / (train + val)  # type: ignore[operator]
    count = max(1, round(len(rest) * fraction))
    sizes = {"train": len(rest) - count, "val": count}
    parts = whole.deal(rest, sizes) if whole else _deal(rest, sizes, spread)
    return {**parts, "test": tested}


def _part_sizes(total: int, split: Mapping[str, float]) -> dict[str, int]:
    if not split:
        return {}
    if all(isinstance(value, int) for value in split.values()):
        sizes = {name: int(split[name]) for name in split}
    else:
        whole = {name: v for name, v in split.items() if isinstance(v, int) and 1 < v < _MOST}
        fractions = {name: value for name, value in split.items() if name not in whole}
        found = {**_from_fractions(total, fractions, bool(whole)), **whole}
        sizes = {name: int(found[name]) for name in split}
    if min(sizes.values()) < 1 or sum(sizes.values()) > total:
        raise ValueError(
            f"data.split={dict(split)} makes parts of {sizes} cases from {total}: each part needs "
            "one at least, and together no more than there are; give other fractions or counts"
        )
    return sizes


def _from_fractions(total: int, split: Mapping[str, float], partly: bool) -> dict[str, int]:
    """Numbers of cases from fractions; if their sum is below 1, the other cases are left out.

    Args:
        total: number of cases.
        split: the parts that are given as fractions.
        partly: whether other parts are given as numbers of cases.
    """
    are_fractions = all(0 < value <= 1 for value in split.values())  # False for NaN
    whole = sum(split.values()) if are_fractions else float("nan")
    if not whole <= 1 + 1e-6:
        found = f"; got a sum of {whole:g}" if are_fractions else ""
        raise ValueError(
            f"data.split={dict(split)}: expected positive fractions whose sum is 1, or below it to "
            f"leave cases out{found}"
        )
    sizes = {name: round(total * split[name]) for name in split}
    if whole > 1 - 1e-6 and not partly:  # rounding leaves no case out
        first = next(name for name in PARTS if name in split)
        sizes[first] = total - sum(size for name, size in sizes.items() if name != first)
    return sizes


def _shown(split: Mapping[str, Part]) -> dict[str, str]:
    """A split for messages, with the numbers of ids instead of long lists."""
    plain = int | float | str
    return {k: str(v) if isinstance(v, plain) else f"{len(v)} ids" for k, v in split.items()}


def complete_parts(given: Mapping[str, list[str]], asked: Mapping[str, Part]) -> dict[str, Part]:
    """The split where folders or files give some parts, and train is divided into the others.

    Args:
        given: the ids of the given parts, train among them.
        asked: the split of the config, which says how train is divided.
    """
    open_parts = [name for name in PARTS if name not in given]
    if not open_parts:
        return {**given}
    fractions = {name: asked[name] for name in ("train", *open_parts)}
    numbers = [value for value in fractions.values() if isinstance(value, int | float)]
    if any(isinstance(value, float) for value in numbers):
        fractions = {name: v / sum(numbers) for name, v in fractions.items()}  # type: ignore[operator]
    return {**given, **fractions}
