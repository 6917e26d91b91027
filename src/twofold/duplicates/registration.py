"""Agreement of two images after registration: a small shift, scaling or rotation, and a change of light.

Registration by the inverse compositional method of Baker and Matthews (2004), of many pairs of thumbnails at once: an affine map,
with gain and offset fitted at each step.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

GreyImages = NDArray[np.float32]  # (n, side, side)

_LEVELS: Final = (
    (2, 1.0, 10),
    (1, 0.7, 4),
)  # (downscaling factor, blur in pixels, steps): coarse, then fine
_DETAIL: Final = 4.0  # structure smoother than this, in pixels, is removed: unrelated images share gradients of light
_MAX_CHANGE: Final = 0.35  # largest difference of a map from the identity, on a side of 2
_MIN_OVERLAP: Final = 0.6  # fraction of one image that must overlap with the other
_DAMPING: Final = 1e-3
_IDENTITY: Final = np.eye(3, dtype=np.float32)


def agreement(a: GreyImages, b: GreyImages) -> NDArray[np.float32]:
    """Correlation of the details of each pair where the registered images overlap, -1 to 1, (pairs,).

    -1 where they overlap too little, or only after a large change. Takes about 100 kB of memory per pair.
    """
    return register(a, b)[0]


def register(a: GreyImages, b: GreyImages) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The agreement of each pair, (pairs,), and the map from positions in `a` to positions in `b`, (pairs, 3, 3)."""
    from scipy.ndimage import gaussian_filter  # here, because predictions do not need it

    if not len(a):
        return np.empty(0, np.float32), np.empty((0, 3, 3), np.float32)
    maps = np.tile(_IDENTITY, (len(a), 1, 1))  # from positions in `a` to positions in `b`
    for shrink, blur, steps in _LEVELS:
        still, moving = (gaussian_filter(_downscale(part, shrink), (0, blur, blur)) for part in (a, b))
        ground, flat = pixel_grid(still.shape[1]), still.reshape(len(a), -1)
        slopes, pull = _steepest(still, ground)
        for _ in range(steps):
            values, inside = sample_bilinear(moving, maps[:, :2] @ ground)
            off = (_match_light(values, flat, inside) - flat) * inside
            maps = maps @ np.linalg.inv(_as_maps((pull @ (slopes @ off[:, :, None]))[:, :, 0]))
    values, inside = sample_bilinear(moving, maps[:, :2] @ ground)
    correlation = _correlation(_details(still, inside), _details(values, inside), inside)
    accepted = (np.abs(maps - _IDENTITY).max(axis=(1, 2)) <= _MAX_CHANGE) & (inside.mean(axis=1) >= _MIN_OVERLAP)
    return np.where(accepted, correlation, np.float32(-1)), np.where(accepted[:, None, None], maps, _IDENTITY)


def _downscale(planes: GreyImages, times: int) -> GreyImages:
    count, side, _ = planes.shape
    return np.asarray(planes.reshape(count, side // times, times, side // times, times).mean(axis=(2, 4)), np.float32)


def pixel_grid(side: int) -> NDArray[np.float32]:
    """The positions of all pixels from -1 to 1, x above y above 1, (3, pixels)."""
    axis = (np.arange(side, dtype=np.float32) * 2 + 1) / side - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([x.ravel(), y.ravel(), np.ones(side * side, np.float32)])


def _steepest(still: GreyImages, ground: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Derivatives of the pixels by the six numbers of a map, (pairs, 6, pixels), and the inverse normal matrix, (pairs, 6, 6)."""
    slopes = np.gradient(still, 2 / still.shape[1], axis=(2, 1))
    along = np.concatenate([slope.reshape(len(still), 1, -1) * ground for slope in slopes], axis=1)
    normal = along @ np.swapaxes(along, 1, 2)
    diagonal = np.einsum("pii->pi", normal)
    diagonal += _DAMPING * diagonal + np.float32(1e-6)
    return along, np.linalg.inv(normal)


def _as_maps(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Six numbers each, (pairs, 6), as maps that change little, (pairs, 3, 3)."""
    maps = np.tile(_IDENTITY, (len(numbers), 1, 1))
    maps[:, :2] += np.clip(numbers, -0.2, 0.2).reshape(-1, 2, 3)
    return maps


def _match_light(
    values: NDArray[np.float32], like: NDArray[np.float32], inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The values with the gain and offset that bring them nearest to `like`, all (pairs, pixels)."""
    centred, target, centre = _centre(values, inside), _centre(like, inside), _mean(like, inside)
    gain = (centred * target).sum(axis=1) / np.maximum((centred**2).sum(axis=1), 1e-6)
    return np.asarray(centred * np.clip(gain, 0.2, 5)[:, None] + centre, np.float32)


def sample_bilinear(
    images: GreyImages, positions: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Bilinear values (pairs, pixels) at positions (pairs, 2, pixels) from -1 to 1, and a mask of those inside."""
    side = images.shape[1]
    at = (positions + 1) * np.float32(side / 2) - np.float32(0.5)
    inside = ((at >= -0.5) & (at <= side - 0.5)).all(axis=1)
    at = at.clip(0, side - 1)
    low = np.minimum(at.astype(np.int32), side - 2)
    x, y = np.moveaxis(at - low, 1, 0)
    flat, corner = images.reshape(-1), low[:, 1] * side + low[:, 0]
    corner += (np.arange(len(images), dtype=np.int32) * side * side)[:, None]
    top = flat[corner] * (1 - x) + flat[corner + 1] * x
    bottom = flat[corner + side] * (1 - x) + flat[corner + side + 1] * x
    return top * (1 - y) + bottom * y, inside


def _details(pixels: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The pixels minus the local mean, (pairs, pixels)."""
    from scipy.ndimage import gaussian_filter

    side = int(np.sqrt(inside.shape[1]))
    planes, mask = (part.reshape(-1, side, side).astype(np.float32) for part in (pixels, inside))
    blur = (0, _DETAIL, _DETAIL)
    around = gaussian_filter(planes * mask, blur) / (gaussian_filter(mask, blur) + np.float32(1e-6))
    return np.asarray((planes - around).reshape(inside.shape), np.float32)


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    a, b = _centre(a, inside), _centre(b, inside)
    return np.asarray(
        (a * b).sum(axis=1) / np.maximum(np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1)), 1e-6), np.float32
    )


def _centre(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    return (values - _mean(values, inside)) * inside


def _mean(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    total = (values * inside).sum(axis=1, keepdims=True)
    return np.asarray(total / np.maximum(inside.sum(axis=1, keepdims=True), 1).astype(np.float32), np.float32)
