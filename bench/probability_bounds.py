"""Log-loss of probabilities with the bounds of the calibration estimated, by the number of images, and without bounds.

    python bench/probability_bounds.py ../shared/data/cats-dogs/train demo/train.csv tiles

Heads and calibrations are fitted on 100, 400 and 1,200 images drawn from each DATA (at most 70% of them) and scored on its
remaining images, without duplicates of those in the fit. The same fraction of labels is flipped in the fit and in the score,
where the loss is the expected one over all flips. Mean of twelve draws, float32.
"""

import argparse
from pathlib import Path

import numpy as np
from backbone_defaults import embed_data
from platformdirs import user_cache_path
from sklearn.calibration import _sigmoid_calibration
from threadpoolctl import threadpool_limits

from twofold.core.options import BackboneOptions
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import fit_calibration, fit_head
from twofold.decision.calibration import Calibration
from twofold.embedding import Runtime
from twofold.evaluation.metrics import log_loss

DRAWS = 12
RATES = (0.0, 0.005, 0.02)


def calibrations(logits: np.ndarray, labels: np.ndarray) -> list[Calibration]:
    """Platt's method; with bounds by the number of images; with estimated bounds."""
    slope, intercept = _sigmoid_calibration(logits, labels)
    negatives, positives = np.bincount(labels)
    platt = Calibration(-slope, -intercept)
    bounded = Calibration(-slope, -intercept, 0.5 / (negatives + 1), 1 - 0.5 / (positives + 1))
    return [platt, bounded, fit_calibration(logits, labels)]


def losses(dataset: LabelledDataset, count: int, rate: float, seed: int) -> list[float]:
    """The expected log-loss of each calibration."""
    random, truth, features = (
        np.random.default_rng([seed, count, round(1e4 * rate)]),
        dataset.labels,
        dataset.table.features,
    )
    rows = random.permutation(len(truth))[:count]
    labels = np.where(random.random(count) < rate, 1 - truth[rows], truth[rows]).astype(np.int8)
    fit = fit_head(features[rows], labels, folds(labels, dataset.groups[rows], 5, seed))
    others = ~np.isin(dataset.groups, dataset.groups[rows])
    logits, targets = fit.head.logits(features[others]), truth[others]
    return [
        (1 - rate) * log_loss(targets, p) + rate * log_loss(1 - targets, p)
        for p in (calibration.probabilities(logits) for calibration in calibrations(fit.logits, labels))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    runtime = Runtime(user_cache_path("twofold"))
    print("| data | images in the fit |" + "".join(f" {100 * rate:g}% flipped |" for rate in RATES))
    for data in parser.parse_args().data:
        dataset = embed_data(data, BackboneOptions(crop_mode="both"), runtime)
        for count in sorted({min(count, int(0.7 * len(dataset.labels))) for count in (100, 400, 1200)}):
            cells = []
            for rate in RATES:
                with threadpool_limits(1):
                    means = np.mean([losses(dataset, count, rate, seed) for seed in range(DRAWS)], axis=0)
                cells.append(", ".join(f"{mean:.4f}" for mean in means))
            print("|", data, "|", count, "|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
