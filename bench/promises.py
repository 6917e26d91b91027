"""How often promises are broken, in simulations and on real features.

    python bench/promises.py [DATA...] [--seeds 1000]

Simulated: calibrated probabilities of two normal classes; the true rates are those of 400,000 other images. With groups, images
of a group share their class and half of the variance of their score, and a rate is its mean over groups. DATA: head, calibration
and rule are fitted on 60% of the groups, as `train` does, and checked on one image of each other group: how often the rate there
is below the promise, and how often significantly (binomial test, 5%).
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from backbone_defaults import embed_data
from platformdirs import user_cache_path
from scipy import stats
from scipy.special import expit

from twofold.core.errors import DataError
from twofold.core.options import BackboneOptions
from twofold.dataset import folds
from twofold.decision import Rule, fit_calibration, fit_head
from twofold.decision.promises import Promise, parse_promise, promise_rule
from twofold.decision.units import Units, observed, units_of
from twofold.embedding import Runtime

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]  # labels, probabilities, groups
PROMISES = (["recall>=0.95"], ["precision>=0.9"], ["fpr<=0.1"], ["error<=0.05"], ["recall>=0.95", "fpr<=0.1"])
POPULATION = 400_000


def simulate(seed: int, count: int, prevalence: float, group_size: int, decimals: int | None) -> Sample:
    """Images of groups of one class; with `decimals` the probabilities are rounded, so there are ties."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(-(-count // group_size)), group_size)[:count]
    labels = (random.random(groups[-1] + 1) < prevalence).astype(np.int8)[groups]
    shared = 0.5 if group_size > 1 else 0.0
    noise = np.sqrt(shared) * random.normal(size=groups[-1] + 1)[groups] + np.sqrt(1 - shared) * random.normal(
        size=count
    )
    distance = 2.5
    logits = distance * (distance * (labels - 0.5) + noise) + np.log(prevalence / (1 - prevalence))
    probabilities = expit(logits)
    return labels, probabilities if decimals is None else probabilities.round(decimals), groups


def broken(rule: Rule, promises: Sequence[Promise], population: Units) -> bool:
    for promise in promises:
        trials, failures = observed(population, rule, promise.failure)
        if trials and failures / trials > promise.max_failure_rate:
            return True
    return False


def simulations(seeds: int) -> Iterator[str]:
    yield "| images | prevalence | group size | ties | promises | made | broken, of all |\n|" + " --- |" * 7
    for count, prevalence, group_size, decimals in (
        (100, 0.5, 1, None),
        (1000, 0.5, 1, None),
        (1000, 0.05, 1, None),
        (5000, 0.2, 1, 2),
        (1000, 0.5, 10, None),
        (5000, 0.2, 5, None),
    ):
        labels, probabilities, groups = simulate(10**6, POPULATION, prevalence, group_size, decimals)
        population = units_of(labels, probabilities, groups)
        for texts in PROMISES:
            promises, results = [parse_promise(text) for text in texts], []
            for seed in range(seeds):
                labels, probabilities, groups = simulate(seed, count, prevalence, group_size, decimals)
                try:
                    rule = promise_rule(labels, probabilities, promises, abstain=True, groups=groups, seed=seed)
                except DataError:
                    continue
                results.append(broken(rule, promises, population))
            cells = (count, prevalence, group_size, "yes" if decimals else "", " ".join(texts), len(results) / seeds)
            yield f"| {' | '.join(map(str, cells))} | {sum(results) / seeds:.3f} |"


def on_features(data: Path, runtime: Runtime, seeds: int) -> Iterator[str]:
    dataset = embed_data(data, BackboneOptions(crop_mode="squash"), runtime)
    features, labels, groups = dataset.table.features, dataset.labels, dataset.groups
    counts = {" ".join(texts): np.zeros(3, int) for texts in PROMISES}
    for seed in range(seeds):
        names = np.random.default_rng(seed).permutation(np.unique(groups))
        train = np.isin(groups, names[: int(0.6 * len(names))])
        head = fit_head(features[train], labels[train], folds(labels[train], groups[train], 5, seed))
        calibration = fit_calibration(head.logits, labels[train])
        probabilities = calibration.probabilities(head.logits)
        rest = calibration.probabilities(head.head.logits(features[~train]))
        units = units_of(labels[~train], rest, groups[~train], seed)
        for texts in PROMISES:
            promises = [parse_promise(text) for text in texts]
            try:
                rule = promise_rule(
                    labels[train], probabilities, promises, abstain=True, groups=groups[train], seed=seed
                )
            except DataError:
                continue
            below, significant = False, False
            for promise in promises:
                trials, failures = observed(units, rule, promise.failure)
                below |= failures > promise.max_failure_rate * trials
                level = 0.05 / len(promises)
                significant |= bool(stats.binom.sf(failures - 1, trials, promise.max_failure_rate) < level)
            counts[" ".join(texts)] += np.array([1, below, significant])
    yield f"\n{data}: {len(labels)} images, {len(np.unique(groups))} groups, {seeds} splits"
    for text, (made, below, significant) in counts.items():
        yield f"{text}: made {made}, below {below / max(made, 1):.3f}, significantly {significant / max(made, 1):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--seeds", type=int, default=1000)
    arguments = parser.parse_args()
    runtime = Runtime(user_cache_path("twofold"))
    for line in () if arguments.data else simulations(arguments.seeds):
        print(line, flush=True)
    for data in arguments.data:
        for line in on_features(data, runtime, arguments.seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
