"""Names as text whatever YAML makes of them, and the limits of options."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_data import box, make_folder, module, picture, save
from made_run import make_run
from omegaconf import OmegaConf
from tiny import only_cell

from segbench import load
from segbench.data.options import as_texts, check_classes
from segbench.data.store.normalisation import imagenet
from segbench.errors import ConfigError, printable
from segbench.inference.export import describe
from segbench.records.record import read_record

TINY = ("model.base_channels=4", "model.depth=2", "data.size=16", "trainer.max_epochs=1")


def test_whole_numbers_become_their_text() -> None:
    assert as_texts([0, "1", np.int64(2), "road works"], "x") == ["0", "1", "2", "road works"]


@pytest.mark.parametrize(
    ("typed", "quoted"),
    [
        ("[off, on]", '["off","on"]'),
        ("[no, yes]", '["off","on"]'),
        ("[null, x]", '["null","x"]'),
        ("[~, x]", '["null","x"]'),
        ("[1e3, x]", '["1000.0","x"]'),
        ("[.5, x]", '["0.5","x"]'),
        ("[.nan, x]", '["nan","x"]'),
        ("[true, false]", '["on","off"]'),
    ],
)
def test_what_yaml_does_not_read_as_text_is_refused_with_the_form_to_type(
    typed: str, quoted: str
) -> None:
    names = OmegaConf.create(f"names: {typed}").names
    with pytest.raises(ConfigError, match="without quotes is not text") as caught:
        as_texts(names, "data.class_names")
    assert str(caught.value).endswith(f"data.class_names='{quoted}'")
    assert as_texts(OmegaConf.create(f"names: {quoted}").names, "x")  # the form works


def test_dates_and_leading_zeros_are_text_by_themselves() -> None:
    names = OmegaConf.create("names: [2020-01-01, 08, 12e]").names
    assert as_texts(names, "x") == ["2020-01-01", "08", "12e"]


@pytest.mark.parametrize("names", ["road", 7, ["a", ""], ["a", " "], ["a", "b\x1b[2J"], [["a"]]])
def test_what_is_no_list_of_names(names: Any) -> None:
    with pytest.raises(ConfigError, match=r"^data\.class_names") as caught:
        as_texts(names, "data.class_names")
    assert str(caught.value).isprintable()


def test_the_largest_number_of_classes() -> None:
    check_classes([str(k) for k in range(255)], 255, 255)
    for count in (256, 300):
        with pytest.raises(ConfigError, match=f"{count} classes; at most 255"):
            check_classes([str(k) for k in range(count)], count, 255)


def test_palettes_folders_and_masks_of_numbered_classes(tmp_path: Path) -> None:
    make_folder(tmp_path)
    colours = np.array([[0, 0, 0], [9, 9, 9], [99, 0, 0]], np.uint8)
    for name in "abcdef":
        save(tmp_path / "masks" / f"{name}.png", colours[box(0) + box(50)])
    palette: Any = dict(enumerate(colours.tolist()))
    data = module("folder", tmp_path, class_names=[0, 1, 2], palette=palette)
    data.setup()
    assert data.class_names == ["0", "1", "2"]
    np.testing.assert_array_equal(data.prepared.original(0), box(0) + box(50))
    with pytest.raises(ConfigError, match="data.palette: off without quotes"):
        module("folder", tmp_path, palette={False: [0, 0, 0]})
    for name in "abcdef":
        (tmp_path / "masks" / f"{name}.png").unlink()
        save(tmp_path / "masks" / "1" / f"{name}.png", box(0) * 255)
    data = module("folder", tmp_path, class_names=[0, 1])
    data.setup()
    np.testing.assert_array_equal(data.prepared.original(0), box(0))


def test_numbered_classes_through_every_command(segbench: Any, tmp_path: Path) -> None:
    root = tmp_path / "numbered"
    for k in range(10):
        save(root / "images" / f"{k + 1}.png", picture(k))
        save(root / "masks" / f"{k + 1}.png", box(k))
    words = ["data=folder", f"data.root={root}", *TINY, "name=n"]
    words += ["data.split={train:0.9,val:0.1,test:[1,2]}", "data.class_names=[0,1]"]
    assert segbench("check", *words) == 0
    assert segbench(*words) == 0
    cell = only_cell(tmp_path, "n")
    assert "dice/1" in read_record(cell)["metrics"]["test"]
    table = pd.read_csv(cell / "scores.csv", dtype=str)
    assert sorted(set(table["id"])) == ["1", "2"]
    assert segbench("evaluate", f"run={cell}") == 0
    assert (
        segbench("predict", f"run={cell}", f"input={root}/images/1.png", "probabilities=true") == 0
    )
    net = load(cell)
    assert net.class_names == ["0", "1"]
    assert describe(net.class_names, (16, 16), imagenet(3))["class_names"] == ["0", "1"]


def test_a_run_folder_with_words_that_yaml_turns_round(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    text = (run / "config.yaml").read_text()
    assert "class_names: null" in text
    (run / "config.yaml").write_text(text.replace("class_names: null", "class_names: [no, 1]"))
    with pytest.raises(Exception, match="data.class_names: off without quotes"):
        load(run)
    (run / "config.yaml").write_text(text.replace("class_names: null", "class_names: [0, 1]"))
    assert load(run).class_names == ["0", "1"]


def test_what_a_terminal_obeys_is_shown_as_an_escape() -> None:
    assert printable("a b é\u200b≈ €") == "a b é\u200b≈ €"
    assert printable("a\x1b[2J\n\x7f\x9b\udcff") == r"a\x1b[2J\n\x7f\x9b\udcff"
    assert str(ConfigError("name=\x1b[31m")) == r"name=\x1b[31m"
