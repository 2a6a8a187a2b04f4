"""Reads LaTeX as it would be set, to check what was escaped."""

import re

SIGNS = {"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<"}
SIGNS |= {"textgreater": ">", "textbar": "|", "ldots": "…", "char34": '"'}
MATH = {"\\cdot": "·", "\\pm": "±", "\\times": "×", "\\approx": "≈", "^{2}": "²"}
MATH |= {"\\frac{1}{2}": "½"}


def read_latex(text: str) -> str:
    """Text as LaTeX sets it; fails on all that it might take for a command, or could not set."""
    token = re.compile(
        r"\\unicodetext\{([^{}]+)\}|\$([^$]+)\$|\\([{}_&%#$])|\\([a-z]+)(?:34)?(\{\})?"
        r"|\{([^{}\\])\}|\{(?=\\char)|(?<=34)\}|(\{\})|([^\\{}_&%#$~^\[\]*`<>|\"])"
    )
    read, place = "", 0
    while place < len(text):
        found = token.match(text, place)
        assert found, text[place:]
        place = found.end()
        strange, math, sign, command, closed, single, _, plain = found.groups()
        if strange:
            read += strange
            place = _end_of_group(text, place)
        elif command:
            name = "char34" if command == "char" else command
            assert closed or name == "char34", text
            read += SIGNS[name]
        elif math:
            read += MATH[math]
        else:
            read += sign or single or plain or "\0"
    for signs, one in {"---": "—", "--": "–", "''": "”", ",,": "„"}.items():  # ligatures
        read = read.replace(signs, one)
    return read.replace("\0", "")


def _end_of_group(text: str, place: int) -> int:
    assert text[place] == "{"
    depth = 0
    for end in range(place, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0) if text[end - 1] != "\\" else 0
        if not depth:
            return end + 1
    raise AssertionError("unbalanced")
