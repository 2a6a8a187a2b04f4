"""Several scores: their tables, their agreement, and a correction for all of them."""

from pathlib import Path

import numpy as np
import pytest
from made_folders import write_cell

from segbench.records.cells import find_cells
from segbench.report.compare.build import compare_cells
from segbench.report.tables.exports import markdown_table


def test_several_scores_stand_in_one_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.4, 0.8, 30)
    for place, model in enumerate(("unet", "segnet")):
        for seed in range(3):
            scores = hard - 0.03 * place + rng.normal(0, 0.01, 30)
            write_cell(tmp_path / "a", list(scores), model=model, seed=seed)
    cells = find_cells([tmp_path / "a"])
    alone = compare_cells(cells, ["a"], replicates=100).sections[0]
    comparison = compare_cells(cells, ["a"], ["iou", "dice", "assd"], replicates=100)
    (section,) = comparison.sections
    assert comparison.score == "iou"
    assert list(section.others) == ["dice", "assd"]
    assert section.others["assd"].best[0].label == "unet"  # the lowest distance
    for name in ("p_images", "p_means"):
        once, thrice = (getattr(each.pairs[0], name) for each in (alone, section))
        assert thrice == pytest.approx(min(1, 3 * once))
    (note,) = [note for note in section.notes if "Rankings depend on the score" in note]
    assert note.startswith("Dice has the same best entry and the same order; ASSD (px) has")
    assert "corrected for 3 scores" in note
    shown = markdown_table(comparison, section)
    assert "|  | Dice | ASSD (px) |" in shown
    dice = compare_cells(cells, ["a"], "dice", replicates=100).sections[0]
    assert [e.mean for e in section.others["dice"].entries] == [e.mean for e in dice.entries]
