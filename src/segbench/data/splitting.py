"""The options of a data set's split, which may name files of ids and groups of cases."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from segbench.data.files import read_text
from segbench.data.groups.naming import groups_in_ids, groups_in_table, is_table, parse_groups
from segbench.data.groups.notices import cut_notice, size_notice
from segbench.data.splits import Part, make_split, read_part, read_split
from segbench.data.store.prepared import Case
from segbench.errors import ConfigError


class SplitsCases:
    """The part of a data module that splits its cases into train, val and test."""

    folder_name: ClassVar[str] = ""
    root: Path
    split: Mapping[str, Part] | str
    split_seed: int
    stratify: str | None
    group: str | None
    folds: int | None
    fold: int

    def named_split(self, name: str) -> Mapping[str, Part]:
        """The split that ``data.split=<name>`` means; a subclass may define some.

        Raises:
            ConfigError: there is no split of that name.
        """
        raise ConfigError(
            f"data.split={name}: no such file, nor a split that this data set knows; give "
            "fractions or numbers of train, val and test, text files of ids, or an earlier cell's "
            "split.json"
        )

    def make_parts(
        self,
        cases: Sequence[Case],
        labels: Sequence[Sequence[int]] | None = None,
        sizes: Sequence[tuple[int, int]] | None = None,
    ) -> dict[str, list[int]]:
        """Split sorted cases.

        Args:
            cases: the cases, sorted by id.
            labels: the labels in each case's mask, for ``stratify=classes``.
            sizes: the (height, width) of each case, for ``stratify=size``.

        Returns:
            The indices of the cases of each part.
        """
        return self._make_parts(cases, labels, sizes, self.find_groups(cases))

    def split_notices(
        self,
        cases: Sequence[Case],
        parts: Mapping[str, Sequence[int]],
        labels: Sequence[Sequence[int]] | None = None,
        sizes: Sequence[tuple[int, int]] | None = None,
    ) -> list[str]:
        """Lines on parts whose sizes are not those asked for, and on groups that parts cut.

        Args:
            cases: as in `make_parts`, as are ``labels`` and ``sizes``.
            parts: those that `make_parts` made of them.
            labels: the labels in each case's mask.
            sizes: the (height, width) of each case.
        """
        groups = self.find_groups(cases)
        if groups is None:
            return []
        asked = self._make_parts(cases, labels, sizes, None)
        return [*filter(None, (size_notice(parts, asked), cut_notice(parts, groups)))]

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

    def _make_parts(
        self,
        cases: Sequence[Case],
        labels: Sequence[Sequence[int]] | None,
        sizes: Sequence[tuple[int, int]] | None,
        groups: Sequence[str] | None,
    ) -> dict[str, list[int]]:
        ids = [case.id for case in cases]
        named = [id_.rpartition("_")[0] for id_ in ids]
        facts = {"classes": labels, "size": sizes, "name": named}.get(self.stratify or "")
        strata = None if facts is None else [str(each) for each in facts]
        split = self.find_split()
        return make_split(ids, split, self.split_seed, strata, self.folds, self.fold, groups)

    def keep_split(self, parts: Mapping[str, Sequence[str]]) -> None:
        """Use the parts that an earlier run recorded, as ids, instead of a new split."""
        same = sorted(parts["test"]) == sorted(parts["val"])
        self.split = {**parts, "test": "val"} if same else dict(parts)
        self.folds = self.stratify = None

    def find_split(self) -> Mapping[str, Part]:
        """The split of the config, with the ids of the files that it names.

        Raises:
            ConfigError: a file does not exist.
        """
        if isinstance(self.split, str):
            file = self._find_file(self.split)
            return read_split(file) if file else self.named_split(self.split)
        return {name: self._read_part(name, value) for name, value in self.split.items()}

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
