"""Measures the range of every tensor that the int8 graph of a built-in network rounds, and writes it into the package.

    python bench/ranges.py ../shared/data/cats-dogs/train efficientnet-lite0 [--weights FILE] [--pictures 256]

For every batch of 8 pictures the 0.01st and 99.99th percentile of each tensor are taken, then averaged over the batches: single
outliers would widen the steps for all. The pictures are training pictures; no label is read.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
from onnx import helper

import twofold.embedding
from twofold.data import Look, Square, list_files, look
from twofold.embedding.architectures import architecture
from twofold.embedding.graph import build_graph
from twofold.embedding.weights import find_weights, read_weights

BATCH, TAIL = 8, 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("network")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--count", type=int, default=256)
    given = parser.parse_args()

    table = architecture(given.network)
    weights = read_weights(find_weights(table.source, given=given.weights, cache=Path()))
    build = {"size": table.size, "vector": "stages"}
    rounded = build_graph(table, weights, ranges=defaultdict(lambda: (0.0, 1.0)), **build)
    names = [node.input[0] for node in rounded.graph.node if node.op_type == "QuantizeLinear" and node.input[0] != "input"]
    plain = build_graph(table, weights, **build)
    del plain.graph.output[:]
    plain.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    network = ov.Core().compile_model(plain.SerializeToString(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    files = list_files([given.pictures])
    chosen = [files[i] for i in np.random.default_rng(0).permutation(len(files))[: given.count]]
    looks = [look(file.read_bytes(), Square(table.size, table.fit, table.filter)) for file in chosen]
    squares = np.stack([seen.square for seen in looks if isinstance(seen, Look)])
    bounds = []
    for start in range(0, len(squares), BATCH):
        outputs = network(squares[start : start + BATCH])
        bounds.append([np.percentile(outputs[name], (TAIL, 100 - TAIL)) for name in names])
    low_high = np.mean(bounds, axis=0)
    ranges = {name: [round(float(low), 4), round(float(high), 4)] for name, (low, high) in zip(names, low_high, strict=True)}

    target = Path(twofold.embedding.__file__).parent / "ranges" / f"{given.network}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(ranges, indent=1) + "\n", encoding="utf-8")
    print(f"{len(ranges)} ranges from {len(squares)} pictures -> {target}")


if __name__ == "__main__":
    main()
