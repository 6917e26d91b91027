"""Metadata features: properties of a file, other than its content, from which a model could predict the label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twofold.audit.shortcuts import MetadataFeatures, name_pattern
from twofold.core.arrays import take_rows
from twofold.dataset.labelled import LabelledDataset
from twofold.embedding.feature_table import Metadata

_BORDER = 2  # pixels of a thumbnail's 32
_CHUNK = 4096  # thumbnails at a time, to bound memory


def metadata_features(dataset: LabelledDataset, rows: NDArray[np.int64]) -> MetadataFeatures:
    """The metadata features of these `rows` of the usable images."""
    paths = dataset.paths
    return {
        **_file_features(dataset, rows),
        **_colour_features(take_rows(dataset.table.thumbnails, rows)),
        **name_pattern([paths[row] for row in rows], dataset.classes),
    }


def slice_columns(dataset: LabelledDataset, rows: NDArray[np.int64]) -> MetadataFeatures:
    """The features by which an evaluation of these `rows` of the usable images is cut into slices.

    The size of a group is its number of images among these.
    """
    of_files, thumbnails = _file_features(dataset, rows), take_rows(dataset.table.thumbnails, rows)
    _, group, sizes = np.unique(dataset.groups[rows], return_inverse=True, return_counts=True)
    return {
        "brightness": _colour_features(thumbnails)["brightness"],
        "sharpness": _sharpness(thumbnails),
        "pixels": of_files["width"] * of_files["height"],
        "aspect ratio": of_files["aspect ratio"],
        "camera": of_files["camera"],
        "group size": sizes[group],
    }


def image_traits(metadata: Sequence[Metadata], thumbnails: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """The traits of n images that change with camera and light: brightness, sharpness, pixels and bytes per pixel, (n,) each."""
    pixels = np.array([entry.width * entry.height for entry in metadata], float)
    return {
        "brightness": np.asarray(_colour_features(thumbnails)["brightness"], float),
        "sharpness": _sharpness(thumbnails),
        "pixels": pixels,
        "bytes per pixel": np.array([entry.bytes for entry in metadata], float) / pixels,
    }


def _file_features(dataset: LabelledDataset, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    usable = [entry for entry in dataset.table.metadata if entry is not None]
    metadata = [usable[row] for row in rows]
    width, height, size = (
        np.array([getattr(entry, name) for entry in metadata], float) for name in ("width", "height", "bytes")
    )
    quality = np.array([np.nan if entry.quality is None else entry.quality for entry in metadata], float)
    texts = {
        "format": [entry.format for entry in metadata],
        "EXIF data": ["present" if entry.exif else "absent" for entry in metadata],
        "camera": [entry.camera for entry in metadata],
    }
    return {
        "width": width,
        "height": height,
        "aspect ratio": width / height,
        "file size in bytes": size,
        "bytes per pixel": size / (width * height),
        "JPEG quality": quality,
        **{name: np.array(column, np.str_) for name, column in texts.items()},
    }


def _colour_features(thumbnails: NDArray[np.uint8]) -> MetadataFeatures:
    """Brightness, 0 to 255, and the border's brightness and colour: red minus green, blue minus both, each -255 to 255."""
    mask = np.ones(thumbnails.shape[1:3], np.bool_)
    mask[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    chunks = [thumbnails[start : start + _CHUNK] for start in range(0, len(thumbnails), _CHUNK)]
    border = np.concatenate([np.empty((0, 3)), *(chunk[:, mask].mean(axis=1) for chunk in chunks)])
    return {
        "brightness": np.concatenate([np.empty(0), *(chunk.mean(axis=(1, 2, 3)) for chunk in chunks)]),
        "border brightness": border.mean(axis=1),
        "border redness": border[:, 0] - border[:, 1],
        "border blueness": border[:, 2] - border[:, :2].mean(axis=1),
    }


def _sharpness(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n,): the standard deviation of the Laplacian of a thumbnail over that of its grey values, 0 for a flat one.

    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"; theirs has no ratio, so it measures contrast as
    well. A thumbnail has 32 pixels a side, so only a blur that shows at this size is measured.
    """
    chunks = range(0, len(thumbnails), _CHUNK)
    return np.concatenate([np.empty(0), *(_laplacian_ratio(thumbnails[start : start + _CHUNK]) for start in chunks)])


def _laplacian_ratio(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = thumbnails @ np.ones(3, np.float32)
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    laplacian, contrast = (around - 4 * grey[:, 1:-1, 1:-1]).std(axis=(1, 2)), grey.std(axis=(1, 2))
    return np.asarray(np.divide(laplacian, contrast, out=np.zeros(len(grey)), where=contrast > 0), np.float64)
