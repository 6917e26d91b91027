"""Computes the program in an exported Core ML model operator by operator in NumPy, and compares it with ONNX Runtime.

It checks the conversion, as Core ML itself runs on macOS alone: python bench/coreml.py BUNDLE… (extras `coreml` and `export`)
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import coremltools
import numpy as np
import onnxruntime
from coremltools.converters.mil.frontend.milproto.load import load

from twofold.bundle.storage import load_bundle
from twofold.networks.coreml_file import write_coreml
from twofold.workflows.model_export import _exported_graph

IMAGES = 20


def windows(x: Any, kernel: Any, op: dict[str, Any], margin: float) -> Any:
    """The windows of images (n, c, h, w) under a kernel: (n, c, rows, columns, height, width)."""
    pads = op["pad"] if op["pad_type"] == "custom" else (0, 0, 0, 0)
    x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[1]), (pads[2], pads[3])), constant_values=margin)
    rows, columns = op["strides"]
    return np.lib.stride_tricks.sliding_window_view(x, tuple(kernel), (2, 3))[:, :, ::rows, ::columns]


def convolve(op: dict[str, Any]) -> Any:
    weight, groups = op["weight"], int(op["groups"])
    parts = windows(op["x"], weight.shape[2:], op, 0)
    n, c, h, w, *kernel = parts.shape
    parts = parts.reshape(n, groups, c // groups, h, w, *kernel)
    weight = weight.reshape(groups, -1, *weight.shape[1:])
    result = np.einsum("ngihwkl,goikl->ngohw", parts, weight, optimize=True).reshape(n, -1, h, w)
    return result if op.get("bias") is None else result + op["bias"][:, None, None]


def normalise(op: dict[str, Any]) -> Any:
    factor = op["gamma"] / np.sqrt(op["variance"] + op["epsilon"])
    shape = (-1, *(1 for _ in op["x"].shape[2:]))
    return op["x"] * factor.reshape(shape) + (op["beta"] - op["mean"] * factor).reshape(shape)


def multiply(op: dict[str, Any]) -> Any:
    x, y = (np.swapaxes(op[k], -1, -2) if op[f"transpose_{k}"] else op[k] for k in "xy")
    return x @ y


OPERATORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "add": lambda op: op["x"] + op["y"],
    "avg_pool": lambda op: windows(op["x"], op["kernel_sizes"], op, 0).mean((4, 5)),
    "batch_norm": normalise,
    "cast": lambda op: op["x"].astype({"fp32": np.float32, "int32": np.int32}[op["dtype"]]),
    "clip": lambda op: np.clip(op["x"], op["alpha"], op["beta"]),
    "concat": lambda op: np.concatenate(op["values"], int(op["axis"])),
    "conv": convolve,
    "gather": lambda op: np.take(op["x"], op["indices"], int(op["axis"])),
    "less": lambda op: op["x"] < op["y"],
    "linear": lambda op: op["x"] @ op["weight"].T + op["bias"],
    "matmul": multiply,
    "max_pool": lambda op: windows(op["x"], op["kernel_sizes"], op, -np.inf).max((4, 5)),
    "mul": lambda op: op["x"] * op["y"],
    "real_div": lambda op: op["x"] / op["y"],
    "reduce_mean": lambda op: np.mean(op["x"], tuple(op["axes"]), keepdims=bool(op["keep_dims"])),
    "relu": lambda op: np.maximum(op["x"], 0),
    "reshape": lambda op: np.reshape(op["x"], op["shape"]),
    "select": lambda op: np.where(op["cond"], op["a"], op["b"]),
    "sigmoid": lambda op: 1 / (1 + np.exp(-op["x"])),
    "sqrt": lambda op: np.sqrt(op["x"]),
    "sub": lambda op: op["x"] - op["y"],
    "transpose": lambda op: np.transpose(op["x"], op["perm"]),
}


def compute(function: Any, model_inputs: Any) -> dict[str, Any]:
    """The outputs of a program of Core ML by name."""
    values = {entry.name: model_inputs for entry in function.inputs.values()}

    def value(entry: Any) -> Any:
        if isinstance(entry, list | tuple):
            return [value(part) for part in entry]
        return values.get(entry.name, entry.val)

    for operation in function.operations:
        if operation.op_type != "const":
            inputs = {name: value(entry) for name, entry in operation.inputs.items() if entry is not None}
            values[operation.outputs[0].name] = OPERATORS[operation.op_type](inputs)
    return {output.name: values[output.name] for output in function.outputs}


def differences(path: Path) -> dict[str, float]:
    """The largest difference of each output, on images of large random squares."""
    bundle = load_bundle(path)
    graph = _exported_graph(bundle, plain=False, resizing=False)
    with TemporaryDirectory() as folder:
        write_coreml(graph, Path(folder) / "model.mlpackage")
        model = coremltools.models.MLModel(f"{folder}/model.mlpackage", skip_model_load=True)
        spec = model.get_spec()
        program = load(spec, spec.specificationVersion, model.weights_dir)
    session = onnxruntime.InferenceSession(graph)
    names = [output.name for output in session.get_outputs()]
    preprocessing, random = bundle.model.backbone.preprocessing, np.random.default_rng(0)
    largest = dict.fromkeys(names, 0.0)
    for _ in range(IMAGES):
        squares = random.integers(0, 256, (len(preprocessing.crops), 8, 8, 3)).astype(np.uint8)
        side = -(-preprocessing.size // 8)
        inputs = squares.repeat(side, 1).repeat(side, 2)[:, : preprocessing.size, : preprocessing.size]
        computed = compute(program.functions["main"], inputs.astype(np.float32))
        for name, expected in zip(names, session.run(names, {"model_inputs": inputs}), strict=True):
            largest[name] = max(largest[name], float(np.abs(expected - computed[name]).max()))
    return largest


for argument in sys.argv[1:]:
    print(argument, {name: f"{value:.2g}" for name, value in differences(Path(argument)).items()})
