"""Running a backbone: the same vectors however it is run."""

import os
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from numpy.typing import NDArray
from onnx import TensorProto, helper
from runs import as_backbone, cosines, model_inputs, run

from twofold.core.errors import BackboneError
from twofold.data import PreprocessedImage, preprocess
from twofold.embedding import BATCH, Engine, Probes, probe_images
from twofold.embedding.embed import embed
from twofold.networks import Backbone, fast_dtypes
from twofold.networks.dtypes import processor_features


@pytest.mark.parametrize("dtype", ["f32", "int8"])
def test_a_vector_does_not_depend_on_its_companions(dtype: str, lite0: dict[str, Backbone]) -> None:
    pixels = model_inputs([draw(pattern, number) for number in range(4) for pattern in ("bars", "rings")], 96)
    (request,) = Engine(lite0[dtype], threads=1).requests
    request.model_inputs[:] = pixels
    together = request.run(BATCH)
    for place in range(BATCH):
        request.model_inputs[:] = 255 - pixels
        request.model_inputs[place] = pixels[0]
        assert np.array_equal(request.run(BATCH)[place], together[0])


def test_every_lane_gives_the_same(lite0: dict[str, Backbone]) -> None:
    pixels = model_inputs([draw("bars", number) for number in range(BATCH)], 96)
    found = []
    for request in (*Engine(lite0["f32"], threads=2).requests, *Engine(lite0["f32"], threads=1).requests):
        request.model_inputs[:] = pixels
        found.append(request.run(BATCH))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_what_a_lane_gave_stays_when_it_runs_again(tiny: Backbone) -> None:
    (request,) = Engine(tiny, threads=1).requests
    request.model_inputs[:] = 10
    first = request.run(2)
    before = first.copy()
    request.model_inputs[:] = 200
    assert not np.array_equal(request.run(2), first)
    assert np.array_equal(first, before)
    assert first.shape == (2, 6)


def test_lanes_are_made_once(tiny: Backbone) -> None:
    engine = Engine(tiny, threads=2)
    assert engine.requests is engine.requests
    assert len(engine.requests) == 2


def test_compiled_networks_are_kept_and_give_the_same(lite0: dict[str, Backbone], tmp_path: Path) -> None:
    pixels = model_inputs([draw("bars", 0)], 96)
    found = []
    for _ in range(2):
        (request,) = Engine(lite0["int8"], threads=1, cache=tmp_path).requests
        request.model_inputs[:1] = pixels
        found.append(request.run(1))
        assert len(list(tmp_path.glob("*/*.blob"))) == 1
    assert np.array_equal(*found)


def test_a_damaged_compiled_network_is_compiled_anew(tiny: Backbone, tmp_path: Path) -> None:
    def turned(data: bytes, at: float) -> bytes:
        place = int(at * len(data))
        return data[:place] + bytes(255 - byte for byte in data[place : place + 8]) + data[place + 8 :]

    found = []
    damages = [
        lambda _: b"",
        lambda _: b"nonsense",
        lambda data: data[:-1],
        *(partial(turned, at=at) for at in (0.1, 0.5, 0.9)),
    ]
    for damage in (None, *damages):
        for blob in tmp_path.glob("*/*.blob"):
            blob.chmod(0o600)
            blob.write_bytes(damage(blob.read_bytes()))
        (request,) = Engine(tiny, threads=1, cache=tmp_path).requests
        request.model_inputs[:] = 99
        found.append(request.run(1))
    assert len(found) == 7
    assert all(np.array_equal(found[0], features) for features in found)


def test_only_the_newest_compiled_networks_are_kept(tiny: Backbone, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "network.blob").touch()
    Engine(tiny, threads=1, cache=tmp_path).requests  # noqa: B018
    assert len(list(tmp_path.iterdir())) == 20
    assert len(list(tmp_path.glob("*/checksums.txt"))) == 1


def test_a_folder_that_cannot_be_made_is_done_without(tiny: Backbone, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert len(Engine(tiny, threads=1, cache=tmp_path / "file" / "folder").requests) == 1


@pytest.mark.parametrize("graph", [b"", b"not a network"])
def test_a_graph_that_cannot_be_run_is_told(graph: bytes) -> None:
    with pytest.raises(BackboneError, match="The network test cannot be run by OpenVINO: "):
        run(as_backbone(graph, 16), np.zeros((1, 16, 16, 3), np.uint8))


def test_openvino_is_imported_without_its_reporter() -> None:
    program = (
        "import sys; from twofold.embedding.compilation import import_openvino; import_openvino(); "
        "print(*(name for name in sys.modules if name.startswith('openvino_telemetry')))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["openvino_telemetry"]


def test_probe_images_are_the_same_everywhere() -> None:
    images = np.stack(probe_images())
    assert images.shape == (32, 64, 64, 3)
    assert images.dtype == np.uint8
    assert zlib.crc32(images.tobytes()) == 1312578569


def probed(engine: Engine) -> NDArray[np.float32]:
    """The vectors of the probe images, (32, d)."""
    looks = [preprocess(image, engine.backbone.preprocessing) for image in probe_images()]
    pixels = np.stack([seen.model_input for seen in looks if isinstance(seen, PreprocessedImage)])
    found = []
    for at in range(0, len(pixels), BATCH):
        engine.requests[0].model_inputs[:] = pixels[at : at + BATCH]
        found.append(engine.requests[0].run(BATCH))
    return np.concatenate(found)


def head(size: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=size).astype(np.float32)


def test_arithmetic_that_gives_the_logits_of_the_probes_is_used(lite0: dict[str, Backbone], tmp_path: Path) -> None:
    features = probed(Engine(lite0["int8"]))
    weights = head(features.shape[1])
    engine = Engine(lite0["int8"], cache=tmp_path, probes=Probes(weights, 1.0, features @ weights + 1.0))
    assert np.array_equal(probed(engine), features)
    assert engine.notes == []
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 1  # that it agreed


def test_arithmetic_that_gives_other_logits_is_replaced_by_float32_with_a_note(lite0: dict[str, Backbone]) -> None:
    native = Engine(lite0["bf16"])  # exact where there is no bfloat16
    features = probed(native)
    weights = head(features.shape[1])
    engine = Engine(lite0["bf16"], probes=Probes(weights, 0.0, (features @ weights)[::-1]))
    assert np.array_equal(probed(engine), probed(Engine(lite0["f32"])))
    assert engine.exact
    assert engine.identity != lite0["bf16"].identity
    assert [note.code for note in engine.notes] == ([] if native.exact else ["exact-arithmetic"])


def test_where_exact_arithmetic_gives_other_logits_too_nothing_is_answered(lite0: dict[str, Backbone]) -> None:
    features = probed(Engine(lite0["int8"]))
    weights = head(features.shape[1])
    with pytest.raises(BackboneError, match="does not give here what it gave where the model was trained"):
        Engine(lite0["int8"], probes=Probes(weights, 0.0, (features @ weights)[::-1])).requests  # noqa: B018


def test_a_network_whose_numbers_are_not_finite_refuses_the_picture(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 16, 16, 3])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMin", ["pixels"], ["least"], axes=[1, 2], keepdims=0),
        helper.make_node("Log", ["least"], ["features"]),
    ]
    graph = helper.make_graph(nodes, "log", [image], [features])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    engine = Engine(as_backbone(model.SerializeToString(), 16), threads=2)
    black, grey = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 90, np.uint8)
    found = list(embed([grey, black, grey], engine))
    assert [seen.read_error and seen.read_error.code for seen in found] == [None, "not-finite", None]


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


def test_vectors_are_the_same_on_every_processor(tmp_path: Path) -> None:
    found = {}
    for most in ("", "AVX512_CORE", "AVX2"):  # what oneDNN may use of this one
        file = tmp_path / f"{most}.npz"
        run = [sys.executable, "-c", PROGRAM, str(tmp_path), str(file)]
        subprocess.run(run, check=True, env=os.environ | ({"ONEDNN_MAX_CPU_ISA": most} if most else {}))
        found[most] = np.load(file)
    scale = found[""]["f32"].std(axis=0) + 1e-3
    for most in ("AVX512_CORE", "AVX2"):
        for dtype, least in (("int8", 0.99), ("bf16", 0.98), ("f32", 1 - 1e-6)):
            alike = cosines(found[most][dtype] / scale, found[""][dtype] / scale)
            assert np.median(alike) > least


@pytest.mark.skipif(not processor_features(), reason="the instruction sets of this processor are not known")
@pytest.mark.parametrize("most", ["", "AVX512_CORE", "AVX2"])
def test_saturation_in_sixteen_bits_is_noticed(most: str) -> None:
    program = (
        "from twofold.embedding.compilation import computes_int8, import_openvino; "
        "print(computes_int8(import_openvino().Core()))"
    )
    environment = os.environ | ({"ONEDNN_MAX_CPU_ISA": most} if most else {})
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    limited = most or "ONEDNN_MAX_CPU_ISA" in os.environ
    assert found.stdout.strip() == str("int8" in fast_dtypes() and not limited)
