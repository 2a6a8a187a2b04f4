"""Private names of other packages that segbench uses: each is listed here, and still exists.

A new version of a package may remove one without notice. The failing test then names it, and the
file of segbench that uses it.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import segbench

SOURCE = Path(segbench.__file__).parent
# the file that uses a name: the name, and where it is found in its package
PRIVATE = {
    "callbacks/freeze.py": {
        "_ddp_kwargs": "lightning.pytorch.strategies:DDPStrategy.__init__",
    },
    "cell/trainer.py": {
        "_check_on_train_epoch_end": "lightning.pytorch.callbacks:EarlyStopping.__init__",
    },
    "commands/explaining.py": {"_get_node": "omegaconf:DictConfig._get_node"},
    "commands/starting/completion.py": {
        "_query": "hydra.plugins.completion_plugin:CompletionPlugin._query",
        "hydra._internal.core_plugins.bash_completion": (
            "hydra._internal.core_plugins.bash_completion:BashCompletion"
        ),
    },
    "commands/sweeps/packing.py": {
        "hydra._internal.core_plugins.basic_launcher": (
            "hydra._internal.core_plugins.basic_launcher:BasicLauncher"
        ),
    },
    "commands/sweeps/planning.py": {
        "_get_node": "omegaconf:DictConfig._get_node",
        "_value": "omegaconf:Node._value",
    },
    "config/composing.py": {
        "hydra._internal": "hydra._internal.hydra:Hydra",
        "hydra._internal.config_loader_impl": (
            "hydra._internal.config_loader_impl:ConfigLoaderImpl"
        ),
        "hydra._internal.config_repository": ("hydra._internal.config_repository:ConfigRepository"),
    },
    "config/sharing.py": {
        "_apply_overrides_to_config": (
            "hydra._internal.config_loader_impl:ConfigLoaderImpl._apply_overrides_to_config"
        ),
        "hydra._internal.config_loader_impl": (
            "hydra._internal.config_loader_impl:get_overrides_dirname"
        ),
    },
    "config/targets.py": {
        "_get_full_key": "omegaconf:DictConfig._get_full_key",
        "_get_node": "omegaconf:DictConfig._get_node",
        "_is_interpolation": "omegaconf:DictConfig._is_interpolation",
    },
    "inference/runs.py": {"_get_full_key": "omegaconf:DictConfig._get_full_key"},
}
OWN = ("self", "cls")
DOCUMENTED = ("_exit", "_replace", "_asdict")  # of os and NamedTuple


def private_names(file: Path) -> Iterator[str]:
    """Private attributes of others, and imports of private modules, in a source file."""
    tree = ast.parse(file.read_text())
    defined = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    }
    assigned = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [
                each.name for each in node.names
            ]  # fmt: skip
            yield from (name for name in modules if "._" in name)
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and not is_own(node):
            yield from {node.attr} - defined - assigned


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in DOCUMENTED


def is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in OWN


def test_every_private_name_is_listed() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    found = {str(file.relative_to(SOURCE)): set(private_names(file)) for file in files}
    assert {file: names for file, names in found.items() if names} == {
        file: set(names) for file, names in PRIVATE.items()
    }


@pytest.mark.parametrize(
    ("file", "name", "place"),
    [(file, name, place) for file, names in PRIVATE.items() for name, place in names.items()],
)
def test_it_still_exists(file: str, name: str, place: str) -> None:
    module, _, path = place.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        assert hasattr(found, part), f"{place} is gone, which {file} uses"
        found = getattr(found, part)
    if path.endswith("__init__"):  # an attribute of the object
        assert f"self.{name}" in inspect.getsource(found), f"{name} is gone, which {file} uses"
