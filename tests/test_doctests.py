"""The examples in docstrings are true, and every loss, network and score has one."""

import doctest
import inspect
import pkgutil
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
import torch

import segbench

PACKAGES = [import_module(f"segbench.{name}") for name in ("losses", "models", "metrics")]
MODULES = [
    import_module(found.name)
    for package in PACKAGES
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]
# The packages of SMPModel and MONAIModel are extras, the others are plain containers.
WITHOUT = {"SMPModel", "MONAIModel", "Scores", "REGISTRY"}
KNOWN = {"torch": torch, "np": np}


def test_modules_are_found() -> None:
    assert len(MODULES) > 20


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module, extraglobs=KNOWN).failed == 0


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_has_an_example(package: ModuleType) -> None:
    documented = {name: inspect.getdoc(getattr(package, name)) or "" for name in package.__all__}
    assert {name for name, text in documented.items() if ">>> " not in text} <= WITHOUT


def test_load_shows_its_use() -> None:
    assert 'load("outputs/mine")(picture)' in (segbench.load.__doc__ or "")
