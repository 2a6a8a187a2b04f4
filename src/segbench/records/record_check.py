"""Checks that the values in ``run.json`` have the expected types.

Missing keys are accepted, because a cell that ended early has written fewer.
"""

import math
import re
from collections.abc import Callable
from typing import Any

STATUSES = ("running", "done", "failed", "interrupted")
LARGEST = 1e30  # of any number in a record; times and counts of operations are far below
SEEDS = 2**63
_AMOUNTS = (
    *("parameters", "flops", "train_seconds", "images_per_second"),
    *("peak_memory_bytes", "best_epoch", "epochs"),
)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number below ``LARGEST``; booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < LARGEST and math.isfinite(value)


def _is_amount(value: Any) -> bool:
    return value is None or (is_number(value) and value >= 0)


def _is_seed(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < SEEDS


def _is_schema(value: Any) -> bool:
    return _is_seed(value) and value >= 0


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_node(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _are_words(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _are_checksums(value: Any) -> bool:
    return _are_words(value) and all(re.fullmatch("[0-9a-f]{64}", each) for each in value.values())


def _are_metrics(value: Any) -> bool:
    if value is None:
        return True
    parts = list(value.values()) if isinstance(value, dict) else [None]
    return all(
        isinstance(part, dict) and all(each is None or is_number(each) for each in part.values())
        for part in parts
    )


def _is_evaluation(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("part", "test"), str)


def _is_environment(value: Any) -> bool:
    return _is_node(value) and _is_node((value or {}).get("versions"))


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "status": (lambda value: value in STATUSES, f"one of {', '.join(STATUSES)}"),
    "error": (_is_text, "a text"),
    "command": (_is_text, "a text"),
    "hash": (_is_text, "a text"),
    "choices": (_are_words, "an option for each config group"),
    "schema": (_is_schema, "a whole number from 0 up"),
    "seed": (_is_seed, "a whole number"),
    "metrics": (_are_metrics, "numbers by part and name"),
    "environment": (_is_environment, "names with values"),
    "evaluated": (_is_evaluation, "what was evaluated"),
    "files": (_are_checksums, "a SHA-256 for each file"),
    **dict.fromkeys(_AMOUNTS, (_is_amount, "a number from 0 up")),
}


def check_record(record: Any) -> None:
    """Raise an error if a value is not a record.

    Raises:
        ValueError: naming the first key whose value is of the wrong kind.
    """
    if not isinstance(record, dict):
        raise ValueError(f"expected keys with values, got a {type(record).__name__}")
    for name, (is_kind, kind) in _KINDS.items():
        if name in record and not is_kind(record[name]):
            raise ValueError(f"{name}: expected {kind}, got {repr(record[name])[:60]}")
