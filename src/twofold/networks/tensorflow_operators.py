"""Networks in ONNX as TensorFlow operations, the language that LiteRT's converter reads.

Each operator is a function of TensorFlow, its inputs, and its attributes by name, as of opset 13 and later: an attribute that it
does not take is refused. Constants are NumPy arrays. Images stay (n, channels, height, width), as in ONNX: the converter removes
most transpositions.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from twofold.core.errors import BackboneError
from twofold.core.third_party import summarise_error

_LAST: Final = (0, 2, 3, 1)  # channels last
_FIRST: Final = (0, 3, 1, 2)


def unknown_operators(model: ModelProto) -> list[str]:
    """The operators of a model that are not in `OPERATORS`, in alphabetical order."""
    return sorted(
        {
            node.op_type
            for node in model.graph.node
            if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS
        }
    )


def compute(tf: Any, model: ModelProto, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a model by name. Raises BackboneError where an operator is used in a way that is not known."""
    values: dict[str, Any] = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    values.update(inputs)
    for node in model.graph.node:
        results = _run(tf, node, [values[name] if name else None for name in node.input])
        values.update(zip(node.output, results, strict=False))  # the last outputs may be left out
    return {output.name: values[output.name] for output in model.graph.output}


def _run(tf: Any, node: NodeProto, inputs: list[Any]) -> tuple[Any, ...]:
    """The outputs of a node. What depends on constants alone is computed here, so that shapes and axes are numbers."""
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    constant = all(value is None or isinstance(value, np.ndarray) for value in inputs)
    try:
        if not constant:
            results = OPERATORS[node.op_type](tf, *inputs, **attributes)
        else:
            with tf.init_scope():  # at once, outside the graph
                results = OPERATORS[node.op_type](tf, *inputs, **attributes)
    except Exception as error:  # TensorFlow's have no common class
        raise BackboneError(
            f"The operator {node.op_type} of the network cannot be converted: {summarise_error(error)}."
        ) from error
    several = results if isinstance(results, tuple) else (results,)
    return tuple(map(np.asarray, several)) if constant else several


def _convolve(
    tf: Any,
    x: Any,
    weight: NDArray[Any],
    bias: Any = None,
    *,
    strides: tuple[int, ...] = (1, 1),
    dilations: tuple[int, ...] = (1, 1),
    group: int = 1,
    kernel_shape: Any = None,
    **padding: Any,
) -> Any:
    if weight.ndim != 4:
        raise ValueError("it is not two-dimensional")
    x = _padded(tf, tf.transpose(x, _LAST), 0.0, **padding)
    steps = (1, *strides, 1)
    if group > 1 and weight.shape[1] == 1:
        kernel = weight.transpose(2, 3, 0, 1).reshape(*weight.shape[2:], group, -1)  # (height, width, in, out / in)
        x = tf.nn.depthwise_conv2d(x, kernel, steps, "VALID", dilations=dilations)
    else:
        x = tf.nn.conv2d(x, weight.transpose(2, 3, 1, 0), steps, "VALID", dilations=dilations)
    return tf.transpose(x if bias is None else x + bias, _FIRST)


def _padded(tf: Any, x: Any, value: float, *, pads: tuple[int, ...] = (0, 0, 0, 0), auto_pad: bytes = b"NOTSET") -> Any:
    """The images (n, height, width, channels) with margins."""
    if auto_pad not in (b"NOTSET", b"VALID"):
        raise ValueError(f"auto_pad is {auto_pad.decode()}")
    top, left, bottom, right = pads
    return tf.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value) if any(pads) else x


def _pool_maximum(tf: Any, x: Any, *, storage_order: int = 0, **window: Any) -> Any:
    x, kernel, strides, _ = _pool_window(tf, tf.transpose(x, _LAST), float(np.finfo(np.float32).min), **window)
    return tf.transpose(tf.nn.max_pool2d(x, kernel, strides, "VALID"), _FIRST)


def _pool_average(tf: Any, x: Any, *, count_include_pad: int = 0, **window: Any) -> Any:
    def pool(images: Any) -> tuple[Any, bool]:
        padded, kernel, strides, margins = _pool_window(tf, images, 0.0, **window)
        return tf.nn.avg_pool2d(padded, kernel, strides, "VALID"), margins

    x = tf.transpose(x, _LAST)
    pooled, margins = pool(x)
    if margins and count_include_pad and window.get("ceil_mode"):
        raise ValueError("it has count_include_pad and ceil_mode")
    if margins and not count_include_pad:
        with tf.init_scope():
            inside, _ = pool(np.ones((1, *x.shape[1:3], 1), np.float32))
        pooled = pooled / np.asarray(inside)  # the fraction of each window that lies in the image
    return tf.transpose(pooled, _FIRST)


def _pool_window(
    tf: Any,
    x: Any,
    value: float,
    *,
    kernel_shape: Any,
    strides: Any = (1, 1),
    pads: Any = (0, 0, 0, 0),
    dilations: Any = (1, 1),
    ceil_mode: int = 0,
    auto_pad: bytes = b"NOTSET",
) -> tuple[Any, Any, Any, bool]:
    """The images (n, height, width, channels) with margins, kernel, strides, and whether there are margins.

    With `ceil_mode`, a margin at the end makes a window of what is left over, where that window begins before the margins.
    """
    if tuple(dilations) != (1, 1):
        raise ValueError("it has dilations")
    pads = [*pads]
    for axis in (0, 1) if ceil_mode else ():
        size, kernel, stride = int(x.shape[1 + axis]) + pads[axis], kernel_shape[axis], strides[axis]
        rest = (size + pads[2 + axis] - kernel) % stride
        extended = pads[2 + axis] + stride - rest
        if rest and size + extended - kernel < size:
            pads[2 + axis] = extended
    return _padded(tf, x, value, pads=tuple(pads), auto_pad=auto_pad), kernel_shape, strides, any(pads)


def _multiply_matrices(
    tf: Any, a: Any, b: Any, c: Any = None, *, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0
) -> Any:
    product = tf.matmul(a, b, transpose_a=bool(transA), transpose_b=bool(transB))
    product = product if alpha == 1 else product * np.float32(alpha)
    return product if c is None else product + (c if beta == 1 else c * np.float32(beta))


def _reduce(name: str) -> Callable[..., Any]:
    def reduce(tf: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
        if noop_with_empty_axes and not np.size(axes):
            raise ValueError("it has no axes")
        chosen = None if axes is None else [int(axis) for axis in axes]  # before opset 18 they are an attribute
        return getattr(tf, name)(x, axis=chosen or None, keepdims=bool(keepdims))

    return reduce


def _reshape(tf: Any, x: Any, shape: NDArray[Any], *, allowzero: int = 0) -> Any:
    sizes = [x.shape[axis] if size == 0 and not allowzero else int(size) for axis, size in enumerate(shape)]
    return tf.reshape(x, sizes)


def _pad(tf: Any, x: Any, pads: NDArray[Any], value: Any = 0.0, *, mode: bytes = b"constant") -> Any:
    if mode != b"constant":
        raise ValueError(f"its mode is {mode.decode()}")
    return tf.pad(x, pads.reshape(2, -1).T, constant_values=0.0 if value is None else value)


def _unsqueeze(tf: Any, x: Any, axes: NDArray[Any]) -> Any:
    rank = x.ndim + axes.size if isinstance(x, np.ndarray) else x.shape.rank + axes.size
    for axis in sorted(int(axis) % rank for axis in axes):
        x = tf.expand_dims(x, axis)
    return x


def _slice(tf: Any, x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    axes = range(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    if min(steps) < 0:
        raise ValueError("it has a negative step")
    limit = np.iinfo(np.int32).max  # stands for the end, as any larger number does
    parts = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[int(axis)] = slice(max(int(start), -limit), min(int(end), limit), int(step))
    return x[tuple(parts)]


def _gather(tf: Any, x: Any, indices: Any, *, axis: int = 0) -> Any:
    if isinstance(indices, np.ndarray):
        indices = np.where(indices < 0, indices + x.shape[axis], indices)
    return tf.gather(x, indices, axis=axis)


def _normalise_layer(
    tf: Any, x: Any, scale: Any, bias: Any = 0.0, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    axes = list(range(axis % len(x.shape), len(x.shape)))
    offsets = x - tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(offsets * offsets, axes, keepdims=True)
    return offsets / tf.sqrt(variance + np.float32(epsilon)) * scale + bias


def _normalise_batch(
    tf: Any,
    x: Any,
    scale: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Any:
    if training_mode:
        raise ValueError("it is in training mode")
    factor = scale / np.sqrt(variance + np.float32(epsilon))
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    return x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)


def _activate_gelu(tf: Any, x: Any, *, approximate: bytes = b"none") -> Any:
    if approximate == b"tanh":
        return tf.nn.gelu(x, approximate=True)
    return x * (0.5 + 0.5 * _error_function(tf, x * np.float32(np.sqrt(0.5))))


def _error_function(tf: Any, x: Any) -> Any:
    """Abramowitz and Stegun 7.1.26, within 1.5e-7: LiteRT has no such operator."""
    t = 1 / (1 + 0.3275911 * tf.abs(x))
    powers = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return tf.sign(x) * (1 - powers * tf.exp(-x * x))


def _clip(tf: Any, x: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None and high is not None and (low, high) == (0, 6):
        return tf.nn.relu6(x)
    x = x if low is None else tf.maximum(x, low)
    return x if high is None else tf.minimum(x, high)


def _cast(tf: Any, x: Any, *, to: int, saturate: int = 1) -> Any:
    return tf.cast(x, helper.tensor_dtype_to_np_dtype(to))


def _make_constant(tf: Any, *, value: TensorProto) -> Any:
    return numpy_helper.to_array(value)


OPERATORS: Final[Mapping[str, Callable[..., Any]]] = {
    "Add": lambda tf, a, b: tf.add(a, b),
    "AveragePool": _pool_average,
    "BatchNormalization": _normalise_batch,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda tf, *parts, axis: tf.concat(parts, axis),
    "Constant": _make_constant,
    "Conv": _convolve,
    "Div": lambda tf, a, b: tf.divide(a, b),
    "Dropout": lambda tf, x, *_, **__: tf.identity(x),
    "Erf": _error_function,
    "Exp": lambda tf, x: tf.exp(x),
    "Expand": lambda tf, x, shape: tf.broadcast_to(x, np.broadcast_shapes(x.shape, shape)),
    "Flatten": lambda tf, x, axis=1: tf.reshape(x, (int(np.prod(x.shape[:axis])), -1)),
    "Gather": _gather,
    "Gelu": _activate_gelu,
    "Gemm": _multiply_matrices,
    "GlobalAveragePool": lambda tf, x: tf.reduce_mean(x, (2, 3), keepdims=True),
    "GlobalMaxPool": lambda tf, x: tf.reduce_max(x, (2, 3), keepdims=True),
    "HardSigmoid": lambda tf, x, alpha=0.2, beta=0.5: tf.clip_by_value(x * np.float32(alpha) + np.float32(beta), 0, 1),
    "HardSwish": lambda tf, x: x * tf.nn.relu6(x + 3) / 6,
    "Identity": lambda tf, x: tf.identity(x),
    "LayerNormalization": _normalise_layer,
    "LeakyRelu": lambda tf, x, alpha=0.01: tf.nn.leaky_relu(x, alpha),
    "Less": lambda tf, a, b: tf.less(a, b),
    "MatMul": _multiply_matrices,
    "Max": lambda tf, a, b: tf.maximum(a, b),
    "MaxPool": _pool_maximum,
    "Min": lambda tf, a, b: tf.minimum(a, b),
    "Mul": lambda tf, a, b: tf.multiply(a, b),
    "Neg": lambda tf, x: tf.negative(x),
    "Pad": _pad,
    "Pow": lambda tf, a, b: tf.pow(a, tf.cast(b, a.dtype)),
    "Range": lambda tf, start, end, step: tf.range(start, end, step),
    "ReduceMax": _reduce("reduce_max"),
    "ReduceMean": _reduce("reduce_mean"),
    "ReduceSum": _reduce("reduce_sum"),
    "Relu": lambda tf, x: tf.nn.relu(x),
    "Reshape": _reshape,
    "Shape": lambda tf, x, start=0, end=None: np.array(x.shape, np.int64)[start:end],
    "Sigmoid": lambda tf, x: tf.sigmoid(x),
    "Slice": _slice,
    "Softmax": lambda tf, x, axis=-1: tf.nn.softmax(x, axis),
    "Sqrt": lambda tf, x: tf.sqrt(x),
    "Squeeze": lambda tf, x, axes=None: tf.squeeze(x, None if axes is None else axes.tolist()),
    "Sub": lambda tf, a, b: tf.subtract(a, b),
    "Tanh": lambda tf, x: tf.tanh(x),
    "Transpose": lambda tf, x, perm=None: tf.transpose(x, perm),
    "Unsqueeze": _unsqueeze,
    "Where": lambda tf, condition, a, b: tf.where(condition, a, b),
}
"""The operators that are known: those of the built-in networks, of the scores, and of most networks from torch."""
