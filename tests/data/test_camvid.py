"""CamVid in its published layout, made up and real."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import picture, save

from segbench.config.build import build
from segbench.config.registry import compose
from segbench.data.camvid import CamVidDataModule
from segbench.data.layouts.proposals import propose
from segbench.errors import DataError

DRIVES = ("0001TP", "0006R0", "0016E5", "Seq05VD")


def camvid(*words: str) -> CamVidDataModule:
    data: Any = build(compose(overrides=[*words, "data.num_workers=0"]).data, "data")
    return data  # type: ignore[no-any-return]


def make(root: Path) -> None:
    for part, count in (("train", 12), ("val", 4), ("test", 8)):
        for k in range(count):
            name = f"{DRIVES[k % 4]}_{part}{k:05d}.png"
            save(root / "CamVid" / part / name, picture(k))
            labels = np.random.default_rng(k).integers(0, 12, (20, 24)).astype(np.uint8)
            save(root / "CamVid" / f"{part}annot" / name, labels)


def test_the_published_split_and_whole_drives(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    make(tmp_path)
    words = (f"data.root={tmp_path}", "data.size=16")
    data = camvid("data=camvid", *words)
    data.setup()
    assert {name: len(part) for name, part in data.parts.items()} == {
        "train": 12,
        "val": 4,
        "test": 8,
    }
    assert data.ignore_index == 11
    assert (data.prepared.original(0) == 11).any()
    drives = camvid("data=camvid_drives", *words)
    drives.setup()
    groups = {name: {drives.groups[i] for i in part} for name, part in drives.parts.items()}
    assert sum(map(len, groups.values())) == len(DRIVES) == len(set().union(*groups.values()))
    capsys.readouterr()
    cut = camvid("data=camvid", "data.group='([^/]+)_[^/_]*$'", *words)
    cut.setup()
    assert "0001TP" in capsys.readouterr().out  # a notice: the published split cuts drives


def test_the_real_frames_are_split_by_drive(real_samples: Path) -> None:
    data = camvid("data=camvid_drives", f"data.root={real_samples}")
    data.look()
    parts = data.make_parts(data.cases)
    found = {
        name: Counter(data.cases[i].id.split("/")[1].split("_")[0] for i in part)
        for name, part in parts.items()
    }
    assert sum(len(counts) for counts in found.values()) == len(DRIVES)
    assert sum(sum(counts.values()) for counts in found.values()) == 701


def test_without_the_data_it_says_where_to_get_them(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "a.png", picture(0))
    data = camvid("data=camvid", f"data.root={tmp_path}")
    with pytest.raises(DataError, match="train: no such folder; get CamVid in the layout"):
        data.look()


def test_check_proposes_what_reads_the_real_frames(real_samples: Path) -> None:
    found = propose(real_samples / "CamVid")
    assert found is not None
    assert (found.images, found.masks, found.count) == ("<part>/*.jpg", "<part>annot/*.png", 701)
    assert found.values.kind == "class ids 0 to 11 (42 masks were looked into)"
