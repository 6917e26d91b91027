"""Labels from nothing: a simulated person answers what a labelling session asks about; random order beside it.

    python bench/label.py TRAIN TEST [--answers 60] [--runs 20]

TRAIN is the pool, whose labels only the simulated person knows; TEST measures the model after each number of answers. The last
line says how often the interval of the accuracy covers that on the rest of the pool.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from twofold.core.options import BackboneOptions, DataOptions
from twofold.data import list_labelled_files
from twofold.dataset.labelled import embed_files, list_test_files
from twofold.decision.few_labels import fit_axes, fit_few_labels
from twofold.embedding import Runtime
from twofold.networks import choose_dtype, load_backbone, offered_dtypes
from twofold.workflows.label import FIRST_IMAGES, LabelSession, start_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulated_person import answer_all, next_rows

STEP = 1  # answers between two fits


def read(train: str, test: str) -> list[np.ndarray]:
    """Features and labels of both datasets, of the images without label conflicts."""
    runtime, options = Runtime(user_cache_path("twofold")), BackboneOptions()
    dtype = choose_dtype(options, offered_dtypes(options.backbone))
    engine = runtime.engine(load_backbone(options, dtype, cache=runtime.folder, progress=runtime.progress))
    pool = list_labelled_files(Path(train), DataOptions())
    columns: list[np.ndarray] = []
    for file_list in (pool, list_test_files(pool.negative_and_positive, Path(test), DataOptions())):
        dataset = embed_files(file_list, file_list.paths, engine, runtime, what="images")
        columns += [dataset.table.features[dataset.valid], dataset.labels[dataset.valid]]
    return columns


def accuracy(session: LabelSession, coordinates: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean((session.head.logits(coordinates) > 0) == (labels == 1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--answers", type=int, default=60)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    features, labels, test_features, test_labels = read(arguments.train, arguments.test)
    axes = fit_axes(features)
    pool, test = axes.coordinates(features), axes.coordinates(test_features)
    every = fit_few_labels(pool, labels)
    everything = float(np.mean((every.logits(test) > 0) == (test_labels == 1)))
    print(f"pool {len(pool)}, test {len(test)}; all labels: {everything:.4f}")
    marks = sorted({max(FIRST_IMAGES, arguments.answers * part // 4) for part in (1, 2, 3, 4)})
    asked, drawn, covered = [], [], []
    for seed in range(arguments.runs):
        session, order = start_session(pool, seed), np.random.default_rng(seed).permutation(len(pool)).tolist()
        for mark in marks:
            while len(session.answers) < mark:
                count = STEP if session.answers else FIRST_IMAGES
                session = answer_all(session, next_rows(session, min(count, mark - len(session.answers))), labels)
            asked.append(accuracy(session, test, test_labels))
            drawn.append(accuracy(answer_all(start_session(pool), order[:mark], labels), test, test_labels))
        rest = np.setdiff1d(np.arange(len(pool)), session.rows)
        truth, interval = accuracy(session, pool[rest], labels[rest]), session.accuracy
        covered.append(interval.low <= truth <= interval.high)
    for name, values in (("asked about", asked), ("random order", drawn)):
        means = np.array(values).reshape(arguments.runs, -1).mean(axis=0)
        print(name, ", ".join(f"{mark}: {mean:.4f}" for mark, mean in zip(marks, means, strict=True)))
    print(f"interval covers the accuracy on the rest of the pool in {sum(covered)} of {arguments.runs} runs")


if __name__ == "__main__":
    main()
