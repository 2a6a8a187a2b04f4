"""Deals whole groups of cases to parts and folds, in an order that a seed decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segbench.data.groups.balance import nearest_sum, spread_evenly


@dataclass(frozen=True)
class WholeGroups:
    """Deals cases so that no group stands in two parts.

    Args:
        groups: the group of each case of the data set.
        strata: the stratum of each case, which each part is to have in proportion; None: none.
        seed: the seed of the groups' order.
    """

    groups: Sequence[str]
    strata: Sequence[str] | None
    seed: int

    def members(self, cases: Sequence[int]) -> list[list[int]]:
        """The cases of each group, the groups in the order of the seed.

        Args:
            cases: the indices of the cases to deal.
        """
        found: dict[str, list[int]] = {}
        for case in sorted(cases):
            found.setdefault(self.groups[case], []).append(case)
        names = sorted(found)
        return [found[names[k]] for k in np.random.default_rng(self.seed).permutation(len(names))]

    def deal(self, cases: Sequence[int], sizes: Mapping[str, int]) -> dict[str, list[int]]:
        """The cases of each part, as near to its size as whole groups allow.

        Args:
            cases: the indices of the cases to deal.
            sizes: the number of cases that each part is to have; the others are left out.

        Raises:
            ValueError: there are fewer groups than parts.
        """
        members = self.members(cases)
        if len(members) < len(sizes):
            raise ValueError(
                f"data.group: {len(members)} groups among the cases to split, but each of the "
                f"parts {', '.join(sizes)} needs one at least; name smaller groups, or the cases "
                "of a part in data.split"
            )
        if self.strata is None:
            return _deal_nearest(members, sizes)
        wanted = {**sizes, "": len(cases) - sum(sizes.values())}
        parts = self._spread(members, list(wanted.values()), needed=len(sizes))
        return dict(zip(sizes, parts, strict=False))

    def folds(self, cases: Sequence[int], folds: int) -> list[list[int]]:
        """The cases of each fold: as nearly equal in size and strata as whole groups allow.

        Raises:
            ValueError: there are fewer groups than folds.
        """
        members = self.members(cases)
        if len(members) < folds:
            raise ValueError(
                f"data.folds={folds}: {len(members)} groups by data.group, and each fold needs one "
                f"at least; expected 2 to {len(members)} folds"
            )
        return self._spread(members, [1] * folds, needed=folds)

    def _spread(
        self, members: Sequence[Sequence[int]], sizes: Sequence[int], needed: int
    ) -> list[list[int]]:
        labels = self.strata or [""] * len(self.groups)
        names = sorted({labels[case] for each in members for case in each})
        strata = {label: column for column, label in enumerate(names)}
        counts = np.zeros((len(members), len(strata)))
        for row, each in zip(counts, members, strict=True):
            np.add.at(row, [strata[labels[case]] for case in each], 1)
        places = spread_evenly(counts, np.array(sizes) / sum(sizes), needed)
        parts: list[list[int]] = [[] for _ in sizes]
        for each, place in zip(members, places, strict=True):
            parts[place] += each
        return parts


def _deal_nearest(members: Sequence[list[int]], sizes: Mapping[str, int]) -> dict[str, list[int]]:
    """Deal the last part first, so that test does not change with the sizes of train and val."""
    parts: dict[str, list[int]] = {}
    left = list(members)
    over = sum(map(len, members)) - sum(sizes.values())  # cases that no part is to have
    for later, name in reversed(list(enumerate(sizes))):
        chosen = set(range(len(left)))
        if later or over:
            chosen = nearest_sum([len(each) for each in left], sizes[name], len(left) - later)
        parts[name] = [case for k in sorted(chosen) for case in left[k]]
        left = [each for k, each in enumerate(left) if k not in chosen]
    return parts
