"""How a data set's cases are split: its options, and the files of ids and groups that they name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segbench.data.decoding.files import read_text
from segbench.data.groups.naming import groups_in_ids, groups_in_table, is_table, parse_groups
from segbench.data.groups.notices import cut_notice, size_notice
from segbench.data.splits import Part, make_split, read_part, read_split
from segbench.data.store.prepared import Case
from segbench.errors import ConfigError

Split = Mapping[str, Part]


@dataclass(frozen=True)
class CaseFacts:
    """What a split may depend on besides the cases' ids.

    Args:
        labels: the labels in each case's mask, for ``stratify=classes``.
        sizes: the (height, width) of each case, for ``stratify=size``.
    """

    labels: Sequence[Sequence[int]] | None = None
    sizes: Sequence[tuple[int, int]] | None = None


@dataclass(frozen=True)
class Splitting:
    """The options of a split, as `SegmentationDataModule` describes them.

    Args:
        split: fractions, numbers or files of ids of each part, a ``split.json``, or a name.
        seed: of a random split.
        stratify: the property that all parts have in equal proportions.
        group: what groups the cases.
        folds: the number of folds.
        fold: the index of the fold.
        root: the folder of the data set; files are looked for here, in it, and in ``folder_name``.
        folder_name: the name of the data set's folder in ``root``.
    """

    split: Split | str
    seed: int
    stratify: str | None
    group: str | None
    folds: int | None
    fold: int
    root: Path
    folder_name: str

    def keeping(self, parts: Mapping[str, Sequence[str]]) -> "Splitting":
        """The same options with the parts that an earlier run recorded, as ids."""
        same = sorted(parts["test"]) == sorted(parts["val"])
        kept: Split = {**parts, "test": "val"} if same else dict(parts)
        return replace(self, split=kept, folds=None, stratify=None)

    @property
    def names_files(self) -> bool:
        """Whether the split comes from files, or from a name that the data set knows."""
        parts = [self.split] if isinstance(self.split, str) else list(self.split.values())
        return any(isinstance(part, str) and part != "val" for part in parts)

    @property
    def has_table(self) -> bool:
        """Whether the groups come from a file; a regular expression is among the settings."""
        return self.group is not None and is_table(self.group)

    @property
    def depends_on_files(self) -> bool:
        """Whether the parts depend on files beside the data, whose names are not their content."""
        return self.names_files or self.has_table

    def find_split(self, named: Callable[[str], Split]) -> Split:
        """The split of the config, with the ids of the files that it names.

        Args:
            named: gives the split that a name of the data set means.

        Raises:
            ConfigError: a file does not exist.
        """
        if isinstance(self.split, str):
            file = self._find_file(self.split)
            return read_split(file) if file else named(self.split)
        return {name: self._read_part(name, value) for name, value in self.split.items()}

    def find_groups(self, cases: Sequence[Case]) -> list[str] | None:
        """The group of each case by ``data.group``; None where that is not set.

        Raises:
            ConfigError: a file does not exist, or an expression does not match a case.
            DataError: the file is not a table of groups, or lacks a case.
        """
        if self.group is None:
            return None
        ids = [case.id for case in cases]
        if not is_table(self.group):
            return groups_in_ids(ids, self.group)
        file = self._find_file(self.group)
        if file is None:
            raise ConfigError(
                f"data.group={self.group}: no such file, here or in {self.root}; give a CSV file "
                "with the columns id and group, or a regular expression on the ids"
            )
        return groups_in_table(ids, parse_groups(read_text(file), file), file)

    def make_parts(
        self,
        cases: Sequence[Case],
        split: Split,
        facts: CaseFacts,
        groups: Sequence[str] | None,
    ) -> dict[str, list[int]]:
        """The indices of the cases of each part.

        Args:
            cases: the cases, sorted by id.
            split: see `find_split`.
            facts: of the cases.
            groups: of the cases, none of which is cut; None: each case by itself.
        """
        ids = [case.id for case in cases]
        named = [id_.rpartition("_")[0] for id_ in ids]
        known = {"classes": facts.labels, "size": facts.sizes, "name": named}
        found = known.get(self.stratify or "")
        strata = None if found is None else [str(each) for each in found]
        return make_split(ids, split, self.seed, strata, self.folds, self.fold, groups)

    def notices(
        self,
        cases: Sequence[Case],
        split: Split,
        facts: CaseFacts,
        parts: Mapping[str, Sequence[int]],
    ) -> list[str]:
        """Lines on parts whose sizes are not those asked for, and on groups that parts cut.

        Args:
            cases: as in `make_parts`, as are ``split`` and ``facts``.
            split: as there.
            facts: as there.
            parts: those that `make_parts` made of them.
        """
        groups = self.find_groups(cases)
        if groups is None:
            return []
        asked = self.make_parts(cases, split, facts, None)
        return [*filter(None, (size_notice(parts, asked), cut_notice(parts, groups)))]

    def _find_file(self, name: str) -> Path | None:
        folders = [Path(), self.root, self.root / self.folder_name]
        return next((f / name for f in folders if (f / name).is_file()), None)

    def _read_part(self, name: str, value: Part) -> Part:
        if not isinstance(value, str) or value == "val":
            return value
        file = self._find_file(value)
        if file is None:
            raise ConfigError(
                f"data.split.{name}={value}: no such file, here or in {self.root}; give a text "
                "file with one id on each line, a fraction, or a number of cases"
            )
        return read_part(file)
