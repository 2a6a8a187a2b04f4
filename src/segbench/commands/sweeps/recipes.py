"""Recipes of an experiment: options that belong together, each a row of the grid."""

from collections.abc import Sequence
from typing import Any

from omegaconf import ListConfig

from segbench.errors import ConfigError

EXAMPLE = "recipes: [[model=unet, optimizer.lr=3e-4], [model=segnet, optimizer.lr=1e-3]]"


def as_recipes(node: Any) -> list[list[str]]:
    """The overrides of each recipe; one that is empty where there are none.

    Raises:
        ConfigError: the node is not a list of lists of options.
    """
    if node is None:
        return [[]]
    recipes = list(node) if isinstance(node, ListConfig | list) else []
    if not recipes or not all(_is_recipe(each) for each in recipes):
        raise ConfigError(
            f"recipes: expected a list of lists of options, such as {EXAMPLE}; got "
            f"{str(node)[:200]}"
        )
    return [list(each) for each in recipes]


def _is_recipe(node: Any) -> bool:
    options = list(node) if isinstance(node, ListConfig | list) else []
    return bool(options) and all(isinstance(each, str) and "=" in each for each in options)


def check_recipes(own: Sequence[str], others: Sequence[str]) -> None:
    """Refuse options that both the recipes and the rest of the grid set.

    Args:
        own: the keys that the recipes set.
        others: the keys that the grid and the command line set.

    Raises:
        ConfigError: a key is among both.
    """
    twice = [key for key in dict.fromkeys(own) if key in others]
    if twice:
        raise ConfigError(
            f"{twice[0]}: set by recipes and by the grid or the command line; leave it to one of "
            "them (recipes=null on the command line leaves the recipes out)"
        )
