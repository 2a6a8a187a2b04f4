"""A published table in an experiment's config, which the report shows beside its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segbench.errors import ConfigError

if TYPE_CHECKING:  # a cell's config is checked with this before pandas is there
    from segbench.records.cells import Cell

KEYS = ("caption", "table")


@dataclass(frozen=True)
class Published:
    """A published table; nothing is computed from it.

    Args:
        caption: where the numbers come from and what they are.
        heads: titles of the columns.
        rows: one text for each column, in each row.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_published(node: Any) -> Published:
    """The table under ``published`` of a config: a caption and rows, the first of them the head.

    Raises:
        ConfigError: the node is not such a table.
    """
    rows = node.get("table") if isinstance(node, Mapping) and set(node) == set(KEYS) else None
    if not isinstance(rows, list) or len(rows) < 2 or not _is_even(rows):
        raise ConfigError(
            "published: expected a caption and a table, a list of rows of one length, the heads "
            f"first; got {repr(node)[:200]}"
        )
    heads, *others = (tuple(map(str, row)) for row in rows)
    return Published(str(node["caption"]), heads, tuple(others))


def _is_even(rows: list[Any]) -> bool:
    return all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows)


def published_tables(cells: "Iterable[Cell]") -> list[Published]:
    """The published tables of the cells' experiments, without duplicates."""
    found: dict[Published, None] = {}
    for cell in cells:
        node = {key: cell.config.get(f"published.{key}") for key in KEYS}
        if any(value is not None for value in node.values()):
            found[as_published(node)] = None
    return list(found)
