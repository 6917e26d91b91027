"""Images, archives and lists of files: from DATA to file lists, from files to model inputs."""

from twofold.data.addresses import address_advice, is_address
from twofold.data.archives import archive_kind, is_archive
from twofold.data.bit_depth import Extent, may_exceed_eight_bits
from twofold.data.classes import check_counts, check_same_classes, choose_positive
from twofold.data.decisions_file import DecisionsFile, read_decisions
from twofold.data.decoding import extent_of, read_size
from twofold.data.eight_bits import NO_RANGES, SIXTEEN_BIT_MODES, IntensityRanges
from twofold.data.file_list import FileList, LabelledFile, contents, find_splits, list_labelled_files, with_decisions
from twofold.data.folders import Skip, iterate_files, list_files, walk
from twofold.data.formats import read_bytes, read_head
from twofold.data.intensity import choose_ranges
from twofold.data.preprocessing import (
    GREY,
    GRIDS,
    MAX_PIXELS,
    PREPROCESSING_VERSION,
    SMALL,
    WINDOW_OVERLAP,
    Crop,
    ImageArray,
    InputAxis,
    PreprocessedImage,
    Preprocessing,
    decoded_alike,
    identifying_pixels,
    input_axes,
    open_grey,
    open_image,
    pixel_scale,
    preprocess,
    reduced_scale,
)
from twofold.data.read_errors import ReadError
from twofold.data.review_decisions import ReviewDecision, ReviewDecisions, one_line
from twofold.data.split_folders import SplitPlan, plan_splits
from twofold.data.tables import find_table, read_split, read_table

__all__ = [
    "GREY",
    "GRIDS",
    "MAX_PIXELS",
    "NO_RANGES",
    "PREPROCESSING_VERSION",
    "SIXTEEN_BIT_MODES",
    "SMALL",
    "WINDOW_OVERLAP",
    "Crop",
    "DecisionsFile",
    "Extent",
    "FileList",
    "ImageArray",
    "InputAxis",
    "IntensityRanges",
    "LabelledFile",
    "PreprocessedImage",
    "Preprocessing",
    "ReadError",
    "ReviewDecision",
    "ReviewDecisions",
    "Skip",
    "SplitPlan",
    "address_advice",
    "archive_kind",
    "check_counts",
    "check_same_classes",
    "choose_positive",
    "choose_ranges",
    "contents",
    "decoded_alike",
    "extent_of",
    "find_splits",
    "find_table",
    "identifying_pixels",
    "input_axes",
    "is_address",
    "is_archive",
    "iterate_files",
    "list_files",
    "list_labelled_files",
    "may_exceed_eight_bits",
    "one_line",
    "open_grey",
    "open_image",
    "pixel_scale",
    "plan_splits",
    "preprocess",
    "read_bytes",
    "read_decisions",
    "read_head",
    "read_size",
    "read_split",
    "read_table",
    "reduced_scale",
    "walk",
    "with_decisions",
]
