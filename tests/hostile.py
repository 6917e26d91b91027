"""Bundles as a stranger could make them: of one honest bundle, with checksums that are right again. Drawn with a seed.

Each must be refused, or answer as the honest one does.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from drawings import draw_folder
from onnx import TensorProto, helper, numpy_helper

from twofold.bundle.format import checksum
from twofold.bundle.storage import load_bundle, scoring_of
from twofold.core.options import BackboneOptions, RuntimeOptions, TrainingOptions
from twofold.embedding import Runtime
from twofold.networks import Scoring, with_scores
from twofold.workflows.save import save
from twofold.workflows.train import train

SECRET = "secret.bin"
"""A file that stands where the commands are run, and must have no part in an answer."""
SIZE, WIDTH = 16, 8

Random = np.random.Generator
Way = Callable[[Path, Random], str]
"""Spoils the bundle at a path, and says how."""
node = helper.make_node


def honest(folder: Path) -> Path:
    """A small bundle, of drawn images and a network of one convolution, with 8 numbers a vector."""
    weights = np.random.default_rng(0).normal(size=(WIDTH, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            node("Conv", ["input", "weight"], ["map"]),
            node("Relu", ["map"], ["relu"]),
            node("GlobalAveragePool", ["relu"], ["pooled"]),
        ],
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["batch", WIDTH, 1, 1])],
        [numpy_helper.from_array(weights, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "small.onnx")
    options = TrainingOptions(backbone=BackboneOptions(backbone=str(folder / "small.onnx"), dtype="f32"))
    images = draw_folder(folder / "images", 12)
    save(train(images, options, Runtime(folder, RuntimeOptions(cache=False))), folder / "honest.twofold")
    return folder / "honest.twofold"


def draw_hostile(bundle: Path, folder: Path, number: int) -> tuple[Path, str]:
    """Number `number` of all that can be drawn, in `folder`, and what is wrong with it: each way in turn, every tenth of a
    familiarity, drawn by itself."""
    ways: Sequence[Way] = (of_record, of_network, of_file, of_operators, of_bytes, of_room)
    way = of_familiarity if number % 10 == 9 else ways[number % len(ways)]
    path = folder / f"hostile-{number}.twofold"
    shutil.copytree(bundle, path)
    return path, way(path, np.random.default_rng([7, number]))


# The record


def reseal(path: Path, record: dict[str, Any]) -> None:
    """Writes the record, with the hash of the network beside it, and a checksum that is right."""
    if (path / "model.onnx").is_file() and isinstance(record.get("files"), dict):
        record["files"]["model.onnx"] = hashlib.sha256((path / "model.onnx").read_bytes()).hexdigest()
    record["sha256"] = checksum(record)
    (path / "bundle.json").write_text(json.dumps(record), encoding="utf-8")


def record_of(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((path / "bundle.json").read_text(encoding="utf-8"))
    return record


NUMBERS = {
    "calibration.slope": (-1.0, 0, -1e-300),
    "calibration.intercept": (),
    "calibration.low": (-3, 1.5, 1.0),
    "calibration.high": (5, -0.1, 0.0),
    "rule.low": (7, -1, 1.0001, 0.0),
    "rule.high": (7, -1, 1.0001, 1.0),
    "head.bias": (1e39, -1e300, 12.5),
    "backbone.preprocessing.size": (0, -1, 2**40, 17, 16.5, 4097),
    "backbone.preprocessing.crop_pct": (0, -1, 2),
}
OTHERS = {
    "head.weights": ([], [0.0], [[1.0] * WIDTH], {"0": 1.0}, [float("nan")] * WIDTH, [1e39] * WIDTH, [0.5] * WIDTH),
    "classes": (["a", "b", "c"], ["a"], ["a", "a"], [], "ab", {"a": 1, "b": 2}, [1, 2], [["a"], ["b"]]),
    "rule.gate": ({}, 0.5, "closed", {"level": 0.1}, {"level": 2, "false_alarms": 0.1, "confidence": 0.9, "groups": 5}),
    "rule.gate.level": (-0.1, 1.5),
    "rule.gate.groups": (0, 2.5, -1),
    "familiarity": ({}, 0.5, [[0, 8]], {"parts": [[0, 8]], "axes": 4}),
    "familiarity.parts": (
        [],
        [[0]],
        [[0, 7]],
        [[8, 0]],
        [[0, 2**40]],
        [[0, 4], [2, 8]],
        [[0.0, 8.0]],
        [[0, 8], [8, 9]],
        8,
    ),
    "rule.policy": ({}, "fixed", {"name": 5, "parameters": {}, "evidence": {}}),
    "positive": ("nobody", "", ["rings"]),
    "backbone.preprocessing.crop_mode": ("zoom", "", "CENTER", ["center"]),
    "backbone.preprocessing.filter": ("nearest", "lanczos", ["bilinear"]),
    "backbone.preprocessing.zoom": (2,),
    "backbone.dtype": ("f16", "auto", "f64"),
    "backbone.features": ("first", "all"),
    "backbone.name": ({}, 5, "x" * 200_000),
    "backbone": ("x", []),
    "calibration.extra": (1,),
    "backbone.preprocessing.integer_range": ([1], [5, 5], [9, 3], [0.5, 700.5], ["0", "1"], {"0": 1}, [0, True]),
    "backbone.preprocessing.float_range": ([1.0], [0.0, 0.0], [1.0, 0.0], [0.0, float("inf")], "01"),
    "probes": ([], [0.0] * 31, [0.0] * 33, [float("nan")] * 32, ["0"] * 32, [1e39] * 32, {"0": 1}),
    "format": (1, 2, 3, 4, 6, -1, 3.5, "3", 10**300, [3]),
    "files": ([], "x", {}, {"model.onnx": 5}, {"../model.onnx": "0" * 64}, {"/etc/passwd": "0" * 64}),
}
NONSENSE = (None, True, "x", [], {}, float("nan"), float("inf"), -float("inf"), 10**400, [1.0], "NaN")
UNUSED = ("options", "command", "data", "versions", "seed", "created", "C", "evidence", "dtype_check")
RAW: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda text: text[: len(text) // 2],
    "deep lists": lambda text: b"[" * 300_000,
    "deep blocks": lambda text: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep within": lambda text: text.replace(b"{", b'{"deep": ' + b"[" * 900 + b"]" * 900 + b", ", 1),
    "a key twice": lambda text: text.replace(b'"positive"', b'"positive": "rings", "positive"', 1),
    "a byte that is no UTF-8": lambda text: text.replace(b"rings", b"ring\xff"),
    "a number of many digits": lambda text: text.replace(b"{", b'{"n": ' + b"9" * 5000 + b", ", 1),
    "a list": lambda text: b"[" + text + b"]",
    "a number": lambda text: b"2",
    "nothing": lambda text: b"",
    "null": lambda text: b"null",
    "spaces": lambda text: b" " * 1_000_000,
    "zeros": lambda text: bytes(1000),
    "a mark before": lambda text: b"\xef\xbb\xbf" + text,
    "two records": lambda text: text + text,
}


def of_record(path: Path, random: Random) -> str:
    """A value that no record holds, a key that is missing, or text that is no record."""
    kind = random.integers(6)
    if kind == 0:
        name = str(random.choice(list(RAW)))
        (path / "bundle.json").write_bytes(RAW[name]((path / "bundle.json").read_bytes()))
        return f"bundle.json: {name}"
    record, values = record_of(path), {**NUMBERS, **OTHERS}
    key = str(random.choice(UNUSED if kind == 1 else list(values)))
    *above, last = key.split(".")
    block = record
    for part in above:
        block = block[part]
    if kind == 2 and last in block:
        del block[last]
        reseal(path, record)
        return f"bundle.json: {key} missing"
    legal = values.get(key, ()) if kind > 3 else ()
    nonsense = [value for value in NONSENSE if not (last in ("positive", "name") and isinstance(value, str))]
    choice = [*legal] or nonsense
    block[last] = choice[int(random.integers(len(choice)))]
    reseal(path, record)
    return f"bundle.json: {key} = {str(block[last])[:30]}"


# The network


def of_network(path: Path, random: Random) -> str:
    """A network that is not what it should be, its head put on as twofold does."""
    name = str(random.choice(list(CHANGES)))
    change(path, CHANGES[name])
    return f"model.onnx: {name}"


def change(path: Path, way: Callable[[onnx.ModelProto], None]) -> None:
    scoring, model = scoring_at(path), onnx.load_model_from_string(load_bundle(path).model.backbone.graph)
    way(model)
    written = model.SerializeToString(deterministic=True)
    with suppress(ValueError):  # as it is, then: the stranger has another program
        written = with_scores(written, scoring)
    (path / "model.onnx").write_bytes(written)
    reseal(path, record_of(path))


def scoring_at(path: Path) -> Scoring:
    """The scoring of an honest bundle."""
    model = load_bundle(path).model
    return scoring_of(model.backbone.preprocessing, model.head, model.calibration, model.familiarity)


def of_familiarity(path: Path, random: Random) -> str:
    """A network whose familiarity has arrays that none has, or others than its record says."""
    name = str(random.choice(list(FAMILIARITIES)))
    spoil_familiarity(path, name)
    return f"model.onnx: a familiarity with {name}"


def spoil_familiarity(path: Path, name: str) -> None:
    scoring = scoring_at(path)
    arrays = {key: np.array(values) for key, values in scoring.familiarity.items()}
    FAMILIARITIES[name](arrays)
    graph = load_bundle(path).model.backbone.graph
    (path / "model.onnx").write_bytes(with_scores(graph, replace(scoring, familiarity=arrays)))
    reseal(path, record_of(path))


def _at(key: str, place: int, value: float) -> Callable[[dict[str, Any]], None]:
    def spoil(arrays: dict[str, Any]) -> None:
        arrays[key].flat[place] = value

    return spoil


def _as(key: str, form: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def spoil(arrays: dict[str, Any]) -> None:
        arrays[key] = form(arrays[key])

    return spoil


FAMILIARITIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a mean that is no number": _at("mean", 0, float("nan")),
    "an infinite axis": _at("axes", 1, float("inf")),
    "a long axis": _at("axes", 1, 60_000.0),
    "knots that do not rise": _at("knots", 3, -1.0),
    "a knot that is no number": _at("knots", -1, float("nan")),
    "levels that do not fall": _at("levels", 1, 2.0),
    "a level of 0": _at("levels", -1, 0.0),
    "a level that is no number": _at("levels", 0, float("nan")),
    "a longer mean": _as("mean", lambda values: np.append(values, values)),
    "a mean of two dimensions": _as("mean", lambda values: values[None, :]),
    "axes of one dimension": _as("axes", lambda values: values[0]),
    "no axes": _as("axes", lambda values: values[:0]),
    "more axes than features": _as("axes", lambda values: np.concatenate([values] * 20)),
    "one level too few": _as("levels", lambda values: values[:-1]),
    "one knot": _as("knots", lambda values: values[:1]),
    "many knots": _as("knots", lambda values: np.linspace(0, 1, 10_000)),
}


def _weight(model: onnx.ModelProto) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)


def _outside(location: str, **about: int) -> Callable[[onnx.ModelProto], None]:
    """The weights are read from a file."""

    def way(model: onnx.ModelProto) -> None:
        _point(_weight(model), location, **about)

    return way


def _point(tensor: TensorProto, location: str, **about: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **about}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)


def _outside_in_a_constant(model: onnx.ModelProto) -> None:
    weight = _weight(model)
    constant = node("Constant", [], ["stolen"], value=weight)
    _point(constant.attribute[0].t, SECRET)
    model.graph.node.insert(0, constant)


def _unread_outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add()
    tensor.CopyFrom(_weight(model))
    tensor.name = "unread"
    _point(tensor, SECRET)


def _within(kind: str) -> Callable[[onnx.ModelProto], None]:
    """Control flow with a graph of its own, on the way to the vector or beside it."""

    def way(model: onnx.ModelProto) -> None:
        inner = helper.make_graph(
            [node("Identity", ["go"], ["go_on"]), node("Add", ["x", "x"], ["y"])],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("go", TensorProto.BOOL, []),
                helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
            ],
            [
                helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
                helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
            ],
        )
        model.graph.initializer.append(numpy_helper.from_array(np.array(2**62, np.int64), "steps"))
        model.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
        branches = {"then_branch": inner, "else_branch": inner} if kind == "If" else {"body": inner}
        inputs = {"If": ["always"], "Loop": ["steps", "always", "pixels"]}.get(kind, ["pixels"])
        more = {"num_scan_inputs": 1} if kind == "Scan" else {}
        model.graph.node.append(node(kind, inputs, ["slow"], **branches, **more))

    return way


def _replaced(kind: str, inputs: list[str], outputs: list[str], **more: Any) -> Callable[[onnx.ModelProto], None]:
    """A further operator before the last, which nothing has to read."""
    return lambda model: model.graph.node.insert(len(model.graph.node) - 1, node(kind, inputs, outputs, **more))


def _circle(model: onnx.ModelProto) -> None:
    model.graph.node.append(node("Add", ["pixels_b", "pixels_b"], ["pixels_a"]))
    model.graph.node.append(node("Add", ["pixels_a", "pixels_a"], ["pixels_b"]))


def _circle_on_the_way(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def _upside_down(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _image(**of: Any) -> Callable[[onnx.ModelProto], None]:
    """Another input."""
    made = {"name": "image", "elem_type": TensorProto.UINT8, "shape": ["batch", SIZE, SIZE, 3], **of}

    def way(model: onnx.ModelProto) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info(**made))

    return way


def _second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("text", TensorProto.INT64, [1]))


def _no_vector(model: onnx.ModelProto) -> None:
    kept = [output for output in model.graph.output if output.name != "features"]
    del model.graph.output[:]
    model.graph.output.extend(kept)


def _more_outputs(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, None))


def _vector_of(shape: list[Any] | None) -> Callable[[onnx.ModelProto], None]:
    """The file says that the vector is another."""

    def way(model: onnx.ModelProto) -> None:
        features = next(output for output in model.graph.output if output.name == "features")
        features.CopyFrom(helper.make_tensor_value_info("features", TensorProto.FLOAT, shape))

    return way


def _wider(model: onnx.ModelProto) -> None:
    """The vector has twice as many numbers as the head, and the file does not say so."""
    last = next(each for each in model.graph.node if "features" in each.output)
    last.output[0] = "half"
    model.graph.node.append(node("Concat", ["half", "half"], ["features"], axis=1))
    _vector_of(["batch", None])(model)


def _narrower(model: onnx.ModelProto) -> None:
    last = next(each for each in model.graph.node if "features" in each.output)
    last.output[0] = "all"
    model.graph.node.append(node("ReduceMean", ["all"], ["features"], axes=[1]))
    _vector_of(["batch", None])(model)


def _dims(*dims: int) -> Callable[[onnx.ModelProto], None]:
    def way(model: onnx.ModelProto) -> None:
        tensor = _weight(model)
        del tensor.dims[:]
        tensor.dims.extend(dims)

    return way


def _short(model: onnx.ModelProto) -> None:
    tensor = _weight(model)
    tensor.ClearField("raw_data")
    tensor.float_data.extend([1.0, 2.0])


def _function(model: onnx.ModelProto) -> None:
    model.functions.add(name="Mine", domain="mine", output=["y"], input=["x"])
    model.opset_import.append(helper.make_opsetid("mine", 1))


def _sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "scattered")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2**40]))


def _nothing(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def _named_twice(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(_weight(model))


CHANGES: dict[str, Callable[[onnx.ModelProto], None]] = {
    "weights in a file beside": _outside(SECRET),
    "weights at a place in a file": _outside(SECRET, offset=8, length=WIDTH * 27 * 4),
    "weights above": _outside(f"../{SECRET}"),
    "weights below": _outside(f"folder/{SECRET}"),
    "weights by a whole path": _outside("/etc/passwd"),
    "weights in memory": _outside("*/_ORT_MEM_ADDR_/*", offset=0, length=WIDTH * 27 * 4),
    "weights nowhere": _outside(""),
    "a constant in a file": _outside_in_a_constant,
    "an unread tensor in a file": _unread_outside,
    "Loop": _within("Loop"),
    "If": _within("If"),
    "Scan": _within("Scan"),
    "SequenceMap": _within("SequenceMap"),
    "an operator of nobody's": _replaced("Strange", ["pixels"], ["odd"], domain="strange"),
    "an operator of ONNX Runtime's": _replaced("Gelu", ["pixels"], ["odd"], domain="com.microsoft"),
    "an operator of OpenVINO's": _replaced("FakeQuantize", ["pixels"], ["odd"], domain="org.openvinotoolkit"),
    "an operator that draws": _replaced("RandomNormal", [], ["odd"], shape=[2, 2]),
    "an operator for files": _replaced("ImageDecoder", ["image"], ["odd"]),
    "an operator for sequences": _replaced("SequenceConstruct", ["pixels"], ["odd"]),
    "a circle": _circle,
    "a circle on the way": _circle_on_the_way,
    "nodes upside down": _upside_down,
    "a tensor from nowhere": _replaced("Add", ["pixels", "nowhere"], ["odd"]),
    "a tensor computed twice": _replaced("Identity", ["image"], ["features"]),
    "a tensor named twice": _named_twice,
    "an input of another name": _image(name="picture"),
    "an input of floats": _image(elem_type=TensorProto.FLOAT),
    "an input of another size": _image(shape=["batch", SIZE * 2, SIZE * 2, 3]),
    "an input of one channel": _image(shape=["batch", SIZE, SIZE, 1]),
    "an input of three sides": _image(shape=[SIZE, SIZE, 3]),
    "an input without a shape": _image(shape=None),
    "one picture at a time": _image(shape=[1, SIZE, SIZE, 3]),
    "a second input": _second_input,
    "no vector": _no_vector,
    "an output too many": _more_outputs,
    "a vector that is said to be wider": _vector_of(["batch", WIDTH * 2]),
    "a vector of three dimensions": _vector_of(["batch", WIDTH, 1]),
    "a wider vector": _wider,
    "a narrower vector": _narrower,
    "a shape larger than its numbers": _dims(2**20, 3, 3, 3),
    "a shape that wraps": _dims(2**62, 2**62, 3, 3),
    "a negative shape": _dims(-1, 3, 3, 3),
    "fewer numbers than its shape": _short,
    "functions": _function,
    "sparse tensors": _sparse,
    "no graph": _nothing,
}


# What takes room or time


def _constant(model: onnx.ModelProto, name: str, values: Any, kind: Any = np.int64) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, kind), name))
    return name


def _on_the_way(model: onnx.ModelProto, steps: list[onnx.NodeProto]) -> None:
    """Steps from `grow` to `grown`, whose largest number is added to the vector."""
    last = next(each for each in model.graph.node if "features" in each.output)
    last.output[0] = "plain"
    model.graph.node.extend(
        [
            node("Cast", ["image"], ["grow"], to=TensorProto.FLOAT),
            *steps,
            node("Cast", ["grown"], ["floats"], to=TensorProto.FLOAT),
            node("ReduceMax", ["floats"], ["most"], keepdims=0),
            node("Add", ["plain", "most"], ["features"]),
        ]
    )


def of_room(path: Path, random: Random) -> str:
    """A small file with a network that takes more room or time than there is."""
    name, power = str(random.choice(list(ROOM))), int(random.integers(28, 62))
    change(path, lambda model: _on_the_way(model, ROOM[name](model, 2**power)))
    return f"model.onnx: {name}, 2^{power}"


ROOM: dict[str, Callable[[onnx.ModelProto, int], list[onnx.NodeProto]]] = {
    "ConstantOfShape": lambda m, n: [node("ConstantOfShape", [_constant(m, "n", [n])], ["grown"])],
    "Expand": lambda m, n: [node("Expand", [_constant(m, "one", [1]), _constant(m, "n", [n])], ["grown"])],
    "Tile": lambda m, n: [node("Tile", ["grow", _constant(m, "n", [1, 1, 1, n])], ["grown"])],
    "Pad": lambda m, n: [node("Pad", ["grow", _constant(m, "n", [0, 0, 0, 0, 0, n, n, 0])], ["grown"])],
    "Resize": lambda m, n: [
        node("Resize", ["grow", "", _constant(m, "n", [1, n, n, 1], np.float32)], ["grown"], mode="nearest")
    ],
    "Range": lambda m, n: [
        node("Range", [_constant(m, "a", 0), _constant(m, "n", min(n, 2**31)), _constant(m, "d", 1)], ["grown"])
    ],
    "MatMul": lambda m, n: [
        node("ConstantOfShape", [_constant(m, "n", [2**20, 1])], ["column"]),
        node("ConstantOfShape", [_constant(m, "k", [1, 2**20])], ["row"]),
        node("MatMul", ["column", "row"], ["grown"]),
    ],
    "Concat": lambda m, n: (
        [node("Concat", [f"c{step}" if step else "grow"] * 2, [f"c{step + 1}"], axis=3) for step in range(40)]
        + [node("Identity", ["c40"], ["grown"])]
    ),
    "ConvTranspose": lambda m, n: [
        node("Transpose", ["grow"], ["turned"], perm=[0, 3, 1, 2]),
        node(
            "ConvTranspose",
            ["turned", _constant(m, "w", np.ones((3, 1, 2, 2)), np.float32)],
            ["grown"],
            strides=[min(n, 2**30)] * 2,
        ),
    ],
    "OneHot": lambda m, n: [
        node("OneHot", ["image", _constant(m, "n", n), _constant(m, "v", [0, 1], np.float32)], ["grown"])
    ],
    "Einsum": lambda m, n: [node("Einsum", ["grow"] * 4, ["grown"], equation="abcd,efgh,ijkl,mnop->abcdefghijklmnop")],
    "a long row": lambda m, n: (
        [node("Relu", [f"r{step}" if step else "grow"], [f"r{step + 1}"]) for step in range(3000)]
        + [node("Identity", ["r3000"], ["grown"])]
    ),
    "many operators": lambda m, n: (
        [
            node("Transpose", [f"t{step}" if step else "grow"], [f"t{step + 1}"], perm=[0, 2, 1, 3])
            for step in range(20000)
        ]
        + [node("Identity", ["t20000"], ["grown"])]
    ),
}


def of_operators(path: Path, random: Random) -> str:
    """Attributes that no network has."""
    name = str(random.choice(list(ATTRIBUTES)))
    steps, (kind, more) = [node("Transpose", ["grow"], ["turned"], perm=[0, 3, 1, 2])], ATTRIBUTES[name]

    def way(model: onnx.ModelProto) -> None:
        inputs = ["turned", _constant(model, "w", np.ones((4, 3, 3, 3)), np.float32)][: 2 if kind == "Conv" else 1]
        _on_the_way(model, [*steps, node(kind, inputs, ["grown"], **more)])

    change(path, way)
    return f"model.onnx: {name}"


ATTRIBUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "Conv with strides of 0": ("Conv", {"strides": [0, 0]}),
    "Conv with dilations of 0": ("Conv", {"dilations": [0, 0]}),
    "Conv with negative strides": ("Conv", {"strides": [-1, -1]}),
    "Conv with huge pads": ("Conv", {"pads": [2**40] * 4}),
    "Conv with large pads": ("Conv", {"pads": [20_000] * 4}),
    "Conv of 7 groups": ("Conv", {"group": 7}),
    "Conv with huge dilations": ("Conv", {"dilations": [2**62, 2**62]}),
    "MaxPool with strides of 0": ("MaxPool", {"kernel_shape": [2, 2], "strides": [0, 0]}),
    "MaxPool of nothing": ("MaxPool", {"kernel_shape": [0, 0]}),
    "AveragePool of everything": ("AveragePool", {"kernel_shape": [2**62, 2**62]}),
    "AveragePool with huge pads": ("AveragePool", {"kernel_shape": [2, 2], "pads": [2**31] * 4}),
    "DepthToSpace by 0": ("DepthToSpace", {"blocksize": 0}),
    "SpaceToDepth by -1": ("SpaceToDepth", {"blocksize": -1}),
    "Transpose beyond": ("Transpose", {"perm": [0, 3, 1, 99]}),
    "Transpose of one": ("Transpose", {"perm": [0, 0, 0, 0]}),
    "Einsum of nothing": ("Einsum", {"equation": "->->..,,"}),
}


# Bytes and files


PAGE = b'<?xml version="1.0"?><net name="x" version="11"><layers></layers><edges></edges></net>'
NO_NETWORKS: dict[str, Callable[[bytes], bytes]] = {
    "OpenVINO's XML": lambda _: PAGE,
    "TensorFlow": lambda _: b"\n\x0c\n\x04node\x12\x04NoOp" * 5,
    "TensorFlow Lite": lambda _: b"\x1c\x00\x00\x00TFL3" + bytes(200),
    "PaddlePaddle": lambda _: b"\n\x10\x08\x00\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + b"\x1a\x00" * 20,
    "a pickle": lambda _: (
        b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."
    ),
    "a zip": lambda _: b"PK\x03\x04" + bytes(100),
    "zeros": lambda _: bytes(100_000),
    "nothing": lambda _: b"",
    "a network cut off": lambda data: data[:-40],
    "a network and more": lambda data: data + b"\x00",
    "two networks": lambda data: data + data,
    "a field that is not known": lambda data: data + b"\xf8\x07\x01",
    "a field without an end": lambda data: data + b"\x82\x08\xff\xff\xff\xff\x0f",
    "a number without an end": lambda data: data + b"\x08" + b"\xff" * 20,
    "small fields without end": lambda data: data + b"\x72\x00" * 2_000_000,
    "OpenVINO's XML before a network": lambda data: PAGE + data,
    "another head": lambda data: data.replace(b"head.bias", b"head.bya\x73"),
    "another familiarity": lambda data: data.replace(b"familiarity.knots", b"familiarity.knotz"),
    "no head": lambda data: data.replace(b"Gemm", b"Gemn"),
}


def of_bytes(path: Path, random: Random) -> str:
    """What is no network, or not the one that was written."""
    if random.random() < 0.3:
        name = str(random.choice(["model.onnx", "bundle.json", "fingerprints.csv"]))
        data = bytearray((path / name).read_bytes())
        places = random.integers(len(data), size=3)
        for place in places:
            data[place] ^= 0x40
        (path / name).write_bytes(bytes(data))
        return f"{name}: three bytes turned"
    name = str(random.choice(list(NO_NETWORKS)))
    (path / "model.onnx").write_bytes(NO_NETWORKS[name]((path / "model.onnx").read_bytes()))
    reseal(path, record_of(path))
    return f"model.onnx: {name}"


def _sparse_file(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(8_000_000_000)


FILES: dict[str, Callable[[Path], None]] = {
    "a pipe": lambda file: os.mkfifo(file),
    "a folder": lambda file: file.mkdir(),
    "a link to /dev/zero": lambda file: file.symlink_to("/dev/zero"),
    "a link to /dev/stdin": lambda file: file.symlink_to("/dev/stdin"),
    "a link to /proc": lambda file: file.symlink_to("/proc/self/environ"),
    "a link to a file beside": lambda file: file.symlink_to(file.parent.parent / SECRET),
    "a link to itself": lambda file: file.symlink_to(file),
    "a link into nowhere": lambda file: file.symlink_to(file.parent / "nowhere"),
    "8 GB of nothing": _sparse_file,
    "missing": lambda file: None,
}


def of_file(path: Path, random: Random) -> str:
    """What is no file, or too large a one."""
    name, what = str(random.choice(["bundle.json", "model.onnx", "fingerprints.csv"])), str(random.choice(list(FILES)))
    (path / name).unlink()
    FILES[what](path / name)
    return f"{name}: {what}"
