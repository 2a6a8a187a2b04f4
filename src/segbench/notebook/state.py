"""Keeps what a command changes in its process from outlasting a call from Python.

A command owns its process. In a notebook the arguments, the environment, Hydra's global objects,
the root logger and the filters of warnings are the user's.
"""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

# Hydra raises every error; albumentations does not ask a package registry for its newest version.
_ENVIRONMENT = {"HYDRA_FULL_ERROR": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
_SPINNING = {"GOMP_SPINCOUNT": "10000"}  # see __main__.py; it holds if torch is not imported yet


@contextmanager
def borrowed_process() -> Iterator[None]:
    """Give a command a process as it expects it, and restore the user's afterwards."""
    with warnings.catch_warnings(), _environment(), _logging(), _hydra():
        arguments = sys.argv
        try:
            yield
        finally:
            sys.argv = arguments


@contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(_SPINNING | before | _ENVIRONMENT)
    if not sys.stdout.isatty():  # Jupyter asks for colours so, which rich takes for a terminal
        os.environ.pop("FORCE_COLOR", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _logging() -> Iterator[None]:
    """Hydra removes the handlers of the root logger, and a cell's log changes its level."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra refuses to start while it is initialized, as it may be in the user's own code."""
    theirs, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = theirs
        HydraConfig.instance().cfg = config
