"""Parity: whether an exported model answers as its bundle does, from the bytes of real images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model, Prediction
from twofold.core.errors import DataError, TwofoldError
from twofold.core.options import ExportOptions
from twofold.data import ImageArray, PreprocessedImage, ReadError, open_image, preprocess, read_bytes, reduced_scale
from twofold.decision.bounds import upper_bound
from twofold.networks.onnx_program import Program
from twofold.workflows.predict import Predictor

CONFIDENCE: Final = 0.95
_NEAREST: Final = 50
_MOST_CANDIDATES: Final = 2000  # images that are looked at for those near the threshold


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """One image through both: `difference` in probability, and `same_pixels` where twofold gets the pixels of the other.

    `pixels` are the largest differences of their model inputs, of 255, from these pixels and from the bytes.
    """

    path: str
    bundle: str  # the decisions: a class, unsure or unfamiliar
    exported: str
    difference: float
    same_pixels: float
    pixels: tuple[int, int]
    reduced: bool  # whether twofold decodes it at reduced scale

    @property
    def flips(self) -> bool:
        return self.bundle != self.exported


@dataclass(frozen=True, slots=True)
class Parity:
    """The comparison of all images. The first `sampled` were drawn at random, the others are those nearest the threshold."""

    runtime: str
    images: tuple[ComparedImage, ...] = field(repr=False)
    sampled: int

    @property
    def difference(self) -> float:
        """The largest difference in probability."""
        return max(image.difference for image in self.images)

    @property
    def same_pixels(self) -> float:
        """The same where both get the same pixels."""
        return max(image.same_pixels for image in self.images)

    @property
    def flips(self) -> tuple[ComparedImage, ...]:
        return tuple(image for image in self.images if image.flips)

    @property
    def reduced(self) -> int:
        """The number of images that twofold decodes at reduced scale."""
        return sum(image.reduced for image in self.images)

    @property
    def bound(self) -> float:
        """At most this fraction of decisions differs, at `CONFIDENCE`: from the images that were drawn at random alone."""
        flips = sum(image.flips for image in self.images[: self.sampled])
        return upper_bound(flips, self.sampled, CONFIDENCE)

    def as_json(self) -> dict[str, Any]:
        """Numbers only, without file names: the file is handed on."""
        differences = [image.difference for image in self.images]
        return {
            "runtime": self.runtime,
            "images": {"all": len(self.images), "random": self.sampled, "reduced_scale": self.reduced},
            "probability": {
                "largest_difference": self.difference,
                "median_difference": float(np.median(differences)),
                "largest_difference_same_pixels": self.same_pixels,
            },
            "pixels": {
                "largest_difference_same_pixels": max(image.pixels[0] for image in self.images),
                "largest_difference": max(image.pixels[1] for image in self.images),
            },
            "flips": [{"bundle": flip.bundle, "exported": flip.exported} for flip in self.flips],
            "flips_at_most": {"rate": self.bound, "confidence": CONFIDENCE},
        }


def compare(
    model: Model, predictor: Predictor, program: Program, runtime: str, files: Sequence[Path], count: int
) -> Parity:
    """The comparison on `count` of these files, drawn at random, and on the 50 nearest the threshold.

    Raises DataError where fewer can be read.
    """
    order = np.random.default_rng(0).permutation(len(files))[:_MOST_CANDIDATES]
    candidates = [files[number] for number in order]
    predictions = predictor.predict(candidates)
    rows = [row for row, prediction in enumerate(predictions) if prediction.read_error is None]
    if len(rows) < count:
        raise DataError(
            f"{count} images are needed to compare the exported model with the bundle, and {len(rows)} of "
            f"{len(files)} files can be read: give more with `data`, or compare fewer with `sample`."
        )
    nearest = sorted(rows, key=lambda row: _distance(model, predictions[row]))[:_NEAREST]
    chosen = [*rows[:count], *(row for row in nearest if row not in rows[:count])]
    steps = predictor.runtime.progress(chosen, len(chosen), "images compared")
    comparer = _Comparer(model, predictor, program)
    return Parity(runtime, tuple(comparer.compare(candidates[row], predictions[row]) for row in steps), count)


def _distance(model: Model, prediction: Prediction) -> float:
    """How far a probability is from the nearest threshold of the rule."""
    assert prediction.probability is not None
    return min(abs(prediction.probability - threshold) for threshold in (model.rule.low, model.rule.high))


@dataclass(frozen=True, slots=True)
class _Comparer:
    model: Model
    predictor: Predictor
    program: Program

    def compare(self, file: Path, prediction: Prediction) -> ComparedImage:
        preprocessing, max_pixels = self.model.backbone.preprocessing, self.predictor.runtime.options.max_pixels
        data = read_bytes(file)
        image = (
            data
            if isinstance(data, ReadError)
            else open_image(data, max_pixels=max_pixels, ranges=preprocessing.ranges)
        )
        if isinstance(data, ReadError) or isinstance(image, ReadError) or prediction.probability is None:
            raise DataError(f"{file} changed while it was compared: run the command again.")
        outputs = self.program(image)
        from_bytes = preprocess(data, preprocessing, max_pixels=max_pixels)
        from_pixels = preprocess(image, preprocessing, max_pixels=max_pixels)
        assert isinstance(from_bytes, PreprocessedImage)
        assert isinstance(from_pixels, PreprocessedImage)
        reduced = from_bytes.format == "JPEG" and reduced_scale(from_bytes.width, from_bytes.height, preprocessing)
        probability = float(outputs["probability"][0])
        difference = abs(probability - prediction.probability)
        same = abs(probability - self._probability(image)) if reduced else difference
        pixels = tuple(_largest(inputs, outputs["model_inputs"]) for inputs in (from_pixels, from_bytes))
        decisions = self._label(prediction), self._labels[int(outputs["decision"][0])]
        return ComparedImage(str(file), *decisions, difference, same, (pixels[0], pixels[1]), reduced)

    @property
    def _labels(self) -> tuple[str, ...]:
        """The decisions of an exported model, as `networks.exported_graph.LABELS`."""
        return (*self.model.classes, "unsure", "unfamiliar")

    def _label(self, prediction: Prediction) -> str:
        return str(prediction.label or prediction.reason)

    def _probability(self, image: ImageArray) -> float:
        (prediction,) = self.predictor.predict([image])
        assert prediction.probability is not None
        return prediction.probability


def _largest(image: PreprocessedImage, model_inputs: NDArray[Any]) -> int:
    """The largest difference of a pixel, of 255."""
    return int(np.abs(np.stack(image.model_inputs).astype(np.int16) - model_inputs).max())


def check_parity(parity: Parity, model: Model, options: ExportOptions, bundle: Path) -> None:
    """Raises TwofoldError where the exported model differs from the bundle by more than the options allow."""
    faults = []
    if parity.difference > options.max_difference:
        faults.append(f"a probability differs by {parity.difference:.4f}, the limit is {options.max_difference:g}")
    if len(parity.flips) > options.max_flips:
        flips = f"{len(parity.flips)} of {len(parity.images)} decisions differ"
        faults.append(f"{flips}, the limit is {options.max_flips}")
    if faults:
        raise TwofoldError(
            f"The exported model does not answer as {bundle} does, and nothing was written: {'; '.join(faults)}. "
            f"{_reason(parity, model, options)}Allow more with `max_difference` and `max_flips`."
        )


def _reason(parity: Parity, model: Model, options: ExportOptions) -> str:
    """Where the difference comes from, as far as it is known, and what helps; else empty."""
    if parity.reduced and parity.same_pixels <= options.max_difference:
        return (
            f"{parity.reduced} of the images are large JPEG files, which twofold decodes at reduced scale; from the same pixels "
            f"probabilities differ by at most {parity.same_pixels:.4f}. "
        )
    if model.backbone.dtype != "f32":
        return (
            f"The network runs in {model.backbone.dtype}, which programs round differently: train with `dtype='f32'` for an "
            "exact export. "
        )
    return ""
