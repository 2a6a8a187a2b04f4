"""Figures of matplotlib that a notebook shows by themselves, without pyplot."""

import io
from typing import Any

from matplotlib.figure import Figure

_DPI = 144  # of the picture, which is shown at half its width in pixels


class NotebookFigure(Figure):
    """A figure that is shown where it is the last value of a notebook's cell."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        """The picture, sharp on screens of high density, and its size on the screen in pixels."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_DPI)
        width, height = (round(each * _DPI / 2) for each in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def for_notebooks(figure: Figure) -> Figure:
    """The same figure on white, which a notebook shows.

    Reports draw it transparent, with the text in the colour of the page.
    """
    figure.set_facecolor("white")
    figure.__class__ = NotebookFigure  # it has no state of its own
    return figure
