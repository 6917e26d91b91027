"""How often the intervals of all slices hold together, and how often a slice is called worse: `python bench/slices.py [SETS]`.

Every image of a set is right with the same probability, so no slice is worse than the others. Images are cut by five features,
two of them constant within groups, and by the size of the group. The accuracy of a group is drawn from a beta distribution, so
that the correlation of answers within groups is 0.3. The last lines have a third of the images that is worse.
"""

import sys
from itertools import product

import numpy as np

from twofold.evaluation.sample import Sample
from twofold.evaluation.slices import Slices, find_slices

CORRELATION = 0.3


def draw(n: int, accuracy: float, rng: np.random.Generator, *, largest: int = 1, drop: float = 0.0) -> Slices | None:
    """The slices of about n images in groups of 1 to `largest`; the lowest third of the first feature is right less often."""
    count = round(2 * n / (1 + largest))
    groups = np.repeat(np.arange(count), rng.integers(1, largest + 1, count))
    sum_of_shapes = 1 / CORRELATION - 1
    of_group = rng.beta(sum_of_shapes * accuracy, sum_of_shapes * (1 - accuracy), count)
    right = of_group[groups] if largest > 1 else np.full(count, accuracy)
    columns = {f"feature {k}": rng.random(len(groups)) for k in range(3)}
    columns |= {f"feature of groups {k}": rng.random(count)[groups] for k in range(2)}
    columns["group size"] = np.bincount(groups)[groups].astype(np.float64)
    correct = rng.random(len(groups)) < right - drop * (columns["feature 0"] < 1 / 3)
    labels = rng.integers(0, 2, len(groups)).astype(np.int8)
    decisions = np.where(correct, labels, 1 - labels).astype(np.int8)
    scores = 0.1 + 0.8 * decisions
    return find_slices(Sample(labels, decisions, scores, scores, groups), columns)


def main() -> None:
    sets, rng = int(sys.argv[1]) if len(sys.argv) > 1 else 400, np.random.default_rng(1)
    print("images  accuracy  groups of 1 to  all hold  called worse")
    for n, accuracy, largest in product((200, 600, 3000), (0.8, 0.95, 0.99), (1, 5, 20)):
        found = [slices for _ in range(sets) if (slices := draw(n, accuracy, rng, largest=largest)) is not None]
        if found:  # few groups are not cut
            held = np.mean(
                [all(each.accuracy.low <= accuracy <= each.accuracy.high for each in s.slices) for s in found]
            )
            called = np.mean([slices.worst is not None for slices in found])
            print(f"{n:6}  {accuracy:8}  {largest:14}  {held:8.3f}  {called:12.3f}", flush=True)
    print("images  accuracy  of the third  groups of 1 to  named")
    for n, accuracy, drop, largest in (
        (600, 0.95, 0.1, 1),
        (600, 0.95, 0.1, 5),
        (2000, 0.98, 0.05, 1),
        (2000, 0.99, 0.03, 1),
    ):
        worst = [s.worst for _ in range(sets) if (s := draw(n, accuracy, rng, largest=largest, drop=drop)) is not None]
        named = np.mean([each is not None and each.feature == "feature 0" for each in worst])
        print(f"{n:6}  {accuracy:8}  {accuracy - drop:12.2f}  {largest:14}  {named:5.3f}", flush=True)


if __name__ == "__main__":
    main()
