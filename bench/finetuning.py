"""Fine-tuned networks beside frozen ones: solar cells, and cats and dogs."""

import sys
from dataclasses import replace
from functools import partial

from courses import Setup
from figures import HERE, TWOFOLD
from measure import Figures, run

SEEDS = range(3)


def finetune(setup: Setup) -> None:
    """All runs, one after another; recorded ones are not repeated."""
    by_mode = {"frozen": replace(setup, more=()), "finetune": setup}
    for seed in SEEDS:
        for mode, mode_setup in by_mode.items():
            name = mode_setup.name("solar", mode, str(seed))
            setup.journal.complete(name, 1, partial(solar, mode_setup, name, mode, seed))
    bundles = {mode: mode_setup.name("photographs", mode) for mode, mode_setup in by_mode.items()}
    for mode, name in bundles.items():
        setup.journal.complete(name, 1, partial(photographs, by_mode[mode], name, mode))
    setup.journal.complete(setup.name("photographs", "compared"), 1, partial(compare, setup, list(bundles.values())))


def solar(setup: Setup, name: str, mode: str, seed: int) -> Figures:
    """A stratified quarter of the cells for testing, drawn by this seed. Cells have no fixed orientation.

    The crop mode is squash; frozen at 300 px, fine-tuned at the size of the network, by validation scores (decision 011).
    """
    sys.path.insert(0, str(HERE.parent / "examples"))
    from solar_cells import lay_out

    folder = setup.work / f"solar-{seed}"
    lay_out(folder, seed=seed)
    options = ["--test", str(folder / "test.csv"), "--positive", "defective", "--crop-mode", "squash"]
    mode_options = ["--size", "300"] if mode == "frozen" else _mode_options(setup, mode, "--no-fixed-orientation")
    return setup.train(name, folder / "train.csv", *options, *mode_options)


def photographs(setup: Setup, name: str, mode: str) -> Figures:
    return setup.train(name, setup.data / "train", "--test", str(setup.data / "test"), *_mode_options(setup, mode))


def compare(setup: Setup, names: list[str]) -> Figures:
    """Differences, second minus first, on the same photographs."""
    bundles = [str(setup.bundle(name)) for name in names]
    command = [TWOFOLD, "evaluate", *bundles, str(setup.data / "test"), "--json"]
    return {"comparison": run(command, cache=setup.work / "cache")["json"]["comparison"]}


def _mode_options(setup: Setup, mode: str, *learning: str) -> list[str]:
    return ["--mode", mode, *learning, *setup.more] if mode == "finetune" else []
