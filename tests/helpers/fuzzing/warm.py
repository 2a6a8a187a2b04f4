"""All that segbench imports while it works, imported before anything is watched or timed."""

import contextlib
import gc
import io
import warnings
from importlib import import_module

from hypothesis.errors import HypothesisWarning

HEAVY = (
    *("torch", "lightning", "albumentations", "cv2", "pandas", "scipy.stats", "matplotlib.pyplot"),
    *("rich", "jinja2", "torchvision.models", "segbench.cell.experiment"),
    *(
        "segbench.inference.files",
        "segbench.inference.evaluation",
        "segbench.data.check.check",
        "segbench.report.write",
    ),
)


def import_all() -> None:
    """Import it, with one thread, as a machine shared with others needs."""
    from segbench.__main__ import main

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in HEAVY:
            import_module(name)
        import torch

        torch.set_num_threads(1)
        with contextlib.redirect_stdout(io.StringIO()):
            main(["train", "--cfg", "job"])
    warnings.simplefilter("ignore", HypothesisWarning)  # of other libraries, and long strategies
    gc.freeze()  # a million objects that stay are not looked through again and again
