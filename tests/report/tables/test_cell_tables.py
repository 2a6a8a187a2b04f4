"""The table on the terminal."""

from io import StringIO

from rich.console import Console

from segbench.report.tables.cell_tables import scores_tables


def text(metrics: dict[str, float | None]) -> str:
    out = StringIO()
    Console(file=out, width=120).print(*scores_tables({"metrics": {"test": metrics}}))
    return out.getvalue()


def test_one_scored_class_is_one_row() -> None:
    shown = text({"iou": 0.5, "iou/nucleus": 0.5, "dice": 2 / 3, "assd": None})
    assert "nucleus" in shown
    assert "0.5000" in shown
    assert "0.6667" in shown
    assert "mean" not in shown
    assert "–" in shown


def test_several_classes_and_their_mean() -> None:
    shown = text({"iou": 0.5, "iou/a": 0.25, "iou/b": 0.75})
    assert [word in shown for word in ("a ", "b ", "mean", "0.2500", "0.7500")] == [True] * 5
