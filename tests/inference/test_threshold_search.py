"""The search of a threshold, whose candidates include ½, by which a cell's val part was scored."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_run import make_run


@pytest.mark.parametrize("options", [(), ("data.patch=24",), ("data.patch=24", "data.scale=0.5")])
def test_half_gives_the_scores_of_val(
    options: tuple[str, ...], segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "a", "trainer.precision=32-true", *options)
    assert segbench("evaluate", f"run={run}", "part=val") == 0
    (scores,) = tmp_path.glob("outputs/*/evaluations/*/scores.csv")
    table = pd.read_csv(scores)
    known = table.loc[table["class"] == table["class"].iloc[1], "iou"].mean()
    assert segbench("evaluate", f"run={run}", "threshold=best", "part=val") == 0
    said = re.search(r"IoU ([\d.]+) \(with 0.5: ([\d.]+)\)", capsys.readouterr().out)
    assert said is not None
    assert float(said[2]) == pytest.approx(known, abs=6e-5)
    assert float(said[1]) >= float(said[2])
