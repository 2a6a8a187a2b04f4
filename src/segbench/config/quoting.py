"""Suggests how to quote an argument of the command line that Hydra cannot parse."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException


def find_unread(arguments: Sequence[str]) -> str | None:
    """The first argument of a command line that Hydra cannot parse, or None."""
    overrides = (each for each in arguments if not each.startswith("-"))
    return next((each for each in overrides if "=" in each and _parse(each) is None), None)


def how_to_type(argument: str, multirun: bool) -> str:
    """A message on an argument that cannot be parsed, with a quoted form for the shell."""
    form = quoted_form(argument, multirun)
    key, _, value = argument.partition("=")
    if form is not None:
        return f"{argument}: cannot be read as it is; with quotes: {shlex.quote(form)}"
    if _parse(f"{key}=x") is None:
        return f"{argument}: {key!r} cannot be the name of an option"
    if value.startswith("{"):
        return f"{argument}: cannot be read; write it in a YAML file, see --config-dir in --help"
    return f"{argument}: cannot be read; expected name=value"


def quoted_form(argument: str, multirun: bool = False) -> str | None:
    """The argument with the quotes that Hydra needs to parse it; None if there is no such form.

    The elements of a list are quoted separately; with ``multirun`` also values between commas.
    """
    key, sep, value = argument.partition("=")
    if not sep or (value.startswith("{") and value.endswith("}")):
        return None
    forms = [_quote(value, Quote.double), _quote(value, Quote.single)]
    if value.startswith("[") and value.endswith("]"):
        forms.insert(0, _element(value))
    elif multirun and "," in value:
        forms.insert(0, ",".join(map(_element, _split(value))))
    return next((f"{key}={form}" for form in forms if _parses_as(f"{key}={form}", value)), None)


def _parses_as(argument: str, value: str) -> bool:
    """Whether Hydra can parse an argument; if its value is a text, it must equal ``value``."""
    parsed = _parse(argument)
    if parsed is None:
        return False
    read: Any = parsed.value()
    return not isinstance(read, str) or read == value


def _element(text: str) -> str:
    """An element of a list, in quotes if Hydra needs them."""
    if text.startswith("[") and text.endswith("]"):
        return f"[{','.join(map(_element, _split(text[1:-1])))}]"
    parsed = _parse(f"x={text}")
    return text if parsed is not None and not parsed.is_sweep_override() else _quote(text)


def _split(text: str) -> Iterator[str]:
    """Split at commas that are not inside brackets."""
    depth, start = 0, 0
    for index, each in enumerate(text):
        depth += (each in "[{(") - (each in "]})")
        if each == "," and depth == 0:
            yield text[start:index].strip()
            start = index + 1
    yield text[start:].strip()


def _quote(text: str, quote: Quote = Quote.double) -> str:
    return QuotedString(text, quote).with_quotes()


def _parse(argument: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None
