"""Coverage of the 95% intervals: how often they hold the value of the model, in simulations and on real features.

    python bench/interval_coverage.py [DATA...] [--quick] [--seeds 200]

Out-of-fold, simulated: two normal classes in 30 equally strong features, and in 1,000 whose variance falls as 1/k; the model is
fitted as `train` does, and its true value is computed from its weights. With groups: the images of a group share half of their
noise's variance and their class. Out-of-fold, DATA: a training set is drawn from the images, one of each group; the true value
is the model's on the rest. Test sets, with groups: scores are given. float32, images as they come.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from backbone_defaults import embed_data
from platformdirs import user_cache_path

from twofold.core.errors import DataError
from twofold.core.options import BackboneOptions
from twofold.dataset import folds
from twofold.decision import Calibration, Rule, choose_rule, confusion, fit_calibration, fit_head
from twofold.decision.confusion import confusion_at
from twofold.embedding import Runtime
from twofold.evaluation import METRICS, Evaluation, evaluate, metrics
from twofold.evaluation.calibration_errors import recalibration
from twofold.workflows.fit import OutOfFoldScores, evaluate_scores
from twofold.workflows.nested_cross_validation import cross_validate_nested

CLASSES, POPULATION = ("negative", "positive"), 4000
PROBLEMS = [
    (d, decay, distance, prevalence)
    for d, decay in ((30, 0.0), (1000, 1.0))
    for distance, prevalence in ((2.0, 0.5), (4.0, 0.5), (3.0, 0.2))
]
"""Features, decay of their variances, distance of the classes in standard deviations, prevalence."""

HELD_OUT_PROBLEMS = [(200, 0.5, 2.5, 0.5), (200, 0.5, 3.5, 0.3), (5, 0.0, 3.0, 0.5)]
"""No constant was chosen on these."""


@dataclass(frozen=True)
class Case:
    """Training images, and a function from logits of a fitted head to the population: labels and logits."""

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    means: np.ndarray | None = None  # of the positive class; the other one's are their negatives
    stds: np.ndarray | None = None
    rest: tuple[np.ndarray, np.ndarray] | None = None  # features and labels

    def population(self, weights: np.ndarray, bias: float) -> tuple[np.ndarray, np.ndarray]:
        if self.rest is not None:
            return self.rest[1], self.rest[0] @ weights + bias
        centre, std = weights @ self.means, float(np.sqrt(np.sum((weights * self.stds) ** 2)))
        positives = round(POPULATION * self.labels.mean())
        parts = []
        for sign, count in ((-1, POPULATION - positives), (1, positives)):
            quantiles = [NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)]
            parts.append(sign * centre + std * np.array(quantiles) + bias)
        return np.repeat([0, 1], [len(part) for part in parts]).astype(np.int8), np.concatenate(parts)


def simulated(n: int, problem: tuple[int, float, float, float], seed: int, group_sizes: int = 1) -> Case:
    """Groups of 1 to `group_sizes` images, of one class, which share half of the variance of their noise."""
    d, decay, distance, prevalence = problem
    rng = np.random.default_rng([seed, n, d])
    sizes = rng.integers(1, group_sizes + 1, n)
    groups = np.repeat(np.arange(n), sizes)[:n]
    count = int(groups[-1]) + 1
    of_group = rng.permutation((np.arange(count) < round(prevalence * count)).astype(np.int8))
    labels = of_group[groups]
    stds = np.arange(1, d + 1) ** (-decay / 2)
    direction = np.random.default_rng(7).standard_normal(d)
    means = direction / np.linalg.norm(direction) * stds * distance / 2
    share = 0.5 if group_sizes > 1 else 0.0
    noise = np.sqrt(share) * rng.standard_normal((count, d))[groups] + np.sqrt(1 - share) * rng.standard_normal((n, d))
    features = (noise * stds + np.outer(2 * labels - 1, means)).astype(np.float32)
    return Case(features, labels, groups, means, stds)


def drawn(dataset: tuple[np.ndarray, np.ndarray, np.ndarray], n: int, seed: int) -> Case | None:
    """n training images, one of each group, and the other groups' images as the rest; None where too few are left."""
    features, labels, groups = dataset
    order = np.random.default_rng(seed).permutation(len(labels))
    rows = np.random.default_rng(seed).permutation(order[np.unique(groups[order], return_index=True)[1]])
    train, rest = rows[:n], rows[n:]
    if len(rest) < n or min(np.bincount(labels[train], minlength=2)) < 10:
        return None
    return Case(features[train], labels[train], np.arange(n), rest=(features[rest], labels[rest]))


def covered(case: Case) -> tuple[dict[str, bool], dict[str, float], dict[str, bool]] | None:
    """For each metric whether the interval holds the model's value, the ratio of its width to that of fixed scores, and whether
    the interval of fixed scores holds it."""
    labels, groups = case.labels, case.groups
    try:
        fold = folds(labels, groups, 5, 0)
    except DataError:
        return None
    fit = fit_head(case.features, labels, fold)
    calibration = fit_calibration(fit.logits, labels)
    rule = choose_rule(labels, calibration.probabilities(fit.logits))
    scores = OutOfFoldScores(np.arange(len(labels)), fold, fit.logits)
    nested = cross_validate_nested(case.features, labels, groups, fit.C, 0)
    evaluation = evaluate_scores(scores, labels, groups, rule, CLASSES, seed=0, nested=nested)
    fixed = evaluate_scores(scores, labels, np.arange(len(labels)), rule, CLASSES, seed=0)
    truth = values(*case.population(fit.head.weights.astype(np.float64), fit.head.bias), calibration, rule)
    inside, inside_fixed = holds(evaluation, truth), holds(fixed, truth)
    widths = {name: width(evaluation, name) / max(width(fixed, name), 1e-9) for name in inside}
    return inside, widths, inside_fixed


def holds(evaluation: Evaluation, truth: dict[str, float]) -> dict[str, bool]:
    """Whether the interval of each metric that is defined holds the true value."""
    return {
        name: interval.low - 1e-9 <= truth[name] <= interval.high + 1e-9
        for name, interval in evaluation.metrics.items()
        if not np.isnan(interval.value) and not np.isnan(truth[name])
    }


def width(evaluation: Evaluation, name: str) -> float:
    return evaluation.metrics[name].high - evaluation.metrics[name].low


def values(labels: np.ndarray, logits: np.ndarray, calibration: Calibration, rule: Rule) -> dict[str, float]:
    """Every metric of the population; the calibration error has its noise, which is small."""
    probabilities = calibration.probabilities(logits)
    cells = confusion_at(labels, probabilities, rule.threshold)
    slope, intercept = recalibration(labels, probabilities)
    scores = ("roc_auc", "average_precision", "log_loss", "brier", "ece")
    recalibrated = {"calibration_slope": slope.value, "calibration_intercept": intercept.value}
    rates = {name: float(getattr(confusion, name)(cells)) for name in METRICS if hasattr(confusion, name)}
    return rates | {name: getattr(metrics, name)(labels, probabilities) for name in scores} | recalibrated


def scored(n: int, seed: int, group_sizes: int, share: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, true probabilities and groups of a test set whose groups share the class and half of the noise's variance."""
    rng = np.random.default_rng([seed, n, group_sizes])
    groups = np.repeat(np.arange(n), rng.integers(1, group_sizes + 1, n))[:n]
    labels = rng.integers(0, 2, n).astype(np.int8)[groups]
    noise = np.sqrt(share) * rng.standard_normal(n)[groups] + np.sqrt(1 - share) * rng.standard_normal(n)
    return labels, 1 / (1 + np.exp(-2 * (noise + 2 * labels - 1))), groups


def test_sets(n: int, group_sizes: int, seeds: int) -> Iterator[tuple[dict[str, bool], dict[str, bool]]]:
    labels, probabilities, _ = scored(200_000, 0, 1)
    logits = np.log(probabilities / (1 - probabilities))
    truth = values(labels, logits, Calibration(1.0, 0.0), Rule.at(0.5)) | {"ece": 0.0}
    for seed in range(1, seeds + 1):
        labels, probabilities, groups = scored(n, seed, group_sizes)
        grouped = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES, groups=groups)
        if grouped.missing:
            continue
        plain = evaluate(labels, probabilities, Rule.at(0.5), classes=CLASSES)
        yield holds(grouped, truth), holds(plain, truth)


def print_table(title: str, columns: dict[str, list[dict[str, float]]], form: str = ".3f") -> None:
    print(f"\n{title}\n\n| metric |", " | ".join(f"{name} ({len(rows)})" for name, rows in columns.items()), "|")
    print("| --- |" + " --- |" * len(columns))
    for metric in METRICS:
        cells = [[row[metric] for row in rows if metric in row] for rows in columns.values()]
        print(f"| {metric} |", " | ".join(format(np.mean(cell), form) if cell else "-" for cell in cells), "|")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--quick", action="store_true", help="a tenth of the draws")
    parser.add_argument("--seeds", type=int, default=100, help="draws of each problem")
    parser.add_argument("--only", choices=("simulated", "held-out", "groups", "test", "data"))
    arguments = parser.parse_args()
    seeds = max(4, arguments.seeds // 10) if arguments.quick else arguments.seeds
    runs = {
        "simulated": lambda: out_of_fold("Out-of-fold, simulated", PROBLEMS, seeds),
        "held-out": lambda: out_of_fold("Out-of-fold, simulated, three other problems", HELD_OUT_PROBLEMS, seeds),
        "groups": lambda: out_of_fold("Out-of-fold, groups of 1 to 20", PROBLEMS, seeds, group_sizes=20),
        "test": lambda: with_groups(3 * seeds),
        "data": lambda: on_data(arguments.data, 2 * seeds),
    }
    for name, run in runs.items():
        if arguments.only in (None, name):
            run()


def out_of_fold(title: str, problems: list[tuple[int, float, float, float]], seeds: int, group_sizes: int = 1) -> None:
    inside, widths, fixed = defaultdict(list), defaultdict(list), defaultdict(list)
    for n in (40, 100, 400, 1000) if group_sizes == 1 else (200, 400, 1000):
        for problem in problems:
            for seed in range(seeds):
                result = covered(simulated(n, problem, seed, group_sizes))
                if result is not None:
                    inside[f"n = {n}"].append(result[0])
                    widths[f"n = {n}"].append(result[1])
                    fixed[f"n = {n}"].append(result[2])
    print_table(f"{title}: coverage", inside)
    print_table(f"{title}: coverage of the intervals of fixed scores", fixed)
    print_table(f"{title}: width of the interval, over that of fixed scores", widths, ".2f")


def with_groups(seeds: int) -> None:
    columns = {}
    for n, size in ((100, 3), (400, 5), (400, 20), (1000, 20)):
        results = list(test_sets(n, size, seeds))
        columns[f"{n}, groups of 1 to {size}"] = [row[0] for row in results]
        columns[f"the same without groups, {n} {size}"] = [row[1] for row in results]
    print_table("Test sets: coverage with groups", columns)


def on_data(folders: list[Path], seeds: int) -> None:
    runtime, inside = Runtime(user_cache_path("twofold")), defaultdict(list)
    for data in folders:
        dataset = embed_data(data, BackboneOptions(crop_mode="center"), runtime)
        valid = dataset.valid
        columns = dataset.table.features[valid], dataset.labels[valid], dataset.groups[valid]
        for n in (40, 100, 300, 600):
            for seed in range(seeds):
                case = drawn(columns, n, seed)
                result = None if case is None else covered(case)
                if result is not None:
                    inside[f"{data.name}, {n}"].append(result[0])
                    inside[f"all, {n}"].append(result[0])
    print_table("Out-of-fold, DATA: coverage", dict(sorted(inside.items())))


if __name__ == "__main__":
    main()
