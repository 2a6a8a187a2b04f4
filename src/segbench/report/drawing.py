"""How figures look, and how they become files: SVG for page and paper, PNG for slides.

matplotlib without pyplot: no window, no figure that outlives its function; imported when drawn.
"""

import io
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr
from zlib import crc32

from segbench.colours import PALETTE
from segbench.report.comparison import Comparison, Entry, Section
from segbench.report.record import whole_file, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[[Section, Comparison], "Figure | None"]

INK = "#010203"  # stands for the page's own text colour, light or dark
_PAGES = "currentColor"
WIDTH = 7.2  # inches: the text of a paper in one column
FAINT = 0.15  # opacity of grids
WIDE = 10  # times the smallest: an axis becomes logarithmic
# Okabe & Ito's in an order of their contrast on white and on black; the yellow has little
COLOURS = [*("#" + bytes(PALETTE[k]).hex() for k in (5, 1, 3, 7, 2, 6)), INK]
MARKERS = "osD^vP*X<>ph"
_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, and is wider than most
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "segbench",
    "text.parse_math": False,  # a name may hold two dollars
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "lines.color", "patch.edgecolor"), INK),
}


@dataclass(frozen=True)
class Look:
    """How an entry is drawn wherever it is drawn."""

    colour: str
    marker: str
    edge: str

    @property
    def style(self) -> dict[str, Any]:
        """Arguments of ``Axes.plot``."""
        return {"color": self.colour, "marker": self.marker, "mec": self.edge, "ls": ""}


def looks(comparison: Comparison) -> tuple[dict[str, Look], list[tuple[str, Look]]]:
    """The look of each entry by its label, and the legend.

    The table's rows have the colours and its columns the markers; where only one of the two
    varies, it has both. The eighth colour is the first again, its markers with an edge.
    """
    entries = [entry for section in comparison.sections for entry in section.scored]
    keys = {entry.label: _keys(entry, comparison.rows) for entry in entries}
    rows, columns = (sorted({key[k] for key in keys.values()}) for k in (0, 1))
    if len(rows) < 2 or len(columns) < 2:
        names = rows if len(columns) < 2 else columns
        legend = [(name, _look(k, k)) for k, name in enumerate(names)]
        chosen = dict(legend)
        place = 0 if len(columns) < 2 else 1
        return {label: chosen[key[place]] for label, key in keys.items()}, legend
    found = {
        (row, column): _look(k, j)
        for (k, row), (j, column) in product(enumerate(rows), enumerate(columns))
    }
    heads = [(row, found[row, columns[0]]) for row in rows]
    legend = [(row, Look(look.colour, "s", look.edge)) for row, look in heads]
    legend += [(column, Look(INK, found[rows[0], column].marker, INK)) for column in columns]
    return {label: found[key] for label, key in keys.items()}, legend


def _keys(entry: Entry, rows: Sequence[str]) -> tuple[str, str]:
    if not any(name in rows for name in entry.options):
        return entry.label, ""
    first = [value for name, value in entry.options.items() if name in rows]
    others = [value for name, value in entry.options.items() if name not in rows]
    return " · ".join(first), " · ".join(others)


def _look(colour: int, marker: int) -> Look:
    own, again = COLOURS[colour % len(COLOURS)], colour >= len(COLOURS)
    return Look(own, MARKERS[marker % len(MARKERS)], INK if again else own)


@contextmanager
def _settings() -> Iterator[None]:
    """Our settings and none of the user's; those of other code come back afterwards."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # a browser has the letters that matplotlib's own font has not
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)  # type: ignore[arg-type]
        yield


def styled(draw: Draw) -> Draw:
    """Draw with our settings, and settle."""

    @wraps(draw)
    def drawn(section: Section, comparison: Comparison) -> "Figure | None":
        with _settings():
            figure = draw(section, comparison)
            if figure is not None:
                settle(figure)
        return figure

    return drawn


def settle(figure: "Figure") -> None:
    """Place the panels for good: once, and what lies where is known."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def new_figure(title: str, height: float, width: float = WIDTH) -> "Figure":
    """An empty figure; ``title`` is what a screen reader says of it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # which measures text
    figure.set_label(title)
    return figure


def wrapped(label: str, width: int = 34) -> str:
    """A label in lines of at most ``width`` letters."""
    return "\n".join(textwrap.wrap(label, width)) or label


def name_rows(axes: "Axes", labels: Sequence[str]) -> None:
    """Rows from the top, each with its label, and faint lines along them."""
    axes.set_yticks(range(len(labels)), [wrapped(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=INK, alpha=FAINT, lw=0.6)
    axes.set_axisbelow(True)


def decade_steps(low: float, high: float) -> tuple[float, ...]:
    """Within each power of ten the numbers to have a tick: more on a short axis."""
    decades = math.log10(high / low)
    return (1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 3 else (1.0,)


def svg_text(figure: "Figure") -> str:
    """A figure as SVG for a page: transparent, in the page's text colour, its ids its own."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _settings():
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    # a style inside would hold for the whole page
    text = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.S)
    text = text.replace("'DejaVu Sans'", "sans-serif").replace(INK, _PAGES)
    title = str(figure.get_label())
    head = f'<svg role="img" aria-label={quoteattr(title)} style="stroke-linejoin: round"'
    return _own_ids(head + text[len("<svg") :], f"f{crc32(title.encode()):08x}-")


def _own_ids(text: str, prefix: str) -> str:
    """Only the ids that something refers to, with a prefix."""
    wanted = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", text))
    text = re.sub(
        r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in wanted else "", text
    )
    return re.sub(r"(url\(|href=\")#", rf"\1#{prefix}", text)


def write_figure(figure: "Figure", svg: Path, png: Path) -> str:
    """Write a figure as SVG, black on nothing, and as PNG, black on white.

    Returns:
        The SVG for the page.
    """
    text = svg_text(figure)
    write_text(svg, text.replace(_PAGES, "black"))
    plain: dict[str, Any] = {"metadata": {"Software": None}, "facecolor": "white"}
    with whole_file(png) as temporary, _settings():
        figure.savefig(temporary, format="png", dpi=200, **plain)
    return text
