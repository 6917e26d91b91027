"""Networks of transformers, and modules of one's own, become backbones that give what they themselves give."""

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
from twofold.networks.hub.hub_backbone import HubNetwork, hub_backbone, load_hub
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
def exported(resnet: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backbone]:
    """A cache with that network exported into it, for copying, and the backbone."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, backbone(resnet, cache)


def load(name: Path | str, **options: Any) -> HubNetwork:
    return load_hub(BackboneOptions(backbone=str(name), **options))


def backbone(name: Path | str, cache: Path, **options: Any) -> Backbone:
    return hub_backbone(BackboneOptions(backbone=str(name), **options), "f32", cache=cache)


def whole(network: HubNetwork) -> Network:
    torch.manual_seed(0)
    return Network(network.body, network.width, network.mean, network.std)


def features(network: HubNetwork, pixels: NDArray[np.uint8] = PIXELS) -> NDArray[np.float32]:
    with torch.no_grad():
        return whole(network).eval().seen(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())[0].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_backbone_gives_the_vectors_of_the_network(family: str, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / family, **VIT)
    made = backbone(folder, tmp_path)
    assert (made.name, made.preprocessing, made.features, made.notes) == (
        family,
        Preprocessing(32, "squash", "bilinear"),
        "last",
        (),
    )
    with torch.no_grad():
        inputs = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 127.5 - 1
        outputs = transformers.AutoModel.from_pretrained(folder).eval()(pixel_values=inputs)
    expected = FAMILIES[family](outputs).numpy()
    assert expected.std(axis=0).mean() > 0.01  # of different pictures they differ
    assert np.allclose(run(made, PIXELS), expected, **CLOSE)


def test_squares_of_another_size_have_their_positions_interpolated(tmp_path: Path) -> None:
    folder = save_tiny("vit", tmp_path / "vit", **VIT)
    pixels = np.random.default_rng(1).integers(0, 256, (4, 40, 40, 3), np.uint8)
    found = run(backbone(folder, tmp_path, size=40), pixels)
    assert np.allclose(found, features(load(folder, size=40), pixels), **CLOSE)


def test_of_a_network_for_pictures_and_text_the_half_for_pictures_is_taken(tmp_path: Path) -> None:
    folder = save_tiny("clip", tmp_path / "clip", **VIT)
    with torch.no_grad():
        inputs = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 127.5 - 1
        outputs = transformers.AutoModel.from_pretrained(folder).eval().vision_model(pixel_values=inputs)
    assert np.allclose(features(load(folder)), outputs.pooler_output, **CLOSE)


def learn(network: Network) -> None:
    """Some steps; on several devices each would wait for the gradient of every weight that is learned."""
    optimizer = torch.optim.AdamW(network.train().parameters(), 1e-2)
    for _ in range(3):
        network(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float()).square().sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters() if parameter.requires_grad)
        optimizer.step()
        optimizer.zero_grad()


def test_what_was_learned_is_exported_again(resnet: Path) -> None:
    network = load(resnet)
    learned, before = whole(network), features(network)
    learn(learned)
    after = features(network)
    assert np.abs(after - before).max() > 0.01
    made = Backbone("learned", export(learned, 32), network.preprocessing, "f32", "last")
    assert np.allclose(run(made, PIXELS), after, **CLOSE)


@pytest.mark.parametrize("family", ["vit", "swin", "dinov2", "beit", "clip"])
def test_every_weight_that_is_learned_has_a_gradient(family: str, tmp_path: Path) -> None:
    learn(whole(load(save_tiny(family, tmp_path / family, **VIT))))


def test_what_the_vector_does_not_depend_on_is_not_learned(tmp_path: Path) -> None:
    body = load(save_tiny("dinov2", tmp_path / "dinov2", **VIT)).body
    frozen = [name for name, parameter in body.named_parameters() if not parameter.requires_grad]
    assert frozen == ["model.embeddings.mask_token"]


def test_a_network_that_takes_blue_first_is_given_blue_first(resnet: Path, tmp_path: Path) -> None:
    about = {**VIT, "do_flip_channel_order": True}
    other = save_tiny("resnet", tmp_path / "blue", **about)
    assert np.allclose(features(load(other)), features(load(resnet), PIXELS[..., ::-1].copy()), **CLOSE)


def test_a_network_is_exported_once(resnet: Path, exported: tuple[Path, Backbone], tmp_path: Path) -> None:
    cache = shutil.copytree(exported[0], tmp_path / "cache")
    (kept,) = (cache / "exported").iterdir()
    assert kept.read_bytes() == exported[1].graph
    model = onnx.load_model_from_string(exported[1].graph)
    model.doc_string = "what lies there is taken"
    kept.write_bytes(model.SerializeToString(deterministic=True))
    assert backbone(resnet, cache).graph == kept.read_bytes()


def test_other_weights_make_another_backbone(exported: tuple[Path, Backbone], tmp_path: Path) -> None:
    folder = save_tiny("resnet", tmp_path / "resnet", **VIT)
    weights = load_file(folder / "model.safetensors")
    weights["embedder.embedder.convolution.weight"] += 0.1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    cache = shutil.copytree(exported[0], tmp_path / "cache")
    assert backbone(folder, cache).identity != exported[1].identity


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf:microsoft/resnet-50", True),
        ("networks:vgg", True),
        ("package.networks:vgg", True),
        ("a folder", True),
        ("mobilenetv2", False),  # though there is a folder of this name
        ("folder.onnx", False),
        ("no folder", False),
        ("efficientnet-lite9", False),
        ("package.networks:vgg()", False),
    ],
)
def test_names_tell_where_a_network_comes_from(
    name: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("a folder", "mobilenetv2", "folder.onnx"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_hub(name) is expected


def test_int8_is_not_offered_for_a_folder_whatever_lies_beside_it(resnet: Path) -> None:
    resnet.with_suffix(".json").touch()
    assert offered_dtypes(str(resnet)) == ("bf16", "f32")


def test_options_for_other_networks_are_refused(resnet: Path) -> None:
    with pytest.raises(UsageError, match="`weights` and `output` cannot be used with"):
        load(resnet, weights=Path("w.pth"), output="x")


def damage(folder: Path, how: str) -> None:
    """Spoils a saved network."""
    weights = folder / "model.safetensors"
    config = json.loads((folder / "config.json").read_text())
    match how:
        case "pickled":
            weights.rename(folder / "pytorch_model.bin")
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "lacking":
            kept = {name: value for name, value in load_file(weights).items() if "encoder" not in name}
            save_file(kept, weights, metadata={"format": "pt"})
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
    ("how", "told"),
    [
        ("pickled", r"holds no model.safetensors; pickled weights \(.bin, .pt\) could run code and are not read"),
        ("cut", "cannot be loaded by transformers"),
        ("lacking", r"The weights of .* lack encoder\..* and \d+ others; get them again."),
        ("unknown", "cannot be loaded by transformers .*brand-new"),
        ("code", "brings code of its own, which twofold does not run"),
        ("text", "is no network for pictures"),
        ("no config", "holds no config.json, so it is no network that transformers saved"),
        ("nonsense", r"config.json cannot be read \(.*\); get that file again"),
    ],
)
def test_what_cannot_be_loaded_is_told(how: str, told: str, tmp_path: Path) -> None:
    folder = save_tiny("resnet", tmp_path / "resnet", **VIT)
    damage(folder, how)
    with pytest.raises(BackboneError, match=told):
        load(folder)


def test_a_network_that_draws_at_random_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="gives the same picture another vector each time"):
        load(save_tiny("vit_mae", tmp_path / "mae", **VIT))


def test_squares_that_a_network_does_not_take_are_told(tmp_path: Path) -> None:
    folder = save_tiny("vit", tmp_path / "vit", **VIT)
    with pytest.raises(BackboneError, match="does not run on squares of 4 pixels"):
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
    """The name of a module in the working folder, another one in each test."""
    name = f"mine_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


def test_a_module_of_ones_own_is_a_backbone(program: str, tmp_path: Path) -> None:
    scale: dict[str, Any] = {"mean": (127.5,) * 3, "std": (127.5,) * 3}
    made = [backbone(f"{program}:{function}", tmp_path, size=32, **scale) for function in ("mapped", "flat")]
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, stride=2)
    with torch.no_grad():
        inputs = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 127.5 - 1
        expected = conv(inputs).relu().mean((2, 3)).numpy()
    assert all(np.allclose(run(one, PIXELS), expected, **CLOSE) for one in made)
    assert (made[0].name, made[0].preprocessing, made[0].notes) == (
        f"{program}:mapped",
        Preprocessing(32, "center", "bilinear"),
        (),
    )
    assert len(list((tmp_path / "exported").glob("*.onnx"))) == 2


def test_imagenets_scale_stands_in_and_the_size_must_be_said(program: str) -> None:
    assert [note.code for note in load(f"{program}:mapped", size=32).notes] == ["assumed-preprocessing"]
    with pytest.raises(UsageError, match="does not say what size of square it takes; say it with `size`"):
        load(f"{program}:mapped")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("maped", r"has no maped \(did you mean 'mapped'\?\)"),
        ("seven", r"\(\) gives a int; it must give a torch.nn.Module"),
        ("failing", r"\(\) failed \(RuntimeError: no such weights\)"),
        ("picky", r"gives a dict; it must give vectors \(n, d\) or maps \(n, c, h, w\)"),
    ],
)
def test_a_function_that_gives_no_network_is_told(function: str, told: str, program: str) -> None:
    with pytest.raises(BackboneError, match=told):
        load(f"{program}:{function}", size=32)


def test_what_a_function_draws_at_random_is_the_same_each_time(program: str) -> None:
    """The head is fitted on what the first gives, and learned with the second."""
    before = torch.get_rng_state()
    first, second = (function_body(f"{program}:random", 32)[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_process_that_learns_with_others_can_be_handed_a_network_of_ones_own(program: str) -> None:
    """It is given the folders that modules are looked for in, and imports the program itself."""
    body, _ = function_body(f"{program}:halved", 32)
    handed = pickle.dumps(body)
    del sys.modules[program]
    assert pickle.loads(handed)(torch.ones(1, 3, 32, 32))[1].shape == (1, 3, 16, 16)


def test_a_module_that_cannot_be_imported_is_told() -> None:
    with pytest.raises(BackboneError, match=r"nowhere.to_be cannot be imported \(No module named 'nowhere'\)"):
        load("nowhere.to_be:found", size=32)
