"""review: images ranked by what a look is worth, the decisions of a person, and what they change."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock, RLock
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.audit.label_issues import find_label_issues
from twofold.audit.remaining_errors import CONFIDENCE, RandomDraw, most_wrong_left
from twofold.audit.review_queue import ReviewItem, random_order, review_queue, upcoming
from twofold.bundle.model import Model
from twofold.bundle.storage import Bundle
from twofold.core.arrays import Reals
from twofold.core.errors import UsageError
from twofold.core.notes import Note, count_text
from twofold.core.privacy import relative_to
from twofold.data import DecisionsFile, ReviewDecision, ReviewDecisions, one_line
from twofold.dataset.labelled import LabelledDataset, embed_files, list_test_files, without_distinct
from twofold.decision.cross_fitting import cross_fit_probabilities
from twofold.embedding import Runtime
from twofold.workflows.retraining import OutOfFold, Retraining, fit_out_of_fold, retrain
from twofold.workflows.similar_images import SimilarImages
from twofold.workflows.training_images import (
    find_training_data,
    leaked_training_paths,
    training_data_options,
    training_hashes,
    training_scores,
)

AnswerKind = Literal["label", "keep", "exclude", "unsure"]
ANSWERS: Final = ("label", "keep", "exclude", "unsure")

_NEIGHBOURS: Final = 4  # of each class


@dataclass(frozen=True, slots=True)
class ReviewOrder:
    """An image as it was asked for: its row, the answer, the class of a `label`, and whether it was drawn at random."""

    row: int
    kind: AnswerKind
    value: str = ""
    is_random: bool = False


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """Counts of different images. `most_wrong_left` bounds the labels among the `unchecked` that this person would change."""

    images: int
    checked: int
    relabelled: int
    excluded: int
    unsure: int
    drawn: int
    most_wrong_left: int
    confidence: float = CONFIDENCE

    @property
    def unchecked(self) -> int:
        """The number of images without a decision."""
        return self.images - self.checked


@dataclass(frozen=True, slots=True, eq=False)
class ReviewImages:
    """The images of a review: a labelled dataset of `data`, and what a bundle says about them before any decision.

    `logits` and `familiarity` are (used,), out-of-fold where the image was trained on; `leaked` are rows of images that are also
    in the test set. `folds` and `seed` are those of the training. `before` has the scores that a retraining is compared with;
    None where they are not known without a fit.
    """

    name: str
    data: Path
    model: Model
    dataset: LabelledDataset
    logits: Reals = field(repr=False)
    familiarity: Reals | None = field(repr=False)
    leaked: tuple[int, ...]
    folds: int
    seed: int
    notes: tuple[Note, ...]
    before: OutOfFold | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _ReviewScores:
    """What the model says about each usable image, (used,); NaN where it is unknown."""

    probabilities: Reals = field(repr=False)
    p_label_error: Reals = field(repr=False)
    listed_from: float
    familiarity: Reals | None = field(repr=False)


class Review:
    """The review of a labelled dataset. Any number of threads may use it.

    Images are known by their row among the usable images; files with equal bytes are one image. Decisions go to `file` at once,
    and those of other processes are respected.
    """

    def __init__(self, images: ReviewImages, file: DecisionsFile) -> None:
        dataset, logits = images.dataset, images.logits
        self.model, self.dataset, self.file, self.notes = images.model, dataset, file, images.notes
        self.name = images.name
        self.hashes = [entry.sha256 for entry in dataset.table.metadata if entry is not None]
        self.paths = list(map(relative_to([images.data], dataset.paths), dataset.paths))
        self.data, self._folds, self._seed, self._leaked = images.data, images.folds, images.seed, images.leaked
        self._lock, self._fitting = RLock(), Lock()
        self._content = np.unique(self.hashes, return_inverse=True)[1]  # the number of each image's content
        self._first = {sha256: row for row, sha256 in reversed(list(enumerate(self.hashes)))}
        rows = sorted(self._first.values())
        self._order = [rows[place] for place in random_order([self.hashes[row] for row in rows], images.seed)]
        self._similar = SimilarImages.of(dataset.table.features, images.seed)
        self._before = images.before
        probabilities = self.model.calibration.probabilities(logits)
        self._scores = self._score(logits, dataset.labels, probabilities, images.familiarity)
        self._ranked = self._rank()

    @property
    def classes(self) -> tuple[str, str]:
        """(negative, positive)"""
        return self.dataset.classes

    @property
    def images(self) -> int:
        """The number of different images."""
        return len(self._order)

    def next(self, count: int, *, random_only: bool = False) -> list[ReviewItem]:
        """The next images to look at. The same ones as long as nothing was decided, also after a restart."""
        with self._lock:
            return upcoming(self._ranked, self._order, self._checked(), count, random_only=random_only)

    def decide(self, orders: Sequence[ReviewOrder]) -> None:
        """Writes the answers. Raises UsageError for an image or an answer that there is not, TwofoldError where writing fails."""
        with self._lock:
            self.file.append([self._decision(order) for order in orders])

    def separate(self, row: int, other: int) -> None:
        """Writes that two images are no duplicates."""
        with self._lock:
            first, second = self._hash(row), self._hash(other)
            if first == second:
                raise UsageError("Files with equal bytes are duplicates.")
            self.file.append([self._record(row, "not-duplicate", second, pair_path=self.paths[other])])
            self._ranked = self._rank()

    def undo(self) -> ReviewItem | None:
        """Takes back the last decision that holds about an image of this data, of any session, and returns the image.

        None where there is nothing to take back.
        """
        with self._lock:
            self.file.refresh()
            here = (decision for decision in reversed(list(self.file.decisions)) if decision.sha256 in self._first)
            last = next(here, None)
            if last is None:
                return None
            time, session = self.file.now(), self.file.session
            self.file.append([ReviewDecision(time, last.sha256, "undo", last.time, last.path, session=session)])
            if last.kind == "not-duplicate":
                self._ranked = self._rank()
            item = self.item(self._first[last.sha256])
            return item if last.drawn_from is None else replace(item, reason="random")

    def progress(self) -> ReviewProgress:
        """Where the review stands. The bound counts draws from as many images as there are now."""
        with self._lock:
            self.file.refresh()
            decisions, answers = self.file.decisions, self.file.decisions.answers
            seen: set[str] = set()
            draws, corrections = [], 0
            for decision in decisions:  # the first look at each image, judged by the last answer
                if decision.kind == "not-duplicate" or decision.sha256 in seen or decision.sha256 not in self._first:
                    continue
                is_wrong = self._is_wrong(answers[decision.sha256])
                if decision.drawn_from == self.images:
                    draws.append(RandomDraw(self.images - len(seen), corrections, is_wrong))
                seen.add(decision.sha256)
                corrections += is_wrong
            here = [answer for sha256, answer in answers.items() if sha256 in self._first]
            kinds = {kind: sum(answer.kind == kind for answer in here) for kind in ANSWERS}
            bound = most_wrong_left(draws, self.images - len(seen), corrections)
        relabelled = corrections - kinds["exclude"]
        return ReviewProgress(self.images, len(seen), relabelled, kinds["exclude"], kinds["unsure"], len(draws), bound)

    def describe(self, item: ReviewItem) -> dict[str, Any]:
        """What is to be seen of an image, as JSON: label, scores, the reason, its neighbours of both classes, a pair's other."""
        row, scores = item.row, self._scores
        with self._lock:
            answer, labels = self.file.decisions.answer(self.hashes[row]), self._current_labels()
        is_other = self._content != self._content[row]
        nearest = [
            self._similar.nearest(row, is_other & (labels == number), _NEIGHBOURS) if len(labels) > 1 else []
            for number in (0, 1)
        ]
        return {
            "row": row,
            "path": self.paths[row],
            "label": self.classes[int(self.dataset.labels[row])],
            "reason": item.reason,
            "random": item.reason == "random",
            "probability": round(float(scores.probabilities[row]), 4),
            "p_label_error": _number(scores.p_label_error[row]),
            "familiarity": None if scores.familiarity is None else _number(scores.familiarity[row]),
            "other": None if item.other is None else self.brief(item.other),
            "answer": None if answer is None else {"kind": answer.kind, "value": answer.value},
            "nearest": {
                name: [self.brief(number) for number in rows] for name, rows in zip(self.classes, nearest, strict=True)
            },
        }

    def item(self, row: int) -> ReviewItem:
        """The image as the queue has it. Raises UsageError for a row that there is not."""
        self._hash(row)
        first = self._first[self.hashes[row]]
        return next((item for item in self._ranked if item.row == first), ReviewItem(first, "ranked", 0.0))

    def retrain(self) -> Retraining:
        """What the decisions change so far; the queue is ranked by the new scores. DataError where too few images remain."""
        with self._fitting:  # decisions may be written meanwhile
            with self._lock:
                self.file.refresh()
                decisions = ReviewDecisions(self.file.decisions)
            if self._before is None:
                everything = np.arange(len(self.dataset.labels))
                self._before = fit_out_of_fold(self.dataset, everything, self._folds, self._seed)
            rule = self.model.rule
            result = retrain(self.dataset, decisions, self._before, rule, self._folds, self._seed)
            with self._lock:
                self._use(result.scores)
            return result

    def _use(self, scores: OutOfFold) -> None:
        """Ranks by these scores; where there are none, as for excluded images, the former remain."""
        probabilities, labels = self._scores.probabilities.copy(), self.dataset.labels.copy()
        logits = np.full(len(labels), np.nan)
        probabilities[scores.rows], logits[scores.rows], labels[scores.rows] = (
            scores.probabilities,
            scores.logits,
            scores.labels,
        )
        self._scores = self._score(logits, labels, probabilities, self._scores.familiarity)
        self._ranked = self._rank()

    def _score(
        self, logits: Reals, labels: NDArray[np.int8], probabilities: Reals, familiarity: Reals | None
    ) -> _ReviewScores:
        p_label_error, listed_from = np.full(len(labels), np.nan), 1.0
        rows = np.flatnonzero(np.isfinite(logits) & self.dataset.valid)
        if 0 < int(labels[rows].sum()) < len(rows):
            issues = find_label_issues(logits[rows], labels[rows])
            p_label_error[rows], listed_from = issues.p_label_error, issues.threshold
        return _ReviewScores(probabilities, p_label_error, listed_from, familiarity)

    def _rank(self) -> list[ReviewItem]:
        scores, gate = self._scores, self.model.rule.gate
        keys, distinct = self.dataset.fingerprints.keys, self.file.decisions.distinct
        items = review_queue(
            self.dataset.labels,
            self.dataset.valid,
            without_distinct(self.dataset.duplicates, keys, distinct),
            scores.p_label_error,
            scores.probabilities,
            self.model.rule.threshold,
            familiarity=scores.familiarity,
            least_familiarity=0.0 if gate is None else float(gate["level"]),
            leaked=self._leaked,
            listed_from=scores.listed_from,
        )
        first = {self._first[self.hashes[item.row]] for item in items}
        return [item for item in items if item.row in first]

    def _decision(self, order: ReviewOrder) -> ReviewDecision:
        if order.kind not in ANSWERS:
            raise UsageError(f"{order.kind!r} is no answer: it is one of {', '.join(ANSWERS)}.")
        if order.kind == "label" and order.value not in self.classes:
            raise UsageError(f"{order.value!r} is no class: it is {' or '.join(self.classes)}.")
        value = order.value if order.kind == "label" else ""
        return self._record(order.row, order.kind, value, drawn_from=self.images if order.is_random else None)

    def _record(
        self, row: int, kind: Any, value: str, *, drawn_from: int | None = None, pair_path: str = ""
    ) -> ReviewDecision:
        sha256 = self._hash(row)
        path = f"{self.paths[row]} and {pair_path}" if pair_path else self.paths[row]
        label = self.classes[int(self.dataset.labels[row])]
        return ReviewDecision(self.file.now(), sha256, kind, value, path, label, drawn_from, self.file.session)

    def _hash(self, row: int) -> str:
        if not 0 <= row < len(self.hashes):
            raise UsageError(f"There is no image {row}.")
        return self.hashes[row]

    def _is_wrong(self, answer: ReviewDecision) -> bool:
        """Whether the person changes the label that the image has in DATA, or excludes it."""
        if answer.kind != "label":
            return answer.kind == "exclude"
        row = self._first[answer.sha256]
        label = one_line(self.classes[int(self.dataset.labels[row])])
        return answer.value != label or not bool(self.dataset.valid[row])

    def _checked(self) -> Mapping[int, object]:
        answers = self.file.decisions.answers
        return {self._first[sha256]: answer for sha256, answer in answers.items() if sha256 in self._first}

    def _current_labels(self) -> NDArray[np.int8]:
        """The label of each image after the decisions, -1 for one that is excluded."""
        labels, names = self.dataset.labels.copy(), {one_line(name): number for number, name in enumerate(self.classes)}
        for sha256, answer in self.file.decisions.answers.items():
            row = self._first.get(sha256)
            if row is not None and answer.kind in ("label", "exclude"):
                labels[row] = names.get(answer.value, labels[row]) if answer.kind == "label" else -1
        return labels

    def brief(self, row: int) -> dict[str, Any]:
        """Row, path and label of an image."""
        name = self.classes[int(self.dataset.labels[row])]
        return {"row": row, "path": self.paths[row], "label": name}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def open_review(bundle: Bundle, data: Path | None, decisions: Path, runtime: Runtime) -> Review:
    """The review of the images in DATA, by default of those that the bundle was trained on.

    Raises DataError where the images are not at hand, UsageError where the decisions cannot be written.
    """
    file = DecisionsFile(decisions)
    images = review_images(bundle, data, runtime)
    if file.decisions.damaged:
        text = f"Skipped {count_text(file.decisions.damaged, 'damaged line')} of {decisions}."
        images = replace(images, notes=(*images.notes, Note("review-damaged", text)))
    return Review(images, file)


def review_images(bundle: Bundle, data: Path | None, runtime: Runtime) -> ReviewImages:
    """The images in DATA, by default those that the bundle was trained on. DataError where they are not at hand."""
    folder = find_training_data(bundle) if data is None else data
    model = bundle.model
    file_list = list_test_files(model.classes, folder, training_data_options(bundle))
    dataset = embed_files(file_list, file_list.paths, model.engine(runtime), runtime, what="images")
    dataset.check_any()
    logits, familiarity, notes = _known_scores(bundle, dataset)
    options = bundle.record.get("options", {}).get("cross_validation", {})
    leaked = tuple(_leaked_rows(bundle, dataset))
    folds, seed, name = int(options.get("folds", 5)), int(bundle.record["seed"]), bundle.path.name
    before = _scores_before(bundle, dataset)
    return ReviewImages(name, folder, model, dataset, logits, familiarity, leaked, folds, seed, tuple(notes), before)


def _known_scores(bundle: Bundle, dataset: LabelledDataset) -> tuple[Reals, Reals | None, list[Note]]:
    """Logits and familiarity of the images: out-of-fold for training images, those of the model for others."""
    model, features = bundle.model, dataset.table.features
    logits, familiarity = model.logits(features), model.familiarities(features)
    scores, hashes = training_scores(bundle), set(training_hashes(bundle).values())
    present = [entry.sha256 for entry in dataset.table.metadata if entry is not None]
    for row, sha256 in enumerate(present):
        if (score := scores.get(sha256)) is not None:
            logits[row] = score.logit
            if familiarity is not None:
                familiarity[row] = score.familiarity
    missing, new = len(hashes - set(present)), len(set(present) - hashes)
    notes = [note for note in dataset.notes() if note.code not in ("duplicates", "near-duplicates-across-folds")]
    if missing:
        text = (
            f"{count_text(missing, 'training image')} of {len(hashes)} not found by content: removed or changed since."
        )
        notes.append(Note("images-missing", text))
    if new:
        text = f"{count_text(new, 'image')} not among the training images: scored by the model."
        notes.append(Note("images-new", text))
    return logits, familiarity, notes


def _scores_before(bundle: Bundle, dataset: LabelledDataset) -> OutOfFold | None:
    """The out-of-fold scores of the bundle; None where images or labels differ from those of the training, or where it trained a
    network."""
    if bundle.record.get("C") is None:
        return None
    rows, scores = np.flatnonzero(dataset.valid), training_scores(bundle)
    present = [entry.sha256 for entry in dataset.table.metadata if entry is not None]
    of_rows = [scores.get(present[row]) for row in rows.tolist()]
    known = [score for score, name in zip(of_rows, dataset.names[rows], strict=True) if score and score.label == name]
    if len(known) < len(rows):
        return None
    logits, fold = np.array([score.logit for score in known]), np.array([score.fold for score in known], np.int64)
    labels = dataset.labels[rows]
    return OutOfFold(rows, labels, logits, cross_fit_probabilities(logits, labels, fold, dataset.groups[rows]))


def _leaked_rows(bundle: Bundle, dataset: LabelledDataset) -> list[int]:
    """The usable rows of training images that are in the test set as well."""
    hashes, paths = training_hashes(bundle), leaked_training_paths(bundle)
    leaked = {hashes[path] for path in paths if path in hashes}
    present = [entry.sha256 for entry in dataset.table.metadata if entry is not None]
    return [row for row, sha256 in enumerate(present) if sha256 in leaked]


def progress_json(progress: ReviewProgress) -> dict[str, Any]:
    """The progress as JSON."""
    return {**asdict(progress), "unchecked": progress.unchecked}
