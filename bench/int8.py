"""What int8 costs in accuracy and gains in speed, beside float32 and bfloat16.

    python bench/int8.py ../shared/data/cats-dogs/train demo/train.csv [--backbone NAME] [--weights FILE]

Give any number of DATA. Out-of-fold log-loss is the mean of five shuffles of five folds; training pictures alone are read.
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
LAST = 1280


def observed(data: Path, engine: Engine, runtime: Runtime) -> LabelledDataset:
    file_list = list_labelled_files(data, DataOptions())
    return embed_files(file_list, [item.path for item in file_list.items], engine, runtime, what=str(data))


def out_of_fold(sample: LabelledDataset) -> float:
    labels, losses = sample.labels, []
    for seed in range(SHUFFLES):
        fit = fit_head(sample.table.features, labels, folds(labels, sample.groups, 5, seed))
        losses.append(log_loss(labels, fit_calibration(fit.logits, labels).probabilities(fit.logits)))
    return float(np.mean(losses))


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> str:
    """Median and lowest."""
    found = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return f"{np.median(found):.4f}, {found.min():.3f}"


def speed(engine: Engine) -> float:
    """Pictures/s of one thread, the network alone."""
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
    given = parser.parse_args()
    runtime, options = (
        Runtime(user_cache_path("twofold")),
        BackboneOptions(given.backbone, given.weights),
    )
    kinds: list[Dtype] = ["f32", "bf16", "int8"] if "bf16" in fast_dtypes() else ["f32", "int8"]
    backbones = {kind: load_backbone(options, kind, cache=runtime.folder) for kind in kinds}

    print(f"{given.backbone} | log-loss | cosine of all | of the stages | of the last pooling")
    for data in given.data:
        exact = observed(data, runtime.engine(backbones["f32"]), runtime)
        for kind in kinds:
            sample = observed(data, runtime.engine(backbones[kind]), runtime)
            pairs = sample.table.features, exact.table.features
            parts = [
                cosines(*(side[:, columns] for side in pairs))
                for columns in (slice(None), slice(-LAST), slice(-LAST, None))
            ]
            print(data, kind, f"{out_of_fold(sample):.5f}", *parts, sep=" | ", flush=True)

    engines = {kind: Engine(backbone, threads=1) for kind, backbone in backbones.items()}
    rounds = [{kind: speed(engine) for kind, engine in engines.items()} for _ in range(ROUNDS)]
    rates = {kind: round(max(rates[kind] for rates in rounds)) for kind in engines}
    print(f"one thread of {available_processors()}, best of {ROUNDS} rounds, pictures/s: {rates}")


if __name__ == "__main__":
    main()
