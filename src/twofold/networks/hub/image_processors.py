"""The default settings of the image processors of transformers, for what a `preprocessor_config.json` leaves out."""

from typing import Any, Final

_STANDARD: Final = (0.5, 0.5, 0.5)
_IMAGENET: Final = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_CLIP: Final = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
_BILINEAR, _BICUBIC = 2, 3  # Pillow's numbers

DEFAULTS: Final[dict[str, Any]] = {
    "do_resize": True,
    "do_center_crop": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": _STANDARD,
    "image_std": _STANDARD,
    "resample": _BICUBIC,
}
_CROPPED: Final = {"do_center_crop": True, "crop_size": 224}
# By class name without "ImageProcessor". The tests compare them with those classes.
PROCESSORS: Final[dict[str, dict[str, Any]]] = {
    "Beit": {"size": 224, "crop_size": 224},
    "Bit": {"size": {"shortest_edge": 224}, **_CROPPED, **_CLIP},
    "Blip": {"size": 384, **_CLIP},
    "CLIP": {"size": {"shortest_edge": 224}, **_CROPPED, **_CLIP},
    "ConvNext": {"size": {"shortest_edge": 384}, "crop_pct": 224 / 256},
    "DINOv3ViT": {"size": 224, "resample": _BILINEAR, **_IMAGENET},
    "DeiT": {"size": 256, **_CROPPED},
    "EfficientNet": {"size": 346, "crop_size": 289, "include_top": True},
    "Levit": {"size": {"shortest_edge": 224}, **_CROPPED, **_IMAGENET},
    "MobileNetV1": {"size": {"shortest_edge": 256}, **_CROPPED, "resample": _BILINEAR},
    "MobileNetV2": {"size": {"shortest_edge": 256}, **_CROPPED, "resample": _BILINEAR},
    "MobileViT": {
        "size": {"shortest_edge": 224},
        **_CROPPED,
        "crop_size": 256,
        "do_normalize": False,
        "do_flip_channel_order": True,
    },
    "PoolFormer": {"size": {"shortest_edge": 224}, **_CROPPED, **_IMAGENET, "crop_pct": 0.9},
    "Pvt": {"size": 224, **_IMAGENET},
    "Siglip": {"size": 224},
    "ViT": {"size": 224, "resample": _BILINEAR},
}
