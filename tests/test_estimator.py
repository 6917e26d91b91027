"""The scikit-learn face."""

import hashlib
import io
import pickle
import signal
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from drawings import draw
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import check_estimator
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from twofold.bundle.storage import load_bundle
from twofold.core.errors import DataError, UsageError
from twofold.data import DecisionsFile, ReviewDecision
from twofold.decision import Rule
from twofold.estimator import BinaryImageClassifier
from twofold.workflows.evaluate import is_alphabetical
from twofold.workflows.predict import Predictor

NUMBERS = range(24)
IMAGES = [draw(pattern, number) for number in NUMBERS for pattern in ("rings", "bars")]
LABELS = np.array(["rings", "bars"] * len(NUMBERS))


def image_bytes(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "estimator-cache"))


@pytest.fixture(scope="module")
def fitted() -> BinaryImageClassifier:
    return BinaryImageClassifier(dtype="f32", cache=False).fit(IMAGES, LABELS)


def test_it_learns_and_its_columns_follow_classes(fitted: BinaryImageClassifier) -> None:
    new = [draw("bars", 80), draw("rings", 80)]
    assert list(fitted.classes_) == ["bars", "rings"]
    assert list(fitted.predict(new)) == ["bars", "rings"]
    probabilities = fitted.predict_proba(new)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(fitted.classes_[probabilities.argmax(axis=1)], ["bars", "rings"])
    assert np.array_equal(fitted.decision_function(new) > 0, [False, True])


def test_an_unfamiliar_image_is_answered_and_its_familiarity_says_so(fitted: BinaryImageClassifier) -> None:
    images = [draw("bars", 80), np.zeros((64, 64, 3), np.uint8)]
    assert fitted.model_.rule.gate is not None
    assert (fitted.familiarity(images) < fitted.model_.rule.gate["level"]).tolist() == [False, True]
    assert set(fitted.predict(images)) <= set(fitted.classes_)
    assert BinaryImageClassifier(dtype="f32", gate=False).fit(IMAGES, LABELS).model_.rule.gate is None


def test_paths_bytes_images_and_arrays_are_the_same_image(fitted: BinaryImageClassifier, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    IMAGES[0].save(path)
    forms = [path, str(path), path.read_bytes(), IMAGES[0], np.asarray(IMAGES[0])]
    logits = fitted.decision_function(forms)
    assert np.ptp(logits) == 0


def test_labels_of_any_type_come_back_as_they_were() -> None:
    numbers = np.where(LABELS == "rings", 1, 0)
    classifier = BinaryImageClassifier(dtype="f32", positive=0).fit(IMAGES, numbers)
    assert classifier.predict(IMAGES[:2]).tolist() == [1, 0]
    assert classifier.predict_proba(IMAGES[:1])[0, 1] > 0.5
    assert classifier.model_.classes == ("1", "0")


@pytest.mark.parametrize(
    ("names", "positive", "alphabetical"),
    [(("bars", "rings"), None, True), (("bars", "rings"), "bars", False), ((9, 10), None, False), ((9, 10), 9, False)],
)
def test_a_saved_bundle_knows_whether_its_positive_class_was_chosen(
    tmp_path: Path, names: tuple[Any, Any], positive: Any, alphabetical: bool
) -> None:
    labels = np.where(LABELS == "bars", *names)
    classifier = BinaryImageClassifier(dtype="f32", positive=positive).fit(IMAGES, labels)
    classifier.save(tmp_path / "model.twofold")
    bundle = load_bundle(tmp_path / "model.twofold")
    assert bundle.model.classes[1] == str(names[1] if positive is None else positive)
    assert is_alphabetical(bundle) is alphabetical


def pressed_at(count: int) -> RemovableHandle:
    """Ctrl-C at this step of learning."""
    steps = iter(range(1, count + 1))

    def press(*_: Any) -> None:
        if next(steps, count) == count:
            raise KeyboardInterrupt

    return register_optimizer_step_pre_hook(press)


def test_an_image_that_cannot_be_used_is_an_error_before_a_network_is_trained() -> None:
    learns = BinaryImageClassifier(mode="scratch", size=48, epochs=1, cache=False)
    hook = pressed_at(1)
    try:
        with pytest.raises(DataError, match="1 of 49 images cannot be read"):
            learns.fit([*IMAGES, b"no image"], np.append(LABELS, "bars"))
    finally:
        hook.remove()


def test_ctrl_c_keeps_the_best_network_and_is_heard() -> None:
    learns = BinaryImageClassifier(mode="scratch", size=48, epochs=50, batch_size=16, cache=False)
    before, hook = signal.getsignal(signal.SIGINT), pressed_at(5)  # an epoch has three steps
    try:
        with pytest.raises(KeyboardInterrupt):
            learns.fit(IMAGES, LABELS)
    finally:
        hook.remove()
        signal.signal(signal.SIGINT, before)
    assert len(learns.predict(IMAGES[:2])) == 2


def test_it_goes_through_cross_val_score_grid_search_clone_and_pickle(fitted: BinaryImageClassifier) -> None:
    classifier = BinaryImageClassifier(dtype="f32", folds=3)
    assert cross_val_score(classifier, IMAGES, LABELS, cv=2).min() == 1.0
    search = GridSearchCV(classifier, {"features": ["last", "stages"]}, cv=2).fit(IMAGES, LABELS)
    assert search.best_params_["features"] in ("last", "stages")
    assert clone(classifier).get_params() == classifier.get_params()
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(IMAGES[:3]), fitted.predict_proba(IMAGES[:3]))


def test_a_promise_goes_through_cross_val_score() -> None:
    keeps = BinaryImageClassifier(dtype="f32", crop_mode="squash", promise=("recall>=0.6", "fpr<=0.4"))
    scores = cross_val_score(keeps, IMAGES, LABELS, cv=2)
    assert scores.tolist() == [1.0, 1.0]
    rare = clone(keeps).set_params(prevalence=0.01, promise=()).fit(IMAGES, LABELS)
    assert rare.model_.rule.prevalence == 0.01
    assert rare.predict_proba(IMAGES)[:, 1].mean() < 0.5


def test_it_saves_a_bundle_that_answers_alike(fitted: BinaryImageClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "drawn.twofold")
    answers = Predictor(load_bundle(tmp_path / "drawn.twofold")).predict(IMAGES[:4])
    assert [answer.label for answer in answers] == list(LABELS[:4])
    assert np.allclose([answer.probability for answer in answers], fitted.predict_proba(IMAGES[:4])[:, 1])


def test_one_image_instead_of_a_list_is_refused_wherever_images_are_taken(
    fitted: BinaryImageClassifier, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "drawn.twofold")
    answering = (
        fitted.predict,
        fitted.predict_proba,
        fitted.decision_function,
        Predictor(load_bundle(tmp_path / "drawn.twofold")).predict,
        lambda image: BinaryImageClassifier().fit(image, LABELS),
        lambda image: BinaryImageClassifier(mode="scratch").fit(image, LABELS),
    )
    for image in ("a.jpg", tmp_path / "a.jpg", b"bytes", IMAGES[0], np.asarray(IMAGES[0]), torch.zeros(64, 64)):
        for answer in answering:
            with pytest.raises(DataError, match=r"give a list, as in predict\(\[image\]\)"):
                answer(image)


def test_columns_are_taken_as_lists_are(fitted: BinaryImageClassifier) -> None:
    column = np.empty((len(IMAGES), 1), dtype=object)
    column[:, 0] = IMAGES
    classifier = BinaryImageClassifier(dtype="f32").fit(column, LABELS.reshape(-1, 1))
    assert classifier.classes_.tolist() == ["bars", "rings"]
    assert np.array_equal(classifier.predict_proba(column[:4]), fitted.predict_proba(IMAGES[:4]))


def test_an_array_whose_numbers_are_beyond_their_range_is_told_with_both_ranges(fitted: BinaryImageClassifier) -> None:
    pixels = np.asarray(IMAGES[0]).astype(float)
    with pytest.raises(
        DataError, match=r"image-1: Pixels of float64 must lie between 0 and 1, these .*: divide them by 255"
    ):
        fitted.predict([IMAGES[0], pixels])
    assert np.array_equal(fitted.predict([pixels / 255]), fitted.predict([IMAGES[0]]))


def test_what_is_no_image_and_what_has_no_label_is_named_by_row() -> None:
    with pytest.raises(DataError, match=r"1 of 48 entries are not images .* row 47 is None"):
        BinaryImageClassifier().fit([*IMAGES[:-1], None], LABELS)
    with pytest.raises(DataError, match=r"1 of 48 images have no label in `y` \(row 2\)"):
        BinaryImageClassifier().fit(IMAGES, ["rings", "bars", None, *LABELS[3:]])
    with pytest.raises(DataError, match=r"of one-hot labels, take `y\.argmax"):
        BinaryImageClassifier().fit(IMAGES, np.eye(2)[np.unique(LABELS, return_inverse=True)[1]])


def test_groups_are_given_by_name_alone() -> None:
    with pytest.raises(TypeError, match="positional"):
        BinaryImageClassifier().fit(IMAGES, LABELS, np.arange(len(LABELS)))  # type: ignore[misc]


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_images_without_a_group_are_grouped_as_if_there_were_no_groups(
    fitted: BinaryImageClassifier, missing: Any
) -> None:
    groups = [missing] * 44 + ["burst"] * 4
    classifier = BinaryImageClassifier(dtype="f32").fit(IMAGES, LABELS, groups=groups)
    grouped, alone = classifier.training_.dataset.groups, fitted.training_.dataset.groups  # by copies alone
    assert np.array_equal(grouped[:44], alone[:44])
    assert len(set(grouped[44:])) == 1 < len(set(alone[44:]))


def test_groups_are_routed_by_cross_val_score() -> None:
    groups = [None] * 40 + [1.0, 1] * 4
    with config_context(enable_metadata_routing=True):
        classifier = BinaryImageClassifier(dtype="f32", folds=3).set_fit_request(groups=True)
        assert cross_val_score(classifier, IMAGES, LABELS, cv=2, params={"groups": groups}).min() == 1.0


@pytest.mark.parametrize("name", sorted(BinaryImageClassifier().get_params()))
def test_every_parameter_is_checked_at_fit_before_anything_is_read(name: str) -> None:
    classifier = BinaryImageClassifier(**{name: {"no": "use"}})
    with pytest.raises(UsageError, match=f"^`{name}` must be .*, got ") as caught:
        classifier.fit(["nowhere.png"] * len(LABELS), LABELS)
    assert isinstance(caught.value, ValueError)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"mode": "scrach"},
            r"^`mode` must be 'frozen', 'finetune' or 'scratch', got 'scrach' \(did you mean 'scratch'\?\)\.$",
        ),
        ({"dtype": "fp32"}, r"did you mean 'f32'"),
        ({"threshold": 1.5}, r"^`threshold` must be in \[0, 1\], got 1.5"),
        ({"folds": np.int64(1)}, r"^`folds` must be in \[2, 50\], got 1"),
        ({"batch_size": 8}, "^`batch_size` needs `mode='finetune'` or `mode='scratch'`"),
        (
            {"mode": "scratch", "learning_rate": float("nan")},
            "^`learning_rate` must be a finite number or None, got nan",
        ),
        ({"size": 50}, "^`size` for efficientnet-lite0 lies between 96 and 384, got 50"),
        ({"backbone": "efficientnet-lite9"}, "did you mean 'efficientnet-lite"),
        ({"positive": "ring"}, "^`positive` must be 'bars' or 'rings', got 'ring'"),
        ({"threads": 0}, "^`threads` must be at least 1, got 0"),
    ],
)
def test_what_is_not_legal_is_refused_by_the_name_of_the_parameter(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        BinaryImageClassifier(**given).fit(IMAGES, LABELS)


def test_parameters_may_be_numbers_of_numpy_as_searches_give_them(tmp_path: Path) -> None:
    given = {"folds": np.int64(3), "seed": np.uint32(1), "threshold": np.float32(0.25), "cache": np.False_}
    classifier = BinaryImageClassifier(dtype=np.str_("f32"), **given).fit(IMAGES, LABELS)  # type: ignore[arg-type]
    classifier.save(tmp_path / "drawn.twofold")
    assert load_bundle(tmp_path / "drawn.twofold").model.rule.threshold == 0.25


def test_the_positive_class_is_found_by_its_value() -> None:
    numbers = np.where(LABELS == "rings", 1, 0)
    for positive in (0, 0.0, np.int8(0), "0", False):
        classifier = BinaryImageClassifier(dtype="f32", positive=positive).fit(IMAGES, numbers)
        assert classifier.model_.classes == ("1", "0")


def test_review_decisions_change_labels_and_exclude_images(tmp_path: Path) -> None:
    images = [image_bytes(image) for image in IMAGES]
    wrong = LABELS.copy()
    wrong[0] = "bars"
    hashes = [hashlib.sha256(image).hexdigest() for image in images]
    file = DecisionsFile(tmp_path / "decisions.csv")
    file.append([ReviewDecision("2026-01-01T00:00:00.000001", hashes[0], "label", "rings")])
    file.append([ReviewDecision(f"2026-01-01T00:00:00.00000{n}", hashes[n], "exclude") for n in (3, 4)])
    classifier = clone(BinaryImageClassifier(dtype="f32", cache=False, decisions=str(file.path))).fit(images, wrong)
    assert np.flatnonzero(np.isnan(classifier.out_of_fold_)).tolist() == [3, 4]
    right = np.where(LABELS == "rings", classifier.out_of_fold_ > 0.5, classifier.out_of_fold_ < 0.5)
    assert right[~np.isnan(classifier.out_of_fold_)].mean() > 0.9  # by the rows of the images that were given
    assert classifier.evaluation_.labels.tolist() == [
        int(label == "rings") for row, label in enumerate(LABELS) if row not in (3, 4)
    ]
    assert any(note.code == "review-decisions" for note in classifier.training_.notes)


def test_a_file_that_holds_no_decisions_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\n", encoding="utf-8")
    for name, said in (("labels.csv", "is not a decisions file"), ("none.csv", "cannot be read")):
        with pytest.raises(DataError, match=said):
            BinaryImageClassifier(decisions=tmp_path / name).fit(IMAGES, LABELS)


def test_groups_are_not_parted(fitted: BinaryImageClassifier) -> None:
    groups = np.repeat(np.arange(12), 4)
    classifier = BinaryImageClassifier(dtype="f32").fit(IMAGES, LABELS, groups=groups)
    parts = classifier.training_.fit.scores.folds
    assert all(len(set(parts[groups == group])) == 1 for group in range(12))


def test_an_image_that_cannot_be_used_is_named(fitted: BinaryImageClassifier) -> None:
    with pytest.raises(DataError, match=r"1 of 2 images .* image-1"):
        fitted.predict([IMAGES[0], b"nothing"])


def test_images_that_the_rule_leaves_undecided_are_refused(fitted: BinaryImageClassifier) -> None:
    undecided = copy(fitted)
    undecided.model_ = replace(fitted.model_, rule=Rule(0.0, 1.0))
    with pytest.raises(DataError, match="unsure about 2 of 2 images; use `predict_proba`"):
        undecided.predict(IMAGES[:2])


def test_what_is_no_task_of_two_kinds_is_refused() -> None:
    with pytest.raises(ValueError, match="1 class"):
        BinaryImageClassifier().fit(IMAGES, ["one"] * len(IMAGES))
    with pytest.raises(ValueError, match="2 images.* 3 labels"):
        BinaryImageClassifier().fit(IMAGES[:2], [0, 1, 1])
    with pytest.raises(NotFittedError):
        BinaryImageClassifier().predict(IMAGES[:1])


class Tabular(BinaryImageClassifier):
    """Says that it takes tables of numbers, so that scikit-learn runs its checks at all."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


NO_IMAGES = "fits on rows of random numbers, which are no images: DataError"
NOT_PASSED = {
    "check_classifier_data_not_an_array": "X without a length",
    "check_classifiers_classes": NO_IMAGES,
    "check_classifiers_train": NO_IMAGES,
    "check_decision_proba_consistency": NO_IMAGES,
    "check_dict_unchanged": NO_IMAGES,
    "check_dont_overwrite_parameters": NO_IMAGES,
    "check_estimator_sparse_array": "a sparse matrix is no list of images",
    "check_estimator_sparse_matrix": "a sparse matrix is no list of images",
    "check_estimators_dtypes": NO_IMAGES,
    "check_estimators_fit_returns_self": NO_IMAGES,
    "check_estimators_overwrite_params": NO_IMAGES,
    "check_estimators_pickle": NO_IMAGES,
    "check_f_contiguous_array_estimator": NO_IMAGES,
    "check_fit2d_1feature": NO_IMAGES,
    "check_fit_check_is_fitted": NO_IMAGES,
    "check_fit_idempotent": NO_IMAGES,
    "check_fit_score_takes_y": NO_IMAGES,
    "check_methods_sample_order_invariance": NO_IMAGES,
    "check_methods_subset_invariance": NO_IMAGES,
    "check_pipeline_consistency": NO_IMAGES,
    "check_positive_only_tag_during_fit": NO_IMAGES,
    "check_readonly_memmap_input": NO_IMAGES,
}


def test_scikit_learns_checks_pass_but_for_those_that_fit_on_tables() -> None:
    results = check_estimator(Tabular(dtype="f32"), on_skip=None, expected_failed_checks=NOT_PASSED, on_fail=None)
    statuses = {result["check_name"]: result["status"] for result in results}
    assert {name for name, status in statuses.items() if status == "failed"} == set()
    assert {name for name, status in statuses.items() if status == "xfail"} == set(NOT_PASSED)
    assert statuses["check_classifier_not_supporting_multiclass"] == "passed"


class FakeKernel:
    """IPython in a notebook: `display` keeps what a cell shows."""

    def __init__(self) -> None:
        self.cell: list[str] = []

    def display(self, html: str, *, display_id: bool) -> SimpleNamespace:
        assert display_id
        self.cell.append(html)
        return SimpleNamespace(update=self.cell.append)


def test_a_fitted_classifier_shows_its_evaluation_and_progress_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=kernel)))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=kernel.display))
    classifier = BinaryImageClassifier(dtype="f32", folds=3, effort="fast", verbose=True)
    unfitted = classifier._repr_mimebundle_()["text/html"]
    assert "Confusion matrix" not in unfitted
    classifier.fit(IMAGES, LABELS)
    assert f'train <progress value="0" max="{len(LABELS)}">' in kernel.cell[0]
    assert kernel.cell[-1] == ""
    html = classifier._repr_mimebundle_()["text/html"]
    assert classifier.training_._repr_html_() in html
    assert classifier.evaluation_._repr_html_() in html
    assert classifier.evaluation_.metrics["accuracy"].text() in html
    assert "verbose" in unfitted  # the diagram of scikit-learn, with the parameters


def test_without_verbose_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    classifier = BinaryImageClassifier(dtype="f32", folds=3, effort="fast").fit(IMAGES, LABELS)
    classifier.predict(IMAGES[:2])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
