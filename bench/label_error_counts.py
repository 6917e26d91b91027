"""The promise of the estimated number of label errors: how often its interval holds the number of flipped labels.

    python bench/label_error_counts.py [DATA...] [--crop-mode both] [--rates 0 0.02] [--draws 100]

Each draw takes 90% of the images of DATA, flips labels at random and fits heads out-of-fold, in new folds. The labels of DATA
count as right. Without DATA, scores are drawn from the distributions of `SCORES`, 500 + 500 and 800 + 200 images.

Features and logits are cached in bench/work, so an interrupted run goes on where it ended.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from twofold.audit.label_issues import find_label_issues
from twofold.core.options import BackboneOptions, DataOptions
from twofold.data import list_labelled_files
from twofold.dataset import folds
from twofold.dataset.labelled import embed_files
from twofold.decision import fit_head
from twofold.embedding import Runtime
from twofold.evaluation import Interval
from twofold.networks import load_backbone

WORK = Path(__file__).parent / "work"
KEPT = 0.9  # of the images, in each draw

# Scores of n images with the true sides, -1 or 1, by a name.
SCORES: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "normal": lambda r, side: 2.3 * side + r.standard_normal(len(side)),
    "normal, closer": lambda r, side: 1.5 * side + r.standard_normal(len(side)),
    "Student's t, 5 df": lambda r, side: 2.3 * side + r.standard_t(5, len(side)),
    "Student's t, 5 df, closer": lambda r, side: 1.5 * side + r.standard_t(5, len(side)),
    "Student's t, 3 df": lambda r, side: 2.3 * side + r.standard_t(3, len(side)),
    "Laplace": lambda r, side: 2.3 * side + r.laplace(0, 0.8, len(side)),
    "10% without information": lambda r, side: 3 * side * (r.random(len(side)) >= 0.1) + r.standard_normal(len(side)),
    "30% hard": lambda r, side: np.where(r.random(len(side)) < 0.3, 0.7, 3.0) * side + r.standard_normal(len(side)),
    "a tenth of one class invisible": lambda r, side: (
        np.where((side > 0) & (r.random(len(side)) < 0.1), -2.5, 2.5 * side) + r.standard_normal(len(side))
    ),
    "defects of all sizes": lambda r, side: (side > 0) * r.uniform(0, 6, len(side)) - 2 + r.standard_normal(len(side)),
}


def flip(truth: np.ndarray, rate: float, random: np.random.Generator) -> np.ndarray:
    flipped = random.choice(len(truth), round(rate * len(truth)), replace=False)
    labels = truth.copy()
    labels[flipped] = 1 - labels[flipped]
    return labels


def load_features(data: Path, crop_mode: str) -> dict[str, np.ndarray]:
    """Features, labels and groups of DATA, from bench/work if they are there."""
    file = WORK / f"{data.resolve().parent.name}-{data.stem}-{crop_mode}.npz"
    if not file.exists():
        runtime, file_list = Runtime(user_cache_path("twofold")), list_labelled_files(data, DataOptions())
        engine = runtime.engine(load_backbone(BackboneOptions(crop_mode=crop_mode), "f32", cache=runtime.folder))
        dataset = embed_files(file_list, file_list.paths, engine, runtime, what=str(data))
        file.parent.mkdir(exist_ok=True)
        np.savez(file, features=dataset.table.features, labels=dataset.labels, groups=dataset.groups)
    return dict(np.load(file))


def data_draws(data: Path, crop_mode: str, rate: float, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Out-of-fold logits and labels of each draw."""
    arrays = load_features(data, crop_mode)
    truth, groups = arrays["labels"], arrays["groups"]
    for seed in range(count):
        random = np.random.default_rng([seed, round(1e4 * rate)])
        rows = np.sort(random.permutation(len(truth))[: int(KEPT * len(truth))])
        labels = flip(truth[rows], rate, random)
        file = WORK / "logits" / f"{data.resolve().parent.name}-{data.stem}-{crop_mode}-{rate}-{seed}.npy"
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            fold = folds(labels, groups[rows], 5, seed)
            np.save(file, fit_head(arrays["features"][rows], labels, fold).logits)
        yield np.load(file), labels


def score_draws(name: str, positives: int, rate: float, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Drawn scores and labels, 1,000 each."""
    truth = (np.arange(1000) < positives).astype(np.int8)
    for seed in range(count):
        random = np.random.default_rng([seed, positives])
        yield SCORES[name](random, 2.0 * truth - 1), flip(truth, rate, random)


def row(name: str, rate: float, draws: Iterator[tuple[np.ndarray, np.ndarray]]) -> str:
    counts: list[Interval] = []
    for logits, labels in draws:
        counts.append(find_label_issues(logits, labels).expected)
    truth = round(rate * len(labels))
    value, low, high = (np.array([getattr(count, end) for count in counts]) for end in ("value", "low", "high"))
    held = np.mean((low <= truth) & (truth <= high))
    means = f"{value.mean():.0f} [{low.mean():.0f}, {high.mean():.0f}]"
    return f"| {name} | {truth} | {means} | {held:.2f} | {np.mean(low > truth):.2f} | {np.mean(low > 0):.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--crop-mode", default="both")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0, 0.02])
    parser.add_argument("--draws", type=int, default=100)
    arguments = parser.parse_args()
    print(
        "| scores | flipped | mean estimate | interval holds it | low end above it | low end above 0 |\n|" + "---|" * 6
    )
    for rate in arguments.rates:
        for data in arguments.data:
            draws = data_draws(data, arguments.crop_mode, rate, arguments.draws)
            print(row(str(data), rate, draws), flush=True)
        for name in () if arguments.data else SCORES:
            for positives in (500, 200):
                draws = score_draws(name, positives, rate, arguments.draws)
                print(row(f"{name}, {positives} of 1,000", rate, draws), flush=True)


if __name__ == "__main__":
    main()
