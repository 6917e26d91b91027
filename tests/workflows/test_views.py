"""Windows of an image beside the whole: their pixels, their features, the choice of them, and the bundle that has them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from twofold.bundle import load_bundle
from twofold.core.errors import UsageError
from twofold.core.options import BackboneOptions, DataOptions, LearningOptions, TrainingOptions
from twofold.data import Preprocessing, decoded_alike, list_labelled_files, preprocess
from twofold.embedding import Runtime, Source, collect_features
from twofold.embedding.feature_table import Metadata
from twofold.networks import Backbone, load_backbone
from twofold.workflows.crops import CropsChoice, choose_crops
from twofold.workflows.embedded_sample import EmbeddedSample
from twofold.workflows.predict import Predictor
from twofold.workflows.save import save
from twofold.workflows.train import train
from twofold.workflows.views import candidate_grids, note_smallest_detail

BEST = BackboneOptions(effort="best")


def draw_folder(folder: Path, *, marked: bool, count: int = 40, scale: int = 1, suffix: str = "png") -> Path:
    """Noise of 64 x 48 pixels, `count` images of each class; one of the two has a white block of 4 x 4 anywhere."""
    for number in range(2 * count):
        random = np.random.default_rng(number)
        pixels = random.integers(80, 176, (48, 64, 3), np.uint8)
        if marked and number % 2:
            top, left = random.integers(0, 44), random.integers(0, 60)
            pixels[top : top + 4, left : left + 4] = 255
        path = folder / ("no", "yes")[number % 2] / f"{number}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((64 * scale, 48 * scale)).save(path)
    return folder


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("marked"), marked=True)


def choose(
    folder: Path, backbone: Backbone, runtime: Runtime, options: BackboneOptions = BEST, seed: int = 0
) -> tuple[CropsChoice, EmbeddedSample | None]:
    file_list = list_labelled_files(folder, DataOptions())
    return choose_crops(file_list, file_list.paths, backbone, options, runtime, 5, seed)


def reference_features(path: Path, preprocessing: dict[str, object], model: Path) -> NDArray[np.float64]:
    """The features of a squashed image with windows, as docs/bundle.md describes them, with Pillow and ONNX Runtime."""
    size = (preprocessing["size"],) * 2
    image = Image.open(path).convert("RGB")
    inputs = [image.resize(size, Image.Resampling.BILINEAR)]
    for n in preprocessing["views"]:  # type: ignore[attr-defined]  # JSON
        side = 1.2 / n
        for row in range(n):
            for column in range(n):
                left, top = (at * (1 - side) / (n - 1) for at in (column, row))
                box = (left * image.width, top * image.height, (left + side) * image.width, (top + side) * image.height)
                box = (*box[:2], min(box[2], image.width), min(box[3], image.height))
                inputs.append(image.resize(size, Image.Resampling.BILINEAR, box))
    session = onnxruntime.InferenceSession(model)
    (features,) = session.run(["features"], {"image": np.stack([np.array(each) for each in inputs])})
    parts, first = [features[0]], 1
    for n in preprocessing["views"]:  # type: ignore[attr-defined]
        windows = features[first : first + n * n].astype(np.float64)
        parts.append(windows.std(axis=0))
        first += n * n
    return np.concatenate(parts)


def squashed(file: Path, runtime: Runtime) -> Backbone:
    return load_backbone(BackboneOptions(str(file), crop_mode="squash", views="1"), "f32", cache=runtime.folder)


def test_features_of_windows_are_pooled_by_their_standard_deviation() -> None:
    preprocessing = Preprocessing(16, "both", views=(2,))
    features = np.array([[1, 5], [3, 7], [0, 1], [2, 1], [4, 1], [6, 1]], np.float32)
    pooled = preprocessing.pool(features.reshape(-1))
    assert pooled == pytest.approx([2, 6, np.sqrt(5), 0])
    assert preprocessing.moments * 2 == pooled.size


def test_a_large_jpeg_file_is_decoded_at_the_scale_that_its_windows_need() -> None:
    # 1792 / 224 = 8, half of it 4; windows of 0.6 and 0.3 of a side: 2.4 and 1.2, so libjpeg's 1/4, 1/2 and 1/1
    views = {grids: Preprocessing(224, "squash", views=grids) for grids in ((), (2,), (4,), (2, 4))}
    assert not decoded_alike(1792, 1792, views[()], views[2,])
    assert not decoded_alike(1792, 1792, views[2,], views[4,])
    assert decoded_alike(1792, 1792, views[4,], views[2, 4])
    assert decoded_alike(448, 448, views[()], views[4,])


def test_rows_that_were_embedded_for_the_choice_are_those_of_the_views(
    marked: Path, tiny: Backbone, runtime: Runtime
) -> None:
    _, sample = choose(marked, tiny, runtime)
    assert sample is not None
    paths = list_labelled_files(marked, DataOptions()).paths
    crops = [
        CropsChoice("squash", ()),
        CropsChoice("both", (2,)),
        CropsChoice("center", (3,)),
        CropsChoice("squash", (2, 3)),
    ]
    for choice in crops:
        backbone = choice.apply(tiny)
        known, expected = sample.rows_for(backbone), runtime.embed(paths, runtime.engine(backbone))
        table = collect_features(known.values(), len(known), backbone.preprocessing.pool)
        assert np.array_equal(table.features, expected.features)
        assert table.metadata == expected.metadata
    assert not sample.rows_for(CropsChoice("squash", (6,)).apply(tiny))


def test_rows_of_files_that_are_decoded_at_another_scale_are_embedded_again(
    tiny: Backbone, runtime: Runtime, tmp_path: Path
) -> None:
    folder = draw_folder(tmp_path, marked=True, count=11, scale=4, suffix="jpg")
    _, sample = choose(folder, tiny, runtime)
    assert sample is not None
    assert not sample.rows_for(CropsChoice("squash", ()).apply(tiny))
    paths = list_labelled_files(folder, DataOptions()).paths
    backbone = CropsChoice("squash", sample.backbone.preprocessing.views).apply(tiny)
    table = collect_features(sample.rows_for(backbone).values(), len(paths), backbone.preprocessing.pool)
    assert np.array_equal(table.features, runtime.embed(paths, runtime.engine(backbone)).features)


def test_windows_are_used_where_they_show_what_the_image_alone_does_not(
    marked: Path, tiny: Backbone, runtime: Runtime
) -> None:
    choice, _ = choose(marked, tiny, runtime)
    assert choice.views_choice is not None
    assert choice.views == choice.views_choice.views != ()
    losses = choice.views_choice.log_losses
    assert losses[choice.views] == min(losses.values()) < losses[()] - choice.views_choice.error
    assert "windows of every image" in choice.notes()[1].text


def test_without_evidence_windows_are_not_used(tiny: Backbone, runtime: Runtime, tmp_path: Path) -> None:
    """Labels say nothing about these images. By chance windows are better by the standard error once in six times."""
    folder = draw_folder(tmp_path, marked=False, count=60)
    choices = [choose(folder, tiny, runtime, seed=seed)[0] for seed in range(5)]
    assert sum(choice.views != () for choice in choices) <= 2


def test_windows_are_tried_where_images_are_large_or_the_effort_is_best() -> None:
    def grids(width: int, height: int, options: BackboneOptions) -> tuple[int, ...]:
        sources: list[Source] = [np.zeros((height, width, 3), np.uint8)] * 3
        return candidate_grids(options, sources, 224, 50_000_000)

    default = BackboneOptions()
    assert grids(800, 800, default) == ()
    assert grids(1600, 1200, default) == (4,)
    assert grids(4000, 3000, default) == (4,)
    assert grids(300, 300, BEST) == (2, 3)
    assert grids(4000, 3000, BEST) == (2, 8)


def test_options_that_are_given_override_the_effort() -> None:
    assert BackboneOptions().fixed_crop_mode is None
    assert BackboneOptions().fixed_views is None
    fast = BackboneOptions(effort="fast")
    assert (fast.fixed_crop_mode, fast.fixed_views) == ("squash", ())
    given = BackboneOptions(effort="fast", crop_mode="auto", views="3x3")
    assert (given.fixed_crop_mode, given.fixed_views) == (None, (3,))
    assert BackboneOptions(effort="best", views="1").fixed_views == ()


def test_windows_are_for_frozen_networks() -> None:
    with pytest.raises(UsageError, match="`views='2x2'` is for frozen networks"):
        TrainingOptions(backbone=BackboneOptions(views="2x2"), learning=LearningOptions(mode="finetune"))
    with pytest.raises(UsageError, match="`effort='best'` is for frozen networks"):
        TrainingOptions(backbone=BEST, learning=LearningOptions(mode="finetune"))
    with pytest.raises(UsageError, match="`effort`"):
        TrainingOptions(backbone=BackboneOptions(effort="fast"), learning=LearningOptions(mode="scratch"))


def test_the_smallest_visible_detail_is_stated_in_pixels_of_the_image() -> None:
    def notes(preprocessing: Preprocessing, width: int = 4000, height: int = 3000) -> str:
        metadata = Metadata("", "", width, height, "JPEG", 0)
        return " ".join(note.text for note in note_smallest_detail([metadata, None], preprocessing))

    text = notes(Preprocessing(224, "squash"))
    assert "4000 x 3000" in text
    assert "one pixel for about 18 x 13." in text
    assert "less than about 36 x 27 pixels" in text
    assert "11 x 8." in notes(Preprocessing(224, "squash", views=(2,)))
    assert not notes(Preprocessing(224, "squash", views=(8,)))
    assert not notes(Preprocessing(224, "squash"), 640, 480)


@pytest.mark.parametrize("views", ["2x2", "3x3"])
def test_a_bundle_with_windows_predicts_as_its_description_says(
    marked: Path, tiny_file: Path, runtime: Runtime, tmp_path: Path, views: str
) -> None:
    network = BackboneOptions(str(tiny_file), dtype="f32", crop_mode="squash", views=views)  # type: ignore[arg-type]
    save(train(marked, TrainingOptions(backbone=network), runtime), tmp_path / "v.twofold")
    record = json.loads((tmp_path / "v.twofold" / "bundle.json").read_text(encoding="utf-8"))
    path = marked / "yes" / "1.png"
    preprocessing = record["backbone"]["preprocessing"]
    features = reference_features(path, preprocessing, tmp_path / "v.twofold" / "model.onnx")
    logit = features @ np.array(record["head"]["weights"]) + record["head"]["bias"]
    bundle = load_bundle(tmp_path / "v.twofold")
    with Predictor(bundle) as predictor:
        (prediction,) = predictor.predict([path])
        many = predictor.predict(sorted(marked.rglob("*.png")))
    assert prediction.logit == pytest.approx(logit, rel=1e-3, abs=1e-3)
    assert prediction.logit == next(each.logit for each in many if each.path == str(path))
    image = preprocess(path.read_bytes(), bundle.model.backbone.preprocessing)
    session = onnxruntime.InferenceSession(tmp_path / "v.twofold" / "model.onnx")
    inputs = np.stack(image.model_inputs * 2)  # type: ignore[union-attr]  # no read error
    assert session.run(["logit"], {"image": inputs})[0] == pytest.approx([logit, logit], rel=1e-3, abs=1e-3)


def test_training_that_chooses_windows_is_training_with_them(marked: Path, tiny_file: Path, runtime: Runtime) -> None:
    network = BackboneOptions(str(tiny_file), dtype="f32", crop_mode="squash", effort="best")
    auto = train(marked, TrainingOptions(backbone=network), runtime)
    assert auto.crops is not None
    assert auto.crops.views_choice is not None
    assert auto.crops.crop_mode is None
    fingerprints = auto.dataset.usable_fingerprints[1]  # duplicates are searched with the features of the image itself
    assert fingerprints.features is not None
    alone = runtime.embed([Path(path) for path in auto.dataset.paths], runtime.engine(squashed(tiny_file, runtime)))
    assert np.array_equal(fingerprints.features, alone.features)
    block = auto.as_json()["views_choice"]
    assert block["views"] == list(auto.crops.views)
    assert block["log_losses"].keys() == {"1", "2x2", "3x3", "2x2+3x3"}
    if len(auto.crops.views) == 1:
        given = replace(network, effort="default", views="{0}x{0}".format(*auto.crops.views))  # type: ignore[arg-type]
        fixed = train(marked, TrainingOptions(backbone=given), runtime)
        assert np.array_equal(auto.fit.scores.logits, fixed.fit.scores.logits)
