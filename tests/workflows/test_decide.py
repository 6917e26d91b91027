"""decide: rules from the scores of a bundle, on held-out images, at another prevalence, and the history of a bundle."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawings import draw_folder
from PIL import Image

from twofold.bundle import Bundle, load_bundle
from twofold.bundle.storage import write_model
from twofold.core.errors import BundleError, DataError, TwofoldError, UsageError
from twofold.core.options import DataOptions, DecisionOptions
from twofold.embedding import Runtime
from twofold.workflows import decide as workflow
from twofold.workflows.predict import Predictor

ALL_FILES = DataOptions()
HEADER = "path,label,group,fold,logit,probability,familiarity\n"


def decide(bundle: Bundle, runtime: Runtime, *, data: Path | None = None, **options: object) -> workflow.DecisionResult:
    origin = workflow.Origin("2026-11-29T12:00:00+00:00", ("twofold", "decide"))
    return workflow.decide(bundle, DecisionOptions(**options), ALL_FILES, runtime, origin, data=data)  # type: ignore[arg-type]


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may change."""
    return Path(shutil.copytree(bundle, tmp_path / "copied.twofold"))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("held-out"), 15, start=500)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_policy_of_the_training_chooses_its_rule_again(bundle: Path, runtime: Runtime) -> None:
    loaded = load_bundle(bundle)
    result = decide(loaded, runtime, optimize="accuracy")
    assert result.after is not None
    assert result.after.rule.low == pytest.approx(loaded.model.rule.low, abs=1e-6)
    assert result.after.rule.policy.name == loaded.model.rule.policy.name
    trained = json.loads((bundle / "evaluation.json").read_text(encoding="utf-8"))["cross_validation"]
    for point, expected in zip(result.table, trained["operating_table"], strict=True):
        assert point.threshold == pytest.approx(expected["threshold"], abs=1e-6)
        assert point.false_alarms.as_json() == pytest.approx(expected["false_alarms"])
    assert result.scores.source == "out-of-fold"


def test_without_a_policy_there_is_no_other_rule_and_nothing_to_write(copied: Path, runtime: Runtime) -> None:
    before, loaded = contents(copied), load_bundle(copied)
    result = decide(loaded, runtime)
    assert result.after is None
    assert len(result.table) == 4
    with pytest.raises(UsageError, match="nothing to write"):
        workflow.save(loaded, result, copied, force=True)
    assert contents(copied) == before


def test_a_written_rule_decides_predictions_and_every_other_file_stays(
    copied: Path, runtime: Runtime, drawn: Path
) -> None:
    before, loaded = contents(copied), load_bundle(copied)
    paths = sorted(drawn.glob("*/*"))[:6]
    workflow.save(loaded, decide(loaded, runtime, threshold=1.0), copied, force=True)
    after = load_bundle(copied)
    assert (after.model.rule.low, after.model.rule.policy.name) == (1.0, "fixed")
    changed = {name for name, content in contents(copied).items() if before[name] != content}
    assert changed == {"bundle.json", "README.md"}
    assert after.model.rule.gate == loaded.model.rule.gate
    assert "at least 1.0000" in (copied / "README.md").read_text(encoding="utf-8")
    with Predictor(after, runtime) as predictor:
        assert {prediction.label for prediction in predictor.predict(paths)} == {after.model.classes[0]}


def test_decisions_are_undone_one_after_another(copied: Path, runtime: Runtime) -> None:
    first = load_bundle(copied).model.rule
    for threshold in (0.2, 0.8):
        loaded = load_bundle(copied)
        workflow.save(loaded, decide(loaded, runtime, threshold=threshold), copied, force=True)
    for rule in (0.2, first.low):
        loaded = load_bundle(copied)
        workflow.save(loaded, workflow.undo(loaded), copied, force=True)
        assert load_bundle(copied).model.rule.low == pytest.approx(rule)
    record = load_bundle(copied).record
    assert [(entry["rule"]["low"], entry["undone"]) for entry in record["decisions"]] == [
        (first.low, False),
        (0.2, True),
        (0.8, True),
    ]
    assert record["decisions"][1]["created"] == "2026-11-29T12:00:00+00:00"
    with pytest.raises(UsageError, match="no decision to undo"):
        workflow.undo(load_bundle(copied))


def test_further_promises_on_the_same_scores_are_counted(copied: Path, runtime: Runtime) -> None:
    loaded, codes = load_bundle(copied), []
    for options in ({"promise": ("recall>=0.7",)}, {"promise": ("fpr<=0.3",)}, {"optimize": "f1"}):
        result = decide(loaded, runtime, **options)
        codes.append({note.code for note in result.notes})
        workflow.save(loaded, result, copied, force=True)
        loaded = load_bundle(copied)
    counted = "promises-on-the-same-scores"
    assert [counted in each for each in codes] == [False, True, False]
    assert counted not in {
        note.code for note in decide(loaded, runtime, promise=("recall>=0.8",), confidence=0.5, simultaneous=True).notes
    }


def test_held_out_images_are_scored_by_the_model_itself(bundle: Path, held_out: Path, runtime: Runtime) -> None:
    loaded = load_bundle(bundle)
    result = decide(loaded, runtime, data=held_out, promise=("recall>=0.7",))
    assert result.scores.source == "held-out"
    assert len(result.scores.labels) == 30 - result.scores.left_out
    assert "held-out-scores" in {note.code for note in result.notes}
    with Predictor(loaded, runtime) as predictor:
        predictions = predictor.predict(sorted(held_out.glob("*/*")))
    logits = np.array([each.logit for each in predictions])
    assert np.abs(result.scores.logits[:, None] - logits).min(axis=1).max() < 1e-6


def test_a_rule_is_not_chosen_on_training_images(bundle: Path, drawn: Path, runtime: Runtime) -> None:
    with pytest.raises(DataError, match="trained on: 40 images are training images.*Leave them out"):
        decide(load_bundle(bundle), runtime, data=drawn)


def test_the_prevalence_changes_probabilities_and_is_estimated(
    bundle: Path, held_out: Path, runtime: Runtime, tmp_path: Path
) -> None:
    loaded = load_bundle(bundle)
    result = decide(loaded, runtime, prevalence=0.1)
    assert result.after is not None
    assert result.after.per_1000[1].sum() == pytest.approx(100)
    assert result.model.rule.prevalence == 0.1
    features = np.zeros((1, loaded.model.head.weights.size), np.float32)
    assert result.model.probabilities(features) < loaded.model.probabilities(features)
    estimated = decide(loaded, runtime, prevalence="auto", data=held_out)
    assert estimated.estimate is not None
    assert estimated.estimate.prevalence.low <= 0.5 <= estimated.estimate.prevalence.high
    with pytest.raises(UsageError, match="needs unlabelled images"):
        decide(loaded, runtime, prevalence="auto")
    few = draw_folder(tmp_path / "few", 3, start=900)
    with pytest.raises(DataError, match="6 usable images"):
        decide(loaded, runtime, prevalence="auto", data=few)


def test_a_policy_is_tried_and_the_bundle_stays(copied: Path, drawn: Path, runtime: Runtime) -> None:
    before, loaded = contents(copied), load_bundle(copied)
    tried = workflow.with_rule(loaded, DecisionOptions(threshold=0.0))
    with Predictor(tried, runtime) as predictor:
        assert {each.label for each in predictor.predict(sorted(drawn.glob("*/*"))[:4])} == {loaded.model.classes[1]}
    assert workflow.with_rule(loaded, DecisionOptions()) is loaded
    assert contents(copied) == before


def test_a_bundle_without_usable_scores_takes_only_held_out_images(
    copied: Path, held_out: Path, runtime: Runtime
) -> None:
    scores = copied / "scores.csv"
    scores.write_text(scores.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")
    with pytest.raises(BundleError, match="damaged or was altered"):
        decide(load_bundle(copied), runtime, optimize="f1")
    scores.unlink()
    with pytest.raises(BundleError, match="no scores.csv"):
        decide(load_bundle(copied), runtime, optimize="f1")
    assert decide(load_bundle(copied), runtime, optimize="f1", data=held_out).after is not None


@pytest.mark.parametrize(
    "content",
    ["path,label\n", HEADER + "a,bars,0,0,nan,0.5,1\na,rings,1,0,1,0.5,\n"]
    + [
        f"path,label,group,fold,logit,probability,familiarity\na,bars,0,0,1,0.5,\na,{name},x,0,1,0.5,\n"
        for name in ("rings", "dogs")
    ],
)
def test_scores_that_cannot_be_right_are_an_error(copied: Path, runtime: Runtime, content: str) -> None:
    (copied / "scores.csv").write_text(content, encoding="utf-8")
    loaded = load_bundle(copied)
    write_model(copied, loaded.model, loaded.record)  # with the hash of the new file
    with pytest.raises(BundleError, match=r"scores.csv is damaged \("):
        decide(load_bundle(copied), runtime, optimize="f1")


@pytest.mark.parametrize("decisions", [[{}], [3], "x", [{"created": "", "command": [], "rule": {}, "scores": {}}]])
def test_an_illegal_history_is_an_error(copied: Path, runtime: Runtime, decisions: object) -> None:
    loaded = load_bundle(copied)
    write_model(copied, loaded.model, {**loaded.record, "decisions": decisions})
    with pytest.raises(TwofoldError, match="history"):
        decide(load_bundle(copied), runtime, optimize="f1")


def test_the_gate_is_left_out_until_that_is_undone(copied: Path, held_out: Path, runtime: Runtime) -> None:
    loaded = load_bundle(copied)
    workflow.save(loaded, decide(loaded, runtime, data=held_out, threshold=0.4), copied, force=True)
    loaded = load_bundle(copied)
    gate, low = loaded.model.rule.gate, loaded.model.rule.low
    assert gate is not None
    without = decide(loaded, runtime, gate=False)
    assert (without.model.rule.gate, without.model.rule.low) == (None, low)  # the rule of the held-out images stays
    workflow.save(loaded, without, copied, force=True)
    loaded = load_bundle(copied)
    assert decide(loaded, runtime, threshold=0.4).model.rule.gate is None
    assert workflow.with_rule(loaded, DecisionOptions(threshold=0.4)).model.rule.gate is None
    assert workflow.undo(loaded).model.rule.gate == gate


def test_a_rule_that_is_no_longer_that_of_held_out_images_says_so(
    copied: Path, held_out: Path, runtime: Runtime
) -> None:
    loaded = load_bundle(copied)
    workflow.save(loaded, decide(loaded, runtime, data=held_out, threshold=0.4), copied, force=True)
    loaded = load_bundle(copied)
    assert "rule-of-held-out-images" in {note.code for note in decide(loaded, runtime, prevalence=0.2).notes}
    again = decide(loaded, runtime, prevalence=0.2, data=held_out)
    assert "rule-of-held-out-images" not in {note.code for note in again.notes}


@pytest.mark.parametrize("content", ["[" * 100_000, "{}"])
def test_an_altered_evaluation_is_an_error(copied: Path, runtime: Runtime, content: str) -> None:
    (copied / "evaluation.json").write_text(content, encoding="utf-8")
    with pytest.raises(BundleError, match="evaluation.json is damaged"):
        decide(load_bundle(copied), runtime)


def test_no_bundle_is_written_inside_the_bundle(copied: Path) -> None:
    with pytest.raises(UsageError, match="is inside the bundle"):
        workflow.check_target(load_bundle(copied), copied / "inner.twofold", force=True)


def test_no_prevalence_is_estimated_among_other_images(bundle: Path, runtime: Runtime, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(40):
        noise = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    with pytest.raises(DataError, match=r"differ from the training images: \d+ of 40 are unfamiliar"):
        decide(load_bundle(bundle), runtime, prevalence="auto", data=tmp_path)


def test_unlabelled_data_that_is_missing_or_a_table_is_named(bundle: Path, runtime: Runtime, tmp_path: Path) -> None:
    table = tmp_path / "images.csv"
    table.write_text("path\n", encoding="utf-8")
    for data, message in ((tmp_path / "nothere", "There is no .*nothere"), (table, "is a table")):
        with pytest.raises(DataError, match=message):
            decide(load_bundle(bundle), runtime, prevalence="auto", data=data)
