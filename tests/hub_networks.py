"""Small transformers networks with random weights, saved as on the hub."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

_VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_PATCHES = {"image_size": 32, "patch_size": 8}
_SWIN = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4, "image_size": 32}

CONFIGS: dict[str, Callable[[], Any]] = {
    "resnet": lambda: transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic"
    ),
    "regnet": lambda: transformers.RegNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], groups_width=8),
    "efficientnet": lambda: transformers.EfficientNetConfig(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        image_size=32,
        kernel_sizes=[3, 5],
        in_channels=[32, 8],
        out_channels=[8, 16],
        depthwise_padding=[],
        strides=[1, 2],
        num_block_repeats=[1, 2],
        expand_ratios=[1, 4],
    ),
    "convnext": lambda: transformers.ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2),
    "vit": lambda: transformers.ViTConfig(**_VIT, **_PATCHES),
    "dinov2": lambda: transformers.Dinov2Config(**_VIT, image_size=48, patch_size=8),
    "swin": lambda: transformers.SwinConfig(**_SWIN),
    "mobilenet_v2": lambda: transformers.MobileNetV2Config(depth_multiplier=0.1, image_size=32),
    "beit": lambda: transformers.BeitConfig(**_VIT, **_PATCHES, use_relative_position_bias=True),
    "deit": lambda: transformers.DeiTConfig(**_VIT, **_PATCHES),
    "clip": lambda: transformers.CLIPConfig(
        vision_config={**_VIT, **_PATCHES},
        text_config={**_VIT, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1},
    ),
    "vit_mae": lambda: transformers.ViTMAEConfig(**_VIT, **_PATCHES),
}


def save_tiny(family: str, folder: Path, **preprocessing: Any) -> Path:
    """Saves a network of the family in `folder`, with these settings in its `preprocessor_config.json`."""
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(CONFIGS[family]())
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    if norms:  # with the initial weights of transformers, some networks give nearly equal features for all images
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        for norm in norms:
            norm.momentum = 1.0
            nn.init.ones_(norm.weight)
        model.train()(pixel_values=torch.randn(32, 3, 32, 32))
    model.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing), encoding="utf-8")
    return folder
