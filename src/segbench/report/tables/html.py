"""A comparison as plain HTML without style sheets, for the output of a notebook's cell."""

from collections.abc import Sequence

from markupsafe import Markup

from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.tables.grid import (
    across,
    digits,
    is_best,
    legend,
    make_grid,
    mean_sd,
    side_row,
    side_tables,
    sign,
)
from segbench.text.escape import visible

_SHOWN = 12  # the most sentences that are not folded away


def html_report(comparison: Comparison) -> str:
    """The tables of a comparison with their legends, sentences and notes, as HTML."""
    parts = [each for section in comparison.sections for each in _section(comparison, section)]
    damaged = [f"Damaged, left out of every number: {reason}" for _, reason in comparison.damaged]
    parts += [_items([*damaged, *comparison.left_out])]
    return str(Markup("\n").join(part for part in parts if part))


def _section(comparison: Comparison, section: Section) -> list[Markup]:
    parts = [_table(comparison, section), _paragraph(legend(comparison, section) + ".")]
    for title, heads, columns in side_tables(section):
        rows = [(entry.label, side_row(columns, entry)) for entry in section.scored]
        body = [[_field(label), *(_field(*each) for each in row)] for label, row in rows]
        parts += [_paragraph(f"{title}:"), _rows(["", *heads], body)]
    sentences = [pair.sentence for pair in section.pairs]
    folded = _items(section.notes) if len(sentences) <= _SHOWN else _items(sentences[_SHOWN:])
    parts += [_items(sentences[:_SHOWN])]
    if len(sentences) > _SHOWN:
        folded += _items(section.notes)
    if folded:
        parts += [Markup("<details><summary>notes</summary>{}</details>").format(folded)]
    return parts


def _table(comparison: Comparison, section: Section) -> Markup:
    grid, decimals = make_grid(comparison, section), digits(section)

    def field(entry: Entry | None) -> Markup:
        if entry is None:
            return _field("–")
        text = f"{mean_sd(entry, decimals)} {sign(entry)}".rstrip()
        best = is_best(section, entry)
        return _field(mean_sd(entry, decimals) if best else text, best)

    body = [
        [*map(_field, row), *(field(grid.entries.get((r, c))) for c in across(grid))]
        for r, row in enumerate(grid.rows)
    ]
    heads = [*grid.heads, *(column or comparison.label for column in grid.columns)]
    return _paragraph(section.data, "b") + _rows(heads, body)


def _field(text: str, bold: bool = False) -> Markup:
    shown = Markup("<b>{}</b>").format(visible(text)) if bold else visible(text)
    return Markup("<td>{}</td>").format(shown)


def _rows(heads: Sequence[str], body: Sequence[Sequence[Markup]]) -> Markup:
    names = Markup("").join(Markup("<th>{}</th>").format(visible(head)) for head in heads)
    lines = Markup("").join(Markup("<tr>{}</tr>").format(Markup("").join(row)) for row in body)
    frame = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>")
    return frame.format(names, lines)


def _paragraph(text: str, tag: str = "span") -> Markup:
    return Markup("<p><{0}>{1}</{0}></p>").format(Markup(tag), visible(text))


def _items(texts: Sequence[str]) -> Markup:
    if not texts:
        return Markup("")
    items = Markup("").join(Markup("<li>{}</li>").format(visible(text)) for text in texts)
    return Markup("<ul>{}</ul>").format(items)
