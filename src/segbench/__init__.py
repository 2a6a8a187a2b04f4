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
