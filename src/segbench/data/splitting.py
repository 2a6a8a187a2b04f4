"""How a data set's cases are split: its options, read from files where they name some."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from segbench.data.prepared import Case
from segbench.data.splits import Part, make_split, read_part, read_split
from segbench.errors import ConfigError


class SplitsCases:
    """The part of a data module that deals its cases to train, val and test."""

    folder_name: ClassVar[str] = ""
    root: Path
    split: Mapping[str, Part] | str
    split_seed: int
    stratify: str | None
    folds: int | None
    fold: int

    def named_split(self, word: str) -> Mapping[str, Part]:
        """The split that ``data.split=<word>`` means; by itself a data set knows none.

        Raises:
            ConfigError: none of that name.
        """
        raise ConfigError(
            f"data.split={word}: no such file, nor a split that this data set knows; give shares "
            "or numbers of train, val and test, text files of ids, or an earlier cell's split.json"
        )

    def make_parts(
        self,
        cases: Sequence[Case],
        labels: Sequence[Sequence[int]] | None = None,
        sizes: Sequence[tuple[int, int]] | None = None,
    ) -> dict[str, list[int]]:
        """Split sorted cases; which labels each holds and its (height, width) serve strata."""
        ids = [case.id for case in cases]
        named = [id_.rpartition("_")[0] for id_ in ids]
        facts = {"classes": labels, "size": sizes, "name": named}.get(self.stratify or "")
        strata = None if facts is None else [str(each) for each in facts]
        return make_split(ids, self.find_split(), self.split_seed, strata, self.folds, self.fold)

    def find_split(self) -> Mapping[str, Part]:
        """The split asked for, its files read.

        Raises:
            ConfigError: a file that is not there.
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
                "file with one id on each line, a share, or a number of cases"
            )
        return read_part(file)
