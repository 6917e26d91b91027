"""Seconds of evaluate() on many scores.

python bench/evaluation_speed.py [IMAGES]
"""

import sys
import time

import numpy as np

from twofold.decision import Rule
from twofold.evaluation import evaluate


def main(images: int = 200_000) -> None:
    """Draws scores and prints the seconds of an evaluation, the best of three."""
    rng = np.random.default_rng(0)
    labels = (rng.random(images) < 0.3).astype(np.int8)
    probabilities = 1 / (1 + np.exp(-(rng.normal(0, 1.5, images) + 3 * labels - 1.5)))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        evaluation = evaluate(labels, probabilities, Rule.at(0.5), classes=("no", "yes"))
        seconds.append(time.perf_counter() - start)
    ap = evaluation.metrics["average_precision"]
    print(f"{images:,} images: {min(seconds):.2f} s; average precision {ap.value:.6f} [{ap.low:.6f}, {ap.high:.6f}]")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
