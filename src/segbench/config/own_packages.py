"""Imports the user's packages that ``SEGBENCH_PACKAGES`` lists from the current folder."""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

VARIABLE = "SEGBENCH_PACKAGES"


def own_packages() -> tuple[str, ...]:
    """The names that ``SEGBENCH_PACKAGES`` lists, separated by commas."""
    names = os.environ.get(VARIABLE, "").split(",")
    return tuple(name.strip() for name in names if name.strip())


class CurrentFolder(MetaPathFinder):
    """Finds only the packages that ``SEGBENCH_PACKAGES`` lists in the current folder.

    The folder itself is not on ``sys.path``, because its content may not be trusted and any
    import of a library could find a module in it.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a listed package that no other finder has found, or None."""
        if path is not None or fullname not in own_packages():
            return None
        return PathFinder.find_spec(fullname, [os.getcwd()], target)


def search_current_folder() -> None:
    """Add `CurrentFolder` as the last finder of modules, once per process."""
    if not any(isinstance(finder, CurrentFolder) for finder in sys.meta_path):
        sys.meta_path.append(CurrentFolder())


def protect_children() -> None:
    """Keep the current folder off the path of all Python processes that this one starts.

    Pools of processes, loading processes and the processes of a cell on several devices start
    with ``python -c`` or ``python -m``, which put the current folder first.
    """
    if (
        Path(__file__).parents[2] != Path.cwd()
    ):  # there, the processes find segbench itself only in the current folder
        os.environ["PYTHONSAFEPATH"] = "1"
