"""Measures the range of every tensor that the int8 graph of a built-in network rounds, and writes it into the package.

    python bench/ranges.py ../shared/data/cats-dogs/train efficientnet-lite0 [--weights FILE] [--count 256]

The lowest and highest value of each tensor are taken for every batch of 8 pictures, then averaged over the batches: the
one outlier in a thousand pictures would widen the steps for all. The pictures are training pictures; no label is read.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

import twofold.networks
from twofold.data import PreprocessedImage, Preprocessing, list_files, preprocess
from twofold.embedding.compilation import import_openvino
from twofold.networks.architectures import Architecture, architecture
from twofold.networks.graph import build_graph
from twofold.networks.torch_file import Weights, read_weights
from twofold.networks.weights import find_weights

BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("network")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--count", type=int, default=256)
    given = parser.parse_args()

    table = architecture(given.network)
    weights = read_weights(find_weights(table.source, given=given.weights, cache=Path()))
    files = list_files([given.images])
    chosen = [files[i] for i in np.random.default_rng(0).permutation(len(files))[: given.count]]
    ranges = measure(table, weights, [file.read_bytes() for file in chosen])

    target = Path(twofold.networks.__file__).parent / "ranges" / f"{given.network}.json"
    target.parent.mkdir(exist_ok=True)
    rows = ",\n".join(f'  "{name}": [{low:.2f}, {high:.2f}]' for name, (low, high) in ranges.items())
    target.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")
    print(f"{len(ranges)} ranges from {len(chosen)} pictures -> {target}")


def measure(table: Architecture, weights: Weights, images: list[bytes]) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of each tensor that the int8 graph asks for, in the average batch."""
    asked: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 1.0))
    build_graph(table, weights, size=table.size, features="stages", ranges=asked)
    plain = build_graph(table, weights, size=table.size, features="stages")
    del plain.graph.output[:]
    plain.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in asked)
    core = import_openvino().Core()
    network = core.compile_model(core.read_model(plain.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    looks = [preprocess(data, Preprocessing(table.size, table.crop_mode, table.filter)) for data in images]
    model_inputs = np.stack([seen.model_input for seen in looks if isinstance(seen, PreprocessedImage)])
    bounds = []
    for start in range(0, len(model_inputs), BATCH):
        outputs = network(model_inputs[start : start + BATCH])
        bounds.append([(outputs[name].min(), outputs[name].max()) for name in asked])
    return {name: (float(low), float(high)) for name, (low, high) in zip(asked, np.mean(bounds, axis=0), strict=True)}


if __name__ == "__main__":
    main()
