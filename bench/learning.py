"""Accuracy, time and memory of training networks; writes bench/LEARNING.md.

    python bench/learning.py scratch IMAGES [--recipe modern] [--size 80] [-- OPTIONS]     hours
    python bench/learning.py finetune [-- OPTIONS]                                           an hour
    python bench/learning.py small [-- OPTIONS]                                              minutes: reaches 0.70, or fails
    python bench/learning.py steps                                                           minutes, beside Keras
    python bench/learning.py memory                                                          minutes

scratch: a folder of two classes; a tenth of it is the test. finetune: solar cells and photographs. small: the classic network at
96 px on the photographs. OPTIONS are those of `twofold train`, such as --epochs 20; runs with and without them are listed
side by side on the page.

After Ctrl-C the same command continues. Everything is in --work, bench/work/learning by default: figures are not measured
again until that is deleted. With another --work the page is written there, too.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from courses import Setup
from figures import HERE, PYTHON
from finetuning import finetune
from lessons import fine_tuned, from_scratch, memory, page, steps
from measure import Journal, run
from run import keras_python
from scratch import collection, few, photographs

from twofold.networks import fast_dtypes

WORK = HERE / "work" / "learning"
REQUIRED = 0.70


def measure(section: str, setup: Setup, arguments: argparse.Namespace) -> None:
    """Runs what is not in the journal."""
    if section == "scratch":
        trial = [f"of {arguments.limit}"] if arguments.limit else []
        name = setup.name("scratch", arguments.recipe, str(arguments.size), *trial)
        run_collection = partial(
            collection, setup, name, arguments.images, arguments.recipe, arguments.size, arguments.limit
        )
        setup.journal.complete(name, 1, run_collection)
    elif section == "small":
        name = setup.name("small")
        setup.journal.complete(name, 1, partial(photographs, setup, name))
    elif section == "finetune":
        finetune(setup)
    elif section == "steps":
        time_steps(setup.journal, arguments.repeats)
    else:
        for dtype in ("auto", "f32"):
            name = setup.name("memory", dtype)
            setup.journal.complete(name, 1, partial(few, setup, name, dtype))


def time_steps(journal: Journal, repeats: int) -> None:
    """Interleaved, so that disturbances of the machine affect all of them."""
    keras, twofold = [str(keras_python()), str(HERE / "keras_cnn.py")], [PYTHON, str(HERE / "steps.py")]
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
    """The arguments, and the options for `twofold train`."""
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("images", type=Path, nargs="?", help="for scratch: a folder with one sub-folder a class")
    parser.add_argument("--recipe", choices=("classic", "modern"), default="classic")
    parser.add_argument("--size", type=int, default=80, help="for scratch: of the network's input, in pixels")
    parser.add_argument("--limit", type=int, help="for a trial of scratch: about this many images")
    parser.add_argument("--repeats", type=int, default=3, help="of steps")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared/data/cats-dogs", help="the photographs")
    parser.add_argument("--work", type=Path, default=WORK)
    arguments = parser.parse_args(words[:end])
    if (arguments.section == "scratch") != (arguments.images is not None):
        parser.error("scratch takes IMAGES, the others do not")
    photographs = (
        [] if arguments.section in ("scratch", "steps") else [arguments.data / "train", arguments.data / "test"]
    )
    for needed in [arguments.images] if arguments.images else photographs:
        if not needed.is_dir():
            parser.error(f"there is no folder {needed}; --data takes one that holds train/ and test/ of two classes")
    return arguments, words[end + 1 :]


SECTIONS = {"scratch": from_scratch, "small": from_scratch, "finetune": fine_tuned, "steps": steps, "memory": memory}


def main() -> None:
    arguments, more = parse(sys.argv[1:])
    arguments.work.mkdir(parents=True, exist_ok=True)
    results = HERE if arguments.work == WORK else arguments.work
    setup = Setup(arguments.data.resolve(), arguments.work.resolve(), results, tuple(more))
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
