"""The crop mode: out-of-fold log-loss and accuracy of each, and what `--crop-mode auto` chooses.

    python bench/crop_modes.py ../shared/data/cats-dogs/train demo/train.csv tiles [--dtype f32]

Takes any number of DATA, of which only training images are read. Five folds by groups, mean of three shuffles. The choice is made
with each of three seeds, on at most 1,000 images.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from backbone_defaults import out_of_fold
from platformdirs import user_cache_path

from twofold.core.options import BackboneOptions, CropMode, DataOptions
from twofold.data import list_labelled_files
from twofold.dataset.labelled import LabelledDataset, labelled_dataset
from twofold.embedding import Runtime, collect_features
from twofold.networks import Backbone, load_backbone
from twofold.workflows.crops import CropsChoice, choose_crops

MODES: tuple[CropMode, ...] = ("center", "squash", "both", "pad")


def embed_as(data: Path, backbone: Backbone, runtime: Runtime) -> LabelledDataset:
    file_list = list_labelled_files(data, DataOptions())
    rows = runtime.embed_rows(file_list.paths, runtime.engine(backbone), what=backbone.preprocessing.crop_mode)
    return labelled_dataset(file_list, collect_features(rows, len(rows), backbone.preprocessing.pool))


def measure(data: Path, backbone: Backbone, runtime: Runtime) -> None:
    file_list = list_labelled_files(data, DataOptions())
    datasets = {mode: embed_as(data, CropsChoice(mode, ()).apply(backbone), runtime) for mode in MODES}
    # The groups of one crop mode for all, so that all have the same folds.
    reference = datasets["both"]
    print(f"\n{data}: {len(reference.labels)} images, {len(np.unique(reference.groups))} groups")
    for mode, dataset in datasets.items():
        table = replace(reference.table, features=dataset.table.features)
        print(
            f"  {mode:6} {out_of_fold(replace(reference, table=table), np.arange(table.features.shape[1]))}", flush=True
        )
    for seed in range(3):
        options = BackboneOptions(views="1")
        choice = choose_crops(file_list, file_list.paths, backbone, options, runtime, 5, seed)[0].crop_mode
        assert choice is not None
        losses = ", ".join(f"{mode} {loss:.4f}" for mode, loss in choice.log_losses.items())
        print(
            f"  auto, seed {seed}: {choice.mode} ({losses}; gain {choice.gain:+.4f}, error {choice.error:.4f})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--dtype", default="f32")
    arguments = parser.parse_args()
    runtime = Runtime(user_cache_path("twofold"))
    backbone = load_backbone(BackboneOptions(), arguments.dtype, cache=runtime.folder)
    for data in arguments.data:
        measure(data, backbone, runtime)


if __name__ == "__main__":
    main()
