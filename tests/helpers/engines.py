"""Tests of engines that may be missing: a browser, SLURM, Ray.

Such a test is skipped where its engine is missing, unless SEGBENCH_REQUIRE names the engine, as in
SEGBENCH_REQUIRE=browser,slurm: then it fails, so that no environment for tests loses it unnoticed.
"""

import os
from typing import NoReturn

import pytest

ENGINES = ("browser", "slurm", "ray")
VARIABLE = "SEGBENCH_REQUIRE"


def required() -> list[str]:
    """The engines that the environment requires.

    Raises:
        pytest.UsageError: there is no such engine.
    """
    names = [name for name in os.environ.get(VARIABLE, "").split(",") if name]
    for name in names:
        if name not in ENGINES:
            raise pytest.UsageError(f"{VARIABLE}: {name!r} is none of {', '.join(ENGINES)}")
    return names


def lacks(engine: str, reason: str) -> NoReturn:
    """Skip the test or its module, or let it fail where the engine is required."""
    if engine in required():
        pytest.fail(f"{VARIABLE} names {engine}, but {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
