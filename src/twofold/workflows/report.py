"""report: everything that the page shows, as a frozen record. From a bundle, or from an evaluation on labelled images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from twofold.audit.leakage import Leakage
from twofold.bundle.scores import ScoreTable
from twofold.bundle.storage import Bundle
from twofold.core.arrays import Labels, Probabilities, Reals
from twofold.core.errors import BundleError, UsageError
from twofold.core.privacy import change_texts, relative_to
from twofold.data import MAX_PIXELS, NO_RANGES, IntensityRanges
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import Rule
from twofold.decision.costs import Costs
from twofold.decision.prevalence import change_prevalence
from twofold.embedding import Source
from twofold.evaluation import Evaluation
from twofold.evaluation.groups import Groups
from twofold.evaluation.rule_summary import RuleSample, RuleSummary
from twofold.workflows.evaluate import EvaluationResult
from twofold.workflows.evidence_checks import EvidenceChecks
from twofold.workflows.labelled_scores import LabelledScores, scores_of_table
from twofold.workflows.report_images import FileIdentity, ScoredImages, locate
from twofold.workflows.report_scores import test_images, training_images
from twofold.workflows.save import public_paths
from twofold.workflows.thumbnails import MAX_BYTES, Thumbnails, make_thumbnails
from twofold.workflows.training_result import TrainingResult

MOST_IMAGES: Final = 500
"""The number of images that a page shows at most."""
_MOST_PAIRS: Final = 24
_KINDS: Final = {"train": "training", "test": "test"}

ImageKey = tuple[str, str]
"""The role of the images, "train" or "test", and a path: both may have an image of the same name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the metrics table: its name, and an evaluation as JSON."""

    name: str
    block: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdScores:
    """Labelled scores on which thresholds are tried. The probabilities (n,) hold at `prevalence`; `summary` is what the rule in
    use does to them."""

    name: str
    labels: Labels = field(repr=False)
    probabilities: Probabilities = field(repr=False)
    groups: Groups | None = field(repr=False)
    familiarity: Reals | None = field(repr=False)
    prevalence: float
    summary: RuleSummary

    @property
    def rule(self) -> Rule:
        """The rule in use."""
        return self.summary.rule


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, the one that it duplicates, and the kind of the pair."""

    first: ImageKey
    second: ImageKey
    kind: str
    labels_agree: bool = True


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is not used, or used and flagged, and the code of the reason."""

    path: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ReportData:
    """What the page shows. `result` is the training or the evaluation as JSON, `record` the content of bundle.json without the
    model's weights; `columns` begin with the headline. `scored[0]` are the images of the first matrix that has images."""

    name: str
    classes: tuple[str, str]  # (negative, positive)
    columns: tuple[Column, ...] = field(repr=False)
    scored: tuple[ScoredImages, ...] = field(repr=False)
    thresholds: ThresholdScores | None = field(repr=False)
    result: Mapping[str, Any] = field(repr=False)
    record: Mapping[str, Any] = field(repr=False)
    pairs: tuple[Pair, ...] = field(repr=False, default=())
    files: tuple[SkippedFile, ...] = field(repr=False, default=())
    thumbnails: Thumbnails[ImageKey] = field(repr=False, default=Thumbnails())
    sources: Mapping[ImageKey, Source] = field(repr=False, default_factory=dict)  # of the images that are shown
    maps: Mapping[ImageKey, bytes] = field(repr=False, default_factory=dict)  # PNG layers of evidence over thumbnails
    map_checks: EvidenceChecks | None = field(repr=False, default=None)
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> list[Mapping[str, str]]:
        """The notes of the result, {"code", "text"} each."""
        return list(self.result.get("notes", ()))


def report_of_bundle(
    bundle: Bundle, data: Path | None = None, test: Path | None = None, *, max_pixels: int = MAX_PIXELS
) -> ReportData:
    """The report of a bundle, with thumbnails of the images that are found in DATA, and in the test data `test`.

    Raises BundleError where evaluation or scores are missing or altered, DataError where DATA or `test` does not exist or holds
    none of the images, UsageError where there is a `test` but the model was trained without one.
    """
    report, sources, remarks = _of_bundle(bundle), dict[ImageKey, Source](), []
    for role, place, identities in (("train", data, _identities), ("test", test, _test_identities)):
        if place is not None:
            kind = f"{_KINDS[role]} images"
            images = locate(place, identities(bundle), kind)
            sources |= {(role, path): source for path, source in images.sources.items()}
            remarks += [sentence] if (sentence := images.sentence(kind)) else []
    report = replace(report, remarks=tuple(remarks))
    return _with_thumbnails(report, sources, _ranges(bundle), max_pixels) if sources else report


def report_of_training(
    bundle: Bundle, training: TrainingResult, *, thumbnails: bool, max_pixels: int = MAX_PIXELS
) -> ReportData:
    """The report of the bundle that a training result was saved as, with its test images."""
    public_path = public_paths(training)
    report = _of_bundle(bundle)
    if not thumbnails:
        return report
    sources = _sources(training.dataset, public_path, "train")
    if training.test is not None:
        sources |= _sources(training.test.dataset, public_path, "test")
    return _with_thumbnails(report, sources, _ranges(bundle), max_pixels)


def report_of_evaluation(
    bundle: Bundle, name: str, result: EvaluationResult, *, thumbnails: bool, max_pixels: int = MAX_PIXELS
) -> ReportData:
    """The report of an evaluation of the bundle `name`, or of two, on labelled images."""
    public_path = relative_to([], map(str, result.dataset.file_list.paths))
    _, evaluation = result.leakage.headline(result.evaluation)
    columns = _evaluation_columns(result)
    scored = _scored_dataset(columns[0].name, result.dataset, evaluation, result.leakage, public_path)
    own_positive = evaluation.classes == bundle.model.classes
    report = ReportData(
        name,
        evaluation.classes,
        columns,
        () if scored is None else (scored,),
        _evaluation_thresholds(columns[0].name, evaluation, bundle)
        if own_positive and not evaluation.missing
        else None,
        change_texts(result.as_json(), public_path),
        _plain_record(bundle),
        pairs=tuple(
            Pair(("test", public_path(leaked.path)), ("train", leaked.duplicate_of), leaked.kind)
            for leaked in result.leakage.images[:_MOST_PAIRS]
        ),
        files=_skipped(result.dataset, public_path),
    )
    if not thumbnails:
        return report
    return _with_thumbnails(report, _sources(result.dataset, public_path, "test"), _ranges(bundle), max_pixels)


def role_of(name: str) -> str:
    """Whether the images of a column are those of the training or of a test set."""
    return "test" if name.startswith(("test", "first", "second")) else "train"


def _of_bundle(bundle: Bundle) -> ReportData:
    result, record = bundle.evaluation(), _plain_record(bundle)
    evidence = str(record.get("evidence", "cross_validation"))
    rows = bundle.file_rows()
    columns = _training_columns(result, evidence)
    if not columns:
        raise BundleError(
            f"{bundle.path} holds no evaluation.json, which a report is made from: restore it from a backup, or train it again."
        )
    table = bundle.scores()
    scores = scores_of_table(bundle, table)
    return ReportData(
        bundle.path.resolve().name,
        bundle.model.classes,
        columns,
        _bundle_images(bundle, result, evidence, columns, table, scores, rows),
        _bundle_thresholds(bundle, scores),
        result,
        record,
        pairs=_bundle_pairs(result),
        files=tuple(
            SkippedFile(row["path"], row["status"], row["reason"])
            for row in rows
            if row.get("status") in ("skipped", "flagged")
        ),
    )


def _plain_record(bundle: Bundle) -> dict[str, Any]:
    return {name: value for name, value in bundle.record.items() if name not in ("head", "probes")}


def _ranges(bundle: Bundle) -> IntensityRanges:
    return bundle.model.backbone.preprocessing.ranges or NO_RANGES


def _test_identities(bundle: Bundle) -> list[FileIdentity]:
    scores = bundle.test_scores()
    if scores is None:
        raise UsageError(f"{bundle.path} holds no test_scores.csv, so it has no test images to show: leave `test` out.")
    return [FileIdentity(*columns) for columns in zip(scores.paths, scores.bytes, scores.sha256, strict=True)]


def _identities(bundle: Bundle) -> list[FileIdentity]:
    rows = bundle.file_rows()
    if not rows:
        raise BundleError(f"{bundle.path} holds no files.csv, which its images are known by: leave `data` out.")
    return [
        FileIdentity(row["path"], int(row["bytes"]) if row.get("bytes") else None, row.get("sha256") or None)
        for row in rows
        if row.get("sha256")
    ]


def _training_columns(result: Mapping[str, Any], evidence: str) -> tuple[Column, ...]:
    """The columns of the training, the headline first, as in its text."""
    tests = _test_columns("test", result.get("test"))
    if "learning" in result and evidence == "validation":
        own = [Column("validation", result["validation"]), Column("train", result["train"])]
    elif "learning" in result:
        own = [Column("out-of-fold", result[evidence]), Column("train", result["train"])]
    else:
        own = [Column("train (out-of-fold)", result[evidence])] if evidence in result else []
    return (*tests[:1], *own, *tests[1:])


def _test_columns(name: str, block: Mapping[str, Any] | None) -> list[Column]:
    """The columns of a test set: the headline, then all images where some of them duplicate training images."""
    if block is None:
        return []
    leakage = block.get("leakage")
    if not leakage:
        return [Column(name, block)]
    unseen, inflated = leakage["test_unseen"], Column(f"{name} (inflated)", block)
    return [inflated] if unseen is None else [Column(f"{name} (unseen)", unseen), inflated]


def _evaluation_columns(result: EvaluationResult) -> tuple[Column, ...]:
    block = result.as_json()
    if result.second is None:
        return tuple(_test_columns("test", block))
    return (*_test_columns("first", block), *_test_columns("second", block["second"]))


def _bundle_images(
    bundle: Bundle,
    result: Mapping[str, Any],
    evidence: str,
    columns: Sequence[Column],
    table: ScoreTable,
    scores: LabelledScores,
    rows: Sequence[Mapping[str, str]],
) -> tuple[ScoredImages, ...]:
    """The images of the test set, where there was one, then those of the training."""
    name = {"validation": "validation"}.get(evidence, "out-of-fold" if "learning" in result else "train (out-of-fold)")
    training = [training_images(bundle, name, result[evidence], table, scores, rows)] if evidence in result else []
    test = test_images(bundle, columns[0].name, result["test"]) if "test" in result else None
    return (*([] if test is None else [test]), *training)


def _bundle_thresholds(bundle: Bundle, scores: LabelledScores) -> ThresholdScores:
    model = bundle.model
    assumed = model.rule.prevalence
    probabilities = model.probability_curve.probabilities(scores.logits)
    sample = RuleSample(scores.labels, probabilities, scores.groups, assumed, scores.factor, scores.familiarity)
    prevalence = model.calibration.prevalence if assumed is None else assumed
    summary = sample.summary(model.rule, Costs.of_rule(model.rule))
    columns = scores.labels, probabilities, scores.groups, scores.familiarity
    return ThresholdScores(scores.source, *columns, prevalence, summary)


def _evaluation_thresholds(name: str, evaluation: Evaluation, bundle: Bundle) -> ThresholdScores:
    """The scores of an evaluation, with the thresholds as a bundle has them."""
    assumed, rule = evaluation.rule.prevalence, evaluation.rule.original
    probabilities = evaluation.probabilities
    if assumed is not None:
        probabilities = change_prevalence(probabilities, evaluation.rule.neutral, 0.5)
    factor = evaluation.sample.factors.decisions
    columns = evaluation.labels, probabilities, evaluation.groups
    sample = RuleSample(*columns, assumed, factor, evaluation.familiarity)
    prevalence = bundle.model.calibration.prevalence if assumed is None else assumed
    return ThresholdScores(
        name, *columns, evaluation.familiarity, prevalence, sample.summary(rule, Costs.of_rule(rule))
    )


def _bundle_pairs(result: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Test images that duplicate training images, then duplicates among the training images."""
    leaked = result.get("test", {}).get("leakage", {}).get("images", ())
    duplicates = result.get("audit", {}).get("duplicates", ())
    pairs = [Pair(("test", entry["path"]), ("train", entry["duplicate_of"]), entry["kind"]) for entry in leaked]
    own = [
        Pair(("train", entry["path"]), ("train", entry["duplicate_of"]), entry["kind"], entry["labels_agree"])
        for entry in sorted(duplicates, key=lambda entry: bool(entry["labels_agree"]))
    ]
    return (*pairs[:_MOST_PAIRS], *own[:_MOST_PAIRS])


def _scored_dataset(
    name: str, dataset: LabelledDataset, evaluation: Evaluation, leakage: Leakage, public_path: Any
) -> ScoredImages | None:
    """The images of an evaluation; None where they cannot be told apart, as where two bundles have different valid images."""
    rows = np.flatnonzero(dataset.valid)
    if len(rows) != len(evaluation.labels):
        leaked = {image.path for image in leakage.images}
        rows = np.array([row for row in rows.tolist() if dataset.paths[row] not in leaked], np.int64)
    if len(rows) != len(evaluation.labels):
        return None
    paths = tuple(public_path(dataset.paths[row]) for row in rows.tolist())
    return ScoredImages(name, evaluation.sample, evaluation.rule, paths, evaluation.familiarity)


def _sources(dataset: LabelledDataset, public_path: Any, role: str) -> dict[ImageKey, Source]:
    return {(role, public_path(str(path))): path for path in dataset.file_list.paths}


def _skipped(dataset: LabelledDataset, public_path: Any) -> tuple[SkippedFile, ...]:
    from twofold.audit.file_report import file_report

    rows = (row for row in file_report(dataset) if row.status != "used")
    return tuple(SkippedFile(public_path(row.path), row.status, row.reason or "") for row in rows)


def _with_thumbnails(
    report: ReportData, sources: Mapping[ImageKey, Source], ranges: IntensityRanges, max_pixels: int
) -> ReportData:
    """The report with thumbnails of the images that it shows. Those of the training and of the test set are in sheets of their
    own, each with its part of the bytes, so that one can be made again without the other."""
    wanted = _shown(report)
    roles = sorted({role for role, _ in wanted})
    shown = dict[ImageKey, Source]()
    thumbnails: Thumbnails[ImageKey] = Thumbnails()
    for role in roles:
        keys = [key for key in wanted if key[0] == role and key in sources][: MOST_IMAGES // len(roles)]
        part = {key: sources[key] for key in keys}
        thumbnails = thumbnails.joined(make_thumbnails(part, ranges, max_pixels, MAX_BYTES // len(roles)))
        shown |= part
    return replace(report, thumbnails=thumbnails, sources=shown)


def _shown(report: ReportData) -> list[ImageKey]:
    """The images that the page shows, the most important first, each once."""
    keys: list[ImageKey] = []
    issues = report.result.get("audit", {}).get("label_issues", ())
    for scored in report.scored:
        keys += [(role_of(scored.name), scored.paths[row]) for row in scored.shown[: MOST_IMAGES // 2]]
    first = [("train", issue["path"]) for issue in issues[:_MOST_PAIRS]]
    pairs = [key for pair in report.pairs for key in (pair.first, pair.second)]
    return list(dict.fromkeys((*first, *pairs, *keys)))
