"""A predictor gives the same predictions to any number of threads, in order, in bounded memory, with one compilation."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawings import draw

import twofold
from twofold.bundle.model import Model, Prediction
from twofold.bundle.storage import load_bundle
from twofold.core.errors import BundleError, DataError, UsageError
from twofold.core.options import RuntimeOptions
from twofold.decision import Calibration, Head, Rule
from twofold.embedding import Engine, Runtime
from twofold.networks import Backbone
from twofold.workflows.predict import Predictor


@pytest.fixture(scope="module")
def model(tiny: Backbone) -> Model:
    """A small network with a head of random weights."""
    weights = np.random.default_rng(0).normal(size=6).astype(np.float32)
    return Model(("bars", "rings"), tiny, Head(weights, 0.1), Calibration(0.7, 0.2), Rule.at(0.5))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """120 images of mixed sizes and formats; every eighth is damaged, empty or missing."""
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for number in range(120):
        path = folder / f"{number}.{('png', 'jpg')[number % 2]}"
        draw(("bars", "rings")[number % 3 == 0], number, side=20 + number * 37 % 200).save(path)
        match number % 24:
            case 3:
                path.write_bytes(path.read_bytes()[:100])
            case 11:
                path.write_bytes(b"")
            case 19:
                path.unlink()
        paths.append(path)
    return paths


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("threads", [2, 8])
def test_threads_get_the_predictions_of_one_thread_to_the_bit(
    threads: int, cache: bool, model: Model, files: list[Path], tmp_path: Path
) -> None:
    with Predictor(model, Runtime(tmp_path / "one", RuntimeOptions(cache=False, threads=1))) as predictor:
        expected = predictor.predict(files)
    assert [prediction.label is None for prediction in expected] == [number % 8 == 3 for number in range(120)]
    with (
        Predictor(model, Runtime(tmp_path / "shared", RuntimeOptions(cache=cache, threads=2))) as predictor,
        ThreadPoolExecutor(threads) as pool,
    ):
        starts = [number * 15 for number in range(threads)]  # each thread begins with another image
        rotations = list(pool.map(lambda start: predictor.predict(files[start:] + files[:start]), starts))
        assert rotations == [expected[start:] + expected[:start] for start in starts]
        singles = list(pool.map(lambda path: predictor.predict([path])[0], files))
    assert singles == expected
    assert predictor.notes == ()


def test_predictions_come_in_the_order_of_the_sources_with_their_paths(model: Model, files: list[Path]) -> None:
    with Predictor(model) as predictor:
        pixels = np.full((20, 20, 3), 90, np.uint8)
        predictions = list(predictor.stream(iter([files[0], str(files[3]), files[1].read_bytes(), pixels, files[19]])))
    assert [prediction.path for prediction in predictions] == [str(files[0]), str(files[3]), "", "", str(files[19])]
    assert [prediction.reason for prediction in predictions] == [None, "truncated", None, None, "missing"]
    error = predictions[4].read_error
    assert error is not None
    assert error.code == "missing"


def test_an_image_between_two_thresholds_has_no_label_and_a_reason(model: Model, files: list[Path]) -> None:
    with Predictor(replace(model, rule=Rule(0.0, 1.0))) as predictor:
        (prediction,) = predictor.predict(files[:1])
    assert (prediction.label, prediction.reason, prediction.read_error) == (None, "unsure", None)
    assert prediction.probability is not None
    assert 0 < prediction.probability < 1


def test_a_stream_reads_a_bounded_number_of_sources_ahead(model: Model) -> None:
    read = 0

    def sources() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            read += 1
            yield np.full((16, 16, 3), read % 256, np.uint8)

    threads = threading.active_count()
    with Predictor(model, Runtime(Path("unused"), RuntimeOptions(cache=False, threads=2))) as predictor:
        stream = predictor.stream(sources())
        assert read == 0
        for count in range(1, 500):
            assert isinstance(next(stream), Prediction)
            assert read <= count + 200
        stream.close()
    assert threading.active_count() == threads


def test_a_stream_may_be_passed_from_thread_to_thread(model: Model, files: list[Path], tmp_path: Path) -> None:
    with Predictor(model, Runtime(tmp_path)) as predictor:
        expected = predictor.predict(files)
        stream = predictor.stream(files)
        predictions = []
        for _ in files:
            with ThreadPoolExecutor(1) as pool:
                predictions.append(pool.submit(next, stream).result())
        stream.close()
    assert predictions == expected


def test_the_network_is_compiled_once_and_not_at_all_for_cached_images(
    model: Model, files: list[Path], tmp_path: Path
) -> None:
    engines: list[Engine] = []

    class Recorder(Model):
        def engine(self, runtime: Runtime) -> Engine:
            engines.append(super().engine(runtime))
            return engines[-1]

    recorder = Recorder(model.classes, model.backbone, model.head, model.calibration, model.rule)
    with Predictor(recorder, Runtime(tmp_path)) as predictor:
        predictor.predict(files[:20])
        requests = engines[0].requests
        predictor.predict(files)
        assert engines[0].requests is requests
    assert len(engines) == 1
    with Predictor(recorder, Runtime(tmp_path)) as predictor:
        predictor.predict(files[4:11])  # no read errors, which are not cached
    assert not engines[1].started


def test_a_closed_predictor_refuses_new_calls_and_keeps_its_notes(model: Model, tmp_path: Path) -> None:
    (tmp_path / "features.sqlite").write_bytes(b"no database " * 1000)
    image = draw("bars", 1)
    with Predictor(model, Runtime(tmp_path)) as predictor:
        assert predictor.notes == ()
        first = predictor.predict([image])
        assert [note.code for note in predictor.notes] == ["cache-unusable"]
        assert predictor.predict([image]) == first
    assert [note.code for note in predictor.notes] == ["cache-unusable"]  # once, though it happened twice
    with pytest.raises(UsageError, match="The predictor is closed: make a new one"):
        predictor.predict([image])


def test_a_single_image_instead_of_a_list_is_refused_before_the_stream(model: Model, files: list[Path]) -> None:
    with Predictor(model) as predictor, pytest.raises(DataError, match=r"give a list, as in predict\(\[image\]\)"):
        predictor.stream(files[0])  # type: ignore[arg-type]


def test_predictors_of_one_bundle_agree_also_on_a_single_image(bundle: Path, drawn: Path) -> None:
    loaded, images = load_bundle(bundle), sorted(drawn.rglob("*.png"))
    with twofold.Predictor(loaded) as predictor:
        predictor.warm()
        predictions = predictor.predict(images)
        assert list(predictor.stream(iter(images[:1]))) == predictions[:1]
    assert twofold.Predictor(loaded).predict(images[:1]) == predictions[:1]


def test_a_network_that_cannot_run_is_named_with_its_bundle(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    broken = replace(loaded, model=replace(loaded.model, backbone=replace(loaded.model.backbone, graph=b"none")))
    with pytest.raises(BundleError, match=r"drawn\.twofold cannot be used for predictions: The network .* OpenVINO"):
        Predictor(broken).predict([draw("bars", 1)])


def test_cached_predictions_do_not_collect_times_of_use(model: Model, tmp_path: Path) -> None:
    images = [np.full((8, 8, 3), number % 256, np.uint8) for number in range(1200)]
    with Predictor(model, Runtime(tmp_path)) as predictor:
        first = predictor.predict(images)
        with sqlite3.connect(tmp_path / "features.sqlite") as database:
            (before,) = database.execute("SELECT max(used) FROM feature_rows").fetchone()
            assert predictor.predict(images) == first
            (after,) = database.execute("SELECT min(used) FROM feature_rows").fetchone()
        database.close()
    assert after > before


def test_predictions_are_a_list_and_a_table_of_pandas(model: Model, files: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "text.png").write_text("no image")
    with Predictor(model) as predictor:
        predictions = predictor.predict([files[0], tmp_path / "text.png"])
    table = predictions.to_pandas()
    assert list(table.columns) == ["path", "label", "probability", "familiarity", "logit", "reason"]
    assert table.path.tolist() == [str(files[0]), str(tmp_path / "text.png")]
    assert table.probability[0] == predictions[0].probability
    assert table.reason[1] == predictions[1].reason
