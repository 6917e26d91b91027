"""Pixels to vectors: networks, the engine that runs them, and the store that remembers."""

from twofold.embedding.ahead import ahead
from twofold.embedding.backbone import LOOK, Arithmetic, Backbone, load_backbone, offered_precisions
from twofold.embedding.content import Content, Source, look_at, picture_hash, read_content
from twofold.embedding.engine import BATCH, Engine
from twofold.embedding.headed import with_head, without_head
from twofold.embedding.machine import Machine
from twofold.embedding.network import check_network
from twofold.embedding.observation import Facts, Observation
from twofold.embedding.observe import observe
from twofold.embedding.processors import available_processors, fast_precisions
from twofold.embedding.store import Store
from twofold.embedding.table import Table
from twofold.embedding.watch import Watch, unwatched

__all__ = [
    "BATCH",
    "LOOK",
    "Arithmetic",
    "Backbone",
    "Content",
    "Engine",
    "Facts",
    "Machine",
    "Observation",
    "Source",
    "Store",
    "Table",
    "Watch",
    "ahead",
    "available_processors",
    "check_network",
    "fast_precisions",
    "load_backbone",
    "look_at",
    "observe",
    "offered_precisions",
    "picture_hash",
    "read_content",
    "unwatched",
    "with_head",
    "without_head",
]
