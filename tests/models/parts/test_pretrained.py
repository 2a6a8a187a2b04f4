import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models import get_model, get_model_weights

from segbench.models.encoder_unet import EncoderUNet
from segbench.models.parts.pretrained import WeightsError, adapted_filters
from segbench.models.smp import SMPModel
from segbench.models.torchvision_models import TorchvisionModel


@pytest.fixture
def checkpoints(tmp_path, monkeypatch) -> Path:
    """An empty folder of downloaded weights, and no network."""

    def no_network(url: str, *args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def save_weights(name: str, folder: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    state = get_model(name, weights=None).state_dict()
    torch.save(state, folder / Path(get_model_weights(name)["IMAGENET1K_V1"].url).name)
    return state


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "mobilenet_v3_large"])
def test_an_encoder_starts_from_the_file(name, checkpoints):
    state = save_weights(name, checkpoints)
    torch.manual_seed(8)
    net = EncoderUNet(3, 1, name, weights="imagenet", base_channels=2)
    convolutions = [v for k, v in state.items() if v.dim() == 4 and "classifier" not in k]
    loaded = [v for v in net.encoder.state_dict().values() if v.dim() == 4]
    assert len(loaded) == len(convolutions)
    assert all(map(torch.equal, loaded, convolutions))


def test_a_torchvision_network_starts_from_its_backbones_file(checkpoints):
    state = save_weights("mobilenet_v3_large", checkpoints)
    net = TorchvisionModel(3, 2, "lraspp_mobilenet_v3_large", weights="imagenet")
    loaded = next(net.encoder_parameters())
    assert torch.equal(loaded, state["features.0.0.weight"])


def test_a_grey_image_is_answered_as_its_rgb_copy(checkpoints):
    save_weights("resnet18", checkpoints)
    rgb = EncoderUNet(3, 1, "resnet18", weights="imagenet", base_channels=2).eval()
    grey = EncoderUNet(1, 1, "resnet18", weights="imagenet", base_channels=2).eval()
    image = torch.randn(1, 1, 32, 32)
    stem, grey_stem = rgb.encoder[0], grey.encoder[0]
    torch.testing.assert_close(grey_stem(image), stem(image.expand(-1, 3, -1, -1)))


def test_first_filters_for_any_number_of_channels():
    filters = torch.randn(8, 3, 7, 7)
    assert torch.allclose(adapted_filters(filters, 3), filters)
    five = adapted_filters(filters, 5)
    assert five.shape == (8, 5, 7, 7)
    assert torch.allclose(five[:, 3], filters[:, 0] * 3 / 5)
    constant = filters[:, :1].expand(-1, 3, -1, -1)
    for channels in (1, 2, 4, 9):  # equal filters: equal response to a constant image
        response = adapted_filters(constant, channels).sum(dim=(1, 2, 3))
        torch.testing.assert_close(response, constant.sum(dim=(1, 2, 3)))


@pytest.mark.parametrize(
    ("build", "file"),
    [
        (lambda: EncoderUNet(3, 1, "resnet34", weights="imagenet"), "resnet34-b627a593.pth"),
        (
            lambda: TorchvisionModel(3, 1, "fcn_resnet50", weights="imagenet"),
            "resnet50-0676ba61.pth",
        ),
    ],
)
def test_offline_the_error_names_file_folder_and_way_out(build, file, checkpoints):
    with pytest.raises(WeightsError) as error:
        build()
    message = str(error.value)
    assert "\n" not in message
    assert all(part in message for part in (file, str(checkpoints), "model.weights=null"))


def test_a_broken_file_is_named(checkpoints):
    (checkpoints / "resnet18-f37072fd.pth").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd\.pth"):
        EncoderUNet(3, 1, "resnet18", weights="imagenet")


def test_names_that_do_not_exist():
    with pytest.raises(ValueError, match=r"encoder must be one of .* got 'vgg16'"):
        EncoderUNet(3, 1, "vgg16")
    with pytest.raises(ValueError, match="weights must be 'imagenet' or null, got 'coco'"):
        EncoderUNet(3, 1, "resnet18", weights="coco")
    with pytest.raises(ValueError, match=r"arch must be one of .* got 'unet'"):
        TorchvisionModel(3, 1, "unet")
    with pytest.raises(ValueError, match=r"arch.* `nonet`"):
        SMPModel(3, 1, arch="nonet")
    with pytest.raises(ValueError, match="encoder name `noname`"):
        SMPModel(3, 1, encoder_name="noname")


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ImportError, match=r"pip install 'segbench\[smp\]'"):
        SMPModel(3, 1)


def test_smp_offline_says_what_to_do(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for encoder in ("resnet18", "tu-resnet18"):
        with pytest.raises(WeightsError) as error:
            SMPModel(3, 1, encoder_name=encoder, weights="imagenet")
        message = str(error.value)
        expected = (encoder, "model.safetensors", str(tmp_path), "model.weights=null")
        assert all(part in message for part in expected)


@pytest.mark.parametrize("arch", ["unetplusplus", "fpn", "deeplabv3plus", "segformer"])
def test_smp_by_its_names(arch):
    net = SMPModel(4, 3, arch=arch, encoder_name="resnet18").eval()
    with torch.no_grad():
        assert net(torch.randn(1, 4, 33, 47)).shape == (1, 3, 33, 47)
    assert {id(p) for p in net.encoder_parameters()} < {id(p) for p in net.parameters()}
