"""A comparison for Python: tables of pandas, figures of matplotlib, and HTML for a notebook."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from segbench.commands.compare import OUTPUTS, joined
from segbench.errors import ConfigError
from segbench.names import as_path
from segbench.report.figures.registry import Drawing, across_drawings, drawings, drawn_sections
from segbench.report.sections.comparison import Comparison
from segbench.report.tables.exports import entries_frame, pairs_frame
from segbench.report.tables.frames import scores_frame, table_frame
from segbench.report.tables.html import html_report

if TYPE_CHECKING:  # matplotlib is imported when a figure is drawn
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Report:
    """What `segbench.compare` returns; a notebook shows its tables, sentences and notes.

    Args:
        comparison: all numbers, sentences and notes, as the page is made of them.
    """

    comparison: Comparison

    def __repr__(self) -> str:
        names = ", ".join(self.comparison.names)
        return f"Report of {names}, {self.comparison.label}\n{self.table}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """The report's table: models in rows, losses in columns, mean ± SD over seeds as text.

        ``(best)`` is the best mean; ``≈`` cannot be told from it, ``=`` is equivalent to it.
        """
        return table_frame(self.comparison)

    @cached_property
    def entries(self) -> pd.DataFrame:
        """A row for each configuration: mean, SD, 95 % interval, ranks, costs; as in table.csv."""
        return entries_frame(self.comparison)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """A row for each pair: difference, interval, p-values, sentence; as in pairs.csv."""
        return pairs_frame(self.comparison)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row for each configuration, seed and test image, with a column for each score."""
        return scores_frame(self.comparison)

    @property
    def notes(self) -> list[str]:
        """What a reader must know: of each data set, and on cells that are not compared."""
        notes = [note for section in self.comparison.sections for note in section.notes]
        damaged = [f"Damaged, left out: {reason}" for _, reason in self.comparison.damaged]
        return [*notes, *damaged, *self.comparison.left_out]

    @cached_property
    def figures(self) -> "dict[str, Figure]":
        """Every figure that has content, by its name; drawing takes a few seconds."""
        drawn = {name: each.draw() for name, each in self._drawings.items()}
        return {name: _shown(figure) for name, figure in drawn.items() if figure is not None}

    def figure(self, name: str) -> "Figure":
        """One figure of matplotlib, newly drawn.

        Args:
            name: ``stability`` (means and intervals), ``boxes``, ``ranks``, ``pairs``, ``cost``,
                ``curves`` and so on; with several data sets ``stability-ph2``.

        Raises:
            ConfigError: there is no such figure, or nothing to draw in it.
        """
        if name not in self._drawings:
            known = ", ".join(self._drawings)
            raise ConfigError(f"figure {name!r}: there is none; there are {known}")
        figure = self._drawings[name].draw()
        if figure is None:
            raise ConfigError(f"figure {name!r}: nothing to draw in this comparison")
        return _shown(figure)

    @cached_property
    def _drawings(self) -> dict[str, Drawing]:
        sections = drawn_sections(self.comparison)
        found = [each for section in sections for each in drawings(section, self.comparison)]
        named = {each.name if len(sections) == 1 else each.stem: each for each in found}
        return named | {each.name: each for each in across_drawings(self.comparison)}

    def write(self, folder: str | Path | None = None) -> Path:
        """Write the whole report: page, tables, figures and ``comparison.json``.

        Args:
            folder: the folder to write to; None: ``outputs/<name>/report``, as the command does.

        Returns:
            The path of the page.

        Raises:
            ConfigError: the folder's name is not one.
        """
        from segbench.report.write import PAGE, write_report

        home = OUTPUTS / joined(self.comparison.names) / "report"
        where = home if folder is None else as_path(folder, "folder")
        write_report(self.comparison, where)
        return where / PAGE

    def _repr_html_(self) -> str:
        return html_report(self.comparison)


def _shown(figure: "Figure") -> "Figure":
    from segbench.notebook.figure import for_notebooks

    return for_notebooks(figure)
