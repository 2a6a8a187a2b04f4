"""The style of figures, and writing them as files: SVG for page and paper, PNG for slides.

matplotlib is used without pyplot, so that there is no window and no global list of figures. It is
imported only when a figure is drawn.
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
from weakref import WeakSet
from xml.sax.saxutils import escape
from zlib import crc32

from segbench.colours import PALETTE
from segbench.records.record import atomic_write, write_text
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.text.escape import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[[Section, Comparison], "Figure | None"]

INK = "#010203"  # replaced by the page's text colour, light or dark
_PAGES = "currentColor"
WIDTH = 7.2  # inches, the text width of a paper with one column
FAINT = 0.15  # opacity of grids
WIDE = 10  # ratio of largest to smallest value above which an axis is logarithmic
# Okabe & Ito's colours by contrast on white and black, without yellow, whose contrast is low
COLOURS = [*("#" + bytes(PALETTE[k]).hex() for k in (5, 1, 3, 7, 2, 6)), INK]
MARKERS = "osD^vP*X<>ph"
_laid_out: "WeakSet[Figure]" = WeakSet()  # figures whose layout has been computed
_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": [
        "DejaVu Sans"
    ],  # part of matplotlib; wider than most, so other fonts fit too
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "segbench",
    "text.parse_math": False,  # names may contain dollar signs
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
class EntryStyle:
    """The colour and marker of an entry in all figures."""

    colour: str
    marker: str
    edge: str

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``Axes.plot``."""
        return {"color": self.colour, "marker": self.marker, "mec": self.edge, "ls": ""}


def entry_styles(
    comparison: Comparison,
) -> tuple[dict[str, EntryStyle], list[tuple[str, EntryStyle]]]:
    """The style of each entry by its label, and the legend as names with styles.

    Colours stand for the rows of the table and markers for its columns; if only one of them
    varies, it determines both. From the eighth on, colours repeat with edged markers.
    """
    entries = [entry for section in comparison.sections for entry in section.scored]
    keys = {entry.label: _keys(entry, comparison.rows) for entry in entries}
    rows, columns = (sorted({key[k] for key in keys.values()}) for k in (0, 1))
    if len(rows) < 2 or len(columns) < 2:
        names = rows if len(columns) < 2 else columns
        legend = [(name, _entry_style(k, k)) for k, name in enumerate(names)]
        chosen = dict(legend)
        index = 0 if len(columns) < 2 else 1
        return {label: chosen[key[index]] for label, key in keys.items()}, legend
    found = {
        (row, column): _entry_style(k, j)
        for (k, row), (j, column) in product(enumerate(rows), enumerate(columns))
    }
    heads = [(row, found[row, columns[0]]) for row in rows]
    legend = [
        (row, EntryStyle(entry_style.colour, "s", entry_style.edge)) for row, entry_style in heads
    ]
    legend += [(column, EntryStyle(INK, found[rows[0], column].marker, INK)) for column in columns]
    return {label: found[key] for label, key in keys.items()}, legend


def _keys(entry: Entry, rows: Sequence[str]) -> tuple[str, str]:
    if not any(name in rows for name in entry.options):
        return entry.label, ""
    first = [value for name, value in entry.options.items() if name in rows]
    others = [value for name, value in entry.options.items() if name not in rows]
    return " · ".join(first), " · ".join(others)


def _entry_style(colour: int, marker: int) -> EntryStyle:
    own, again = COLOURS[colour % len(COLOURS)], colour >= len(COLOURS)
    return EntryStyle(own, MARKERS[marker % len(MARKERS)], INK if again else own)


@contextmanager
def settings() -> Iterator[None]:
    """Use segbench's settings of matplotlib in this context, and none of the user's."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # browsers have fonts for characters that matplotlib's font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)  # type: ignore[arg-type]
        yield


def styled(draw: Draw) -> Draw:
    """Decorate a drawing function: use segbench's settings and fix the layout."""

    @wraps(draw)
    def drawn(section: Section, comparison: Comparison) -> "Figure | None":
        with settings():
            figure = draw(section, comparison)
            if figure is not None:
                fix_layout(figure)
        return figure

    return drawn


def fix_layout(figure: "Figure") -> None:
    """Compute the layout once and keep it, so that positions are known afterwards.

    A figure with a layout engine would be drawn once more for each file, to no effect.

    Before that, control characters in titles and labels are made visible; for the ticks of an axis
    `wrapped` does this.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.text import Text

    if figure in _laid_out:
        return
    for text in figure.findobj(Text):
        text.set_text(visible(text.get_text(), keep="\n"))
    ConstrainedLayoutEngine().execute(figure)
    _laid_out.add(figure)


def new_figure(title: str, height: float, width: float = WIDTH) -> "Figure":
    """An empty figure; ``title`` is its label for screen readers. Sizes are in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)  # needed to measure text
    figure.set_label(visible(title))
    return figure


def wrapped(label: str, width: int = 34) -> str:
    """A label in lines of at most ``width`` characters, with control characters made visible."""
    shown = visible(label)
    return "\n".join(textwrap.wrap(shown, width)) or shown


def put_legend(
    figure: "Figure", handles: Sequence[Any], labels: Sequence[str], **style: Any
) -> None:
    """Add a legend; matplotlib itself would leave out a label that begins with ``_``."""
    legend = figure.legend(handles, ["?"] * len(labels), **style)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(visible(label))


def name_rows(axes: "Axes", labels: Sequence[str]) -> None:
    """Set up an axis of labelled rows from the top, with a faint vertical grid."""
    axes.set_yticks(range(len(labels)), [wrapped(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=INK, alpha=FAINT, lw=0.6)
    axes.set_axisbelow(True)


def decade_steps(low: float, high: float) -> tuple[float, ...]:
    """Multiples of each power of ten that get a tick, of which a short axis has more."""
    decades = math.log10(high / low)
    return (1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 3 else (1.0,)


def svg_text(figure: "Figure") -> str:
    """A figure as transparent SVG in the page's text colour, with ids unique to the figure."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with settings():
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    # a style element would apply to the whole page
    text = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.S)
    text = in_tags(
        text, lambda tag: tag.replace("'DejaVu Sans'", "sans-serif").replace(INK, _PAGES)
    )
    title = str(figure.get_label())
    label = escape(title, {'"': "&quot;", "#": "&#35;"})  # must not entry_style like a reference
    head = f'<svg role="img" aria-label="{label}" style="stroke-linejoin: round"'
    return head + _own_ids(text[len("<svg") :], f"f{crc32(title.encode()):08x}-")


def _own_ids(text: str, prefix: str) -> str:
    """Remove ids without references, and add a prefix to the others."""
    tags = "".join(re.findall(_TAG, text))
    wanted = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", tags))

    def renamed(tag: str) -> str:
        tag = re.sub(
            r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in wanted else "", tag
        )
        return re.sub(r"(url\(|href=\")#", rf"\1#{prefix}", tag)

    return in_tags(text, renamed)


_TAG = "<[^>]*>"  # for matplotlib's XML, whose texts and attributes contain neither < nor >


def in_tags(text: str, change: Callable[[str], str]) -> str:
    """XML with ``change`` applied to each tag, but not to the text between tags."""
    return re.sub(_TAG, lambda tag: change(tag[0]), text)


def write_figure(figure: "Figure", svg: Path, png: Path) -> str:
    """Write a figure as transparent SVG and as PNG on white, both with black text.

    Returns:
        The SVG for the page, in the page's text colour.
    """
    text = svg_text(figure)
    write_text(svg, in_tags(text, lambda tag: tag.replace(_PAGES, "black")))
    plain: dict[str, Any] = {"metadata": {"Software": None}, "facecolor": "white"}
    with atomic_write(png) as temporary, settings():
        figure.savefig(temporary, format="png", dpi=200, **plain)
    return text
