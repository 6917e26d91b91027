"""Backbones: built in, from an ONNX file, from the hub, or from the user's function."""

from twofold.networks.backbone import Backbone, with_intensity_ranges
from twofold.networks.dtypes import Dtype, choose_dtype, fast_dtypes, processor_features, processor_name
from twofold.networks.last_pooling import last_pooling
from twofold.networks.loading import is_trainable, load_backbone, offered_dtypes
from twofold.networks.onnx_check import check_network
from twofold.networks.onnx_scores import read_familiarity, with_scores, without_scores
from twofold.networks.score_graph import Scoring

__all__ = [
    "Backbone",
    "Dtype",
    "Scoring",
    "check_network",
    "choose_dtype",
    "fast_dtypes",
    "is_trainable",
    "last_pooling",
    "load_backbone",
    "offered_dtypes",
    "processor_features",
    "processor_name",
    "read_familiarity",
    "with_intensity_ranges",
    "with_scores",
    "without_scores",
]
