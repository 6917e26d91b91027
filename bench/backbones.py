"""Networks, and pairs of them: out-of-fold log-loss and accuracy of each on several problems.

    python bench/backbones.py --backbone efficientnet-lite0 --backbone efficientnet-lite0+efficientnet-lite2 DATA...

The whole image (squash), int8 where the network has it, five folds by groups, mean of three shuffles; only training images are
read. The groups are those of the first network for all.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from backbone_defaults import out_of_fold
from platformdirs import user_cache_path

from twofold.core.options import BackboneOptions, DataOptions
from twofold.data import list_labelled_files
from twofold.dataset.labelled import LabelledDataset, embed_files
from twofold.embedding import Runtime
from twofold.networks import choose_dtype, load_backbone, offered_dtypes


def embed_with(name: str, size: int | None, data: Path, runtime: Runtime) -> LabelledDataset:
    options = BackboneOptions(name, size=size, crop_mode="squash")
    backbone = load_backbone(options, choose_dtype(options, offered_dtypes(name)), cache=runtime.folder)
    file_list = list_labelled_files(data, DataOptions())
    return embed_files(file_list, file_list.paths, runtime.engine(backbone), runtime, what=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--backbone", action="append", required=True)
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    runtime = Runtime(user_cache_path("twofold"))
    for data in arguments.data:
        datasets = {name: embed_with(name, arguments.size, data, runtime) for name in arguments.backbone}
        reference = next(iter(datasets.values()))
        print(f"\n{data}: {len(reference.labels)} images, {len(np.unique(reference.groups))} groups")
        for name, dataset in datasets.items():
            table = replace(reference.table, features=dataset.table.features)
            columns = np.arange(table.features.shape[1])
            print(f"  {name}: {out_of_fold(replace(reference, table=table), columns)}", flush=True)


if __name__ == "__main__":
    main()
