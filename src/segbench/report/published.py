"""A table from elsewhere, which an experiment's config holds, to stand beside ours."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segbench.errors import ConfigError

if TYPE_CHECKING:  # a cell's config is checked with this before pandas is there
    from segbench.report.cells import Cell

KEYS = ("caption", "table")


@dataclass(frozen=True)
class Published:
    """Words and numbers as they were published: nothing is computed with them."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_published(node: Any) -> Published:
    """The table that ``published`` of a config holds: a caption, and rows, the heads first.

    Raises:
        ConfigError: it is none.
    """
    rows = node.get("table") if isinstance(node, Mapping) and set(node) == set(KEYS) else None
    if not isinstance(rows, list) or len(rows) < 2 or not _is_even(rows):
        raise ConfigError(
            "published: expected a caption and a table, a list of rows of one length, the heads "
            f"first; got {repr(node)[:200]}"
        )
    heads, *words = (tuple(map(str, row)) for row in rows)
    return Published(str(node["caption"]), heads, tuple(words))


def _is_even(rows: list[Any]) -> bool:
    return all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows)


def published_tables(cells: "Iterable[Cell]") -> list[Published]:
    """Those that the cells' experiments hold, each once."""
    found: dict[Published, None] = {}
    for cell in cells:
        node = {key: cell.config.get(f"published.{key}") for key in KEYS}
        if any(value is not None for value in node.values()):
            found[as_published(node)] = None
    return list(found)
