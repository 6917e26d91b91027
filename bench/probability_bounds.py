"""The effect on log-loss of bounding probabilities by the number of training images.

    python bench/probability_bounds.py ../shared/data/cats-dogs/train demo/train.csv

Heads are fitted on 100, 400 and 1,200 images drawn from each DATA and scored on its remaining images, with unchanged
labels and with 0.5% of the labels flipped; mean of six draws, float32.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from backbone_defaults import embed_data
from platformdirs import user_cache_path

from twofold.core.options import BackboneOptions
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset
from twofold.decision import fit_calibration, fit_head
from twofold.embedding import Runtime
from twofold.evaluation.metrics import log_loss

DRAWS, FLIP_FRACTION = 6, 0.005


def losses(dataset: LabelledDataset, count: int, seed: int) -> list[float]:
    """Log-loss on the remaining images: unbounded and bounded, with unchanged labels, then with some flipped labels."""
    random, labels, features = np.random.default_rng(seed), dataset.labels, dataset.table.features
    train_mask = np.zeros(len(labels), np.bool_)
    train_mask[random.permutation(len(labels))[:count]] = True
    fit = fit_head(features[train_mask], labels[train_mask], folds(labels[train_mask], np.arange(count), 5, seed))
    bounded = fit_calibration(fit.logits, labels[train_mask])
    unbounded = replace(bounded, low=0.0, high=1.0)
    logits, truth = fit.head.logits(features[~train_mask]), labels[~train_mask]
    flipped_labels = np.where(random.random(len(truth)) < FLIP_FRACTION, 1 - truth, truth)
    return [
        log_loss(targets, c.probabilities(logits)) for targets in (truth, flipped_labels) for c in (unbounded, bounded)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    runtime = Runtime(user_cache_path("twofold"))
    print("| data | fitted on | unbounded | bounded | unbounded, 0.5% flipped | bounded, 0.5% flipped |")
    for data in parser.parse_args().data:
        dataset = embed_data(data, BackboneOptions(), runtime)
        for count in (100, 400, 1200):
            means = np.mean([losses(dataset, count, seed) for seed in range(DRAWS)], axis=0)
            print("|", data, "|", count, "|", " | ".join(f"{mean:.4f}" for mean in means), "|", flush=True)


if __name__ == "__main__":
    main()
