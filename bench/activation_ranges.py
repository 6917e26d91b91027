"""Measures the range of every activation that the int8 graph of a built-in network quantises, and writes it to the package.

    python bench/activation_ranges.py ../shared/data/cats-dogs/train efficientnet-lite0 [--weights FILE] [--count 256]

The minimum and maximum of each tensor are taken per batch of 8 images and averaged over the batches: one outlier in a thousand
images would otherwise coarsen the quantisation of all. The images are training images; labels are not read.
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
from twofold.networks.architectures import Architecture, find_architecture
from twofold.networks.graph import build_graph
from twofold.networks.torch_file import WeightArrays, read_weights
from twofold.networks.weights import find_weights

BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("network")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--count", type=int, default=256)
    arguments = parser.parse_args()

    network = find_architecture(arguments.network)
    weights = read_weights(find_weights(network.source, file=arguments.weights, cache=Path()))
    files = list_files([arguments.images])
    image_files = [files[i] for i in np.random.default_rng(0).permutation(len(files))[: arguments.count]]
    ranges = measure(network, weights, [file.read_bytes() for file in image_files])

    target = Path(twofold.networks.__file__).parent / "ranges" / f"{arguments.network}.json"
    target.parent.mkdir(exist_ok=True)
    rows = ",\n".join(f'  "{name}": [{low:.2f}, {high:.2f}]' for name, (low, high) in ranges.items())
    target.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")
    print(f"{len(ranges)} ranges from {len(image_files)} images -> {target}")


def measure(network: Architecture, weights: WeightArrays, images: list[bytes]) -> dict[str, tuple[float, float]]:
    """Minimum and maximum of each tensor that the int8 graph quantises, averaged over batches."""
    ranges: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 1.0))
    build_graph(network, weights, size=network.size, features="stages", ranges=ranges)
    float_graph = build_graph(network, weights, size=network.size, features="stages")
    del float_graph.graph.output[:]
    float_graph.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ranges
    )
    core = import_openvino().Core()
    compiled = core.compile_model(
        core.read_model(float_graph.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )

    preprocessing = Preprocessing(network.size, network.crop_mode, network.filter)
    results = [preprocess(data, preprocessing) for data in images]
    model_inputs = np.stack([result.model_input for result in results if isinstance(result, PreprocessedImage)])
    bounds = []
    for start in range(0, len(model_inputs), BATCH):
        outputs = compiled(model_inputs[start : start + BATCH])
        bounds.append([(outputs[name].min(), outputs[name].max()) for name in ranges])
    return {name: (float(low), float(high)) for name, (low, high) in zip(ranges, np.mean(bounds, axis=0), strict=True)}


if __name__ == "__main__":
    main()
