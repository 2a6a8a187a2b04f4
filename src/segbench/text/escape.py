"""Escapes text for each output format, so that names from users' files are shown literally.

Class names, case ids, options and error messages may hold any character that a file system or a
YAML file accepts. Every output escapes them for its format: they are never interpreted as markup,
no character is lost, and none moves the cursor or reverses the direction of writing.
"""

import codecs
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # pandas takes longer to import than --help should take
    import pandas as pd

# Control characters (including ESC and line breaks), invisible characters, bidirectional overrides,
# and lone surrogates, which stand for bytes of a file's name that are not UTF-8.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str, keep: str = "") -> str:
    r"""Text with an escape such as ``\x1b`` or ``\u202e`` for each invisible character.

    Args:
        text: a name, or a line with names.
        keep: characters that are not escaped, such as the line breaks of a longer text.
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else _code(found[0]), text)


def _code(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


# ASCII, for terminals and pipes with an encoding other than UTF-8

ASCII = "segbench.ascii"  # the name of the codecs' error handler
_SIGNS = {"≈": "~", "×": "x", "±": "+/-", "–": "-", "—": "-", "−": "-", "·": ".", "•": "*"}
_SIGNS |= {"…": "...", "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!=", "∞": "inf"}
_SIGNS |= {"′": "'", "“": '"', "”": '"', "‘": "'", "’": "'", "«": "<<", "»": ">>", "½": "1/2"}
_SIGNS |= {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "÷": "/"}
_SIGNS |= {"⁄": "/", "∑": "sum", "█": "#", "▌": "#", "▐": "#", "░": "."}


def as_ascii(text: str) -> str:
    """The nearest ASCII: ``±`` is ``+/-``, ``é`` is ``e``; without a near one, an escape."""
    return "".join(map(_nearest, text))


def _nearest(char: str) -> str:
    if char.isascii() or char in _SIGNS:
        return _SIGNS.get(char, char)
    name = unicodedata.name(char, "")
    if name.startswith("BOX DRAWINGS"):
        return "+" if " AND " in name else "|" if "VERTICAL" in name else "-"
    if name.startswith("BRAILLE"):  # characters of progress spinners
        return "*"
    if name.startswith("SUPERSCRIPT"):
        return "^" + unicodedata.normalize("NFKC", char)
    whole = unicodedata.normalize("NFKD", char)
    bare = "".join(_SIGNS.get(c, c) for c in whole if not unicodedata.combining(c))
    return bare if bare and bare.isascii() else _code(char)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return as_ascii(error.object[error.start : error.end]), error.end


codecs.register_error(ASCII, _replace)


def encodable(text: str, encoding: str) -> str:
    """Text for a stream of the given encoding.

    Unless the encoding is UTF-8, all signs and the letters that it lacks become ASCII. Signs that
    the encoding has are replaced too, because a Windows pipe's encoding differs from its console's.
    """
    if not encoding.lower().startswith("utf"):
        text = "".join(char if char.isalpha() else _nearest(char) for char in text)
    return text.encode(encoding, ASCII).decode(encoding)


# Markdown

_MARKDOWN = re.compile(r"[\\`*_{}\[\]|~#$!]|:(?=[\w+-]+:)|^[-+=]|^\d+(?=[.)](?:\s|$))")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ADDRESS = re.compile(r"(https?://[^\s<>|`]+)")


def markdown(text: str) -> str:
    """Text for a line or a table field of GitHub's Markdown; web addresses become links."""
    pieces = _ADDRESS.split(visible(text).strip())
    return "".join(f"<{piece}>" if k % 2 else _markdown(piece) for k, piece in enumerate(pieces))


def _markdown(text: str) -> str:
    def escaped(found: re.Match[str]) -> str:  # of "1." the point, elsewhere the sign itself
        return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"

    return _MARKDOWN.sub(escaped, text).translate(_ENTITIES)


# LaTeX

# For scripts without letters in pdfLaTeX. XeLaTeX and LuaLaTeX take the first branch and pdfLaTeX
# the second; the other branch is skipped unread, so that all three compile the table.
LATEX_UNICODE = "\\providecommand{\\unicodetext}[2]{\\ifdefined\\Umathchar#1\\else#2\\fi}"
_TEX = {sign: f"\\{sign}" for sign in "{}_&%#$"}
_TEX |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
_TEX |= {"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", '"': "{\\char34}"}
_TEX |= {sign: f"{{{sign}}}" for sign in "[]*`"}  # after \\ and \toprule they are arguments
_TEX |= {"·": "$\\cdot$", "–": "--", "—": "---", "…": "\\ldots{}", "±": "$\\pm$", "×": "$\\times$"}
_TEX |= {"≈": "$\\approx$", "≤": "$\\leq$", "≥": "$\\geq$", "≠": "$\\neq$", "→": "$\\to$"}
_TEX |= {"²": "$^{2}$", "³": "$^{3}$", "½": "$\\frac{1}{2}$", "−": "$-$", "∞": "$\\infty$"}
_TEX |= {"\u00a0": "~", "µ": "$\\mu$", "′": "$'$", "°": "$^{\\circ}$"}
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
_PLAIN_LETTERS = "ßæÆøØłŁœŒ"


def latex(text: str) -> str:
    r"""Text for paragraphs, captions and tables of LaTeX.

    Characters that pdfLaTeX may lack are put into ``\unicodetext``, which `LATEX_UNICODE` defines.
    """
    shown = visible(text)
    shown = re.sub(r"([-,'])(?=\1)", "\\1\0", shown)  # LaTeX would join the two to one sign
    parts, strange = [], ""
    for char in [*shown, ""]:
        known = _tex(char)
        if known is None:
            strange += char
            continue
        if strange:
            parts.append(f"\\unicodetext{{{strange}}}{{{latex(as_ascii(strange))}}}")
        parts.append(known)
        strange = ""
    return "".join(parts)


def _tex(char: str) -> str | None:
    """A character for LaTeX; None for one that pdfLaTeX may not have."""
    if char in _TEX or char.isascii():
        return "{}" if char == "\0" else _TEX.get(char, char)
    parts = unicodedata.normalize("NFD", char)
    accented = len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS
    return char if accented or char in _PLAIN_LETTERS else None


# CSV

# A spreadsheet takes a field that begins like this for a formula, and may execute it.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def guarded(table: "pd.DataFrame") -> "pd.DataFrame":
    """A table for a CSV, with an apostrophe before each text that would begin a formula.

    Numbers do not change, not even those stored as text; `unguarded` restores all texts.
    """
    return _changed(table, _guard).rename(columns=_guard)


def unguarded(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table from before `guarded`, with all texts restored exactly."""
    return _changed(table, _unguard).rename(columns=_unguard)


def _changed(table: "pd.DataFrame", change: Callable[[Any], Any]) -> "pd.DataFrame":
    """The table with each text changed; each distinct text of a column is changed once."""
    new = {}
    for name in table.columns[table.dtypes.map(lambda kind: kind.kind == "O")]:
        changed = {text: change(text) for text in table[name].unique()}
        if any(text is not changed[text] for text in changed):
            new[name] = table[name].map(changed)
    return table.assign(**new)


def _guard(value: Any) -> Any:
    formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if formula else value


def _unguard(value: Any) -> Any:
    quoted = isinstance(value, str) and value.startswith("'") and _FORMULA.match(value)
    return value[1:] if quoted else value
