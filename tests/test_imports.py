"""Who may import whom: each folder knows those below it and no other."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from segbench.config.families import resolve_target
from segbench.errors import ConfigError

SOURCE = Path(__file__).parents[1] / "src" / "segbench"
FILES = sorted(SOURCE.rglob("*.py"))
BASE = {
    *("errors", "system_errors", "types", "arrays", "names", "colours", "exports", "weights"),
}
STORED = BASE | {"text", "metrics", "records"}
# What a folder, or a file beside the folders, may import in addition to itself.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "types": set(),
    "arrays": set(),
    "colours": set(),
    "exports": set(),
    "system_errors": set(),
    "names": {"errors"},
    "weights": {"errors"},
    "optimizers": set(),
    "metrics": {"types", "arrays", "exports"},
    "text": BASE | {"metrics"},
    "records": BASE | {"text", "metrics"},
    "hardware": STORED,
    "models": BASE,
    "losses": BASE,
    "callbacks": STORED | {"hardware"},
    "data": STORED | {"hardware"},
    "config": STORED | {"hardware"},
    "cell": STORED | {"hardware", "callbacks", "config", "data", "losses", "models"},
    "inference": STORED | {"hardware", "callbacks", "config", "data", "cell", "losses"},
    "report": STORED,
    "commands": STORED | {"hardware", "config", "data", "cell", "inference", "report"},
    "notebook": STORED | {"config", "report", "commands"},
    "__init__": {"inference", "notebook", "records"},
    "__main__": STORED | {"hardware", "config", "commands"},
}
INSIDE = {  # the folders of data, models and report
    "data": {"data.decoding", "data.groups", "data.layouts", "data.store"},
    "data.formats": {"data", "data.decoding", "data.layouts", "data.store"},
    "data.layouts": {"data.decoding", "data.store"},
    "data.decoding": set(),
    "data.groups": set(),
    "data.store": set(),
    "data.check": {"data", "data.decoding", "data.groups", "data.layouts", "data.store"},
    "models": {"models.parts"},
    "models.parts": set(),
    "report": {
        "report.statistics",
        "report.sections",
        "report.compare",
        "report.figures",
        "report.page",
        "report.tables",
    },
    "report.statistics": set(),
    "report.sections": {"report.statistics"},
    "report.compare": {"report.statistics", "report.sections"},
    "report.figures": {"report.statistics", "report.sections", "report.compare"},
    "report.tables": {"report.statistics", "report.sections", "report.compare"},
    "report.page": {"report.sections", "report.compare", "report.figures", "report.tables"},
}
KNOW_HYDRA = {"__main__", "commands", "config", "cell", "inference", "notebook"}
LARGEST = 15


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def folder(name: str) -> str:
    """``data.store`` of ``segbench.data.store.loading.Loader``."""
    words = name.split(".")[1:]
    while not (SOURCE.joinpath(*words)).is_dir():
        words.pop()
    return ".".join(words)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_layers(file: Path) -> None:
    top = file.relative_to(SOURCE).with_suffix("").parts[0]
    names = imported(file)
    own = {name for name in names if name.startswith("segbench.")}
    assert {name.split(".")[1] for name in own} - {top} <= LAYERS[top]
    here = ".".join(file.parent.relative_to(SOURCE).parts)
    if here in INSIDE and file.name != "__init__.py":  # which offers names of all folders
        within = {folder(name) for name in own if name.split(".")[1] == top}
        assert within - {here} <= INSIDE[here]
    if top not in KNOW_HYDRA:
        assert not {name.split(".")[0] for name in names} & {"hydra", "omegaconf"}


def test_layers_have_an_order() -> None:
    for graph in (LAYERS, INSIDE):
        left = dict(graph)
        while left:
            lowest = [name for name, below in left.items() if not below & left.keys()]
            assert lowest, f"a circle among {sorted(left)}"
            for name in lowest:
                del left[name]


def test_folders_stay_small() -> None:
    folders = {file.parent for file in FILES}
    sizes = {str(each.relative_to(SOURCE)): len(list(each.glob("*.py"))) for each in folders}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}


def test_report_and_config_need_no_torch() -> None:
    files = [*(SOURCE / "report").rglob("[a-z]*.py"), *(SOURCE / "config").glob("[a-z]*.py")]
    modules = [".".join(file.relative_to(SOURCE.parent).with_suffix("").parts) for file in files]
    modules += ["segbench.commands.train", "segbench.metrics.scores"]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_splits_and_scores_import_neither_torch_nor_albumentations() -> None:
    heavy = {"torch", "lightning", "albumentations"}
    for module in ("segbench.data.splits", "segbench.metrics.scores"):
        code = f"import sys, {module}; sys.exit(bool({heavy} & set(sys.modules)))"
        assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


OFFERING = ("data", "losses", "metrics", "models")


def type_checked_imports(package: str) -> dict[str, str]:
    """What a type checker sees: the name of each export and the module that defines it."""
    tree = ast.parse((SOURCE / package / "__init__.py").read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    pairs = ((alias.name, str(node.module)) for node in found for alias in node.names)
    return {name: module for name, module in pairs if module.startswith(f"segbench.{package}.")}


@pytest.mark.parametrize("package", OFFERING)
def test_a_package_offers_at_run_time_what_type_checkers_see(package: str) -> None:
    offered, seen = import_module(f"segbench.{package}"), type_checked_imports(package)
    assert sorted(seen) == list(offered.__all__) == dir(offered)
    for name, module in seen.items():
        assert getattr(offered, name) is getattr(import_module(module), name)
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'"):
        _ = offered.nothing


def test_every_class_of_the_configs_is_offered_by_its_package() -> None:
    for group in ("data", "loss", "model"):
        files = sorted((SOURCE.parents[1] / "conf" / group).glob("*.yaml"))
        targets = {t for f in files for t in re.findall(r"_target_: (segbench\S+)", f.read_text())}
        assert targets
        for target in targets:
            package, name = target.split(".")[1], target.rpartition(".")[2]
            assert name in type_checked_imports(package)


def test_short_names_permit_no_more_objects_than_full_ones() -> None:
    permitted = {}
    for package in OFFERING:
        for name, module in type_checked_imports(package).items():
            for target in (f"segbench.{package}.{name}", f"{module}.{name}"):
                try:
                    permitted[target] = resolve_target("x", target)
                except ConfigError:
                    permitted[target] = None
            assert permitted[f"segbench.{package}.{name}"] is permitted[f"{module}.{name}"]
    assert permitted["segbench.losses.DiceLoss"] is not None
    assert permitted["segbench.data.Case"] is permitted["segbench.metrics.aggregate"] is None
