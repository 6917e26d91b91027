"""Metadata features: properties of a file, other than its content, from which a model could predict the label."""

import numpy as np
from numpy.typing import NDArray

from twofold.audit.shortcuts import MetadataFeatures, name_pattern
from twofold.dataset.labelled import LabelledDataset

_BORDER = 2  # pixels of a thumbnail's 32


def metadata_features(dataset: LabelledDataset, rows: NDArray[np.int64]) -> MetadataFeatures:
    """The metadata features of these `rows` of the usable images."""
    usable = [entry for entry in dataset.table.metadata if entry is not None]
    metadata, paths = [usable[row] for row in rows], dataset.paths
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
        **_colour_features(dataset.table.thumbnails[rows]),
        **name_pattern([paths[row] for row in rows], dataset.classes),
    }


def _colour_features(thumbnails: NDArray[np.uint8]) -> MetadataFeatures:
    """Brightness, 0 to 255, and the border's brightness and colour: red minus green, blue minus both, each -255 to 255."""
    mask = np.ones(thumbnails.shape[1:3], np.bool_)
    mask[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    border = thumbnails[:, mask].mean(axis=1)
    return {
        "brightness": thumbnails.mean(axis=(1, 2, 3)),
        "border brightness": border.mean(axis=1),
        "border redness": border[:, 0] - border[:, 1],
        "border blueness": border[:, 2] - border[:, :2].mean(axis=1),
    }
