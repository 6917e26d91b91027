"""An engine gives the same features however it runs."""

import os
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from drawings import draw
from numpy.typing import NDArray
from onnx import TensorProto, helper
from runs import as_backbone, cosines, model_inputs, run

from twofold.core.errors import BackboneError
from twofold.data import PreprocessedImage, preprocess
from twofold.embedding import BATCH, Engine, Probes, probe_images
from twofold.embedding.embed import embed, embed_batch
from twofold.networks import Backbone, fast_dtypes
from twofold.networks.dtypes import processor_features


@pytest.mark.parametrize("dtype", ["f32", "int8"])
def test_features_do_not_depend_on_the_rest_of_the_batch(dtype: str, lite0: dict[str, Backbone]) -> None:
    pixels = model_inputs([draw(pattern, number) for number in range(4) for pattern in ("bars", "rings")], 96)
    (request,) = Engine(lite0[dtype], threads=1).requests
    request.model_inputs[:] = pixels
    together = request.run(BATCH)
    for position in range(BATCH):
        request.model_inputs[:] = 255 - pixels
        request.model_inputs[position] = pixels[0]
        assert np.array_equal(request.run(BATCH)[position], together[0])


def test_every_request_gives_the_same_features(lite0: dict[str, Backbone]) -> None:
    pixels = model_inputs([draw("bars", number) for number in range(BATCH)], 96)
    outputs = []
    for request in (*Engine(lite0["f32"], threads=2).requests, *Engine(lite0["f32"], threads=1).requests):
        request.model_inputs[:] = pixels
        outputs.append(request.run(BATCH))
    assert np.array_equal(outputs[0], outputs[1])
    assert np.array_equal(outputs[0], outputs[2])


def test_features_stay_when_their_request_runs_again(tiny: Backbone) -> None:
    (request,) = Engine(tiny, threads=1).requests
    request.model_inputs[:] = 10
    first = request.run(2)
    before = first.copy()
    request.model_inputs[:] = 200
    assert not np.array_equal(request.run(2), first)
    assert np.array_equal(first, before)
    assert first.shape == (2, 6)


def test_requests_are_made_once(tiny: Backbone) -> None:
    engine = Engine(tiny, threads=2)
    assert engine.requests is engine.requests
    assert len(engine.requests) == 2


def test_a_cached_compiled_network_gives_the_same_features(lite0: dict[str, Backbone], tmp_path: Path) -> None:
    pixels = model_inputs([draw("bars", 0)], 96)
    outputs = []
    for _ in range(2):
        (request,) = Engine(lite0["int8"], threads=1, cache=tmp_path).requests
        request.model_inputs[:1] = pixels
        outputs.append(request.run(1))
        assert len(list(tmp_path.glob("*/*.blob"))) == 1
    assert np.array_equal(*outputs)


def test_a_damaged_compiled_network_is_compiled_again(tiny: Backbone, tmp_path: Path) -> None:
    def inverted(data: bytes, fraction: float) -> bytes:
        start = int(fraction * len(data))
        return data[:start] + bytes(255 - byte for byte in data[start : start + 8]) + data[start + 8 :]

    outputs = []
    damages = [
        lambda _: b"",
        lambda _: b"nonsense",
        lambda data: data[:-1],
        *(partial(inverted, fraction=fraction) for fraction in (0.1, 0.5, 0.9)),
    ]
    for damage in (None, *damages):
        for blob in tmp_path.glob("*/*.blob"):
            blob.chmod(0o600)
            blob.write_bytes(damage(blob.read_bytes()))
        (request,) = Engine(tiny, threads=1, cache=tmp_path).requests
        request.model_inputs[:] = 99
        outputs.append(request.run(1))
    assert len(outputs) == 7
    assert all(np.array_equal(outputs[0], features) for features in outputs)


def test_only_the_newest_compiled_networks_are_kept(tiny: Backbone, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "network.blob").touch()
    Engine(tiny, threads=1, cache=tmp_path).requests  # noqa: B018
    assert len(list(tmp_path.iterdir())) == 20
    assert len(list(tmp_path.glob("*/checksums.txt"))) == 1


def test_an_engine_works_without_a_cache_folder_that_cannot_be_created(tiny: Backbone, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert len(Engine(tiny, threads=1, cache=tmp_path / "file" / "folder").requests) == 1


@pytest.mark.parametrize("graph", [b"", b"not a network"])
def test_a_graph_that_cannot_be_run_is_a_backbone_error(graph: bytes) -> None:
    with pytest.raises(BackboneError, match="The network test cannot be run by OpenVINO: "):
        run(as_backbone(graph, 16), np.zeros((1, 16, 16, 3), np.uint8))


def test_openvino_is_imported_without_its_telemetry() -> None:
    program = (
        "import sys; from twofold.embedding.compilation import import_openvino; import_openvino(); "
        "print(*(name for name in sys.modules if name.startswith('openvino_telemetry')))"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout.split() == []


def test_probe_images_are_the_same_everywhere() -> None:
    images = np.stack(probe_images())
    assert images.shape == (32, 64, 64, 3)
    assert images.dtype == np.uint8
    assert zlib.crc32(images.tobytes()) == 1312578569


def probe_features(engine: Engine) -> NDArray[np.float32]:
    """The features of the probe images, (32, d)."""
    images = [preprocess(image, engine.backbone.preprocessing) for image in probe_images()]
    pixels = np.stack([image.model_input for image in images if isinstance(image, PreprocessedImage)])
    batches = []
    for first in range(0, len(pixels), BATCH):
        engine.requests[0].model_inputs[:] = pixels[first : first + BATCH]
        batches.append(engine.requests[0].run(BATCH))
    return np.concatenate(batches)


def head(size: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=size).astype(np.float32)


def test_arithmetic_that_gives_the_probe_logits_is_used(lite0: dict[str, Backbone], tmp_path: Path) -> None:
    features = probe_features(Engine(lite0["int8"]))
    weights = head(features.shape[1])
    engine = Engine(lite0["int8"], cache=tmp_path, probes=Probes(weights, 1.0, features @ weights + 1.0))
    assert np.array_equal(probe_features(engine), features)
    assert engine.notes == ()
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 1  # the positive answer


def test_arithmetic_that_gives_other_probe_logits_is_replaced_by_float32_with_a_note(
    lite0: dict[str, Backbone],
) -> None:
    native = Engine(lite0["bf16"])  # exact where there is no bfloat16
    features = probe_features(native)
    weights = head(features.shape[1])
    engine = Engine(lite0["bf16"], probes=Probes(weights, 0.0, (features @ weights)[::-1]))
    assert np.array_equal(probe_features(engine), probe_features(Engine(lite0["f32"])))
    assert engine.exact
    assert engine.identity != lite0["bf16"].identity
    assert [note.code for note in engine.notes] == ([] if native.exact else ["dtype-fallback"])


def test_where_float32_gives_other_probe_logits_too_the_engine_does_not_start(lite0: dict[str, Backbone]) -> None:
    features = probe_features(Engine(lite0["int8"]))
    weights = head(features.shape[1])
    with pytest.raises(BackboneError, match="does not reproduce the logits of the training"):
        Engine(lite0["int8"], probes=Probes(weights, 0.0, (features @ weights)[::-1])).requests  # noqa: B018


def model_of(*nodes: onnx.NodeProto, width: int) -> bytes:
    """A network on 16 x 16 images from `image` to `features` (batch, width)."""
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 16, 16, 3])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])
    graph = helper.make_graph(nodes, "network", [image], [features])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


CAST = helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT)
MINIMUM = helper.make_node("ReduceMin", ["pixels"], ["minimum"], axes=[1, 2], keepdims=0)


def test_features_that_are_not_finite_are_a_read_error() -> None:
    logarithm = helper.make_node("Log", ["minimum"], ["features"])
    engine = Engine(as_backbone(model_of(CAST, MINIMUM, logarithm, width=3), 16), threads=2)
    black, grey = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 90, np.uint8)
    rows = list(embed([grey, black, grey], engine))
    assert [row.read_error and row.read_error.code for row in rows] == [None, "not-finite", None]


@pytest.mark.parametrize("dtype", ["f32", "bf16", "int8"])
def test_a_request_for_a_single_image_gives_the_features_of_a_batch(dtype: str, lite0: dict[str, Backbone]) -> None:
    engine = Engine(lite0[dtype], threads=2)
    engine.warm()
    pixels = model_inputs([draw("rings", number) for number in range(BATCH)], 96)
    with engine.request() as request:
        request.model_inputs[:] = pixels
        batch = request.run(BATCH)
    with engine.request(1) as request:
        assert len(request.model_inputs) == 1
        for image, features in zip(pixels, batch, strict=True):
            request.model_inputs[0] = image
            assert np.array_equal(request.run(1)[0], features)


def test_single_images_get_requests_of_their_own_from_the_second_on(tiny: Backbone) -> None:
    engine = Engine(tiny, threads=1)
    sizes, expected = [], [row.features for row in embed([draw("bars", number) for number in range(3)], engine)]
    for number in range(3):
        (row,) = embed([draw("bars", number)], engine)
        assert np.array_equal(row.features, expected[number])
        with engine.request(1) as request:
            sizes.append(len(request.model_inputs))
    assert sizes == [BATCH, 1, 1]


def test_what_fills_no_batch_is_computed_image_by_image_with_the_same_features(tiny: Backbone) -> None:
    engine, images = Engine(tiny, threads=1), [draw("bars", number) for number in range(BATCH + 3)]
    expected = [row.features for row in embed(images, engine)]
    assert engine.split(len(images)) == [BATCH, 3]  # a part of a batch is faster than whole batches of one image
    engine.warm()
    assert (engine.split(len(images)), engine.split(0)) == ([BATCH, 1, 1, 1], [])
    assert np.array_equal([row.features for row in embed_batch(images, engine)], expected)


def test_a_network_that_depends_on_the_size_of_the_batch_runs_in_batches_alone() -> None:
    nodes = [
        helper.make_node("Shape", ["image"], ["size"], start=0, end=1),
        helper.make_node("Cast", ["size"], ["batch_size"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["minimum", "batch_size"], ["features"]),
    ]
    engine = Engine(as_backbone(model_of(CAST, MINIMUM, *nodes, width=3), 16), threads=1)
    engine.warm()
    with engine.request(1) as request:
        assert len(request.model_inputs) == BATCH


PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from twofold.core.options import BackboneOptions
from twofold.data import preprocess
from twofold.embedding import BATCH, Engine, probe_images
from twofold.networks import load_backbone
features = {}
for dtype in ("int8", "bf16", "f32"):
    backbone = load_backbone(BackboneOptions(size=96), dtype, cache=Path(sys.argv[1]))
    engine = Engine(backbone, threads=2)
    pixels = np.stack([preprocess(image, backbone.preprocessing).model_input for image in probe_images()])
    batches = []
    for number in range(0, 32, BATCH):
        request = engine.requests[number // BATCH % 2]
        request.model_inputs[:] = pixels[number : number + BATCH]
        batches.append(request.run(BATCH))
    features[dtype] = np.concatenate(batches)
np.savez(sys.argv[2], **features)
"""


def test_features_are_nearly_the_same_on_every_processor(tmp_path: Path) -> None:
    features = {}
    for instructions in ("", "AVX512_CORE", "AVX2"):  # that oneDNN may use; all by default
        file = tmp_path / f"{instructions}.npz"
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(file)]
        limit = {"ONEDNN_MAX_CPU_ISA": instructions} if instructions else {}
        subprocess.run(command, check=True, env=os.environ | limit)
        features[instructions] = np.load(file)
    scale = features[""]["f32"].std(axis=0) + 1e-3
    for instructions in ("AVX512_CORE", "AVX2"):
        for dtype, min_cosine in (("int8", 0.99), ("bf16", 0.98), ("f32", 1 - 1e-6)):
            cosine = cosines(features[instructions][dtype] / scale, features[""][dtype] / scale)
            assert np.median(cosine) > min_cosine


@pytest.mark.skipif(not processor_features(), reason="the instruction sets of this processor are unknown")
@pytest.mark.parametrize("instructions", ["", "AVX512_CORE", "AVX2"])
def test_saturation_in_sixteen_bits_is_detected(instructions: str) -> None:
    program = (
        "from twofold.embedding.compilation import computes_int8, import_openvino; "
        "print(computes_int8(import_openvino().Core()))"
    )
    environment = os.environ | ({"ONEDNN_MAX_CPU_ISA": instructions} if instructions else {})
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    limited = instructions or "ONEDNN_MAX_CPU_ISA" in os.environ
    assert process.stdout.strip() == str("int8" in fast_dtypes() and not limited)
