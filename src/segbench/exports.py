"""Names that a package offers without importing the modules that define them."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

Exports = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def lazy_exports(package: str, modules: Mapping[str, Sequence[str]]) -> Exports:
    """The ``__getattr__``, ``__dir__`` and ``__all__`` of a package, as PEP 562 has them.

    A module is imported when one of its names is used for the first time.

    Args:
        package: full name of the package.
        modules: for each module in it, the names that the package offers.
    """
    homes = {name: f"{package}.{module}" for module, names in modules.items() for name in names}

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return find, lambda: sorted(homes), sorted(homes)
