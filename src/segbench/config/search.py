"""The config group ``tune``: what a search tries, and how often."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from segbench.errors import ConfigError

if TYPE_CHECKING:  # an extra, and slow to import
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

SAMPLERS, PRUNERS = ("random", "tpe"), (None, "median", "hyperband")
FORMS = {"log": float, "uniform": float, "int": int, "logint": int}
_EXAMPLE = "'log 1e-5 1e-2', 'uniform 0 0.5', 'int 2 5', 'logint 8 64' or 'choice 16 32 64'"


@dataclass(frozen=True)
class Search:
    """A search of options, the same for each combination of a sweep.

    Args:
        trials: number of trials of each combination.
        seed: of the proposals and of the trials' trainings.
        sampler: ``random``, or ``tpe`` (Bergstra et al. 2011).
        batch: trials of a combination that are proposed at once.
        pruner: ends trials that fall behind: ``median`` or ``hyperband`` (Li et al. 2018).
        space: for each dotted option its form and limits, or its values.
    """

    trials: int
    seed: int
    sampler: str
    batch: int
    pruner: str | None
    space: Mapping[str, str]


def read_search(node: Any) -> Search:
    """A search from the config's node ``tune``.

    Raises:
        ConfigError: a key is unknown or missing, or a value is not what it should be.
    """
    tree: Any = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    names = [each.name for each in fields(Search)]
    if not isinstance(tree, dict) or set(tree) != set(names):
        raise ConfigError(f"tune: expected the keys {', '.join(names)}; got {str(tree)[:200]}")
    tree = tree | {"space": dict(_flat(tree["space"]))}
    for name, least in (("trials", 1), ("seed", 0), ("batch", 1)):
        if type(tree[name]) is not int or tree[name] < least:
            raise ConfigError(f"tune.{name}={tree[name]}: expected a whole number from {least} on")
    for name, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if tree[name] not in known:
            texts = ", ".join(str(each or "null") for each in known)
            raise ConfigError(f"tune.{name}={tree[name]}: expected one of {texts}")
    if not tree["space"]:
        raise ConfigError(f"tune.space: empty; expected options with forms such as {_EXAMPLE}")
    for option, text in tree["space"].items():
        _limits(option, text)
    return Search(**tree)


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted options with their forms; a list of values is a choice."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(node, list):
        yield prefix, " ".join(["choice", *map(_word, node)])
    elif node is not None:
        yield prefix, str(node)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _limits(option: str, text: str) -> tuple[float, float]:
    form, *words = text.split()
    wrong = ConfigError(f"tune.space: {option}: {text!r}: expected {_EXAMPLE}")
    if form == "choice" and len(set(words)) > 1 and len(set(words)) == len(words):
        return 0.0, 0.0
    try:
        low, high = (FORMS[form](word) for word in words)
    except (KeyError, ValueError):
        raise wrong from None
    if not -math.inf < low < high < math.inf or (form.startswith("log") and low <= 0):
        raise wrong
    return low, high


def distributions(search: Search) -> "dict[str, BaseDistribution]":
    """The space in Optuna's terms."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for option, text in search.space.items():
        form, *words = text.split()
        if form == "choice":
            found[option] = CategoricalDistribution(words)
            continue
        low, high = _limits(option, text)
        kind: Any = FloatDistribution if FORMS[form] is float else IntDistribution
        found[option] = kind(low, high, log=form.startswith("log"))
    return found


def override(option: str, value: Any) -> str:
    """Hydra's override for a proposed value; numbers have four significant digits."""
    return (
        f"{option}={float(f'{value:.4g}')!r}" if isinstance(value, float) else f"{option}={value}"
    )


def at_limit(search: Search, option: str, value: Any) -> bool:
    """Whether a value lies in the outermost 5 % of its range, so that a wider one may be better."""
    text = search.space[option]
    if text.startswith("choice"):
        return False
    low, high = _limits(option, text)
    scale = math.log if text.startswith("log") else float
    place = (scale(value) - scale(low)) / (scale(high) - scale(low))
    return not 0.05 <= place <= 0.95


def make_sampler(search: Search, number: int) -> "BaseSampler":
    """The sampler that proposes trial ``number``; the same one after a restart."""
    from optuna.samplers import RandomSampler, TPESampler

    seed = search.seed + number
    if search.sampler == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, constant_liar=True)
