"""The option ``model.weights``: what the network's class takes, and what segbench itself loads."""

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

from segbench.errors import ConfigError
from segbench.records.weight_files import OPTION, is_source
from segbench.weights import SUFFIXES

NODE, KEY = OPTION.split(".")


def own_arguments(path: str, node: dict[str, Any], target: Any) -> dict[str, Any]:
    """The arguments of a network's class, without weights of a file or a cell.

    Every network can start from those, which segbench loads into it; names such as ``imagenet``
    are for classes with an argument ``weights``.

    Args:
        path: the dotted name of the node; only the network has the option.
        node: the plain arguments.
        target: the class.

    Raises:
        ConfigError: the class has no weights of a name.
    """
    if path != NODE or KEY not in node:
        return node
    rest = {key: value for key, value in node.items() if key != KEY}
    given = None if is_source(node[KEY]) else node[KEY]
    parameters = _parameters(target)
    if KEY in parameters:
        return {**rest, KEY: given}
    if given is None:
        return rest
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return node
    name = str(node.get("_target_", "")).rpartition(".")[2]
    raise ConfigError(
        f"{OPTION}={given}: {name} has no weights of this name; expected a file "
        f"({', '.join(SUFFIXES)}), a cell's folder or hash, outputs/<name>, or null"
    )


def _parameters(target: Any) -> Mapping[str, Parameter]:
    try:
        return signature(target).parameters
    except (TypeError, ValueError):  # built in C
        return {}
