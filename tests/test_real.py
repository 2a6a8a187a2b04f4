"""The main job on the real samples, where they are, and its scores against scikit-learn."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics
from tiny import only_cell

from segbench.cell.resizing import resize_logits
from segbench.data.store.normalisation import imagenet
from segbench.records.record import read_record
from segbench.types import predicted_labels

CELL = ("data=dsb2018", "model.base_channels=8", "model.depth=3")
CELL = (*CELL, "trainer.max_epochs=6", "data.batch_size=4")
PARTS = "data.split={train: 8, val: 8, test: 12}"


@pytest.fixture(scope="module")
def nuclei(real_samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty of the real cases: preparing all of them takes too long for a test."""
    some = tmp_path_factory.mktemp("some") / "dsb2018" / "stage1_train"
    some.mkdir(parents=True)
    for case in sorted((real_samples / "dsb2018" / "stage1_train").iterdir())[:200:5]:
        (some / case.name).symlink_to(case)
    return some.parents[1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared images that experiments on the same data share."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("data", ["ph2", "pets", "pets_binary"])
def test_one_command_trains_on_each_real_sample(
    segbench: Callable[..., int], tmp_path: Path, cache: Path, real_samples: Path, data: str
) -> None:
    words = (f"data={data}", f"data.root={real_samples}", "data.size=32", "augment=standard")
    small = ("model.base_channels=4", "model.depth=2", "trainer=smoke", PARTS)
    assert segbench(*words, *small, f"data.cache={cache}") == 0
    cell = only_cell(tmp_path)
    assert read_record(cell)["status"] == "done"
    split = json.loads((cell / "split.json").read_text())["parts"]
    table = pd.read_csv(cell / "scores.csv")
    assert set(table.id) == {case["id"] for case in split["test"]}


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        ("pets_unet", ("data.size=32", "data.split={train: 8, val: 8, test: val}")),
        ("pets_mobilenet", ("data.size=32", "model.weights=null", PARTS)),
        ("pets_resnet34", ("data.size=32", PARTS)),
        ("ph2_losses", ("data.size=32",)),
        ("dsb2018_unetpp", ("data.size=32",)),
    ],
)
def test_each_studys_experiment_runs_on_its_data(
    segbench: Callable[..., int],
    tmp_path: Path,
    cache: Path,
    real_samples: Path,
    nuclei: Path,
    experiment: str,
    words: tuple[str, ...],
) -> None:
    root = nuclei if experiment.startswith("dsb2018") else real_samples
    short = ("trainer.max_epochs=1", "+trainer.limit_train_batches=1", "data.batch_size=2")
    where = (f"data.root={root}", f"data.cache={cache}")
    assert segbench(f"experiment={experiment}", *words, *short, *where) == 0
    cell = only_cell(tmp_path, experiment)
    assert read_record(cell)["status"] == "done"


def test_scores_of_a_real_model_equal_scikit_learns(
    segbench: Callable[..., int], tmp_path: Path, nuclei: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hydra.utils import instantiate

    from segbench.config.registry import compose

    words = (*CELL, f"data.root={nuclei}", "trainer.precision=32-true")
    assert segbench(*words) == 0
    assert "nucleus" in capsys.readouterr().out
    cell = only_cell(tmp_path)
    cfg = compose(overrides=[*words])
    network, data = instantiate(cfg.model), instantiate(cfg.data)
    state = torch.load(cell / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    own = {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
    network.load_state_dict(own)
    network.eval().to(memory_format=torch.channels_last)
    data.setup()
    table = pd.read_csv(cell / "scores.csv").set_index(["id", "class"])
    assert len(table) == 2 * 8
    assert {256} < set(table.height)  # scored at the files' own sizes
    predictions, truths = [], []
    for batch in data.test_dataloader():
        with torch.inference_mode():
            logits = network(imagenet(3)(batch["image"]))
        for logit, mask, index in zip(logits, batch["original"], batch["index"], strict=True):
            labels = predicted_labels(resize_logits(logit[None], tuple(mask.shape)))[0]
            truth, prediction = mask.numpy().ravel(), labels.numpy().ravel()
            row = table.loc[(data.cases[index].id, "nucleus")]
            _tn, fp, fn, tp = metrics.confusion_matrix(truth, prediction, labels=[0, 1]).ravel()
            assert (row.tp, row.fp, row.fn) == (tp, fp, fn)
            assert row.iou == pytest.approx(metrics.jaccard_score(truth, prediction))
            assert row.dice == pytest.approx(metrics.f1_score(truth, prediction))
            predictions.append(prediction)
            truths.append(truth)
    truth, prediction = np.concatenate(truths), np.concatenate(predictions)
    pairs = zip(truths, predictions, strict=True)
    recorded = read_record(cell)["metrics"]["test"]
    assert recorded["iou"] > 0.3  # six epochs on 28 images
    expected = {
        "iou": np.mean([metrics.jaccard_score(t, p) for t, p in pairs]),
        "iou_dataset": metrics.jaccard_score(truth, prediction),
        "dice_dataset": metrics.f1_score(truth, prediction),
        "precision_dataset": metrics.precision_score(truth, prediction),
        "recall_dataset": metrics.recall_score(truth, prediction),
        "pixel_accuracy": metrics.accuracy_score(truth, prediction),
        "mean_pixel_accuracy": metrics.balanced_accuracy_score(truth, prediction),
    }
    assert {name: recorded[name] for name in expected} == pytest.approx(expected)
