"""Modules that another library imports at its start without using them."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """Stands for a module until something of it is asked for, and imports it then.

    Args:
        name: The module's full name.
        known: Attributes that can be asked for before.
    """

    def __init__(self, name: str, **known: object) -> None:
        super().__init__(name)
        vars(self).update(known)

    def __getattr__(self, attribute: str) -> Any:
        """From the module itself, which from now on has its name."""
        if attribute.startswith("__") and attribute != "__path__":  # who looks at all modules
            raise AttributeError(f"{self.__name__} is not imported yet: no {attribute}")
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), attribute)


def postpone_imports() -> None:
    """SciPy's signal, a twelfth of the time until a first training step.

    torchmetrics imports it to give it a name, ``hamming``, which an older package missed in SciPy.
    """
    sys.modules.setdefault("scipy.signal", Later("scipy.signal", hamming=None))
