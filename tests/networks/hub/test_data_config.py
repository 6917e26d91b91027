"""The way from a picture to a network of transformers, compared with transformers' own image processors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from numpy.typing import NDArray
from PIL import Image

from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions
from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.networks.hub.data_config import DataConfig, read_preprocessing
from twofold.networks.hub.image_processors import ANY, KINDS

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}

# As they stand on the hub, by the network they came with.
HUB = {
    "resnet-50": {
        "crop_pct": 0.875,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "ConvNextFeatureExtractor",
        **IMAGENET,
        "resample": 3,
        "size": 224,
    },
    "convnext-384": {
        "crop_pct": 0.875,
        "image_processor_type": "ConvNextImageProcessor",
        **IMAGENET,
        "resample": 3,
        "size": {"shortest_edge": 384},
    },
    "efficientnet-b0": {
        "crop_size": {"height": 289, "width": 289},
        "do_center_crop": False,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.47853944, 0.4732864, 0.47434163],
        "image_processor_type": "EfficientNetImageProcessor",
        "include_top": True,
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "rescale_offset": False,
        "size": {"height": 224, "width": 224},
    },
    "vit-base": {
        "do_normalize": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "feature_extractor_type": "ViTFeatureExtractor",
        "size": 224,
    },
    "dinov2": {
        "crop_size": {"height": 224, "width": 224},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "image_processor_type": "BitImageProcessor",
        **IMAGENET,
        "resample": 3,
        "size": {"shortest_edge": 256},
    },
    "swin-tiny": {"feature_extractor_type": "ViTFeatureExtractor", **IMAGENET, "resample": 3, "size": 224},
    "mobilenet_v2": {
        "crop_size": {"height": 224, "width": 224},
        "do_center_crop": True,
        "feature_extractor_type": "MobileNetV2FeatureExtractor",
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
        "size": {"shortest_edge": 256},
    },
    "clip": {"crop_size": 224, "do_center_crop": True, "feature_extractor_type": "CLIPFeatureExtractor", "size": 224},
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": 224, "width": 224}},
    "poolformer": {"image_processor_type": "PoolFormerImageProcessor", "crop_pct": 0.95, "size": 224},
    "levit": {"feature_extractor_type": "LevitFeatureExtractor", "size": 224},
    "mobilevit": {"image_processor_type": "MobileViTImageProcessor", "size": {"shortest_edge": 288}, "crop_size": 256},
    "mobilenet_v1": {"image_processor_type": "MobileNetV1ImageProcessor"},
    "pvt": {"image_processor_type": "PvtImageProcessor"},
    "offset": {
        "image_processor_type": "EfficientNetImageProcessor",
        "rescale_offset": True,
        "rescale_factor": 1 / 127.5,
    },
}


def read(about: dict[str, Any] | None, *, image_size: int | None = None, **options: Any) -> DataConfig:
    return read_preprocessing(about, image_size, BackboneOptions(backbone="hf:a/b", **options), "hf:a/b")


def ours(config: DataConfig, image: Image.Image) -> NDArray[np.float64]:
    """What the network is given, (3, size, size)."""
    seen = preprocess(image, config.preprocessing)
    assert isinstance(seen, PreprocessedImage)
    pixels = (seen.model_input.astype(float) - config.mean) / config.std
    return (pixels[..., ::-1] if config.reversed else pixels).transpose(2, 0, 1)


def smooth(width: int = 400, height: int = 300) -> Image.Image:
    """Slow waves: half a pixel aside, by which transformers rounds, colours differ by one or two."""
    y, x = np.mgrid[:height, :width][..., np.newaxis]
    waves = np.sin(x / np.array([31, -40, 52]) + 1) + np.sin(y / np.array([43, 35, -29]) + 2)
    return Image.fromarray((128 + 60 * waves).astype(np.uint8))


def theirs(about: dict[str, Any], folder: Path, image: Image.Image) -> NDArray[np.float64]:
    (folder / "preprocessor_config.json").write_text(json.dumps(about), encoding="utf-8")
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor(image, return_tensors="np")["pixel_values"][0].astype(float)


@pytest.mark.parametrize("name", HUB)
def test_a_network_is_given_what_transformers_gives_it(name: str, tmp_path: Path) -> None:
    config = read(HUB[name])
    assert config.notes == ()
    mine, expected = ours(config, smooth()), theirs(HUB[name], tmp_path, smooth())
    assert mine.shape == expected.shape
    off = np.abs(mine - expected) * np.array(config.std)[:, None, None]  # in steps of 255
    assert off.max() < (0.01 if config.preprocessing.crop_mode == "squash" else 4.5)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if hasattr(transformers, f"{kind}ImageProcessorPil")])
def test_what_a_file_leaves_out_is_what_transformers_takes(kind: str) -> None:
    whole = {**ANY, **KINDS[kind]}
    true = getattr(transformers, f"{kind}ImageProcessorPil")().to_dict()
    for key, value in whole.items():
        if key == "crop_size" and not whole["do_center_crop"]:
            continue
        if key in ("size", "crop_size") and isinstance(value, int):
            value = {"height": value, "width": value}
        expected = true.get(key) or False
        assert value == (tuple(expected) if isinstance(expected, list) else expected), key


def test_the_share_that_is_kept_is_read() -> None:
    assert read(HUB["dinov2"]).preprocessing == Preprocessing(224, "center", "bicubic", 224 / 256)
    assert read(HUB["mobilevit"]).preprocessing.crop_pct == pytest.approx(256 / 288)
    assert read(HUB["clip"]).preprocessing.crop_pct == 1
    assert read(HUB["convnext-384"]).preprocessing.crop_mode == "squash"


def test_options_come_before_the_file() -> None:
    config = read(
        HUB["dinov2"], size=112, crop_mode="pad", filter="bilinear", mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)
    )
    assert config.preprocessing == Preprocessing(112, "pad", "bilinear")
    assert (config.mean, config.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert read(HUB["dinov2"], size=112).preprocessing.crop_pct == 224 / 256


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"image_processor_type": "ViTImageProcessor", "resample": 0}, "resized by nearest"),
        ({"image_processor_type": "DeiTImageProcessor"}, "stretched before their middle is taken"),
        ({"image_processor_type": "NewImageProcessor", "size": 224}, "a New processor, read by its keys alone"),
        ({"image_processor_type": "BitImageProcessor", "do_center_crop": False}, "what is beside the middle is seen"),
        ({"image_processor_type": "BitImageProcessor", "crop_size": 256}, "resized to 224 pixels and laid on black"),
        ({"image_processor_type": "BitImageProcessor", "do_resize": False}, "are not resized"),
    ],
)
def test_what_a_square_cannot_follow_is_told(about: dict[str, Any], told: str) -> None:
    (note,) = read(about).notes
    assert (note.code, told in note.text) == ("other-preprocessing", True), note.text


def test_imagenets_stands_in_where_nothing_is_said() -> None:
    config = read(None, image_size=64)
    assert (config.preprocessing, [note.code for note in config.notes]) == (
        Preprocessing(64, "center", "bilinear"),
        ["assumed-preprocessing"],
    )
    assert read(None, image_size=64, mean=(0.0,) * 3, std=(255.0,) * 3).notes == ()


def test_what_makes_no_sense_is_told() -> None:
    kind = {"image_processor_type": "ViTImageProcessor"}
    with pytest.raises(BackboneError, match="takes pictures of 64 x 32; twofold gives squares"):
        read({**kind, "size": {"height": 32, "width": 64}})
    with pytest.raises(BackboneError, match="takes pictures of 1 channels"):
        read({**kind, "image_mean": [0.5], "image_std": [0.5]})
    for nonsense in ({"size": "large"}, {"rescale_factor": 0}, {"resample": 17}, {"size": {"edge": 3}}):
        with pytest.raises(BackboneError, match="makes no sense"):
            read({**kind, **nonsense})
    with pytest.raises(UsageError, match="say it with `size`"):
        read(None)
    with pytest.raises(UsageError, match="`std` must be above 0"):
        read(HUB["clip"], std=(0.0, 1.0, 1.0))
