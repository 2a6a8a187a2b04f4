"""What must be known of a cross-validation's numbers."""

from collections.abc import Sequence

import numpy as np

from segbench.report.sections.comparison import Entry
from segbench.text.wording import amount, listed


def fold_note(entries: Sequence[Entry], score: str) -> str:
    """How much the folds' means differ, and what that is not; empty without folds."""
    told = []
    for entry in entries:
        by_fold: dict[int, list[float]] = {}
        for cell in entry.done:
            mean = cell.averages.get(score)
            if cell.fold is not None and mean is not None:
                by_fold.setdefault(cell.fold, []).append(mean)
        means = [np.mean(each) for each in by_fold.values()]
        if len(means) > 1:
            told.append(f"{entry.label} {amount(float(np.std(means, ddof=1)))}")
    if not told:
        return ""
    return (
        "Folds: each image is scored by the network that was not trained on it, and the score of a "
        "seed is the mean over all images. Standard deviation between the means of folds: "
        f"{listed(told)}. It holds the difference between the folds' images too, and any two "
        "folds share most of their training images: it is not the spread of independent trainings, "
        "and no test uses it (Nadeau & Bengio 2003, doi:10.1023/A:1024068626366)."
    )
