"""From DATA to pictures, groups and folds."""

from twofold.data.addresses import advice, is_address
from twofold.data.archives import archive_kind, is_archive
from twofold.data.classes import check_counts, check_same_classes, choose_positive
from twofold.data.columns import group_column, label_column
from twofold.data.dataset import copy_groups, folds, split
from twofold.data.decoding import extent_of
from twofold.data.depth import Extent, may_be_deep
from twofold.data.files import read_bytes, read_head
from twofold.data.folders import Skip, list_files, walk
from twofold.data.ledger import Fate, LedgerRow, write_ledger
from twofold.data.notes import Note
from twofold.data.pictures import MAX_PIXELS, SMALL, Look, Picture, Square, look, numbers_of, open_picture
from twofold.data.pixels import DEEP_MODES, NO_RANGES, Ranges
from twofold.data.ranges import choose_ranges
from twofold.data.refusals import Refusal
from twofold.data.sources import Item, Listing, contents, find_parts, list_pictures
from twofold.data.splits import commands
from twofold.data.tables import find_table, read_split, read_table
from twofold.data.traits import Traits

__all__ = [
    "DEEP_MODES",
    "MAX_PIXELS",
    "NO_RANGES",
    "SMALL",
    "Extent",
    "Fate",
    "Item",
    "LedgerRow",
    "Listing",
    "Look",
    "Note",
    "Picture",
    "Ranges",
    "Refusal",
    "Skip",
    "Square",
    "Traits",
    "advice",
    "archive_kind",
    "check_counts",
    "check_same_classes",
    "choose_positive",
    "choose_ranges",
    "commands",
    "contents",
    "copy_groups",
    "extent_of",
    "find_parts",
    "find_table",
    "folds",
    "group_column",
    "is_address",
    "is_archive",
    "label_column",
    "list_files",
    "list_pictures",
    "look",
    "may_be_deep",
    "numbers_of",
    "open_picture",
    "read_bytes",
    "read_head",
    "read_split",
    "read_table",
    "split",
    "walk",
    "write_ledger",
]
