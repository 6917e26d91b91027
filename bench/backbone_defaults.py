"""The defaults of a backbone: out-of-fold log-loss by crop mode, by filter and by content of the features.

    python bench/backbone_defaults.py ../shared/data/cats-dogs/train demo/train.csv [--table inputs|features]

Takes any number of DATA. Five folds by groups, mean of three shuffles; only training images are read. The table of features is of
the crop mode `squash`.
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
from twofold.networks import Dtype, load_backbone
from twofold.networks.architectures import Architecture, find_architecture, middle_blocks

SHUFFLES = 3
STEM_CHANNELS = 32


def embed_data(data: Path, options: BackboneOptions, runtime: Runtime, dtype: Dtype = "f32") -> LabelledDataset:
    file_list = list_labelled_files(data, DataOptions())
    engine = runtime.engine(load_backbone(options, dtype, cache=runtime.folder))
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
        "last": [parts["last"]],
        "stages": [*stages, parts["last"]],
        "filters": [*filters, *stages, parts["last"]],
        "filters, without the last pooling": [*filters, *stages],
    }
    return {name: np.sort(np.concatenate(columns)) for name, columns in contents.items()}


def print_inputs(arguments: argparse.Namespace, runtime: Runtime) -> None:
    print("| crop mode | filter |", " | ".join(str(data) for data in arguments.data), "|")
    for crop_mode, filter in product(("squash", "center", "pad"), ("bilinear", "bicubic")):
        options = BackboneOptions(arguments.backbone, arguments.weights, crop_mode=crop_mode, filter=filter)
        datasets = [embed_data(data, options, runtime, arguments.dtype) for data in arguments.data]
        cells = [out_of_fold(dataset, np.arange(dataset.table.features.shape[1])) for dataset in datasets]
        print("|", crop_mode, "|", filter, "|", " | ".join(cells), "|", flush=True)


def print_features(arguments: argparse.Namespace, runtime: Runtime) -> None:
    contents = feature_columns(find_architecture(arguments.backbone))
    print("| data |", " | ".join(f"{name}, {len(columns)}" for name, columns in contents.items()), "|", flush=True)
    options = BackboneOptions(arguments.backbone, arguments.weights, crop_mode="squash")
    for data in arguments.data:
        dataset = embed_data(data, options, runtime, arguments.dtype)
        cells = [out_of_fold(dataset, columns) for columns in contents.values()]
        print("|", data, "|", " | ".join(cells), "|", flush=True)


TABLES = {"inputs": print_inputs, "features": print_features}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--table", choices=TABLES, default="features")
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--dtype", default="f32")
    arguments = parser.parse_args()
    TABLES[arguments.table](arguments, Runtime(user_cache_path("twofold")))


if __name__ == "__main__":
    main()
