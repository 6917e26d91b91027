"""Images to features: the engine that runs a backbone, the feature table, and the store between runs."""

from twofold.embedding.content import Content, Source, pixel_hash, preprocess_content, read_content
from twofold.embedding.embed import embed_batch, make_feature_row
from twofold.embedding.engine import BATCH, Engine, InferenceRequest
from twofold.embedding.evidence_maps import EvidenceMap, coarsen, compute_evidence_map, find_pattern
from twofold.embedding.evidence_network import EvidenceNetwork, UnknownPoolingError
from twofold.embedding.feature_table import FeatureRow, FeatureTable, Metadata, collect_features
from twofold.embedding.inputs import image_sources, stream_sources
from twofold.embedding.occlusion import PATCHES, covered_logits, occlude
from twofold.embedding.probes import PROBES, Probes, probe_images
from twofold.embedding.runtime import Runtime, cached_runtime
from twofold.embedding.store import Store

__all__ = [
    "BATCH",
    "PATCHES",
    "PROBES",
    "Content",
    "Engine",
    "EvidenceMap",
    "EvidenceNetwork",
    "FeatureRow",
    "FeatureTable",
    "InferenceRequest",
    "Metadata",
    "Probes",
    "Runtime",
    "Source",
    "Store",
    "UnknownPoolingError",
    "cached_runtime",
    "coarsen",
    "collect_features",
    "compute_evidence_map",
    "covered_logits",
    "embed_batch",
    "find_pattern",
    "image_sources",
    "make_feature_row",
    "occlude",
    "pixel_hash",
    "preprocess_content",
    "probe_images",
    "read_content",
    "stream_sources",
]
