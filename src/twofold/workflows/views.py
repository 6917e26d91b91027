"""The views: windows of an image beside the whole, chosen on training images, and the smallest detail that is visible."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any, Final

import numpy as np

from twofold.core.notes import Note
from twofold.core.options import BackboneOptions
from twofold.data import GRIDS, Crop, Preprocessing, ReadError, pixel_scale, read_bytes, read_size
from twofold.embedding import Source
from twofold.embedding.feature_table import Metadata
from twofold.workflows.embedded_sample import CropComparison

LARGE: Final = 4.0
"""Images are large where a pixel of the model input covers more than 4 x 4 of their pixels."""

_FINE: Final = 2.0  # pixels of the image along a pixel of a window that is fine enough
_MAX_GRID: Final = 4  # without effort `best`: sixteen windows take the time of sixteen images
_MAX_SIZES: Final = 100  # images whose size is read before the views are chosen

Grids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ViewsChoice:
    """The views of a model, and the out-of-fold log-loss of each candidate, {} where there were too few images to compare."""

    views: Grids
    images: int
    log_losses: dict[Grids, float]
    gain: float = 0.0  # log-loss without windows minus that of the best candidate with windows
    error: float = 0.0  # the standard error of the gain

    def as_json(self) -> dict[str, Any]:
        """The block "views_choice"."""
        return {
            "views": list(self.views),
            "images": self.images,
            "log_losses": {views_text(views): loss for views, loss in self.log_losses.items()},
            "gain": self.gain,
            "error": self.error,
        }

    def note(self) -> Note:
        """The choice and its figures, and its cost where it has one."""
        if not self.log_losses:
            return Note("views", "Views: the image alone; there were too few images to try windows of them.")
        losses = ", ".join(f"{views_text(views)} {loss:.4f}" for views, loss in self.log_losses.items())
        count = sum(grid**2 for grid in self.views)
        cost = f" The network also sees {count} windows of every image, which takes time." if count else ""
        text = f"Views: {views_text(self.views)} (out-of-fold log-loss of {self.images} images: {losses}).{cost}"
        return Note("views", text)


def views_text(views: Grids) -> str:
    """The views as in the option: 1 for the image alone, 2x2 with four windows."""
    return "+".join(f"{grid}x{grid}" for grid in views) or "1"


def choose_views(comparison: CropComparison, preprocessing: Preprocessing, grids: Grids) -> ViewsChoice:
    """The views for the images compared: windows of these grids only where they lower the log-loss by more than its error."""
    if not comparison.possible:
        return ViewsChoice((), comparison.images, {})
    candidates = list(chain.from_iterable(combinations(grids, count) for count in range(len(grids) + 1)))
    losses = {views: comparison.losses(replace(preprocessing, views=views)) for views in candidates}
    means = {views: float(values.mean()) for views, values in losses.items()}
    best = min(candidates[1:], key=means.__getitem__)
    gain, error = comparison.difference(losses[()], losses[best])
    return ViewsChoice(best if gain > error else (), comparison.images, means, gain, error)


def candidate_grids(options: BackboneOptions, sources: Sequence[Source], size: int, max_pixels: int) -> Grids:
    """The grids to try: one whose windows show the median image finely enough, where it is large; with effort `best` also 2 x 2
    and 3 x 3 windows of images of any size."""
    step = max(1, math.ceil(len(sources) / _MAX_SIZES))
    sizes = (_size(source, max_pixels) for source in sources[::step])
    known = [each for each in sizes if each is not None]
    width, height = _median(known) if known else (size, size)
    areas = {
        grid: math.prod(pixel_scale(width, height, Preprocessing(size), Crop("squash", grid))) for grid in (1, *GRIDS)
    }
    fine = next((grid for grid in GRIDS if areas[grid] <= _FINE**2), GRIDS[-1])
    if options.effort == "best":
        return (2, max(fine, 3))
    return (min(fine, _MAX_GRID),) if areas[1] > LARGE**2 else ()


def _size(source: Source, max_pixels: int) -> tuple[int, int] | None:
    content = read_bytes(source) if isinstance(source, Path) else source
    return None if isinstance(content, ReadError) else read_size(content, max_pixels)


def note_smallest_detail(metadata: Iterable[Metadata | None], preprocessing: Preprocessing) -> list[Note]:
    """A note where the images are large: the smallest detail that the network sees in them."""
    sizes = [(each.width, each.height) for each in metadata if each is not None]
    if not sizes:
        return []
    width, height = _median(sizes)
    scale = pixel_scale(width, height, preprocessing, preprocessing.crops[-1])
    if math.prod(scale) <= LARGE**2:
        return []
    where = "a window of it" if preprocessing.views else "it"
    across, down = scale
    text = (
        f"The median image is {width:.0f} x {height:.0f} pixels, and the network sees {where} at "
        f"{preprocessing.size} x {preprocessing.size}: one pixel for about {across:.0f} x {down:.0f}. Details of less than about "
        f"{2 * across:.0f} x {2 * down:.0f} pixels are not visible. A larger `size` or finer `views` show smaller ones."
    )
    return [Note("smallest-detail", text)]


def _median(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    width, height = np.median(np.array(sizes), axis=0)
    return int(width), int(height)
