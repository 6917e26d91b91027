"""The crop mode: chosen on training images, by the out-of-fold log-loss of a head.

The whole image is used (`squash`, or `both`) unless the central square alone is better by more than its standard error.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.core.notes import Note
from twofold.core.options import CropMode
from twofold.data import Preprocessing
from twofold.workflows.embedded_sample import CropComparison

WHOLE: Final[tuple[CropMode, ...]] = ("squash", "both")
"""The crop modes that use the whole image."""

SINGLE: Final[tuple[CropMode, ...]] = ("squash",)
"""Those of them with one model input per image."""


@dataclass(frozen=True, slots=True)
class CropModeChoice:
    """The crop mode of a model, and the out-of-fold log-loss of each candidate, {} where there were too few images to compare."""

    mode: CropMode
    images: int
    log_losses: dict[CropMode, float]
    gain: float = 0.0  # log-loss of the best crop mode with the whole image minus that of `center`
    error: float = 0.0  # the standard error of the gain

    def as_json(self) -> dict[str, Any]:
        """The block "crop_mode_choice"."""
        return {
            "mode": self.mode,
            "images": self.images,
            "log_losses": self.log_losses,
            "gain": self.gain,
            "error": self.error,
        }

    def note(self) -> Note:
        """The choice and its figures, and its cost where it has one."""
        if not self.log_losses:
            text = "there were too few images to compare crop modes. `crop_mode` sets another one."
            return Note("crop-mode", f"Crop mode: {self.mode}, the whole image; {text}")
        losses = ", ".join(f"{mode} {loss:.4f}" for mode, loss in self.log_losses.items())
        cost = " Every image is embedded twice." if self.mode == "both" else ""
        return Note(
            "crop-mode", f"Crop mode: {self.mode} (out-of-fold log-loss of {self.images} images: {losses}).{cost}"
        )


def choose_crop_mode(
    comparison: CropComparison, preprocessing: Preprocessing, whole: tuple[CropMode, ...]
) -> CropModeChoice:
    """The crop mode for the images compared, one of `whole` or `center`; with too few of them, the last of `whole`."""
    if not comparison.possible:
        return CropModeChoice(whole[-1], comparison.images, {})
    losses: dict[CropMode, NDArray[np.float64]] = {
        mode: comparison.losses(replace(preprocessing, crop_mode=mode)) for mode in (*whole, "center")
    }
    means = {mode: float(values.mean()) for mode, values in losses.items()}
    best_whole = min(whole, key=means.__getitem__)
    gain, error = comparison.difference(losses[best_whole], losses["center"])
    return CropModeChoice("center" if gain > error else best_whole, comparison.images, means, gain, error)
