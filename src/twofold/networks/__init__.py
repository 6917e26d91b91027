"""Backbones: built in, from an ONNX file, from the hub, or from the user's function."""

from twofold.networks.backbone import Backbone, with_intensity_ranges
from twofold.networks.dtypes import Dtype, choose_dtype, fast_dtypes, processor_name
from twofold.networks.loading import is_trainable, load_backbone, offered_dtypes
from twofold.networks.onnx_check import check_network
from twofold.networks.onnx_head import with_head, without_head

__all__ = [
    "Backbone",
    "Dtype",
    "check_network",
    "choose_dtype",
    "fast_dtypes",
    "is_trainable",
    "load_backbone",
    "offered_dtypes",
    "processor_name",
    "with_head",
    "with_intensity_ranges",
    "without_head",
]
