"""Errors that a user can cause and correct; only their text is shown."""

import unicodedata

_HIDDEN = {
    "Cc",
    "Cs",
}  # control characters and surrogates, for bytes of file names that are not UTF-8


class SegbenchError(Exception):
    """An error whose text tells in one line what was found, what was expected and what to do."""

    def __str__(self) -> str:
        """The text with control characters escaped, since it may hold the name of any file."""
        return printable(super().__str__())


class ConfigError(SegbenchError):
    """An option or its value is not one that the config accepts."""


class WeightsError(SegbenchError):
    """Weights to start from could be neither found, fetched nor loaded."""


class DataError(SegbenchError):
    """A data set is missing, incomplete or damaged; the text names the file."""


def printable(text: str) -> str:
    """Text with an escape such as "backslash x1b" for each control character."""
    if text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode() if unicodedata.category(each) in _HIDDEN else each
        for each in text
    )
