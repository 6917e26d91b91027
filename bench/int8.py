"""Accuracy and speed of int8, compared with float32 and bfloat16.

    python bench/int8.py ../shared/data/cats-dogs/train demo/train.csv [--backbone NAME] [--weights FILE]

Takes any number of DATA. The out-of-fold log-loss is the mean over five shuffles of five folds; only training images are read.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from twofold.core.options import BackboneOptions, DataOptions
from twofold.core.parallel import available_processors
from twofold.data import list_labelled_files
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset, embed_files
from twofold.decision import fit_calibration, fit_head
from twofold.embedding import BATCH, Engine, Runtime
from twofold.evaluation.metrics import log_loss
from twofold.networks import Dtype, fast_dtypes, load_backbone

SHUFFLES, ROUNDS, BATCHES = 5, 5, 12
LAST_CHANNELS = 1280


def embed(data: Path, engine: Engine, runtime: Runtime) -> LabelledDataset:
    file_list = list_labelled_files(data, DataOptions())
    return embed_files(file_list, file_list.paths, engine, runtime, what=str(data))


def out_of_fold_loss(dataset: LabelledDataset) -> float:
    labels, losses = dataset.labels, []
    for seed in range(SHUFFLES):
        fit = fit_head(dataset.table.features, labels, folds(labels, dataset.groups, 5, seed))
        losses.append(log_loss(labels, fit_calibration(fit.logits, labels).probabilities(fit.logits)))
    return float(np.mean(losses))


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> str:
    """Median and minimum of the cosine similarities of corresponding rows."""
    values = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return f"{np.median(values):.4f}, {values.min():.3f}"


def speed(engine: Engine) -> float:
    """Images/s of the network alone, on one thread."""
    request = engine.requests[0]
    request.model_inputs[:] = np.random.default_rng(0).integers(0, 256, request.model_inputs.shape, np.uint8)
    start = perf_counter()
    for _ in range(BATCHES):
        request.run(BATCH)
    return BATCHES * BATCH / (perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--weights", type=Path)
    arguments = parser.parse_args()
    runtime, options = (
        Runtime(user_cache_path("twofold")),
        BackboneOptions(arguments.backbone, arguments.weights),
    )
    dtypes: list[Dtype] = ["f32", "bf16", "int8"] if "bf16" in fast_dtypes() else ["f32", "int8"]
    backbones = {dtype: load_backbone(options, dtype, cache=runtime.folder) for dtype in dtypes}

    print(f"{arguments.backbone} | log-loss | cosine of all features | of the stages | of the last pooling")
    for data in arguments.data:
        reference = embed(data, runtime.engine(backbones["f32"]), runtime)
        for dtype in dtypes:
            dataset = embed(data, runtime.engine(backbones[dtype]), runtime)
            pairs = dataset.table.features, reference.table.features
            similarities = [
                cosines(*(features[:, columns] for features in pairs))
                for columns in (slice(None), slice(-LAST_CHANNELS), slice(-LAST_CHANNELS, None))
            ]
            print(data, dtype, f"{out_of_fold_loss(dataset):.5f}", *similarities, sep=" | ", flush=True)

    engines = {dtype: Engine(backbone, threads=1) for dtype, backbone in backbones.items()}
    rounds = [{dtype: speed(engine) for dtype, engine in engines.items()} for _ in range(ROUNDS)]
    rates = {dtype: round(max(rates[dtype] for rates in rounds)) for dtype in engines}
    print(f"one thread of {available_processors()}, best of {ROUNDS} rounds, images/s: {rates}")


if __name__ == "__main__":
    main()
