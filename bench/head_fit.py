"""Fitting the head, compared with scikit-learn: seconds and out-of-fold log-loss on 2,000 to 100,000 rows of features.

    python bench/head_fit.py ../shared/data/cats-dogs/train [--images 2000 20000] [--tolerances 1e-3 1e-4] [--repeats 3]

More rows than images are drawn by repeating the features with noise of half their standard deviation. scikit-learn: the same
standardisation within each fold, LogisticRegression (lbfgs, balanced) on the same grid of C with warm starts, one BLAS thread
or, with `--threads`, more. Runs are interleaved. Processor seconds are printed as well, because they depend less on
other processes.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from backbone_defaults import embed_data
from platformdirs import user_cache_path
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from twofold.core.options import BackboneOptions
from twofold.dataset import folds
from twofold.decision import fit_head, with_floor
from twofold.decision.penalty_search import CS
from twofold.embedding import Runtime

Features, Labels, Folds = np.ndarray, np.ndarray, np.ndarray
Losses = dict[float, float]


def enlarge(features: Features, labels: Labels, fold: Folds, images: int) -> tuple[Features, Labels, Folds]:
    """The first rows, or the rows repeated with noise until there are as many as `images`."""
    if images <= len(features):
        return features[:images], labels[:images], fold[:images]
    rng, repeats = np.random.default_rng(0), -(-images // len(features))
    noise = 0.5 * features.std(axis=0)
    batches = [features + noise * rng.standard_normal(features.shape, np.float32) for _ in range(repeats)]
    return np.concatenate(batches)[:images], np.tile(labels, repeats)[:images], np.tile(fold, repeats)[:images]


def standardise(features: Features) -> tuple[Features, Features, Features]:
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    matrix = features - mean
    std = with_floor(np.sqrt(np.einsum("nd,nd->d", matrix, matrix, dtype=np.float64) / len(matrix))).astype(np.float32)
    matrix /= std
    return matrix, mean, std


def fit_by_scikit_learn(features: Features, labels: Labels, fold: Folds, tolerance: float) -> Losses:
    """The out-of-fold log-loss of each C; the head on all images is fitted as well."""
    names, losses = np.unique(fold), Losses()
    matrices = [standardise(features[fold != name]) for name in names]
    models = [
        LogisticRegression(tol=tolerance, max_iter=10_000, class_weight="balanced", warm_start=True) for _ in names
    ]
    for C in CS:
        logits = np.empty(len(labels))
        for name, model, (matrix, mean, std) in zip(names, models, matrices, strict=True):
            prior = labels[fold != name].mean()
            model.set_params(C=C).fit(matrix, labels[fold != name])
            logits[fold == name] = ((features[fold == name] - mean) / std) @ model.coef_[0] + model.intercept_[0]
            logits[fold == name] += np.log(prior / (1 - prior))
        losses[C] = float(np.mean(np.logaddexp(0.0, logits) - labels * logits))
        if losses[C] > 1.005 * min(losses.values()):
            break
    best = min(losses, key=losses.__getitem__)
    LogisticRegression(C=best, tol=tolerance, max_iter=10_000, class_weight="balanced").fit(
        standardise(features)[0], labels
    )
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    parser.add_argument("--tolerances", type=float, nargs="+", default=[1e-3, 1e-4])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    dataset = embed_data(arguments.data, BackboneOptions(), Runtime(user_cache_path("twofold")))
    fold = folds(dataset.names, dataset.groups, 5, 0)
    print("| images | program | seconds | processor seconds | C | out-of-fold log-loss |")
    for images in arguments.images:
        table = enlarge(dataset.table.features, dataset.labels, fold, images)
        programs: dict[str, Callable[[], Losses]] = {"twofold": lambda table=table: fit_head(*table).losses}
        for tolerance in arguments.tolerances:
            programs[f"scikit-learn, tol {tolerance:g}"] = lambda table=table, tolerance=tolerance: fit_by_scikit_learn(
                *table, tolerance
            )
        wall_seconds, processor_seconds = ({name: [] for name in programs} for _ in range(2))
        losses: dict[str, Losses] = {}
        for _ in range(arguments.repeats):
            for name, program in programs.items():
                start, processor_start = time.perf_counter(), time.process_time()
                with threadpool_limits(arguments.threads):
                    losses[name] = program()
                wall_seconds[name].append(time.perf_counter() - start)
                processor_seconds[name].append(time.process_time() - processor_start)
        for name, losses_by_C in losses.items():
            best = min(losses_by_C, key=losses_by_C.__getitem__)
            cells = (
                f"{statistics.median(wall_seconds[name]):.2f}",
                f"{statistics.median(processor_seconds[name]):.2f}",
                f"{best:.2g}",
            )
            print("|", images, "|", name, "|", " | ".join(cells), "|", f"{losses_by_C[best]:.5f}", "|", flush=True)


if __name__ == "__main__":
    main()
