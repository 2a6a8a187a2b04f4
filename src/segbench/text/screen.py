"""Prints messages, on terminals and pipes of any encoding.

Messages hold names of users' files, classes and options. `say` and `console` print them literally:
without markup, with control characters escaped, and with the nearest ASCII for characters that the
encoding lacks.
"""

import sys
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from segbench.text.escape import ASCII, encodable, visible


def prepare_streams() -> None:
    """Print the nearest ASCII for characters that the encoding of the output lacks.

    This also covers the output of libraries (Hydra, Lightning's bar), which would otherwise fail.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a notebook's streams have none
        if reconfigure is not None:
            reconfigure(errors=ASCII)


def say(line: str, file: TextIO | None = None, keep: str = "") -> None:
    """Print a line and flush; characters that cannot be seen are escaped.

    Args:
        line: the text.
        file: the stream; None for standard output.
        keep: characters that are not escaped, such as the line breaks of a longer text.
    """
    stream = sys.stdout if file is None else file
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(encodable(visible(line, keep), encoding), file=stream, flush=True)


class _PlainConsole(Console):
    """A console that prints every string literally, in lines, tables and titles."""

    def render_str(self, text: str, **options: Any) -> Text:
        """The text with its final characters, so that tables measure its true width."""
        kept = {key: options[key] for key in ("style", "justify", "overflow") if key in options}
        return Text(encodable(visible(text), self.encoding), **kept)


def console(file: TextIO | None = None, **options: Any) -> Console:
    """A console that prints strings literally; for a style around a string use `rich.styled`.

    Args:
        file: the stream; None for standard output.
        options: further options of `rich.console.Console`.
    """
    stream = sys.stdout if file is None else file
    # in a notebook rich would show HTML below the cell, whatever the stream
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    plain["force_jupyter"] = False
    return _PlainConsole(file=stream, **plain, **options)
