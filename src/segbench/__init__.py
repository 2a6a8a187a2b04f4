"""segbench: compare image-segmentation models honestly and fast."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # not from typing: nothing may be imported before the path is safe
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from segbench.inference.predictor import Predictor  # torch takes seconds to import
    from segbench.notebook.report import Report
    from segbench.records.cells import Cell


def _leave_out_current_folder() -> None:
    """Remove the current folder, which ``python -m`` puts first on the module search path.

    Otherwise a ``cv2.py`` or ``typing.py`` in a downloaded folder would be imported instead of the
    installed module. The folder stays on the path if it is the one that holds segbench itself.
    """
    started = sys.argv[:1] == ["-m"] and "segbench" in sys.orig_argv  # "-m": not yet running
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if started and not sys.flags.safe_path and sys.path[0] == os.getcwd() != home:
        del sys.path[0]


_leave_out_current_folder()


def load(
    run: str | Path | Sequence[str | Path], *, trust: str | Sequence[str] = (), **options: Any
) -> Predictor:
    """Load a finished cell, or the mean of several, as a predictor of masks.

    ``load("outputs/mine")(picture)`` is the mask (H, W) of a NumPy array or a PIL image.

    Args:
        run: a cell's folder, its hash, ``outputs/<name>`` (its best cell), or a list of them.
        trust: your own packages whose classes the cell's network and data set may use.
        options: ``device``, ``precision``, ``tta``, ``window``, ``overlap``, ``batch_size`` and
            ``size``, as in `segbench predict`.

    Raises:
        ConfigError: ``run`` names no cell, or its config may not be built.
        SegbenchError: the weights are missing or damaged.
    """
    from segbench.inference.runs import find_runs, make_predictor

    return make_predictor(find_runs(run, trust), **options)


def run(overrides: str | Sequence[str] = (), *, config_dir: str | Path | None = None) -> Cell:
    """Train one cell in this process, as the command line does with the same overrides.

    ``run(["model=unet", "loss=dice"]).averages["iou"]`` is its IoU on test. The folder, the checks
    and the printed lines are those of ``python -m segbench model=unet loss=dice``: a finished cell
    is read and not trained again, a stopped one resumes.

    Args:
        overrides: options of the command line, each a text such as ``"data.size=128"``.
        config_dir: a folder of your own YAML files, as ``--config-dir``.

    Returns:
        The finished cell: ``folder``; ``record``, which is ``run.json``; ``averages``, the test
        scores by name; ``scores``, a DataFrame with a row for each test image and class;
        ``curves``, a DataFrame with a row for each epoch.

    Raises:
        ConfigError: an override is wrong, or has several values, which make a sweep.
        SegbenchError: the cell failed; its folder has the log.
    """
    from segbench.notebook.running import run_cell

    return run_cell(overrides, config_dir)


def sweep(
    overrides: str | Sequence[str] = (), *, config_dir: str | Path | None = None
) -> list[Cell]:
    """Train every combination of the overrides' values, as ``-m`` does on the command line.

    ``sweep(["name=ph2", "model=unet,segnet", "seed=0,1"])`` trains four cells, without those that
    are finished, then prints their comparison and writes its page.

    Args:
        overrides: as of `run`; one with several values separates them by commas.
        config_dir: a folder of your own YAML files, as ``--config-dir``.

    Returns:
        The cells in the order of the combinations; of a search (``tune=``) those of its winners.

    Raises:
        ConfigError: an override is wrong, before any cell is trained.
        SegbenchError: a cell failed; the others are finished.
    """
    from segbench.notebook.running import run_sweep

    return run_sweep(overrides, config_dir)


def compare(cells: str | Path | Cell | Sequence[str | Path | Cell], **options: Any) -> Report:
    """Compare finished cells, as `segbench compare` does; nothing is written.

    ``compare("outputs/ph2")`` shows its tables in a notebook, ``.entries`` is a DataFrame and
    ``.figure("stability")`` a figure of matplotlib.

    Args:
        cells: ``outputs/<name>``, a name, a cell's folder, a cell of `run`, or a list of them.
        options: ``score``, ``rows``, ``columns``, ``missing``, ``margin``, ``unit`` and ``by``, as
            in `segbench compare`; of the first three a list too.

    Raises:
        ConfigError: an option is wrong, or no cell has the score.
        SegbenchError: a folder does not exist or holds no cell.
    """
    from segbench.notebook.comparing import compare_cells

    return compare_cells(cells, **options)
