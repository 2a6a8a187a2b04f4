"""What a finished cell leaves for TensorBoard and for a comparison's sheets."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tiny import TINY, only_cell

from segbench.callbacks.boards import log_result
from segbench.records.cells import Cell
from segbench.records.pictures import PREDICTIONS, read_pictures, truths_path
from segbench.records.record import read_record


@pytest.fixture
def cell(segbench: Callable[..., int], tmp_path: Path) -> Path:
    assert segbench(*TINY, "data.split={train:12,val:3,test:5}", "name=sweep") == 0
    folders = (path.parent for path in (tmp_path / "outputs" / "sweep").glob("*/run.json"))
    return next(folders)


def test_hyperparameters_scores_and_panels_are_in_tensorboard(cell: Path) -> None:
    tensorboard = EventAccumulator(str(cell / "tensorboard")).Reload()
    (panel,) = tensorboard.Images("test/panels")
    file = cell / "panels" / "test.png"
    assert panel.encoded_image_string == file.read_bytes()
    with Image.open(file) as opened:
        assert (panel.width, panel.height) == opened.size
    record = read_record(cell)
    (final,) = tensorboard.Scalars("test/iou")
    assert final.value == pytest.approx(record["metrics"]["test"]["iou"])
    contents = tensorboard.PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(contents["_hparams_/session_start_info"])
    told = start.session_start_info.hparams
    assert told["model"].string_value == "unet"
    assert told["loss"].string_value == "bce_dice"
    assert told["lr"].number_value == pytest.approx(1e-3)
    experiment = HParamsPluginData.FromString(contents["_hparams_/experiment"]).experiment
    assert {info.name.tag for info in experiment.metric_infos} >= {"test/iou", "val_best/dice"}


def test_predictions_and_truths_are_kept_small_and_score_alike(cell: Path) -> None:
    seen = Cell(cell, read_record(cell))
    ids = [case["id"] for case in seen.parts["test"]]
    predictions = read_pictures(cell / PREDICTIONS, ids)
    truths = read_pictures(truths_path(cell.parent, "synthetic", seen.split), ids)
    assert list(predictions) == list(truths) == ids
    foreground = seen.scores[seen.scores["class"] != "background"].set_index("id")
    for id_ in ids:  # generated images are smaller than the bound: nothing was lost
        (_, predicted), (image, truth) = predictions[id_], truths[id_]
        assert image is not None
        assert image.shape == (*truth.shape, 3)
        assert np.sum((predicted == 1) & (truth == 1)) == foreground.loc[id_, "tp"]
        assert np.sum((predicted == 1) & (truth == 0)) == foreground.loc[id_, "fp"]


def test_names_of_classes_make_no_tags(tmp_path: Path) -> None:
    names = ("[/core]", "../../x", "a\x1b[31m\u202e", "<b>é|$")
    scores = {f"iou/{name}": 0.5 for name in names} | {"iou": 0.5}
    logger = TensorBoardLogger(tmp_path)
    log_result([logger], {"model": " ".join(names)}, {"test": scores}, tmp_path / "none.png")
    logger.finalize("success")
    read = EventAccumulator(logger.log_dir).Reload()
    assert read.Tags()["scalars"] == ["test/iou"]
    contents = read.PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(contents["_hparams_/session_start_info"])
    assert start.session_start_info.hparams["model"].string_value == " ".join(names)
    assert [path.name for path in tmp_path.iterdir()] == ["lightning_logs"]


def test_other_loggers_get_the_same(tmp_path: Path) -> None:
    class Other:
        def __init__(self) -> None:
            self.said: list[object] = []

        def log_hyperparams(self, params: object) -> None:
            self.said.append(params)

        def log_metrics(self, metrics: object) -> None:
            self.said.append(metrics)

        def log_image(self, key: str, images: list[str]) -> None:
            self.said.append((key, images))

        def save(self) -> None:
            self.said.append("saved")

    Image.new("RGB", (2, 2)).save(tmp_path / "test.png")
    other = Other()
    log_result(
        [other], {"model": "unet"}, {"test": {"iou": 0.5, "iou/a": 0.5}}, tmp_path / "test.png"
    )
    panel = ("test/panels", [str(tmp_path / "test.png")])
    assert other.said == [{"model": "unet"}, {"test/iou": 0.5}, panel, "saved"]


def test_a_cells_config_is_there_even_where_it_fails(
    segbench: Callable[..., int], tmp_path: Path
) -> None:
    assert segbench(*TINY, "optimizer.lr=1e38") == 1
    cell = only_cell(tmp_path)
    assert json.loads((cell / "run.json").read_text())["status"] == "failed"
    assert Cell(cell, read_record(cell)).config["optimizer.lr"] == 1e38
