"""docs/quickstart.ipynb: executed in a kernel of its own, quiet, with what its text promises."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FILE = Path(__file__).parents[2] / "docs" / "quickstart.ipynb"


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any, kind: str) -> str:
    """What a cell shows of a type of data, as one text."""
    found = [output.data.get(kind, "") for output in cell.outputs if "data" in output]
    return "".join(found)


def printed(cell: Any, name: str) -> str:
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == name)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(FILE, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            (folder / name).mkdir()
            patch.setenv(name, str(folder / name))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        patch.setenv("PYTHONSAFEPATH", "")
        client = NotebookClient(notebook, timeout=200, resources={"metadata": {"path": folder}})
        client.execute()  # an exception in a cell is raised here, with its traceback
    return notebook


def test_it_is_stored_without_outputs() -> None:
    notebook = nbformat.read(FILE, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code(notebook))


def test_no_cell_warns(executed: Any) -> None:
    assert [printed(cell, "stderr") for cell in code(executed)] == [""] * len(code(executed))


def test_its_networks_learn(executed: Any) -> None:
    first = next(printed(c, "stdout") for c in code(executed) if "cell.averages" in c.source)
    assert float(first.split("IoU ")[1].split(",")[0]) > 0.5
    own = next(printed(c, "stdout") for c in code(executed) if "segbench.load" in c.source)
    assert own.startswith("(40, 56) ")


def test_it_shows_table_figure_panel_and_page(executed: Any) -> None:
    by_source = {cell.source.splitlines()[-1]: cell for cell in code(executed)}
    table = shown(by_source["report"], "text/html")
    assert "IoU, mean ± SD over seeds" in table
    assert "<b>" in table
    assert shown(by_source['report.figure("boxes")'], "image/png")
    assert shown(by_source['Image.open(mine.folder / "panels/test.png")'], "image/png")
    page = shown(code(executed)[-1], "text/html")
    assert "<iframe srcdoc=" in page
    assert "&lt;html" in page
    assert "quickstart" in page


def test_a_sweep_runs_the_first_cell_no_second_time(executed: Any) -> None:
    sweep = next(printed(c, "stdout") for c in code(executed) if "segbench.sweep(" in c.source)
    assert "4 cells: 1 done, 3 waiting, 3 to run" in sweep
    assert "page: outputs/quickstart/report/index.html" in sweep
