"""Who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "segbench"
FILES = sorted(SOURCE.rglob("*.py"))
PARTS = ("data", "models", "losses", "metrics")
KNOW_HYDRA = {
    "__main__.py",
    "commands",
    "experiment.py",
    "trainer.py",
    "config.py",
    "targets.py",
    "runs.py",
    "evaluation.py",
}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add(node.module or "")
    return names


def test_there_are_files() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_layers(file: Path) -> None:
    top = file.relative_to(SOURCE).parts[0]
    names = imported(file)
    own = {name.split(".")[1] for name in names if name.startswith("segbench.")}
    if top in PARTS:
        assert not own & ({*PARTS, "task", "experiment", "commands"} - {top})
    if top == "report":
        assert own <= {"report", "errors", "metrics", "colours"}
    if top == "task.py":
        assert own <= {"metrics", "types", "errors"}
    if top not in KNOW_HYDRA:
        assert not {name.split(".")[0] for name in names} & {"hydra", "omegaconf"}


def test_report_and_config_need_no_torch() -> None:
    modules = [f"segbench.report.{f.stem}" for f in (SOURCE / "report").glob("[a-z]*.py")]
    modules += ["segbench.config", "segbench.commands.train", "segbench.metrics.scores"]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
