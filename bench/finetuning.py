"""Fine-tuned networks beside frozen ones: solar cells, and cats and dogs."""

import sys
from dataclasses import replace
from functools import partial

from courses import Given
from figures import HERE, TWOFOLD
from measure import Figures, run

SEEDS = range(3)


def finetune(given: Given) -> None:
    """All of it, one training after another; what was done before is not done again."""
    by_mode = {"frozen": replace(given, more=()), "finetune": given}
    for seed in SEEDS:
        for mode, own in by_mode.items():
            name = own.name("solar", mode, str(seed))
            given.journal.complete(name, 1, partial(solar, own, name, mode, seed))
    bundles = {mode: own.name("photographs", mode) for mode, own in by_mode.items()}
    for mode, name in bundles.items():
        given.journal.complete(name, 1, partial(photographs, by_mode[mode], name, mode))
    given.journal.complete(given.name("photographs", "compared"), 1, partial(compared, given, list(bundles.values())))


def solar(given: Given, name: str, mode: str, seed: int) -> Figures:
    """A stratified quarter of the cells held out, drawn by this seed. Cells have no up: they may be turned and mirrored.

    They are seen whole; frozen at their own size, fine-tuned at the network's, as held-out scores have it (decision 011).
    """
    sys.path.insert(0, str(HERE.parent / "examples"))
    from solar_cells import lay_out

    folder = given.work / f"solar-{seed}"
    lay_out(folder, seed=seed)
    options = ["--test", str(folder / "test.csv"), "--positive", "defective", "--crop-mode", "squash"]
    own = ["--size", "300"] if mode == "frozen" else _mode(given, mode, "--no-fixed-orientation")
    return given.train(name, folder / "train.csv", *options, *own)


def photographs(given: Given, name: str, mode: str) -> Figures:
    return given.train(name, given.data / "train", "--test", str(given.data / "test"), *_mode(given, mode))


def compared(given: Given, names: list[str]) -> Figures:
    """The second minus the first, on the same photographs."""
    bundles = [str(given.bundle(name)) for name in names]
    command = [TWOFOLD, "evaluate", *bundles, str(given.data / "test"), "--json"]
    return {"comparison": run(command, cache=given.work / "cache")["json"]["comparison"]}


def _mode(given: Given, mode: str, *learning: str) -> list[str]:
    return ["--mode", mode, *learning, *given.more] if mode == "finetune" else []
