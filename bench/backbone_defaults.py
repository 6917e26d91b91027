"""The defaults of a backbone: out-of-fold log-loss by crop mode, by filter and by content of the features.

    python bench/backbone_defaults.py ../shared/data/cats-dogs/train demo/train.csv [--backbone NAME] [--weights FILE]

Takes any number of DATA. float32, five folds, mean of three shuffles; only training images are read.
"""

import argparse
from itertools import product
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
from twofold.networks.architectures import Architecture, find_architecture, middle_blocks

SHUFFLES = 3
STEM_CHANNELS = 32


def embed_data(data: Path, options: BackboneOptions, runtime: Runtime) -> LabelledDataset:
    file_list = list_labelled_files(data, DataOptions())
    engine = runtime.engine(load_backbone(options, "f32", cache=runtime.folder))
    return embed_files(file_list, file_list.paths, engine, runtime, what=str(data))


def out_of_fold(dataset: LabelledDataset, columns: np.ndarray) -> str:
    """Log-loss and accuracy at 0.5, mean over the shuffles."""
    labels, scores = dataset.labels, []
    features = np.ascontiguousarray(dataset.table.features[:, columns])
    for seed in range(SHUFFLES):
        fit = fit_head(features, labels, folds(labels, dataset.groups, 5, seed))
        probabilities = fit_calibration(fit.logits, labels).probabilities(fit.logits)
        scores.append((log_loss(labels, probabilities), np.mean((probabilities >= 0.5) == (labels == 1))))
    loss, accuracy = np.mean(scores, axis=0)
    return f"{loss:.4f}, {accuracy:.4f}"


def feature_parts(architecture: Architecture) -> dict[str, np.ndarray]:
    """The columns of the means and of the standard deviations of the stages, of the filters, and of the last pooling."""
    names, block, channels = list[str](), 0, STEM_CHANNELS
    for stage in architecture.stages:
        for _ in range(stage.repeats):
            names += [f"filters{block}"] * (channels * stage.expand if block in middle_blocks(architecture) else 0)
            block, channels = block + 1, stage.channels
        names += [name for name in ("means", "deviations") for _ in range(channels)]
    array = np.array([*names, *["last"] * architecture.last_channels])
    return {str(name): np.flatnonzero(array == name) for name in np.unique(array)}


def feature_columns(architecture: Architecture) -> dict[str, np.ndarray]:
    """By content, the columns of the features."""
    parts = feature_parts(architecture)
    filters = [columns for name, columns in parts.items() if name.startswith("filters")]
    stages = [parts["means"], parts["deviations"]]
    contents = {
        "last pooling": [parts["last"]],
        "+ means of every stage": [parts["means"], parts["last"]],
        "+ means and standard deviations of every stage": [*stages, parts["last"]],
        "+ standard deviations of the middle filters": [*filters, *stages, parts["last"]],
        "the same, without the last pooling": [*filters, *stages],
        "last pooling and standard deviations of the middle filters": [*filters, parts["last"]],
        "standard deviations of the middle filters only": filters,
    }
    return {name: np.sort(np.concatenate(columns)) for name, columns in contents.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--weights", type=Path)
    arguments = parser.parse_args()
    runtime, architecture = Runtime(user_cache_path("twofold")), find_architecture(arguments.backbone)

    print("| crop mode | filter |", " | ".join(str(data) for data in arguments.data), "|")
    for crop_mode, filter in product(("squash", "center", "pad"), ("bilinear", "bicubic")):
        options = BackboneOptions(arguments.backbone, arguments.weights, crop_mode=crop_mode, filter=filter)
        datasets = [embed_data(data, options, runtime) for data in arguments.data]
        cells = [out_of_fold(dataset, np.arange(dataset.table.features.shape[1])) for dataset in datasets]
        print("|", crop_mode, "|", filter, "|", " | ".join(cells), "|", flush=True)

    print("\n| features | count |", " | ".join(str(data) for data in arguments.data), "|")
    options = BackboneOptions(arguments.backbone, arguments.weights, crop_mode="squash")
    datasets = [embed_data(data, options, runtime) for data in arguments.data]
    for name, columns in feature_columns(architecture).items():
        cells = [out_of_fold(dataset, columns) for dataset in datasets]
        print("|", name, "|", len(columns), "|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
