"""The preprocessing of transformers networks equals that of the image processors of transformers."""

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
from twofold.networks.hub.image_processors import DEFAULTS, PROCESSORS

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}

# Configurations from the hub, by network.
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


def read(config: dict[str, Any] | None, *, image_size: int | None = None, **options: Any) -> DataConfig:
    return read_preprocessing(config, image_size, BackboneOptions(backbone="hf:a/b", **options), "hf:a/b")


def network_input(config: DataConfig, image: Image.Image) -> NDArray[np.float64]:
    """The input of the network, (3, size, size)."""
    preprocessed = preprocess(image, config.preprocessing)
    assert isinstance(preprocessed, PreprocessedImage)
    pixels = (preprocessed.model_input.astype(float) - config.mean) / config.std
    return (pixels[..., ::-1] if config.bgr else pixels).transpose(2, 0, 1)


def smooth(width: int = 400, height: int = 300) -> Image.Image:
    """Slow waves: transformers rounds positions by up to half a pixel, which changes these colours by one or two."""
    y, x = np.mgrid[:height, :width][..., np.newaxis]
    waves = np.sin(x / np.array([31, -40, 52]) + 1) + np.sin(y / np.array([43, 35, -29]) + 2)
    return Image.fromarray((128 + 60 * waves).astype(np.uint8))


def transformers_input(config: dict[str, Any], folder: Path, image: Image.Image) -> NDArray[np.float64]:
    (folder / "preprocessor_config.json").write_text(json.dumps(config), encoding="utf-8")
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor(image, return_tensors="np")["pixel_values"][0].astype(float)


@pytest.mark.parametrize("name", HUB)
def test_the_network_input_equals_that_of_transformers(name: str, tmp_path: Path) -> None:
    config = read(HUB[name])
    assert config.notes == ()
    actual, expected = network_input(config, smooth()), transformers_input(HUB[name], tmp_path, smooth())
    assert actual.shape == expected.shape
    difference = np.abs(actual - expected) * np.array(config.std)[:, None, None]  # for pixels from 0 to 255
    assert difference.max() < (0.01 if config.preprocessing.crop_mode == "squash" else 4.5)


@pytest.mark.parametrize(
    "processor", [name for name in PROCESSORS if hasattr(transformers, f"{name}ImageProcessorPil")]
)
def test_defaults_equal_those_of_transformers(processor: str) -> None:
    settings = {**DEFAULTS, **PROCESSORS[processor]}
    reference = getattr(transformers, f"{processor}ImageProcessorPil")().to_dict()
    for key, value in settings.items():
        if key == "crop_size" and not settings["do_center_crop"]:
            continue
        if key in ("size", "crop_size") and isinstance(value, int):
            value = {"height": value, "width": value}
        expected = reference.get(key) or False
        assert value == (tuple(expected) if isinstance(expected, list) else expected), key


def test_the_crop_pct_is_read() -> None:
    assert read(HUB["dinov2"]).preprocessing == Preprocessing(224, "center", "bicubic", 224 / 256)
    assert read(HUB["mobilevit"]).preprocessing.crop_pct == pytest.approx(256 / 288)
    assert read(HUB["clip"]).preprocessing.crop_pct == 1
    assert read(HUB["convnext-384"]).preprocessing.crop_mode == "squash"


def test_options_take_precedence_over_the_configuration() -> None:
    config = read(
        HUB["dinov2"], size=112, crop_mode="pad", filter="bilinear", mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)
    )
    assert config.preprocessing == Preprocessing(112, "pad", "bilinear")
    assert (config.mean, config.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert read(HUB["dinov2"], size=112).preprocessing.crop_pct == 224 / 256


@pytest.mark.parametrize(
    ("config", "deviation"),
    [
        ({"image_processor_type": "ViTImageProcessor", "resample": 0}, "resize filter is nearest"),
        ({"image_processor_type": "DeiTImageProcessor"}, "to a square before the center crop"),
        ({"image_processor_type": "NewImageProcessor", "size": 224}, "the image processor New is unknown"),
        ({"image_processor_type": "BitImageProcessor", "do_center_crop": False}, "does not crop images to a square"),
        ({"image_processor_type": "BitImageProcessor", "crop_size": 256}, "to 224 pixels and pads them with black"),
        ({"image_processor_type": "BitImageProcessor", "do_resize": False}, "does not resize images"),
    ],
)
def test_an_approximated_setting_is_noted(config: dict[str, Any], deviation: str) -> None:
    (note,) = read(config).notes
    assert (note.code, deviation in note.text) == ("other-preprocessing", True), note.text


def test_the_normalisation_of_imagenet_is_assumed_without_a_configuration() -> None:
    config = read(None, image_size=64)
    assert (config.preprocessing, [note.code for note in config.notes]) == (
        Preprocessing(64, "center", "bilinear"),
        ["assumed-preprocessing"],
    )
    assert read(None, image_size=64, mean=(0.0,) * 3, std=(255.0,) * 3).notes == ()


def test_an_invalid_configuration_raises_an_error() -> None:
    processor = {"image_processor_type": "ViTImageProcessor"}
    with pytest.raises(BackboneError, match="takes images of 64 x 32 pixels; twofold's model inputs are square"):
        read({**processor, "size": {"height": 32, "width": 64}})
    with pytest.raises(BackboneError, match="takes images with 1 channels"):
        read({**processor, "image_mean": [0.5], "image_std": [0.5]})
    for invalid in ({"size": "large"}, {"rescale_factor": 0}, {"resample": 17}, {"size": {"edge": 3}}):
        with pytest.raises(BackboneError, match="is not valid"):
            read({**processor, **invalid})
    with pytest.raises(UsageError, match="choose one with `size`"):
        read(None)
    with pytest.raises(UsageError, match="`std` must be above 0"):
        read(HUB["clip"], std=(0.0, 1.0, 1.0))
