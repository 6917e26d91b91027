"""Decisions on simulated scores: coverage of promises with unsure images, advice on more images, prevalences, and MAPIE.

    python bench/decisions.py [coverage] [needed] [prevalence] [simultaneous] [mapie] [--seeds 200]

Calibrated probabilities of two normal classes of equal size.
coverage: of `error<=R` with an unsure band, and how often it is broken.
needed: of refused promises, the number of images said to suffice, and the smallest number that does in half of all sets.
prevalence: error and coverage of the estimate among 1,000 unlabelled images, from 1,000 labelled ones.
simultaneous: the sets in which all bounds hold.
mapie: recall>=0.95 by its BinaryClassificationController (installed into bench/.venv-mapie on the first run) and by twofold.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from twofold.core.errors import DataError
from twofold.decision import Rule, fit_calibration
from twofold.decision.bounds import allowed_failures, simultaneous_confidence
from twofold.decision.promises import parse_promise, promise_rule
from twofold.decision.rule import UNSURE
from twofold.evaluation.prevalence_estimate import estimate_prevalence

BENCH = Path(__file__).parent
Scores = tuple[np.ndarray, np.ndarray]  # labels, probabilities

MAPIE = """
import json, sys
import numpy as np
from mapie.risk_control import BinaryClassificationController
results = []
for entry in json.load(open(sys.argv[1])):
    probabilities, labels = np.array(entry["probabilities"]), np.array(entry["labels"])
    controller = BinaryClassificationController(
        predict_function=lambda X: np.stack([1 - X[:, 0], X[:, 0]], axis=1), risk="recall", target_level=0.95,
        confidence_level=0.95, best_predict_param_choice="precision",
    )
    try:
        controller.calibrate(probabilities[:, None], labels)
        results.append(None if controller.best_predict_param is None else float(controller.best_predict_param))
    except (ValueError, IndexError):
        results.append(None)
print(json.dumps(results))
"""


def draw(seed: int, count: int, distance: float, prevalence: float = 0.5) -> Scores:
    random = np.random.default_rng(seed)
    labels = (random.random(count) < prevalence).astype(np.int8)
    scores = distance * (labels - 0.5) + random.normal(size=count)
    return labels, expit(distance * scores + np.log(prevalence / (1 - prevalence)))


def rule_for(text: str, scores: Scores, *, abstain: bool = True) -> Rule | None:
    try:
        return promise_rule(*scores, [parse_promise(text)], abstain=abstain)
    except DataError:
        return None


def coverage(seeds: int) -> Iterator[str]:
    for accuracy, limit in ((0.82, 0.05), (0.93, 0.01)):
        distance = 2 * float(norm.ppf(accuracy))
        labels, probabilities = draw(10**6, 400_000, distance)
        covered, broken = [], []
        for seed in range(seeds):
            rule = rule_for(f"error<={limit}", draw(seed, 1000, distance))
            decisions = np.full(len(labels), UNSURE) if rule is None else rule.decide(probabilities)
            decided = decisions != UNSURE
            covered.append(decided.mean())
            broken.append(bool(decided.any() and np.mean(decisions[decided] != labels[decided]) > limit))
        yield f"accuracy {accuracy}, error<={limit}, n = 1000: coverage {np.mean(covered):.3f}, broken {np.mean(broken):.3f}"


def needed(seeds: int) -> Iterator[str]:
    for text, distance in (("recall>=0.95", 2.5), ("error<=0.05", 2.5), ("precision>=0.95", 2.5), ("error<=0.02", 1.8)):
        sizes = [int(20 * 1.1**power) for power in range(60)]
        low, high = 0, len(sizes) - 1
        while high - low > 1:
            middle = (low + high) // 2
            drawn = (draw(10**7 + seed, sizes[middle], distance) for seed in range(seeds))
            kept = sum(rule_for(text, scores) is not None for scores in drawn)
            low, high = (low, middle) if kept >= seeds / 2 else (middle, high)
        enough, numbers = sizes[high], []
        for seed in range(seeds):
            try:
                promise_rule(*draw(seed, enough // 2, distance), [parse_promise(text)], abstain=True)
            except DataError as error:
                match = re.search(r"it takes (?:about )?(\d+)", str(error))
                numbers.append(np.inf if match is None else int(match[1]))
        of_class = 2 if text.startswith("recall") else 1  # the advice counts positives
        near = np.mean(np.abs(of_class * np.array(numbers) / enough - 1) <= 0.15)
        yield (
            f"{text}, from {enough // 2} images: half of all sets suffice from {enough} on; said at the median "
            f"{of_class * np.median(numbers):.0f}, within 15% in {near:.2f} of {len(numbers)} sets"
        )


def prevalence(seeds: int) -> Iterator[str]:
    for distance in (2.0, 3.0):
        for fraction in (0.01, 0.05, 0.2, 0.5):
            inside, errors = [], []
            for seed in range(seeds):
                labels, probabilities = draw(seed, 1000, distance)
                logits = np.log(probabilities / (1 - probabilities))
                calibration = fit_calibration(logits, labels)
                unlabelled = draw(10**6 + seed, 1000, distance, fraction)[1]
                odds = np.log(unlabelled / (1 - unlabelled)) - np.log(fraction / (1 - fraction))
                estimate = estimate_prevalence(
                    calibration.probabilities(odds), labels, calibration.probabilities(logits)
                ).prevalence
                inside.append(estimate.low <= fraction <= estimate.high)
                errors.append(estimate.value - fraction)
            error = np.sqrt(np.mean(np.square(errors)))
            accuracy = float(norm.cdf(distance / 2))
            yield f"accuracy {accuracy:.2f}, {fraction:.2f} positive: error {error:.4f}, interval holds it {np.mean(inside):.3f}"


def simultaneous(seeds: int) -> Iterator[str]:
    random, rates = np.random.default_rng(0), np.linspace(0.005, 0.2, 79)
    for trials in (100, 300, 1000, 3000):
        confidence = simultaneous_confidence(trials, 0.95)
        allowed = np.array([allowed_failures(trials, rate, confidence) for rate in rates])
        possible, inside = allowed >= 0, []
        for _ in range(20 * seeds):
            inside.append(bool((np.sort(random.random(trials))[allowed[possible]] <= rates[possible]).all()))
        yield f"{trials} positives: local level {1 - confidence:.4f}, all bounds hold in {np.mean(inside):.4f} of sets"


def mapie(seeds: int) -> Iterator[str]:
    environment = BENCH / ".venv-mapie"
    if not environment.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin/pip", "install", "-q", "mapie==1.6.0"], check=True)
    distance = 2.5
    labels, probabilities = draw(10**6, 400_000, distance)
    for count in (200, 1000):
        sets = [draw(seed, count, distance) for seed in range(seeds)]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump([{"labels": y.tolist(), "probabilities": p.tolist()} for y, p in sets], file)
            file.flush()
            output = subprocess.run(
                [environment / "bin/python", "-W", "ignore", "-c", MAPIE, file.name],
                check=True,
                capture_output=True,
                text=True,
            )
        theirs = json.loads(output.stdout.splitlines()[-1])
        rules = [rule_for("recall>=0.95", scores, abstain=False) for scores in sets]
        ours = [None if rule is None else rule.low for rule in rules]
        for name, thresholds in (("mapie", theirs), ("twofold", ours)):
            made = [threshold for threshold in thresholds if threshold is not None]
            alarms = [np.mean(probabilities[labels == 0] >= threshold) for threshold in made]
            misses = [np.mean(probabilities[labels == 1] < threshold) > 0.05 for threshold in made]
            rates = f"false-positive rate {np.mean(alarms):.3f}, broken in {np.mean(misses):.3f}" if made else "none"
            yield f"n = {count}, {name}: a threshold in {len(made)} of {seeds} sets; {rates}"


SECTIONS: dict[str, Callable[[int], Iterator[str]]] = {
    "coverage": coverage,
    "needed": needed,
    "prevalence": prevalence,
    "simultaneous": simultaneous,
    "mapie": mapie,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), metavar="SECTION")
    parser.add_argument("--seeds", type=int, default=200)
    arguments = parser.parse_args()
    for name in arguments.sections:
        for line in SECTIONS[name](arguments.seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
