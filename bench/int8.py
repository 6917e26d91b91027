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

from twofold.data import folds, list_pictures
from twofold.decision import fit_calibration, fit_head
from twofold.embedding import (
    BATCH,
    Arithmetic,
    Engine,
    Machine,
    available_processors,
    fast_precisions,
    load_backbone,
)
from twofold.evaluation.metrics import log_loss
from twofold.options import BackboneOptions, DataOptions
from twofold.sample import Sample, observe_listing

SHUFFLES, ROUNDS, BATCHES = 5, 5, 12
LAST = 1280


def observed(data: Path, engine: Engine, machine: Machine) -> Sample:
    listing = list_pictures(data, DataOptions())
    return observe_listing(listing, [item.path for item in listing.items], engine, machine, what=str(data))


def out_of_fold(sample: Sample) -> float:
    labels, losses = sample.labels, []
    for seed in range(SHUFFLES):
        fit = fit_head(sample.table.vectors, labels, folds(labels, sample.groups, 5, seed))
        losses.append(log_loss(labels, fit_calibration(fit.logits, labels).probabilities(fit.logits)))
    return float(np.mean(losses))


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> str:
    """Median and lowest."""
    found = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return f"{np.median(found):.4f}, {found.min():.3f}"


def speed(engine: Engine) -> float:
    """Pictures/s of one thread, the network alone."""
    lane = engine.lanes[0]
    lane.squares[:] = np.random.default_rng(0).integers(0, 256, lane.squares.shape, np.uint8)
    start = perf_counter()
    for _ in range(BATCHES):
        lane.run(BATCH)
    return BATCHES * BATCH / (perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    machine, options = (
        Machine(user_cache_path("twofold")),
        BackboneOptions(given.backbone, given.weights),
    )
    kinds: list[Arithmetic] = ["f32", "bf16", "int8"] if "bf16" in fast_precisions() else ["f32", "int8"]
    backbones = {kind: load_backbone(options, kind, cache=machine.folder) for kind in kinds}

    print(f"{given.backbone} | log-loss | cosine of all | of the stages | of the last pooling")
    for data in given.data:
        exact = observed(data, machine.engine(backbones["f32"]), machine)
        for kind in kinds:
            sample = observed(data, machine.engine(backbones[kind]), machine)
            pairs = sample.table.vectors, exact.table.vectors
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
