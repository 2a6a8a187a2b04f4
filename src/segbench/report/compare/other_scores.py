"""Other scores of a section's entries, and whether they agree with the first on the order."""

from collections.abc import Mapping

from scipy.stats import kendalltau

from segbench.report.sections.comparison import Section, score_title
from segbench.text.wording import listed


def add_scores(section: Section, score: str, others: Mapping[str, Section]) -> None:
    """Put sections of the same cells by other scores beside one, with a note on their order."""
    section.others = dict(others)
    told = [_agreement(section, name, other) for name, other in others.items()]
    if told:
        section.notes.append(
            f"{'; '.join(told)}. Rankings depend on the score (Maier-Hein et al. 2018, "
            f"doi:10.1038/s41467-018-07619-7); p-values are corrected for {len(others) + 1} scores."
        )
    for name, other in others.items():
        section.notes += [
            f"{score_title(name)}: {note}" for note in other.notes[:1] if other.unranked
        ]


def _agreement(section: Section, score: str, other: Section) -> str:
    """How the order by another score differs: by its best entry, and by Kendall's tau."""
    title = score_title(score)
    first, best = [e.label for e in section.best], [e.label for e in other.best]
    if not first or not best:
        return f"{title} has no ranking to compare"
    places = {entry.label: place for place, entry in enumerate(other.scored)}
    common = [entry.label for entry in section.scored if entry.label in places]
    if len(common) < 2:
        return f"{title} has one entry"
    tau = kendalltau(range(len(common)), [places[label] for label in common]).statistic
    same = set(first) & set(best)
    order = "the same order" if tau > 1 - 1e-9 else f"another order (Kendall's tau {tau:.2f})"
    if same:
        return f"{title} has the same best entry and {order}"
    return f"{title} has another best entry, {listed(best, 3)}, and {order}"
