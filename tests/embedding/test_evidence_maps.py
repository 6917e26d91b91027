"""Evidence maps: they sum up to the logit, agree with a computation of their own, and lie where the image says."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from drawings import draw
from numpy.lib.stride_tricks import sliding_window_view
from onnx import numpy_helper
from PIL import Image, ImageDraw

from twofold.core.options import CropMode
from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.decision import Head
from twofold.embedding import (
    Engine,
    EvidenceMap,
    EvidenceNetwork,
    UnknownPoolingError,
    coarsen,
    compute_evidence_map,
    find_pattern,
)
from twofold.embedding.evidence_maps import split_weights
from twofold.networks import Backbone
from twofold.networks.architectures import IMAGENET_MEAN, IMAGENET_STD

ROTATED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 5: Image.Transpose.TRANSPOSE}
"""EXIF orientations, and how a file with each of them stores an upright image."""


@pytest.fixture(scope="module")
def networks(lite0: dict[str, Backbone]) -> Callable[..., tuple[EvidenceNetwork, Engine]]:
    made: dict[tuple[str, Preprocessing], tuple[EvidenceNetwork, Engine]] = {}

    def network(
        dtype: str = "f32", mode: CropMode = "squash", views: tuple[int, ...] = ()
    ) -> tuple[EvidenceNetwork, Engine]:
        preprocessing = replace(lite0[dtype].preprocessing, crop_mode=mode, views=views)
        if (dtype, preprocessing) not in made:
            engine = Engine(replace(lite0[dtype], preprocessing=preprocessing), threads=1)
            made[dtype, preprocessing] = EvidenceNetwork(engine), engine
        return made[dtype, preprocessing]

    return network


def prepare(image: Image.Image, engine: Engine) -> PreprocessedImage:
    preprocessed = preprocess(image, engine.backbone.preprocessing)
    assert isinstance(preprocessed, PreprocessedImage)
    return preprocessed


def explain(network: EvidenceNetwork, engine: Engine, image: Image.Image, head: Head) -> EvidenceMap:
    preprocessing = engine.backbone.preprocessing
    return compute_evidence_map(network, prepare(image, engine), preprocessing, head.weights, head.bias)


def random_head(engine: Engine, width: int = 6544) -> Head:
    weights = np.random.default_rng(0).normal(0, 0.1, width * engine.backbone.preprocessing.moments)
    return Head(weights.astype(np.float32), -3.0)


@pytest.mark.parametrize(
    ("dtype", "mode", "views"),
    [
        ("f32", "pad", ()),
        ("f32", "center", (2,)),
        ("int8", "both", ()),
        ("int8", "center", (2,)),
        ("bf16", "squash", ()),
    ],
)
def test_map_and_margins_are_the_logit(
    networks: Callable[..., tuple[EvidenceNetwork, Engine]], dtype: str, mode: CropMode, views: tuple[int, ...]
) -> None:
    network, engine = networks(dtype, mode, views)
    head, image = random_head(engine), draw("rings", 0, 300).crop((0, 0, 300, 170))
    result = explain(network, engine, image, head)
    features = engine.backbone.preprocessing.pool(result.features)
    logit = head.logits(features[None])[0]
    assert result.cells.sum(dtype=np.float64) + result.margins == pytest.approx(logit, abs=1e-4)
    assert (abs(result.margins) > 1e-3) == (mode == "pad")
    if dtype != "bf16":  # whose maps are computed in float32
        with engine.request() as request:
            expected = request.features(prepare(image, engine).model_inputs)
        assert np.array_equal(result.features, expected.ravel())


def test_a_standard_deviation_is_a_sum_of_squares(networks: Callable[..., tuple[EvidenceNetwork, Engine]]) -> None:
    network, engine = networks()
    image = draw("bars", 3, 120)
    for feature in (16, 31):  # standard deviations of the first stage, of 16 channels
        weights = np.zeros(6544, np.float32)
        weights[feature] = 2
        result = explain(network, engine, image, Head(weights, 0.0))
        assert result.cells.min() >= 0
        assert result.cells.sum(dtype=np.float64) == pytest.approx(2 * result.features[feature], rel=1e-5)


def test_a_mean_falls_apart_as_in_a_computation_with_numpy(tiny: Backbone, tiny_file: Path) -> None:
    engine = Engine(tiny, threads=1)
    network = EvidenceNetwork(engine)
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    weights = np.random.default_rng(2).normal(size=(1, 6)).astype(np.float32)
    _, maps = network.run([pixels], weights)
    kernel = numpy_helper.to_array(onnx.load(tiny_file).graph.initializer[0])
    windows = sliding_window_view((pixels - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD), (3, 3), axis=(0, 1))
    activations = np.maximum(np.einsum("yxcij,ocij->oyx", windows[::2, ::2], kernel), 0)
    assert maps[0] == pytest.approx(np.einsum("oyx,o->yx", activations, weights[0]) / 49, abs=1e-5)


def test_each_window_gets_the_weight_of_its_distance_to_the_mean() -> None:
    preprocessing = Preprocessing(8, "squash", views=(2,))
    rows = np.array([[5.0], [1], [1], [3], [3]], np.float32)  # the image, then windows with mean 2 and std 1
    weights, constants = split_weights(preprocessing, np.array([10, 4], np.float32), rows)
    assert weights[:, 0].tolist() == [10, -1, -1, 1, 1]
    assert constants.tolist() == [0, 2, 2, -2, -2]
    assert (weights * rows).sum() + constants.sum() == 10 * 5 + 4 * 1


def test_leaving_out_the_pattern_of_borders_keeps_the_sum(
    networks: Callable[..., tuple[EvidenceNetwork, Engine]],
) -> None:
    network, engine = networks("int8", "both")
    preprocessing, head, image = engine.backbone.preprocessing, random_head(engine), draw("rings", 0, 200)
    pattern = find_pattern(network, preprocessing, head.weights)
    prepared = prepare(image, engine)
    plain, without = (
        compute_evidence_map(network, prepared, preprocessing, head.weights, head.bias, each)
        for each in (None, pattern)
    )
    assert without.cells.sum(dtype=np.float64) == pytest.approx(plain.cells.sum(dtype=np.float64), abs=1e-4)
    assert np.abs(without.cells - plain.cells).max() > 1e-4
    assert abs(pattern.sum()) < 1e-3


@pytest.mark.parametrize("orientation", sorted(ROTATED))
def test_a_map_lies_in_the_upright_image(
    networks: Callable[..., tuple[EvidenceNetwork, Engine]], orientation: int
) -> None:
    network, engine = networks("f32", "center", (2,))
    image, head = draw("rings", 5, 160).crop((0, 0, 160, 100)), random_head(engine)
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.transpose(ROTATED[orientation]).save(file, "PNG", exif=exif)
    preprocessing = engine.backbone.preprocessing
    stored = preprocess(file.getvalue(), preprocessing)
    assert isinstance(stored, PreprocessedImage)
    result = compute_evidence_map(network, stored, preprocessing, head.weights, head.bias)
    expected = explain(network, engine, image, head)
    assert result.cells.shape == expected.cells.shape
    # Pillow may round a pixel otherwise where it scales the rotated image.
    assert np.corrcoef(result.cells.ravel(), expected.cells.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(("mode", "views"), [("squash", ()), ("both", ()), ("pad", ()), ("center", (2,))])
def test_a_dot_is_found_within_half_a_cell(
    networks: Callable[..., tuple[EvidenceNetwork, Engine]], mode: CropMode, views: tuple[int, ...]
) -> None:
    network, engine = networks("f32", mode, views)
    weights = np.zeros(6544 * engine.backbone.preprocessing.moments, np.float32)
    weights[16:32] = 1  # the standard deviations of the first stage
    for x, y in ((70, 60), (150, 85), (101, 99)):
        image = Image.new("RGB", (240, 150), (90, 90, 90))
        ImageDraw.Draw(image).ellipse((x - 3, y - 3, x + 3, y + 3), fill=(255, 255, 255))
        cells = explain(network, engine, image, Head(weights, 0.0)).cells
        row, column = np.unravel_index(int(cells.argmax()), cells.shape)
        cell = 16 * 150 * 0.875 / 96  # of the maps with a sixteenth of the image's side
        distance = np.hypot((column + 0.5) / cells.shape[1] * 240 - x, (row + 0.5) / cells.shape[0] * 150 - y)
        assert distance < cell / 2


def test_outside_the_centre_crop_there_is_no_evidence(
    networks: Callable[..., tuple[EvidenceNetwork, Engine]],
) -> None:
    network, engine = networks("f32", "center")
    cells = explain(network, engine, draw("rings", 0, 200).crop((0, 0, 200, 100)), random_head(engine)).cells
    seen = np.flatnonzero(np.abs(cells).sum(axis=0))
    assert seen[0] / cells.shape[1] == pytest.approx(56 / 200, abs=0.03)
    assert seen[-1] / cells.shape[1] == pytest.approx(144 / 200, abs=0.03)


def test_coarsening_keeps_the_sum() -> None:
    cells = np.random.default_rng(0).normal(size=(13, 21)).astype(np.float32)
    assert coarsen(cells, 8).sum() == pytest.approx(cells.sum(dtype=np.float64))
    assert coarsen(np.ones((16, 8), np.float32), 8)[3, 5] == 2


def test_a_network_with_another_pooling_has_no_exact_map(maximum: Backbone) -> None:
    with pytest.raises(UnknownPoolingError):
        EvidenceNetwork(Engine(maximum, threads=1))
