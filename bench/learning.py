"""Accuracy, time and memory of training networks; writes bench/LEARNING.md.

    python bench/learning.py scratch IMAGES [--recipe modern] [--size 80] [-- OPTIONS]     hours
    python bench/learning.py finetune [-- OPTIONS]                                           an hour
    python bench/learning.py small [-- OPTIONS]                                              minutes: reaches 0.70, or fails
    python bench/learning.py steps                                                           minutes, compared with Keras
    python bench/learning.py memory                                                          minutes

scratch: a folder of two classes; 10% of the images are for testing. finetune: solar cells and photographs. small: the classic
network at 96 px on the photographs. OPTIONS are options of `twofold train`, such as --epochs 20; the page lists runs
with and without them.

After Ctrl-C the same command continues. Every run is recorded in --work, bench/work/learning by default; delete it to start
again. With another --work the page is written there, too.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmark import keras_python
from finetuning_runs import finetune
from journal import Journal, run
from learning_page import fine_tuned, from_scratch, memory, page, steps
from measurements import BENCH, PYTHON
from scratch_runs import train_for_memory, train_on_folder, train_on_photographs
from training_runs import TrainingSetup

from twofold.networks import fast_dtypes

WORK = BENCH / "work" / "learning"
REQUIRED = 0.70


def measure(section: str, setup: TrainingSetup, arguments: argparse.Namespace) -> None:
    """Performs the runs of a section that are not in the journal."""
    if section == "scratch":
        trial = [f"of {arguments.limit}"] if arguments.limit else []
        name = setup.name("scratch", arguments.recipe, str(arguments.size), *trial)
        train = partial(
            train_on_folder, setup, name, arguments.images, arguments.recipe, arguments.size, arguments.limit
        )
        setup.journal.complete(name, 1, train)
    elif section == "small":
        name = setup.name("small")
        setup.journal.complete(name, 1, partial(train_on_photographs, setup, name))
    elif section == "finetune":
        finetune(setup)
    elif section == "steps":
        time_steps(setup.journal, arguments.repeats)
    else:
        for dtype in ("auto", "f32"):
            name = setup.name("memory", dtype)
            setup.journal.complete(name, 1, partial(train_for_memory, setup, name, dtype))


def time_steps(journal: Journal, repeats: int) -> None:
    """Interleaved, so that disturbances of the machine affect all of them."""
    keras, twofold = [str(keras_python()), str(BENCH / "keras_cnn.py")], [PYTHON, str(BENCH / "training_steps.py")]
    commands = {
        "steps-keras": [*keras, "--batch-size", "32", "--steps", "10"],
        "steps-lightning": twofold,
        "steps-bare": [*twofold, "--loop", "bare"],
    }
    if "bf16" in fast_dtypes():
        commands |= {
            "steps-keras-bf16": [*commands["steps-keras"], "--policy", "mixed_bfloat16"],
            "steps-lightning-bf16": [*twofold, "--dtype", "bf16-mixed"],
            "steps-bare-bf16": [*commands["steps-bare"], "--dtype", "bf16-mixed"],
        }
    for number in range(1, repeats + 1):
        for name, command in commands.items():
            journal.complete(name, number, partial(run, command))


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments, and the options of `twofold train`."""
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("images", type=Path, nargs="?", help="for scratch: a folder with one sub-folder a class")
    parser.add_argument("--recipe", choices=("classic", "modern"), default="classic")
    parser.add_argument("--size", type=int, default=80, help="for scratch: size of the model input, in pixels")
    parser.add_argument("--limit", type=int, help="for a trial of scratch: about this many images")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each training step")
    parser.add_argument("--data", type=Path, default=BENCH.parents[1] / "shared/data/cats-dogs", help="the photographs")
    parser.add_argument("--work", type=Path, default=WORK)
    arguments = parser.parse_args(words[:end])
    if (arguments.section == "scratch") != (arguments.images is not None):
        parser.error("scratch needs IMAGES, the other sections do not")
    photographs = (
        [] if arguments.section in ("scratch", "steps") else [arguments.data / "train", arguments.data / "test"]
    )
    for folder in [arguments.images] if arguments.images else photographs:
        if not folder.is_dir():
            parser.error(
                f"there is no folder {folder}; pass --data with a folder that contains train/ and test/ of two classes"
            )
    return arguments, words[end + 1 :]


SECTIONS = {"scratch": from_scratch, "small": from_scratch, "finetune": fine_tuned, "steps": steps, "memory": memory}


def main() -> None:
    arguments, options = parse(sys.argv[1:])
    arguments.work.mkdir(parents=True, exist_ok=True)
    results = BENCH if arguments.work == WORK else arguments.work
    setup = TrainingSetup(arguments.data.resolve(), arguments.work.resolve(), results, tuple(options))
    measure(arguments.section, setup, arguments)
    (results / "LEARNING.md").write_text(page(setup.journal), encoding="utf-8")
    print("\n".join(SECTIONS[arguments.section](setup.journal)))
    print(f"\nWrote {results / 'LEARNING.md'}")
    if (
        arguments.section == "small"
        and setup.journal.median(setup.name("small"), "evaluations", "test", "accuracy") < REQUIRED
    ):
        sys.exit(f"The accuracy is below {REQUIRED}.")


if __name__ == "__main__":
    main()
