"""Pixels to vectors: networks, the engine that runs them, and the store that remembers."""

from twofold.embedding.ahead import ahead
from twofold.embedding.backbone import LOOK, Arithmetic, Backbone, load_backbone, offered_precisions, ranged
from twofold.embedding.content import Content, Source, look_at, picture_hash, read_content
from twofold.embedding.engine import BATCH, Engine
from twofold.embedding.headed import with_head, without_head
from twofold.embedding.home import user_machine
from twofold.embedding.inputs import image_sources
from twofold.embedding.machine import Machine
from twofold.embedding.network import check_network
from twofold.embedding.observation import Facts, Observation
from twofold.embedding.observe import observe
from twofold.embedding.probes import PROBES, Probes, probe_images
from twofold.embedding.processors import available_processors, fast_precisions
from twofold.embedding.store import Store
from twofold.embedding.table import Table
from twofold.embedding.watch import Watch, unwatched

__all__ = [
    "BATCH",
    "LOOK",
    "PROBES",
    "Arithmetic",
    "Backbone",
    "Content",
    "Engine",
    "Facts",
    "Machine",
    "Observation",
    "Probes",
    "Source",
    "Store",
    "Table",
    "Watch",
    "ahead",
    "available_processors",
    "check_network",
    "fast_precisions",
    "image_sources",
    "load_backbone",
    "look_at",
    "observe",
    "offered_precisions",
    "picture_hash",
    "probe_images",
    "ranged",
    "read_content",
    "unwatched",
    "user_machine",
    "with_head",
    "without_head",
]
