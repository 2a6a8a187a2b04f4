"""Names that some format, terminal or spreadsheet would take for more than a name."""

NASTY = (
    "tumour [core]",
    "[/core]",
    "[bold red]x[/]",
    "[link=x]:smile:",
    "* starred",
    "d|e",
    "**c** _d_",
    "`code` ~~gone~~",
    "<b>i</b> &amp; <!--",
    "<script>alert(1)</script>",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-x",
    "@SUM(A1)",
    "\t=tab",
    "'=quoted",
    "-1",
    "50 % #1 &",
    "$5$ and $\\frac{1}{0}$",
    "\\input{x} a^b_c~d",
    "{} }{",
    "_hidden",
    "--a,,''`?`",
    "j≈k × ± ½ ² – … ·",
    "é ß ł",
    "Ж 漢 α",
    "line\nbreak\rback",
    "esc\x1b[31m\x07\x9b",
    "bidi\u202eabc\u2066",
    'url(#a) id="b" #010203',
    "12. x",
    "# head",
    "{0} %s {{ x }}",
    "C:\\n",
    "javascript:alert(1)",
    "https://a.example/b_c",
)

# What each escape means; anything else stands in an output as it is.
ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\x1b": r"\x1b", "\x07": r"\x07"}
ESCAPES |= {"\x9b": r"\x9b", "\u202e": r"\u202e", "\u2066": r"\u2066"}


def shown(name: str) -> str:
    """The name as a reader sees it."""
    return "".join(ESCAPES.get(char, char) for char in name)
