"""What a model could read a label off, other than what the picture shows: a column a trait, a row a picture."""

import numpy as np
from numpy.typing import NDArray

from twofold.audit.shortcuts import EncodingMetadata, name_traits
from twofold.dataset.labelled import LabelledDataset

_RIM = 2  # of 32 pixels of a thumbnail: what counts as its border


def metadata_features(dataset: LabelledDataset, rows: NDArray[np.int64]) -> EncodingMetadata:
    """The traits of these `rows` of the usable pictures."""
    metadata = [seen for seen in dataset.table.metadata if seen is not None]
    chosen, paths = [metadata[row] for row in rows], dataset.paths
    width, height, size = (
        np.array([getattr(seen, name) for seen in chosen], float) for name in ("width", "height", "bytes")
    )
    quality = np.array([np.nan if seen.quality is None else seen.quality for seen in chosen], float)
    words = {
        "format": [seen.format for seen in chosen],
        "EXIF data": ["present" if seen.exif else "absent" for seen in chosen],
        "camera": [seen.camera for seen in chosen],
    }
    return {
        "width": width,
        "height": height,
        "aspect ratio": width / height,
        "file size in bytes": size,
        "bytes per pixel": size / (width * height),
        "JPEG quality": quality,
        **{name: np.array(column, np.str_) for name, column in words.items()},
        **_shown(dataset.table.thumbnails[rows]),
        **name_traits([paths[row] for row in rows], dataset.classes),
    }


def _shown(thumbnails: NDArray[np.uint8]) -> EncodingMetadata:
    """Brightness, 0 to 255, and the colour of the border: red against green, blue against both, each -255 to 255."""
    rim = np.ones(thumbnails.shape[1:3], np.bool_)
    rim[_RIM:-_RIM, _RIM:-_RIM] = False
    border = thumbnails[:, rim].mean(axis=1)
    return {
        "brightness": thumbnails.mean(axis=(1, 2, 3)),
        "border brightness": border.mean(axis=1),
        "border redness": border[:, 0] - border[:, 1],
        "border blueness": border[:, 2] - border[:, :2].mean(axis=1),
    }
