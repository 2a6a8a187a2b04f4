"""A comparison as plain numbers and words, for comparison.json."""

from dataclasses import asdict, fields
from typing import Any

from segbench.records.record import as_json
from segbench.report.sections.comparison import Comparison, Entry, Section

FORMAT = 1  # of comparison.json, whose keys docs/comparison.md describes


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Plain numbers and words of a comparison, for ``comparison.json`` and the page.

    NaN is None. Scores of single images are left out: they stand in each cell's ``scores.csv``.
    """
    told = {
        each.name: getattr(comparison, each.name)
        for each in fields(comparison)
        if each.name not in ("sections", "lower", "failures", "damaged")
    }
    told = {"schema": FORMAT} | told
    told |= {"label": comparison.label, "lower_is_better": comparison.lower_is_better}
    told["failures"] = [{"cell": cell, "error": line} for cell, line in comparison.failures]
    told["damaged"] = [{"cell": cell, "error": line} for cell, line in comparison.damaged]
    told["sections"] = [_section(section) for section in comparison.sections]
    told["across"] = [asdict(row) | {"mean_rank": row.mean_rank} for row in comparison.across]
    told["across_note"] = comparison.across_note
    test = comparison.rank_test
    told["rank_test"] = test and test._replace(mean_ranks=test.mean_ranks.tolist())._asdict()
    return dict(as_json(told))


def _section(section: Section) -> dict[str, Any]:
    told = {each.name: getattr(section, each.name) for each in fields(section)}
    told["entries"] = [_entry(entry) for entry in section.entries]
    told["pairs"] = [vars(pair) for pair in section.pairs]
    told["published"] = [vars(table) for table in section.published]
    told["subgroups"] = [_section(part) for part in section.subgroups]
    told["others"] = {score: _section(other) for score, other in section.others.items()}
    return told


def _entry(entry: Entry) -> dict[str, Any]:
    told = {each.name: getattr(entry, each.name) for each in fields(entry) if each.name != "values"}
    told |= {name: getattr(entry, name) for name in ("mean", "sd", "median")}
    told["means"] = entry.means.tolist()
    told["cells"] = [
        {"name": cell.name, "sweep": cell.sweep, "seed": cell.seed, "status": cell.status}
        for cell in entry.cells
    ]
    return told
