"""label: from unlabelled images to labels, by asking about the images that a model learns most from.

A session is a value: each answer gives a new one, and undo drops the last. Its random part is the beginning of a random order of
the whole pool, one image longer with every fifth answer. Where that image was asked about before, because the model was unsure,
its answer counts and another image is asked about instead. So the part is a uniform sample of the pool of a fixed size, and the
accuracy on it has an exact interval.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from twofold.audit.learning_curve import forecast
from twofold.core.arrays import Labels, Reals
from twofold.core.notes import count_text
from twofold.decision.bounds import upper_bound
from twofold.decision.feature_stripes import Matrix
from twofold.decision.few_labels import (
    FewLabelHead,
    distances_to_nearest,
    diverse_rows,
    fit_with_pool,
    sample_rows,
)
from twofold.evaluation import Interval

FIRST_IMAGES: Final = 8
"""Images that are asked about before there is a model: as different from each other as can be."""

CYCLE: Final = ("random", "unsure", "unsure", "unfamiliar", "unsure", "random", "unsure", "unsure", "unsure", "unsure")
"""Why an image is asked about, by the number of the answer: one in five is drawn at random."""

_FOLDS: Final = 10
_MIN_RANDOM: Final = 20  # images of the random part, for a forecast


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """The label that a person gave to the image in this row of the pool, 1 for the positive class."""

    row: int
    label: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """An image to ask about, by its row, and the reason."""

    row: int
    reason: Literal["diverse", "random", "unsure", "unfamiliar", "undone"]


@dataclass(frozen=True, slots=True)
class StopAdvice:
    """How many points of accuracy so many more answers would bring."""

    answers: int
    gain: Interval

    @property
    def text(self) -> str:
        """The advice as a sentence."""
        if self.gain.low <= 0:
            return f"A gain from {count_text(self.answers, 'more label')} is not certain."
        value, low, high = (100 * number for number in (self.gain.value, self.gain.low, self.gain.high))
        more = count_text(self.answers, "more label")
        return f"{more} would bring about {value:+.1f} points of accuracy [{low:+.1f}, {high:+.1f}]."


@dataclass(frozen=True, eq=False)
class LabelSession:
    """The coordinates (n, k) of the pool, those of a sample of it (p, k), a random order of its rows (n,), the rows to ask about
    first (at most 8,), and the answers so far, oldest first."""

    coordinates: Matrix = field(repr=False)
    sample: Matrix = field(repr=False)
    order: NDArray[np.int64] = field(repr=False)
    first: NDArray[np.int64] = field(repr=False)
    answers: tuple[LabelAnswer, ...] = field(repr=False, default=())

    def answered(self, row: int, label: int) -> Self:
        """The session after one more answer. An image that was asked about before gets the new label."""
        assert 0 <= row < len(self.coordinates)
        assert label in (0, 1)
        earlier = tuple(answer for answer in self.answers if answer.row != row)
        return replace(self, answers=(*earlier, LabelAnswer(row, label)))

    def undone(self) -> Self:
        """The session without the last answer."""
        return replace(self, answers=self.answers[:-1])

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows with an answer, (m,)."""
        return np.array([answer.row for answer in self.answers], np.int64)

    @property
    def labels(self) -> Labels:
        """Their labels, (m,)."""
        return np.array([answer.label for answer in self.answers], np.int8)

    @cached_property
    def head(self) -> FewLabelHead:
        """The head from all answers."""
        return fit_with_pool(self.coordinates[self.rows], self.labels, self.sample)

    @property
    def random_rows(self) -> NDArray[np.int64]:
        """The random part, (r,): the rows at the beginning of the order whose turn has come, up to one without an answer."""
        part = self.order[: _count_random(len(self.answers))]
        missing = ~np.isin(part, self.rows)
        return part[: int(missing.argmax())] if missing.any() else part

    def proposals(self, count: int, aside: Iterable[int] = ()) -> list[Proposal]:
        """The images to ask about next, at most `count`, with the reason for each. None has an answer yet, or is left aside."""
        left_out = np.concatenate([self.rows, np.array(list(aside), np.int64)])
        first = self.first[~np.isin(self.first, left_out)]
        if len(self.answers) < FIRST_IMAGES and len(first):
            return [Proposal(row, "diverse") for row in first[:count].tolist()]
        proposed: list[Proposal] = []
        unsure = np.argsort(np.abs(self.head.logits(self.coordinates)), kind="stable")
        for number in range(len(self.answers), len(self.answers) + count):
            taken = np.concatenate([left_out, np.array([proposal.row for proposal in proposed], np.int64)])
            if len(taken) == len(self.coordinates):
                break
            proposed.append(self._next(number, taken, unsure))
        return proposed

    def _next(self, number: int, taken: NDArray[np.int64], unsure: NDArray[np.int64]) -> Proposal:
        """The image for the answer of this number, in none of the rows `taken`; `unsure` has all rows, the least sure first."""
        due = self.order[: _count_random(number + 1)]
        if len(due := due[~np.isin(due, taken)]):
            return Proposal(int(due[0]), "random")
        if len(set(self.labels.tolist())) < 2 or CYCLE[number % len(CYCLE)] == "unfamiliar":
            # Also while one class is missing: it is among what is unlike the images that are known.
            rest = np.setdiff1d(np.arange(len(self.coordinates)), taken)
            nearest = distances_to_nearest(self.coordinates[rest], self.coordinates[taken])
            return Proposal(int(rest[nearest.argmax()]), "unfamiliar")
        return Proposal(int(unsure[(~np.isin(unsure, taken)).argmax()]), "unsure")

    def sure_rows(self, label: int, count: int, aside: Iterable[int] = ()) -> list[int]:
        """The rows without an answer that the head calls this label, at most `count`, the surest first; none before there are
        labels of both classes, and none of the rows that are left aside.

        Images of the random part whose turn comes with so many answers are not among them: they are asked about one by one, so
        that nothing suggests their answer.
        """
        if len(set(self.labels.tolist())) < 2:
            return []
        logits = self.head.logits(self.coordinates) * (1 if label else -1)
        soon = self.order[: _count_random(len(self.answers) + count)]
        free = np.setdiff1d(
            np.flatnonzero(logits > 0), np.concatenate([self.rows, soon, np.array(list(aside), np.int64)])
        )
        rows: list[int] = free[np.argsort(-logits[free], kind="stable")][:count].tolist()
        return rows

    @cached_property
    def accuracy(self) -> Interval:
        """The accuracy of the model on the pool with its exact 95% interval; 0 to 1 without a random part.

        From the random part alone: each of its images is answered by a head that did not see it (Clopper and Pearson 1934).
        """
        return exact_interval(int(self._errors(len(self.answers)).sum()), len(self.random_rows))

    def _errors(self, count: int) -> Reals:
        """Whether each image of the random part is answered wrongly, (r,), by heads from the first `count` answers without it."""
        part, rows, labels = self.random_rows, self.rows, self.labels
        label_of = dict(zip(rows.tolist(), labels.tolist(), strict=True))
        errors = np.zeros(len(part))
        for fold in range(min(_FOLDS, len(part))):
            held_out = part[fold::_FOLDS]
            seen = ~np.isin(rows, held_out)
            seen[count:] = False
            head = fit_with_pool(self.coordinates[rows[seen]], labels[seen], self.sample)
            called = head.logits(self.coordinates[held_out]) > 0
            errors[fold::_FOLDS] = called != np.array([label_of[row] == 1 for row in held_out.tolist()])
        return errors

    def advice(self) -> StopAdvice | None:
        """What as many labels again would bring; None where the random part is too small to say."""
        m = len(self.answers)
        if len(self.random_rows) < _MIN_RANDOM or m == len(self.coordinates):
            return None
        sizes = [m // 4, m // 2, m]
        errors = np.stack([self._errors(size) for size in sizes])
        now, later = float(errors[-1].mean()), forecast(np.array(sizes, np.float64), errors, seed=0)
        gain = Interval(now - later.value, now - later.high, now - later.low)
        return StopAdvice(min(m, len(self.coordinates) - m), gain)


def _count_random(answers: int) -> int:
    """The size of the random part after so many answers.

    >>> [_count_random(answers) for answers in (0, 8, 10, 11, 16, 60)]
    [0, 0, 0, 1, 2, 10]
    """
    return sum(CYCLE[number % len(CYCLE)] == "random" for number in range(FIRST_IMAGES, answers))


def start_session(coordinates: Matrix, seed: int = 0, order: NDArray[np.int64] | None = None) -> LabelSession:
    """A session without answers for a pool with these coordinates (n, k); the seed fixes the random order that is not given."""
    if order is None:
        order = np.random.default_rng(seed).permutation(len(coordinates)).astype(np.int64)
    first = diverse_rows(coordinates, FIRST_IMAGES, seed)
    return LabelSession(coordinates, coordinates[sample_rows(len(coordinates))], order, first)


def exact_interval(errors: int, images: int) -> Interval:
    """The fraction of correct images with its exact 95% interval (Clopper and Pearson 1934); NaN [0, 1] without images.

    >>> interval = exact_interval(1, 20)
    >>> round(interval.value, 2), round(interval.low, 4), round(interval.high, 4)
    (0.95, 0.7513, 0.9987)
    """
    if not images:
        return Interval(float("nan"), 0.0, 1.0)
    low, high = 1 - upper_bound(errors, images, 0.975), upper_bound(images - errors, images, 0.975)
    return Interval(1 - errors / images, low, high)
