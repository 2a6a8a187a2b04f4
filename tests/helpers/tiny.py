"""Cells of a few seconds."""

from pathlib import Path

# A cell of a few seconds: a tiny network on small generated images.
TINY = (
    "model.base_channels=4",
    "model.depth=2",
    "data.count=20",
    "data.size=32",
    "trainer.max_epochs=2",
)


def only_cell(folder: Path, name: str = "default") -> Path:
    """The one cell in outputs/<name>."""
    records = (folder / "outputs" / name).glob("*/run.json")
    cells = [record.parent for record in records]
    assert len(cells) == 1, cells
    return cells[0]
