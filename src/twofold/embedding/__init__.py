"""Pixels to vectors: networks, the engine that runs them, and the store that remembers."""

from twofold.embedding.backbone import Arithmetic, Backbone, load_backbone, offered_precisions
from twofold.embedding.engine import BATCH, Engine
from twofold.embedding.machine import Machine
from twofold.embedding.observation import Facts, Observation
from twofold.embedding.observe import Source, observe
from twofold.embedding.processors import available_processors, fast_precisions
from twofold.embedding.store import Store
from twofold.embedding.table import Table
from twofold.embedding.watch import Watch, unwatched

__all__ = [
    "BATCH",
    "Arithmetic",
    "Backbone",
    "Engine",
    "Facts",
    "Machine",
    "Observation",
    "Source",
    "Store",
    "Table",
    "Watch",
    "available_processors",
    "fast_precisions",
    "load_backbone",
    "observe",
    "offered_precisions",
    "unwatched",
]
