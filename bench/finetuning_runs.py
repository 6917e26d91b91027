"""Fine-tuned networks compared with frozen networks, on solar cells and on cats and dogs."""

import sys
from dataclasses import replace
from functools import partial

from journal import Record, run
from measurements import BENCH, TWOFOLD
from training_runs import TrainingSetup

SEEDS = range(3)


def finetune(setup: TrainingSetup) -> None:
    """All runs that are not in the journal."""
    by_mode = {"frozen": replace(setup, options=()), "finetune": setup}
    for seed in SEEDS:
        for mode, mode_setup in by_mode.items():
            name = mode_setup.name("solar", mode, str(seed))
            setup.journal.complete(name, 1, partial(solar, mode_setup, name, mode, seed))
    bundles = {mode: mode_setup.name("photographs", mode) for mode, mode_setup in by_mode.items()}
    for mode, name in bundles.items():
        setup.journal.complete(name, 1, partial(photographs, by_mode[mode], name, mode))
    setup.journal.complete(setup.name("photographs", "compared"), 1, partial(compare, setup, list(bundles.values())))


def solar(setup: TrainingSetup, name: str, mode: str, seed: int) -> Record:
    """Solar cells, of which a stratified quarter, drawn with this seed, is for testing. Cells have no fixed orientation.

    The crop mode is squash; 300 px frozen, the network's size fine-tuned: chosen by validation scores (decision 011).
    """
    sys.path.insert(0, str(BENCH.parent / "examples"))
    from solar_cells import lay_out

    folder = setup.work / f"solar-{seed}"
    lay_out(folder, seed=seed)
    options = ["--test", str(folder / "test.csv"), "--positive", "defective", "--crop-mode", "squash"]
    mode_options = ["--size", "300"] if mode == "frozen" else _mode_options(setup, mode, "--no-fixed-orientation")
    return setup.train(name, folder / "train.csv", *options, *mode_options)


def photographs(setup: TrainingSetup, name: str, mode: str) -> Record:
    return setup.train(name, setup.data / "train", "--test", str(setup.data / "test"), *_mode_options(setup, mode))


def compare(setup: TrainingSetup, names: list[str]) -> Record:
    """The metrics of the second bundle minus those of the first, on the same photographs."""
    bundles = [str(setup.bundle(name)) for name in names]
    command = [TWOFOLD, "evaluate", *bundles, str(setup.data / "test"), "--json"]
    return {"comparison": run(command, cache=setup.work / "cache")["json"]["comparison"]}


def _mode_options(setup: TrainingSetup, mode: str, *options: str) -> list[str]:
    return ["--mode", mode, *options, *setup.options] if mode == "finetune" else []
