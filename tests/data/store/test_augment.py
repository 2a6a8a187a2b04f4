"""What is drawn follows from seed, epoch and case: not from workers, restarts, or the batch."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from made_data import make_ph2, module

from segbench.config.identity import Identity, settings, without_defaults
from segbench.config.registry import CONF, compose, register_resolvers
from segbench.data.store import augment
from segbench.data.store.augment import Augmentation, GridElastic, elastic_field, refuse_namesake
from segbench.data.store.loading import EpochSampler
from segbench.data.synthetic import SyntheticDataModule
from segbench.errors import ConfigError

AUGMENTS = sorted((CONF / "augment").glob("*.yaml"))
FLIPS = {"HorizontalFlip": {"p": 0.5}, "VerticalFlip": {"p": 0.5}}
SPLIT = {"train": 12, "val": 3, "test": 3}
RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8)


def transforms(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CONF / "augment" / f"{name}.yaml").read_text())
    return loaded


def data(augment: Mapping[str, Any] | None, **options: Any) -> SyntheticDataModule:
    settings = {"count": 18, "size": 32, "batch_size": 5, "split": SPLIT, "seed": 7, **options}
    return SyntheticDataModule(augment=augment, **settings)


def epochs(module: SyntheticDataModule, count: int) -> list[list[dict[str, Any]]]:
    loader = module.train_dataloader()
    found = []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        found.append(list(loader))
    return found  # type: ignore[return-value]


def equal(one: list[Any], other: list[Any]) -> bool:
    return all(
        torch.equal(a["image"], b["image"]) and torch.equal(a["mask"], b["mask"])
        for a, b in zip(one, other, strict=True)
    )


def test_there_are_configs() -> None:
    assert {file.stem for file in AUGMENTS} >= {"none", "hflip", "standard", "elastic"}


@pytest.mark.parametrize("file", AUGMENTS, ids=lambda file: file.stem)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_config_keeps_shape_type_and_labels(file: Path, channels: int) -> None:
    augment = Augmentation(transforms(file.stem), seed=0)
    rng = np.random.default_rng(0)
    for index in range(6):
        image = rng.integers(0, 256, (40, 56, channels), np.uint8)
        mask = rng.choice(np.array([0, 1, 2, 255], np.uint8), (40, 56))
        changed, labels = augment(image, mask, 0, index)
        assert (changed.shape, changed.dtype) == (image.shape, np.uint8)
        assert (labels.shape, labels.dtype) == (mask.shape, np.uint8)
        assert set(np.unique(labels)) <= {0, 1, 2, 255}


@pytest.mark.parametrize("name", ["hflip", "elastic"])
def test_the_mask_moves_with_its_image(name: str) -> None:
    cfg = transforms(name)
    next(iter(cfg.values()))["p"] = 1
    y, x = np.mgrid[:64, :64]
    inside = (((y - 30) ** 2 + (x - 20) ** 2) < 150).astype(np.uint8)
    changed, mask = Augmentation(cfg, 0)(inside[:, :, None] * 255, inside, 0, 0)
    assert not np.array_equal(mask, inside)
    assert ((changed[:, :, 0] > 127) != mask).mean() < 0.01


def test_flips_are_independent() -> None:
    augment = Augmentation(FLIPS, seed=0)
    kinds = {"neither": RAMP, "both": RAMP[::-1, ::-1], "x": RAMP[:, ::-1], "y": RAMP[::-1]}
    counts = dict.fromkeys(kinds, 0)
    for index in range(1000):
        image, mask = augment(RAMP[:, :, None], RAMP, 0, index)
        np.testing.assert_array_equal(image[:, :, 0], mask)
        counts[next(k for k, v in kinds.items() if np.array_equal(v, mask))] += 1
    assert all(200 < count < 300 for count in counts.values()), counts


def test_each_of_seed_epoch_and_case_draws_anew_and_repeatably() -> None:
    def draw(seed: int, epoch: int, index: int) -> bytes:
        image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        changed = Augmentation(transforms("standard"), seed)(image, image[:, :, 0], epoch, index)
        return b"".join(array.tobytes() for array in changed)

    assert draw(0, 1, 2) == draw(0, 1, 2)
    assert len({draw(*key) for key in ((0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3), (0, 2, 1))}) == 5


def test_the_order_of_drawing_does_not_matter() -> None:
    augment = Augmentation(transforms("standard"), 0)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    forth = [augment(image, image[:, :, 0], 0, k)[0] for k in range(8)]
    back = [augment(image, image[:, :, 0], 0, k)[0] for k in reversed(range(8))][::-1]
    np.testing.assert_array_equal(forth, back)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_are_the_same_whatever_the_number_of_workers(workers: int) -> None:
    alone = epochs(data(transforms("standard")), 3)
    together = epochs(data(transforms("standard"), num_workers=workers), 3)
    assert all(equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than this machine's cores
def test_loading_processes_augment_for_a_gpu_alone_unless_told(monkeypatch) -> None:
    monkeypatch.setattr("segbench.data.store.loading.available_cores", lambda: 4)

    def workers(augment: str | None, device: str, **options: int) -> tuple[int, int]:
        module = data(transforms(augment) if augment else None, **options)
        strategy = SimpleNamespace(root_device=torch.device(device))
        module.trainer = SimpleNamespace(world_size=1, global_rank=0, strategy=strategy)  # type: ignore[assignment]
        return module.train_dataloader().num_workers, module.val_dataloader().num_workers

    assert workers("standard", "cuda") == (3, 0)
    assert workers(None, "cuda") == (0, 0)
    assert workers("standard", "cpu") == workers("standard", "mps") == (0, 0)
    assert workers("standard", "cuda", num_workers=2) == (2, 2)
    assert workers("standard", "cuda", num_workers=0) == (0, 0)


@pytest.mark.filterwarnings("error")  # of arrays that cannot be written to
def test_a_worker_sends_whole_batches_as_they_are_without_it() -> None:
    alone, beside = data(None), data(None, num_workers=1)
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loaders = getattr(alone, name)(), getattr(beside, name)()
        for one, other in zip(*map(list, loaders), strict=True):
            assert type(one) is type(other) is dict
            assert one.keys() == other.keys() >= {"image", "mask", "index"}
            assert ("original" in one) == (name == "test_dataloader")
            for key, value in one.items():
                pairs = zip(value, other[key], strict=True)
                assert all(torch.equal(a, b) for a, b in pairs)
                assert key == "original" or value.stride() == other[key].stride()


def test_epochs_differ_and_a_restart_repeats_the_one_it_is_in() -> None:
    first, second = epochs(data(transforms("standard")), 2)
    by_case = [
        {
            int(i): image
            for batch in epoch
            for i, image in zip(batch["index"], batch["image"], strict=True)
        }
        for epoch in (first, second)
    ]
    assert by_case[0].keys() == by_case[1].keys()
    assert not any(torch.equal(by_case[0][i], by_case[1][i]) for i in by_case[0])
    loader = data(transforms("standard")).train_dataloader()
    loader.sampler.set_epoch(1)  # type: ignore[attr-defined]
    assert equal(list(loader), second)
    other = epochs(data(transforms("standard"), seed=8), 1)[0]
    assert not equal(other, first)


def test_nothing_but_training_is_augmented() -> None:
    plain, augmented = data(None), data(transforms("standard"))
    for name in ("val_dataloader", "test_dataloader"):
        assert equal(list(getattr(plain, name)()), list(getattr(augmented, name)()))
    assert not equal(list(plain.train_dataloader()), list(augmented.train_dataloader()))


def test_without_augmentation_only_the_order_changes() -> None:
    module = data(None)
    for epoch in epochs(module, 2):
        for batch in epoch:
            np.testing.assert_array_equal(
                batch["image"].permute(0, 2, 3, 1), module.prepared.images[batch["index"]]
            )


def test_processes_share_the_order_and_step_alike() -> None:
    whole = EpochSampler(11, 3)
    shares = [EpochSampler(11, 3, world=2, rank=rank) for rank in (0, 1)]
    for epoch in (0, 1):
        for sampler in (whole, *shares):
            sampler.set_epoch(epoch)
        orders = [[place for _, place in sampler] for sampler in (whole, *shares)]
        assert sorted(orders[0]) == list(range(11))
        assert {e for e, _ in shares[0]} == {epoch}
        assert len(orders[1]) == len(orders[2]) == len(shares[0]) == 6
        interleaved = [p for pair in zip(orders[1], orders[2], strict=True) for p in pair]
        assert interleaved == [*orders[0], orders[0][0]]


class Writes(GridElastic):
    """Writes into what it is given, as a transform may."""

    def apply(self, img: np.ndarray, **_: Any) -> np.ndarray:
        img[:] = 7
        return img

    def apply_to_mask(self, mask: np.ndarray, **_: Any) -> np.ndarray:
        mask[:] = 1
        return mask


def test_the_store_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(augment.OWN, "Writes", Writes)
    make_ph2(tmp_path)
    writes = {"Writes": {"p": 1}}
    for changed in (module("ph2", tmp_path, augment=writes), data(writes)):
        images, masks = changed.prepared.images.copy(), changed.prepared.masks.copy()
        for batch in changed.train_dataloader():
            assert (batch["image"] == 7).all()
            assert (batch["mask"] == 1).all()
            batch["image"] += 1
        np.testing.assert_array_equal(changed.prepared.images, images)
        np.testing.assert_array_equal(changed.prepared.masks, masks)


def test_plain_places_are_taken_too() -> None:
    cases = data(FLIPS).train_dataloader().dataset
    assert len(cases.__getitems__([0, 1])["image"]) == 2  # type: ignore[attr-defined]


def test_the_elastic_grid_is_the_papers() -> None:
    coarse = np.random.default_rng(0).normal(0, 10, (3, 3, 2)).astype(np.float32)
    field = elastic_field(coarse, (65, 65))
    assert field.shape == (65, 65, 2)
    np.testing.assert_allclose(field[::32, ::32], coarse, atol=1e-4)  # exact on the grid's points
    constant = elastic_field(np.full((3, 3, 2), 4, np.float32), (17, 23))
    np.testing.assert_allclose(constant, 4, atol=1e-5)
    transform = GridElastic(sigma=10, p=1)
    transform.set_random_state(np.random.default_rng(0), None)
    fields = np.stack(
        [
            transform.get_params_dependent_on_data({"shape": (9, 9, 3)}, {})["field"][::4, ::4]
            for _ in range(400)
        ]
    )
    assert abs(fields.std() - 10) < 0.3
    assert abs(fields.mean()) < 0.5


def test_transforms_may_be_nested() -> None:
    nested = {
        "OneOf": {"p": 1, "transforms": {"HorizontalFlip": {"p": 1}, "VerticalFlip": {"p": 1}}}
    }
    augment = Augmentation(nested, 0)
    found = {augment(RAMP[:, :, None], RAMP, 0, k)[1].tobytes() for k in range(40)}
    assert found == {RAMP[:, ::-1].tobytes(), RAMP[::-1].tobytes()}


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"HorizontalFlop": {}}, "augment.HorizontalFlop: no such transform; did you mean 'Hor"),
        ({"BasicTransforms": None}, "no such transform"),
        ({"cv2": {}}, "augment.cv2: no such transform"),
        ({"HorizontalFlip": {"q": 1}}, "augment.HorizontalFlip: .*q"),
        ({"HorizontalFlip": {"p": 2}}, "augment.HorizontalFlip: .*p.*less than or equal to 1"),
        ({"GridElastic": {"sigma": 0}}, "augment.GridElastic: steps=3, sigma=0"),
        ({"GridElastic": {"sigmas": 3}}, "augment.GridElastic: .*sigmas"),
        ({"OneOf": {"transforms": {"Flap": {}}}}, "augment.OneOf.Flap: no such transform"),
    ],
)
def test_slips_are_told_by_name(cfg: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Augmentation(cfg, 0)


def test_the_namesake_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_namesake()
    info = tmp_path / "albumentationsx-2.0.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: albumentationsx\nVersion: 2.0.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"albumentationsx 2\.0\.9 is installed.*AGPL"):
        refuse_namesake()


@pytest.fixture(scope="module")
def imports() -> str:
    code = (
        "import sys, os\n"
        "os.environ.pop('NO_ALBUMENTATIONS_UPDATE', None)\n"
        "from segbench.data.synthetic import SyntheticDataModule\n"
        "def made(augment):\n"
        "    options = {'count': 3, 'size': 8, 'batch_size': 1, 'augment': augment}\n"
        "    SyntheticDataModule(split={'train': 1, 'val': 1, 'test': 1}, **options)\n"
        "made({}); made(None)\n"
        "print('albumentations' in sys.modules)\n"
        "made({'HorizontalFlip': {}})\n"
        "print('albumentations' in sys.modules, os.environ['NO_ALBUMENTATIONS_UPDATE'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_albumentations_is_imported_only_where_it_is_asked_for_and_stays_offline(
    imports: str,
) -> None:
    assert imports.split() == ["False", "True", "1"]


def test_augmentation_changes_the_cell() -> None:
    import hydra

    register_resolvers()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        hashes = {
            Identity(
                without_defaults(
                    settings(hydra.compose("config", [*words], return_hydra_config=True))
                )
            ).hash
            for words in (
                [],
                ["augment=hflip"],
                ["augment=hflip", "augment.HorizontalFlip.p=0.3"],
                ["augment=standard"],
            )
        }
    assert len(hashes) == 4
    assert compose(overrides=["augment=hflip"]).data.augment == {"HorizontalFlip": {"p": 0.5}}
