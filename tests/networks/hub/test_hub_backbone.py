"""Networks of transformers and modules of the user become backbones with equal features."""

import copy
import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import transformers
from hub_networks import save_tiny
from numpy.typing import NDArray
from runs import run
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions
from twofold.data import Preprocessing
from twofold.networks import Backbone, offered_dtypes
from twofold.networks.hub.function import function_body
from twofold.networks.hub.hub_backbone import HubNetwork, load_hub_backbone, load_hub_network
from twofold.networks.hub.repository import is_hub
from twofold.networks.modules.export import export
from twofold.networks.modules.network import Network

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
VIT = {"image_processor_type": "ViTImageProcessor", "size": 32}  # normalises with 0.5 and 0.5
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def pooled(outputs: Any) -> Tensor:
    return outputs.pooler_output.flatten(1)


def first_token(outputs: Any) -> Tensor:
    return outputs.last_hidden_state[:, 0]


FAMILIES: dict[str, Callable[[Any], Tensor]] = {
    "resnet": pooled,
    "regnet": pooled,
    "efficientnet": pooled,
    "convnext": pooled,
    "vit": first_token,
    "dinov2": first_token,
    "swin": pooled,
    "mobilenet_v2": pooled,
    "beit": pooled,
}


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("resnet", tmp_path_factory.mktemp("saved") / "tiny-resnet", **VIT)


@pytest.fixture(scope="module")
def exported_resnet(resnet: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backbone]:
    """A cache that holds the exported network, for copying, and the backbone."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, backbone(resnet, cache)


def load(name: Path | str, **options: Any) -> HubNetwork:
    return load_hub_network(BackboneOptions(backbone=str(name), **options))


def backbone(name: Path | str, cache: Path, **options: Any) -> Backbone:
    return load_hub_backbone(BackboneOptions(backbone=str(name), **options), "f32", cache=cache)


def trainable(network: HubNetwork) -> Network:
    torch.manual_seed(0)
    return Network(network.body, network.width, network.mean, network.std)


def features(network: HubNetwork, pixels: NDArray[np.uint8] = PIXELS) -> NDArray[np.float32]:
    with torch.no_grad():
        return trainable(network).eval().embed(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())[0].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_backbone_gives_the_features_of_the_network(family: str, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / family, **VIT)
    loaded = backbone(folder, tmp_path)
    assert (loaded.name, loaded.preprocessing, loaded.features, loaded.notes) == (
        family,
        Preprocessing(32, "squash", "bilinear"),
        "last",
        (),
    )
    with torch.no_grad():
        inputs = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 127.5 - 1
        outputs = transformers.AutoModel.from_pretrained(folder).eval()(pixel_values=inputs)
    expected = FAMILIES[family](outputs).numpy()
    assert expected.std(axis=0).mean() > 0.01  # they differ between images
    assert np.allclose(run(loaded, PIXELS), expected, **CLOSE)


def test_position_embeddings_are_interpolated_for_another_size(tmp_path: Path) -> None:
    folder = save_tiny("vit", tmp_path / "vit", **VIT)
    pixels = np.random.default_rng(1).integers(0, 256, (4, 40, 40, 3), np.uint8)
    exported = run(backbone(folder, tmp_path, size=40), pixels)
    assert np.allclose(exported, features(load(folder, size=40), pixels), **CLOSE)


def test_a_network_for_images_and_text_gives_its_image_features(tmp_path: Path) -> None:
    folder = save_tiny("clip", tmp_path / "clip", **VIT)
    with torch.no_grad():
        inputs = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 127.5 - 1
        outputs = transformers.AutoModel.from_pretrained(folder).eval().vision_model(pixel_values=inputs)
    assert np.allclose(features(load(folder)), outputs.pooler_output, **CLOSE)


def train(network: Network) -> None:
    """A few steps. Every trainable weight must have a gradient: training on several devices waits for each."""
    optimizer = torch.optim.AdamW(network.train().parameters(), 1e-2)
    for _ in range(3):
        network(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float()).square().sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters() if parameter.requires_grad)
        optimizer.step()
        optimizer.zero_grad()


def test_a_trained_network_is_exported_with_its_new_weights(resnet: Path) -> None:
    network = load(resnet)
    trained, before = trainable(network), features(network)
    train(trained)
    after = features(network)
    assert np.abs(after - before).max() > 0.01
    exported = Backbone("trained", export(trained, 32), network.preprocessing, "f32", "last")
    assert np.allclose(run(exported, PIXELS), after, **CLOSE)


@pytest.mark.parametrize("family", ["vit", "swin", "dinov2", "beit", "clip"])
def test_every_trainable_weight_has_a_gradient(family: str, tmp_path: Path) -> None:
    train(trainable(load(save_tiny(family, tmp_path / family, **VIT))))


def test_weights_that_features_do_not_depend_on_are_frozen(tmp_path: Path) -> None:
    body = load(save_tiny("dinov2", tmp_path / "dinov2", **VIT)).body
    frozen = [name for name, parameter in body.named_parameters() if not parameter.requires_grad]
    assert frozen == ["model.embeddings.mask_token"]


def test_a_network_that_takes_bgr_is_given_bgr(resnet: Path, tmp_path: Path) -> None:
    config = {**VIT, "do_flip_channel_order": True}
    other = save_tiny("resnet", tmp_path / "bgr", **config)
    assert np.allclose(features(load(other)), features(load(resnet), PIXELS[..., ::-1].copy()), **CLOSE)


def test_a_network_is_exported_once(resnet: Path, exported_resnet: tuple[Path, Backbone], tmp_path: Path) -> None:
    cache = shutil.copytree(exported_resnet[0], tmp_path / "cache")
    (graph_file,) = (cache / "exported").iterdir()
    assert graph_file.read_bytes() == exported_resnet[1].graph
    model = onnx.load_model_from_string(exported_resnet[1].graph)
    model.doc_string = "from the cache"
    graph_file.write_bytes(model.SerializeToString(deterministic=True))
    assert backbone(resnet, cache).graph == graph_file.read_bytes()


def test_other_weights_change_the_identity(exported_resnet: tuple[Path, Backbone], tmp_path: Path) -> None:
    folder = save_tiny("resnet", tmp_path / "resnet", **VIT)
    weights = load_file(folder / "model.safetensors")
    weights["embedder.embedder.convolution.weight"] += 0.1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    cache = shutil.copytree(exported_resnet[0], tmp_path / "cache")
    assert backbone(folder, cache).identity != exported_resnet[1].identity


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf:microsoft/resnet-50", True),
        ("networks:vgg", True),
        ("package.networks:vgg", True),
        ("a folder", True),
        ("mobilenetv2", False),  # a built-in name takes precedence over the folder
        ("folder.onnx", False),
        ("no folder", False),
        ("efficientnet-lite9", False),
        ("package.networks:vgg()", False),
    ],
)
def test_a_name_says_where_a_network_comes_from(
    name: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("a folder", "mobilenetv2", "folder.onnx"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_hub(name) is expected


def test_int8_is_not_offered_for_a_folder_even_next_to_a_json_file(resnet: Path) -> None:
    resnet.with_suffix(".json").touch()
    assert offered_dtypes(str(resnet)) == ("bf16", "f32")


def test_options_for_other_networks_raise_an_error(resnet: Path) -> None:
    with pytest.raises(UsageError, match="`weights` and `output` cannot be used with .*; leave them out"):
        load(resnet, weights=Path("w.pth"), output="x")


def damage(folder: Path, damage_name: str) -> None:
    """Damages a saved network."""
    weights = folder / "model.safetensors"
    config = json.loads((folder / "config.json").read_text())
    match damage_name:
        case "pickled":
            weights.rename(folder / "pytorch_model.bin")
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "lacking":
            remaining = {name: value for name, value in load_file(weights).items() if "encoder" not in name}
            save_file(remaining, weights, metadata={"format": "pt"})
        case "unknown":
            config["model_type"] = "brand-new"
        case "code":
            config |= {"model_type": "brand-new", "auto_map": {"AutoModel": "modeling_new.NewModel"}}
            (folder / "modeling_new.py").write_text("raise SystemExit('code of the repository was run')")
        case "text":
            (folder / "config.json").unlink()
            tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
            transformers.BertModel(transformers.BertConfig(**tiny, vocab_size=20)).save_pretrained(folder)
            return
        case "no config":
            (folder / "config.json").unlink()
            return
        case "nonsense":
            (folder / "config.json").write_text("{")
            return
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage_name", "message"),
    [
        ("pickled", r"has no model.safetensors; pickled weights \(.bin, .pt\) could run code and are not read"),
        ("cut", "cannot be loaded by transformers"),
        ("lacking", r"The weights of .* lack encoder\..* and \d+ others; download them again."),
        ("unknown", "cannot be loaded by transformers .*brand-new"),
        ("code", "contains code, which twofold does not run"),
        ("text", "does not take images"),
        ("no config", "has no config.json, so it is not a network saved by transformers"),
        ("nonsense", r"config.json cannot be read \(.*\); get that file again"),
    ],
)
def test_a_damaged_network_raises_an_error(damage_name: str, message: str, tmp_path: Path) -> None:
    folder = save_tiny("resnet", tmp_path / "resnet", **VIT)
    damage(folder, damage_name)
    with pytest.raises(BackboneError, match=message):
        load(folder)


def test_a_random_network_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="returns different features for the same image each time"):
        load(save_tiny("vit_mae", tmp_path / "mae", **VIT))


def test_an_unsupported_size_raises_an_error(tmp_path: Path) -> None:
    folder = save_tiny("vit", tmp_path / "vit", **VIT)
    with pytest.raises(BackboneError, match="does not run on images of 4 x 4 pixels"):
        load(folder, size=4)


def test_loading_prints_nothing(resnet: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(resnet)
    assert capfd.readouterr() == ("", "")


PROGRAM = """
import torch
from torch import nn

class Picky(nn.Module):
    def forward(self, x):
        return {} if x.ndim == 4 else x

class Halved(nn.Module):
    def forward(self, x):
        return x[:, :, ::2, ::2]

def halved():
    return Halved()

def mapped():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3, stride=2), nn.ReLU())

def flat():
    return nn.Sequential(mapped(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def picky():
    return Picky()

def seven():
    return 7

def random():
    return nn.Conv2d(3, 5, 3, stride=2)

def failing():
    raise RuntimeError("no such weights")
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a module in the working folder, different in each test."""
    name = f"user_module_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


def test_a_module_of_the_user_is_a_backbone(program: str, tmp_path: Path) -> None:
    scale: dict[str, Any] = {"mean": (127.5,) * 3, "std": (127.5,) * 3}
    loaded = [backbone(f"{program}:{function}", tmp_path, size=32, **scale) for function in ("mapped", "flat")]
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, stride=2)
    with torch.no_grad():
        inputs = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 127.5 - 1
        expected = conv(inputs).relu().mean((2, 3)).numpy()
    assert all(np.allclose(run(each, PIXELS), expected, **CLOSE) for each in loaded)
    assert (loaded[0].name, loaded[0].preprocessing, loaded[0].notes) == (
        f"{program}:mapped",
        Preprocessing(32, "center", "bilinear"),
        (),
    )
    assert len(list((tmp_path / "exported").glob("*.onnx"))) == 2


def test_a_function_needs_a_size_and_is_assumed_to_use_the_normalisation_of_imagenet(program: str) -> None:
    assert [note.code for note in load(f"{program}:mapped", size=32).notes] == ["assumed-preprocessing"]
    with pytest.raises(UsageError, match="does not state its image size; choose one with `size`"):
        load(f"{program}:mapped")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("maped", r"has no maped \(did you mean 'mapped'\?\)"),
        ("seven", r"\(\) returns a int; it must return a torch.nn.Module"),
        ("failing", r"\(\) failed \(RuntimeError: no such weights\)"),
        ("picky", r"returns a dict; it must return features \(n, d\) or maps \(n, c, h, w\)"),
    ],
)
def test_a_function_that_returns_no_network_raises_an_error(function: str, message: str, program: str) -> None:
    with pytest.raises(BackboneError, match=message):
        load(f"{program}:{function}", size=32)


def test_random_weights_of_a_function_are_equal_at_each_call(program: str) -> None:
    """The head is fitted on the features of the first call, and trained with the network of the second."""
    before = torch.get_rng_state()
    first, second = (function_body(f"{program}:random", 32)[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_another_process_can_unpickle_a_network_of_the_user(program: str) -> None:
    """Processes that train together each import the user's module, which is not on their `sys.path`."""
    body, _ = function_body(f"{program}:halved", 32)
    data = pickle.dumps(body)
    del sys.modules[program]
    assert pickle.loads(data)(torch.ones(1, 3, 32, 32))[1].shape == (1, 3, 16, 16)


def test_a_function_does_not_change_the_import_path(program: str) -> None:
    before = [*sys.path]
    body, _ = function_body(f"{program}:flat", 32)
    assert copy.deepcopy(body)(torch.ones(1, 3, 32, 32))[0].shape == (1, 5)
    assert sys.path == before


def test_a_module_that_cannot_be_imported_raises_an_error() -> None:
    with pytest.raises(BackboneError, match=r"nowhere.to_be cannot be imported \(No module named 'nowhere'\)"):
        load("nowhere.to_be:network", size=32)
