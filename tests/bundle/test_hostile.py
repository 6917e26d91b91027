"""What strangers hand over: each bundle that `hostile.py` draws is refused with one sentence, or answers as the honest one."""

import hashlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from drawings import draw
from hostile import (
    FAMILIARITIES,
    SECRET,
    WIDTH,
    change,
    draw_hostile,
    honest,
    record_of,
    reseal,
    spoil_familiarity,
)

from twofold.bundle.storage import Bundle, load_bundle
from twofold.core.errors import BundleError
from twofold.core.options import BackboneOptions, RuntimeOptions
from twofold.embedding import Runtime
from twofold.networks import load_backbone
from twofold.workflows.predict import Predictor

IMAGES = [draw("bars", 70, 40), draw("rings", 71, 40)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The honest bundle, for reading only."""
    return honest(tmp_path_factory.mktemp("honest"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tests run: with a file that holds numbers, beside and below."""
    (tmp_path / "folder").mkdir()
    for secret in (tmp_path / SECRET, tmp_path / "folder" / SECRET):
        secret.write_bytes(b"\x00\x00\x80\x3f" * 10_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("number", range(120))
def test_a_hostile_bundle_is_refused_or_answers_as_the_honest_one(good: Path, place: Path, number: int) -> None:
    path, what = draw_hostile(good, place, number)
    message, predictions = "", []
    try:
        predictions = Predictor(load_bundle(path)).predict(IMAGES)
    except BundleError as error:
        message = str(error)
    assert "\n" not in message, what
    assert message or predictions == Predictor(load_bundle(good)).predict(IMAGES), what


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("rule", "low"), 2, "'rule.low' must be a number from 0 to 1"),
        (("head", "weights"), [None], "each number in 'head.weights' must be a number"),
        (("probes",), [0.0], "'probes' must be a list of 32 numbers"),
        (("backbone", "dtype"), "f64", "'backbone.dtype' must be one of "),
        (("backbone", "preprocessing", "size"), 0, "'backbone.preprocessing.size' must be an integer from 1 to 4096"),
        (
            ("backbone", "preprocessing", "views"),
            [5],
            "'backbone.preprocessing.views' must be a list of different numbers",
        ),
        (("backbone", "preprocessing", "views"), [2], "'head.weights'|it has no head|cannot be used"),
        (("rule", "policy"), None, "'rule.policy' must be a JSON object"),
        (
            ("rule", "policy"),
            {"name": "cost", "parameters": {"fp": 1}, "evidence": {}},
            "lacks 'rule.policy.parameters.fn'",
        ),
        (
            ("rule", "policy"),
            {"name": "cost", "parameters": {"fp": 1, "fn": "2", "unsure": None}, "evidence": {}},
            "'rule.policy.parameters.fn' must be a number from 0",
        ),
        (
            ("rule", "policy"),
            {"name": "promise", "parameters": {"promise": "recall>=0.9"}, "evidence": {}},
            "'rule.policy.parameters.promise' must be a list of texts",
        ),
        (
            ("rule", "policy"),
            {"name": "promise", "parameters": {"promise": ["recal>=0.9"]}, "evidence": {}},
            "'rule.policy.parameters.promise' must be a list of promises",
        ),
    ],
)
def test_an_illegal_value_is_named_by_its_key(
    good: Path, tmp_path: Path, keys: tuple[str, ...], value: object, message: str
) -> None:
    path = shutil.copytree(good, tmp_path / "copy.twofold")
    record = record_of(path)
    *blocks, key = keys
    block = record
    for name in blocks:
        block = block[name]
    block[key] = value
    reseal(path, record)
    with pytest.raises(BundleError, match=message):
        load_bundle(path)


@pytest.mark.parametrize("number", [4, 8, 20, 80, 98, 110])
def test_hashes_that_are_no_file_or_not_the_ones_written_are_refused(good: Path, place: Path, number: int) -> None:
    path, what = draw_hostile(good, place, number)
    assert what.startswith("fingerprints.csv")
    with pytest.raises(BundleError):
        load_bundle(path).fingerprint_index()


@pytest.mark.parametrize(
    "text", ["a.jpg,1,2,3", '"' + "a" * 200_000 + '",1,2,3', "a.jpg\x00,1,2,3", "caf\udce9,1,2,3", "a.jpg," + "-1," * 3]
)
def test_hashes_of_something_else_are_refused_though_the_record_has_their_checksum(
    good: Path, tmp_path: Path, text: str
) -> None:
    path = shutil.copytree(good, tmp_path / "copy.twofold")
    data = f"path,sha256,pixels,perceptual\r\n{text}\r\n".encode("utf-8", "surrogateescape")
    (path / "fingerprints.csv").write_bytes(data)
    record = record_of(path)
    record["files"]["fingerprints.csv"] = hashlib.sha256(data).hexdigest()
    reseal(path, record)
    with pytest.raises(BundleError, match="is damaged"):
        load_bundle(path).fingerprint_index()


def inverted(model: onnx.ModelProto) -> None:
    """The network gives the opposite of each vector."""
    last = next(node for node in model.graph.node if "features" in node.output)
    last.output[0] = "honest"
    model.graph.node.append(onnx.helper.make_node("Neg", ["honest"], ["features"]))


@pytest.mark.parametrize("claim", ["identity", "sha256", "name"])
def test_a_bundle_that_claims_to_be_another_network_changes_no_answer_of_that_one(
    good: Path, tmp_path: Path, claim: str
) -> None:
    path = shutil.copytree(good, tmp_path / "copy.twofold")
    change(path, inverted)
    record = record_of(path)
    record["backbone"][claim] = load_bundle(good).model.backbone.identity
    reseal(path, record)
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for file, image in zip(files, IMAGES, strict=True):
        image.save(file)
    runtime = Runtime(tmp_path / "cache")
    stranger, own = load_bundle(path), load_bundle(good)
    lies = Predictor(stranger, runtime).predict(files)
    answers = Predictor(own, runtime).predict(files)
    assert stranger.model.backbone.identity != own.model.backbone.identity
    assert answers == Predictor(own).predict(files)
    assert [answer.logit for answer in lies] != [answer.logit for answer in answers]


def test_a_training_and_its_bundle_are_one_network_to_the_cache(good: Path) -> None:
    options = BackboneOptions(backbone=str(good.parent / "small.onnx"))
    trained = load_backbone(options, "f32", cache=good.parent)
    loaded = load_bundle(good).model.backbone
    assert loaded.graph == trained.graph
    assert loaded.identity == trained.identity


def test_a_bundle_that_answered_can_be_shown_in_a_line_and_given_to_other_processes(good: Path) -> None:
    bundle = load_bundle(good)
    answers = Predictor(bundle).predict(IMAGES)
    assert len(repr(bundle)) < 300
    again: Bundle = pickle.loads(pickle.dumps(bundle))
    assert Predictor(again).predict(IMAGES) == answers


def test_a_network_may_take_its_room_and_no_more(good: Path, tmp_path: Path) -> None:
    path = shutil.copytree(good, tmp_path / "copy.twofold")

    def wide(model: onnx.ModelProto) -> None:
        last = next(node for node in model.graph.node if "features" in node.output)
        last.output[0] = "plain"
        wide = onnx.numpy_helper.from_array(np.zeros((WIDTH, 4096), np.float32), "wide")
        narrow = onnx.numpy_helper.from_array(np.zeros((4096, WIDTH), np.float32), "narrow")
        model.graph.initializer.extend([wide, narrow])
        nodes = [
            ("MatMul", ["plain", "wide"], "w"),
            ("MatMul", ["w", "narrow"], "n"),
            ("Add", ["plain", "n"], "features"),
        ]
        model.graph.node.extend(onnx.helper.make_node(kind, inputs, [output]) for kind, inputs, output in nodes)

    change(path, wide)
    predictions, expected = (
        Predictor(load_bundle(each), Runtime(tmp_path, RuntimeOptions(cache=False))).predict(IMAGES)
        for each in (path, good)
    )
    assert np.allclose([answer.logit for answer in predictions], [answer.logit for answer in expected], atol=1e-4)


@pytest.mark.parametrize("name", FAMILIARITIES)
def test_a_familiarity_that_none_can_be_is_refused(good: Path, tmp_path: Path, name: str) -> None:
    path = shutil.copytree(good, tmp_path / "copy.twofold")
    spoil_familiarity(path, name)
    with pytest.raises(BundleError, match="familiarity"):
        load_bundle(path)


@pytest.mark.parametrize(
    ("familiarity", "message"),
    [
        (None, "'rule.gate' needs 'familiarity'"),
        ({"parts": [[0, WIDTH - 1]]}, "shapes of its familiarity"),
        ({"parts": [[0, WIDTH // 2], [WIDTH // 2, WIDTH]]}, "no head, or other scores"),
        ({"parts": [[4, 2]]}, "'familiarity.parts' must be ranges"),
        ({"parts": [[0, 0]]}, "'familiarity.parts' must be ranges"),
        ({"parts": []}, "'familiarity.parts' must be a list of one or two"),
        ({"parts": [[0, WIDTH]], "level": 1}, "no other keys than parts"),
    ],
)
def test_a_record_with_another_familiarity_is_refused(
    good: Path, tmp_path: Path, familiarity: object, message: str
) -> None:
    path = shutil.copytree(good, tmp_path / "copy.twofold")
    record = record_of(path)
    record["familiarity"] = familiarity
    reseal(path, record)
    with pytest.raises(BundleError, match=message):
        load_bundle(path)


@pytest.mark.parametrize(("key", "value"), [("slope", 2.0), ("intercept", 0.5), ("low", 0.2), ("high", 0.8)])
def test_a_calibration_other_than_that_of_the_network_is_refused(
    good: Path, tmp_path: Path, key: str, value: float
) -> None:
    path = shutil.copytree(good, tmp_path / "copy.twofold")
    record = record_of(path)
    record["calibration"][key] = value
    reseal(path, record)
    with pytest.raises(BundleError, match="other scores than"):
        load_bundle(path)
