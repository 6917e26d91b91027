"""Checks of a model's evidence maps: whether they follow the image, the head and the logit."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twofold.data import ImageArray, ReadError
from twofold.decision import Head
from twofold.embedding import PATCHES, Source, coarsen
from twofold.workflows.explain import Explainer, Explanation, Method

AREAS: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""The fractions of the image that are covered."""

_RANDOM_ORDERS: Final = 2
_MARK: Final = 0.3  # sides of a planted patch over the sides of the image
_SIDE: Final = 16  # parts of the image along each side, among which that with the strongest change is looked for


@dataclass(frozen=True, slots=True)
class DeletionStep:
    """By how much the logit moves towards the other class, on average, where `area` of the image is covered: the patches with the
    `strongest` evidence, and `random` ones."""

    area: float
    strongest: float
    random: float


@dataclass(frozen=True, slots=True)
class EvidenceChecks:
    """The checks of a model's maps on a number of images.

    `patches`: into how many images a patch of an image of the other class was pasted; in `hits` of them the map changes most
    within the patch, where `chance` is expected of maps that do not follow the image. `randomised_correlation` is the mean
    absolute correlation with the maps of a head whose weights were shuffled: high where maps show the image and not the model. It
    is None without any image. `deletion` has a step for each of `AREAS`.
    """

    images: int
    method: Method
    patches: int
    hits: int
    chance: float
    randomised_correlation: float | None
    deletion: tuple[DeletionStep, ...]

    def as_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The checks of such values. Raises ValueError, TypeError or KeyError where they cannot be some."""
        counts = {name: int(value[name]) for name in ("images", "patches", "hits")}
        correlation = value["randomised_correlation"]
        steps = ((_finite(step[name]) for name in ("area", "strongest", "random")) for step in value["deletion"])
        return cls(
            method="occlusion" if value["method"] == "occlusion" else "exact",
            chance=_finite(value["chance"]),
            randomised_correlation=None if correlation is None else _finite(correlation),
            deletion=tuple(DeletionStep(*step) for step in steps),
            **counts,
        )


def _finite(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{number} is no finite number")
    return number


def evidence_checks(explainer: Explainer, images: Sequence[Source], *, seed: int = 0) -> EvidenceChecks:
    """The checks on these images, of which those that cannot be read are left out. 16 images take some 10 seconds."""
    random = np.random.default_rng(seed)
    pairs = [(image, explainer.explain(image)) for image in images]
    readable = [(image, explanation) for image, explanation in pairs if explanation.map is not None]
    hits = _planted_hits(explainer, readable, random)
    return EvidenceChecks(
        len(readable),
        explainer.method,
        len(hits),
        sum(hits),
        _MARK**2,
        _randomised_correlation(explainer, readable, random),
        _deletion(explainer, readable, random) if readable else (),
    )


def _is_positive(explanation: Explanation) -> bool:
    assert explanation.logit is not None
    return explanation.logit > 0


def _planted_hits(
    explainer: Explainer, explained: Sequence[tuple[Source, Explanation]], random: np.random.Generator
) -> list[bool]:
    """For each image whether the patch of an image of the other class is found; empty where all are of one class."""
    hits = []
    for positive in (False, True):
        donors = [(image, each) for image, each in explained if _is_positive(each) != positive]
        for number, (image, each) in enumerate(explained if donors else ()):
            if _is_positive(each) == positive:
                donor, evidence = donors[number % len(donors)]
                patch = _strongest_patch(explainer.open(donor), evidence)
                hit = _finds(explainer, explainer.open(image), patch, random, sign=-1 if positive else 1)
                hits += [] if hit is None else [hit]
    return hits


def _strongest_patch(image: ImageArray | ReadError, explanation: Explanation) -> ImageArray | None:
    """The part of an image, of _MARK of its sides, around the strongest evidence for its class."""
    if isinstance(image, ReadError) or explanation.map is None:
        return None
    row, column = _strongest(explanation.map if _is_positive(explanation) else -explanation.map)
    height, width = image.shape[:2]
    tall, wide = max(round(height * _MARK), 1), max(round(width * _MARK), 1)
    top = min(max(round(row * height - tall / 2), 0), height - tall)
    left = min(max(round(column * width - wide / 2), 0), width - wide)
    return image[top : top + tall, left : left + wide]


def _finds(
    explainer: Explainer,
    image: ImageArray | ReadError,
    patch: ImageArray | None,
    random: np.random.Generator,
    *,
    sign: int,
) -> bool | None:
    """Whether the map changes most where the patch is pasted; `sign` is that of the expected change. None without a map."""
    if isinstance(image, ReadError) or patch is None:
        return None
    height, width = image.shape[:2]
    tall, wide = max(round(height * _MARK), 1), max(round(width * _MARK), 1)
    top, left = int(random.integers(height - tall + 1)), int(random.integers(width - wide + 1))
    changed = image.copy()
    changed[top : top + tall, left : left + wide] = np.asarray(Image.fromarray(patch).resize((wide, tall)))
    before, after = explainer.explain(image).map, explainer.explain(changed).map
    if before is None or after is None:
        return None
    row, column = _strongest(sign * (after - before))
    return bool(top <= row * height <= top + tall and left <= column * width <= left + wide)


def _strongest(evidence: NDArray[np.float32]) -> tuple[float, float]:
    """The centre of the part of the image with the highest sum, as fractions of height and width."""
    row, column = divmod(int(np.argmax(coarsen(evidence, _SIDE))), _SIDE)
    return (row + 0.5) / _SIDE, (column + 0.5) / _SIDE


def _randomised_correlation(
    explainer: Explainer, explained: Sequence[tuple[Source, Explanation]], random: np.random.Generator
) -> float | None:
    head = explainer.model.head
    other = explainer.with_head(Head(random.permutation(head.weights), head.bias))
    correlations = []
    for image, explanation in explained:
        shuffled = other.explain(image).map
        if explanation.map is not None and shuffled is not None:
            ours, theirs = (coarsen(each, _SIDE).ravel() for each in (explanation.map, shuffled))
            if min(ours.std(), theirs.std()) > 0:
                correlations.append(abs(float(np.corrcoef(ours, theirs)[0, 1])))
    return float(np.mean(correlations)) if correlations else None


def _deletion(
    explainer: Explainer, explained: Sequence[tuple[Source, Explanation]], random: np.random.Generator
) -> tuple[DeletionStep, ...]:
    counts = [max(round(area * PATCHES**2), 1) for area in AREAS]
    strongest, chosen = [], []
    for image, explanation in explained:
        assert explanation.map is not None
        sign = 1 if _is_positive(explanation) else -1
        order = np.argsort(-sign * coarsen(explanation.map, PATCHES), axis=None, kind="stable")
        orders = [order, *(random.permutation(PATCHES**2) for _ in range(_RANDOM_ORDERS))]
        covers = [each[:count].tolist() for each in orders for count in counts]
        logits = explainer.covered_logits(image, covers)
        if not isinstance(logits, ReadError):
            changes: NDArray[np.float64] = sign * (logits[0] - logits[1:])
            moves = changes.reshape(len(orders), len(counts))
            strongest.append(moves[0])
            chosen.append(moves[1:].mean(axis=0))
    means = np.mean(strongest, axis=0), np.mean(chosen, axis=0)
    rows = zip(counts, *(each.tolist() for each in means), strict=True)
    return tuple(DeletionStep(count / PATCHES**2, *moves) for count, *moves in rows)
