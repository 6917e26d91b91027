"""The crop mode is chosen on training images, and what was embedded for the choice is not embedded again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from twofold.bundle import load_bundle
from twofold.core.errors import UsageError
from twofold.core.options import BackboneOptions, CropMode, DataOptions, LearningOptions, TrainingOptions
from twofold.data import Preprocessing, list_labelled_files, preprocess
from twofold.dataset.labelled import LabelledDataset
from twofold.embedding import FeatureRow, Runtime, collect_features
from twofold.embedding.embed import embed
from twofold.networks import Backbone, load_backbone
from twofold.workflows.crop_mode import CropModeChoice
from twofold.workflows.crops import CropsChoice, choose_crops
from twofold.workflows.embedded_sample import CropComparison, EmbeddedSample
from twofold.workflows.predict import Predictor
from twofold.workflows.save import save
from twofold.workflows.train import train

F32 = TrainingOptions(backbone=BackboneOptions(dtype="f32", size=96))


def draw_folder(folder: Path, mark: Callable[[NDArray[np.uint8], bool], None], count: int = 40) -> Path:
    """Noise of 96 x 64 pixels, `count` images of each class, which `mark` makes different."""
    for number in range(2 * count):
        pixels = np.random.default_rng(number).integers(60, 190, (64, 96, 3), np.uint8)
        mark(pixels, number % 2 == 1)
        path = folder / ("no", "yes")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def mark_border(pixels: NDArray[np.uint8], positive: bool) -> None:
    if positive:
        pixels[:, :12] = 250


@pytest.fixture(scope="module")
def border(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("border"), mark_border)


@pytest.fixture(scope="module")
def backbone(runtime: Runtime) -> Backbone:
    return load_backbone(F32.backbone, "f32", cache=runtime.folder)


def with_crop_mode(backbone: Backbone, mode: CropMode) -> Backbone:
    return CropsChoice(mode, ()).apply(backbone)


def choose(folder: Path, backbone: Backbone, runtime: Runtime, seed: int = 0) -> tuple[CropModeChoice, EmbeddedSample]:
    file_list = list_labelled_files(folder, DataOptions())
    choice, sample = choose_crops(file_list, file_list.paths, backbone, F32.backbone, runtime, 5, seed)
    assert choice.crop_mode is not None
    assert choice.views_choice is None
    assert sample is not None
    return choice.crop_mode, sample


def rows_of(folder: Path, backbone: Backbone, mode: CropMode, runtime: Runtime) -> list[FeatureRow]:
    paths = sorted(folder.rglob("*.png"))
    return list(embed(paths, runtime.engine(with_crop_mode(backbone, mode))))


def test_a_mark_at_the_border_is_seen(border: Path, backbone: Backbone, runtime: Runtime) -> None:
    assert choose(border, backbone, runtime)[0].mode == "squash"


def test_without_enough_images_to_compare_the_whole_image_is_used(
    backbone: Backbone, runtime: Runtime, tmp_path: Path
) -> None:
    choice, _ = choose(draw_folder(tmp_path, mark_border, 6), backbone, runtime)
    assert (choice.mode, choice.log_losses) == ("both", {})
    assert "too few images" in choice.note().text


def test_without_evidence_the_border_is_not_left_out(backbone: Backbone, runtime: Runtime, tmp_path: Path) -> None:
    """Labels say nothing about these images. By chance `center` is better by its standard error once in six times."""
    folder = draw_folder(tmp_path, lambda pixels, positive: None, 60)
    choices = [choose(folder, backbone, runtime, seed)[0] for seed in range(5)]
    assert sum(choice.mode == "center" for choice in choices) <= 2
    for choice in choices:
        assert (choice.mode == "center") == (choice.gain > choice.error)


def test_the_features_of_both_are_the_mean_and_its_rows_hold_those_of_each(
    border: Path, backbone: Backbone, runtime: Runtime
) -> None:
    center, squash, both = (rows_of(border, backbone, mode, runtime) for mode in ("center", "squash", "both"))
    for first, second, row in zip(center, squash, both, strict=True):
        assert first.features is not None
        assert second.features is not None
        assert row.features is not None
        assert np.array_equal(row.features, np.concatenate([first.features, second.features]))
        pooled = with_crop_mode(backbone, "both").preprocessing.pool(row.features)
        assert np.allclose(pooled, (first.features + second.features) / 2, rtol=1e-6)
        assert row.metadata is not None
        assert row.metadata.of_model_inputs([0]) == first.metadata
        assert row.metadata.of_model_inputs([1]) == second.metadata


@pytest.mark.parametrize("mode", ["center", "squash", "both"])
def test_rows_that_were_embedded_for_the_choice_are_those_of_the_mode(
    border: Path, backbone: Backbone, runtime: Runtime, mode: CropMode
) -> None:
    file_list = list_labelled_files(border, DataOptions())
    _, sample = choose(border, backbone, runtime)
    other = with_crop_mode(backbone, mode)
    known = sample.rows_for(other)
    assert list(known) == list(range(80))
    expected = runtime.embed(file_list.paths, runtime.engine(other))
    table = collect_features(known.values(), 80, other.preprocessing.pool)
    assert np.array_equal(table.features, expected.features)
    assert table.metadata == expected.metadata
    assert not sample.rows_for(replace(other, dtype="bf16"))
    assert not sample.rows_for(with_crop_mode(backbone, "pad"))


def test_training_with_auto_is_training_with_the_chosen_mode(border: Path, runtime: Runtime) -> None:
    auto = train(border, F32, runtime)
    fixed = train(border, replace(F32, backbone=replace(F32.backbone, crop_mode="squash")), runtime)
    assert auto.crops is not None
    assert auto.crops.mode == "squash" == auto.fit.model.backbone.preprocessing.crop_mode
    assert "crop-mode" in {note.code for note in auto.notes}
    assert auto.as_json()["crop_mode_choice"]["log_losses"].keys() == {"squash", "both", "center"}
    assert fixed.crops is not None
    assert fixed.crops.crop_mode is None
    assert np.array_equal(auto.fit.scores.logits, fixed.fit.scores.logits)


def test_a_bundle_of_both_predicts_the_mean_of_the_logits_of_its_two_model_inputs(
    border: Path, runtime: Runtime, tmp_path: Path
) -> None:
    save(train(border, replace(F32, backbone=replace(F32.backbone, crop_mode="both")), runtime), tmp_path / "b.twofold")
    bundle, path = load_bundle(tmp_path / "b.twofold"), border / "yes" / "1.png"
    preprocessing = bundle.model.backbone.preprocessing
    session = onnxruntime.InferenceSession(tmp_path / "b.twofold" / "model.onnx")
    image = preprocess(path.read_bytes(), preprocessing)
    inputs = np.stack(image.model_inputs)  # type: ignore[union-attr]  # no read error
    features, logit = session.run(["features", "logit"], {"image": inputs})
    logits = bundle.model.logits(features)
    assert logit == pytest.approx([np.mean(logits)], abs=1e-3)
    with Predictor(bundle, runtime) as predictor:
        (prediction,) = predictor.predict([path])
        many = predictor.predict(sorted(border.rglob("*.png")))
    assert prediction.logit == pytest.approx(np.mean(logits), abs=1e-3)
    assert prediction.logit == next(each.logit for each in many if each.path == str(path))


def test_both_is_for_frozen_networks() -> None:
    with pytest.raises(UsageError, match="`crop_mode='both'` is for frozen networks"):
        replace(F32, backbone=BackboneOptions(crop_mode="both"), learning=LearningOptions(mode="scratch"))


def test_images_of_one_group_count_together_in_the_error_of_a_gain(drawn: Path, runtime: Runtime) -> None:
    file_list = list_labelled_files(drawn, DataOptions())
    table = runtime.scan(file_list.paths)
    gains, zeros = np.repeat([0.3, -0.1], 20), np.zeros(40)

    def difference(size: int) -> tuple[float, float]:
        files = (replace(file, group=str(number // size)) for number, file in enumerate(file_list.files))
        dataset = LabelledDataset(replace(file_list, files=tuple(files)), table, file_list.negative_and_positive, ())
        return CropComparison(dataset, (), Preprocessing(16), 5, 0).difference(gains, zeros)

    mean, error = difference(1)
    assert (mean, error) == pytest.approx((0.1, gains.std(ddof=1) / np.sqrt(40)))
    # Twenty pairs of equal gains: the variance doubles, and there are 20 sums and 19 degrees of freedom.
    factor = 2 * 20 / 19 * (stats.t.ppf(0.975, 19) / stats.norm.ppf(0.975)) ** 2
    assert difference(2) == pytest.approx((0.1, error * np.sqrt(factor)))
