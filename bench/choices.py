"""What the defaults were chosen by: out-of-fold log-loss for every framing, filter and content of the vector.

    python bench/choices.py ../shared/data/cats-dogs/train demo/train.csv [--backbone NAME] [--weights FILE]

Give any number of DATA. float32, five folds, mean of three shuffles; training pictures alone are read.
"""

import argparse
from itertools import accumulate, product
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from twofold.core.options import BackboneOptions, DataOptions
from twofold.data import list_labelled_files
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset, embed_files
from twofold.decision import fit_calibration, fit_head
from twofold.embedding import Runtime
from twofold.evaluation.metrics import log_loss
from twofold.networks import load_backbone
from twofold.networks.architectures import Architecture, architecture

SHUFFLES = 3


def observed(data: Path, options: BackboneOptions, runtime: Runtime) -> LabelledDataset:
    file_list = list_labelled_files(data, DataOptions())
    engine = runtime.engine(load_backbone(options, "f32", cache=runtime.folder))
    return embed_files(file_list, [item.path for item in file_list.items], engine, runtime, what=str(data))


def out_of_fold(sample: LabelledDataset, columns: np.ndarray) -> str:
    """Log-loss and accuracy at 0.5, each the mean over the shuffles."""
    labels, scores = sample.labels, []
    features = np.ascontiguousarray(sample.table.features[:, columns])
    for seed in range(SHUFFLES):
        fit = fit_head(features, labels, folds(labels, sample.groups, 5, seed))
        probabilities = fit_calibration(fit.logits, labels).probabilities(fit.logits)
        scores.append((log_loss(labels, probabilities), np.mean((probabilities >= 0.5) == (labels == 1))))
    loss, accuracy = np.mean(scores, axis=0)
    return f"{loss:.4f}, {accuracy:.4f}"


def contents(table: Architecture, width: int) -> dict[str, np.ndarray]:
    """The columns of the whole vector (means, deviations of each stage; last pooling) that each choice keeps."""
    stages = np.array([stage.channels for stage in table.stages])
    ends = list(accumulate(2 * stages))
    last = np.arange(ends[-1], width)
    means = [np.arange(end - 2 * count, end - count) for end, count in zip(ends, stages, strict=True)]
    both = [np.arange(end - 2 * count, end) for end, count in zip(ends, stages, strict=True)]
    return {
        "last pooling": last,
        "+ means of every stage": np.concatenate([*means, last]),
        "+ means and deviations of every stage": np.arange(width),
        "+ the same, without the first two stages": np.concatenate([*both[2:], last]),
        "+ the same, without the last stage": np.concatenate([*both[:-1], last]),
        "means and deviations of every stage alone": np.concatenate(both),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    runtime, table = Runtime(user_cache_path("twofold")), architecture(given.backbone)

    print("| framing | filter |", " | ".join(str(data) for data in given.data), "|")
    for crop_mode, filter in product(("squash", "center", "pad"), ("bilinear", "bicubic")):
        options = BackboneOptions(given.backbone, given.weights, crop_mode=crop_mode, filter=filter)
        samples = [observed(data, options, runtime) for data in given.data]
        cells = [out_of_fold(sample, np.arange(sample.table.features.shape[1])) for sample in samples]
        print("|", crop_mode, "|", filter, "|", " | ".join(cells), "|", flush=True)

    print("\n| vector | numbers |", " | ".join(str(data) for data in given.data), "|")
    samples = [observed(data, BackboneOptions(given.backbone, given.weights), runtime) for data in given.data]
    for name, columns in contents(table, samples[0].table.features.shape[1]).items():
        cells = [out_of_fold(sample, columns) for sample in samples]
        print("|", name, "|", len(columns), "|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
