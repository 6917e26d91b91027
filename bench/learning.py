"""What learning a network reaches, and what it takes; writes bench/LEARNING.md.

    python bench/learning.py scratch PICTURES [--recipe modern] [--size 80] [-- OPTIONS]     hours
    python bench/learning.py finetune [-- OPTIONS]                                           an hour
    python bench/learning.py small [-- OPTIONS]                                              minutes: reaches 0.70, or fails
    python bench/learning.py steps                                                           minutes, beside Keras
    python bench/learning.py memory                                                          minutes

scratch: a folder of two classes; a tenth of it is the test. finetune: solar cells and photographs. small: the classic network at
96 px on the photographs. OPTIONS are those of `twofold train`, as --epochs 20: what learns with them stands beside what does
not, on the page, too.

Ctrl-C, and the same command goes on where it was. All is kept in --work, bench/work/learning by default: what was measured is
not measured again until that is deleted. With another --work the page goes there, too, as is right for a trial.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from courses import Given
from figures import HERE, PYTHON
from finetuning import finetune
from lessons import fine_tuned, from_scratch, memory, page, steps
from measure import Journal, run
from run import keras_python
from scratch import collection, few, photographs

from twofold.networks import fast_dtypes

WORK = HERE / "work" / "learning"
LEAST = 0.70


def learn(what: str, given: Given, chosen: argparse.Namespace) -> None:
    """Measures what was not measured before."""
    if what == "scratch":
        trial = [f"of {chosen.limit}"] if chosen.limit else []
        name = given.name("scratch", chosen.recipe, str(chosen.size), *trial)
        learned = partial(collection, given, name, chosen.images, chosen.recipe, chosen.size, chosen.limit)
        given.journal.complete(name, 1, learned)
    elif what == "small":
        name = given.name("small")
        given.journal.complete(name, 1, partial(photographs, given, name))
    elif what == "finetune":
        finetune(given)
    elif what == "steps":
        time_steps(given.journal, chosen.repeats)
    else:
        for dtype in ("auto", "f32"):
            name = given.name("memory", dtype)
            given.journal.complete(name, 1, partial(few, given, name, dtype))


def time_steps(journal: Journal, repeats: int) -> None:
    """Interleaved: what disturbs the machine for a while disturbs all alike."""
    keras, ours = [str(keras_python()), str(HERE / "keras_cnn.py")], [PYTHON, str(HERE / "steps.py")]
    commands = {
        "steps-keras": [*keras, "--batch-size", "32", "--steps", "10"],
        "steps-lightning": ours,
        "steps-bare": [*ours, "--loop", "bare"],
    }
    if "bf16" in fast_dtypes():
        commands |= {
            "steps-keras-bf16": [*commands["steps-keras"], "--policy", "mixed_bfloat16"],
            "steps-lightning-bf16": [*ours, "--dtype", "bf16-mixed"],
            "steps-bare-bf16": [*commands["steps-bare"], "--dtype", "bf16-mixed"],
        }
    for number in range(1, repeats + 1):
        for name, command in commands.items():
            journal.complete(name, number, partial(run, command))


def parsed(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What was chosen, and what is handed on."""
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=SECTIONS)
    parser.add_argument("images", type=Path, nargs="?", help="for scratch: a folder with one sub-folder a class")
    parser.add_argument("--recipe", choices=("classic", "modern"), default="classic")
    parser.add_argument("--size", type=int, default=80, help="for scratch: of the network's pictures, in pixels")
    parser.add_argument("--limit", type=int, help="for a trial of scratch: about so many of the pictures")
    parser.add_argument("--repeats", type=int, default=3, help="of steps")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared/data/cats-dogs", help="the photographs")
    parser.add_argument("--work", type=Path, default=WORK)
    chosen = parser.parse_args(words[:end])
    if (chosen.what == "scratch") != (chosen.images is not None):
        parser.error("scratch takes PICTURES, the others do not")
    photographs = [] if chosen.what in ("scratch", "steps") else [chosen.data / "train", chosen.data / "test"]
    for needed in [chosen.images] if chosen.images else photographs:
        if not needed.is_dir():
            parser.error(f"there is no folder {needed}; --data takes one that holds train/ and test/ of two classes")
    return chosen, words[end + 1 :]


SECTIONS = {"scratch": from_scratch, "small": from_scratch, "finetune": fine_tuned, "steps": steps, "memory": memory}


def main() -> None:
    chosen, more = parsed(sys.argv[1:])
    chosen.work.mkdir(parents=True, exist_ok=True)
    results = HERE if chosen.work == WORK else chosen.work
    given = Given(chosen.data.resolve(), chosen.work.resolve(), results, tuple(more))
    learn(chosen.what, given, chosen)
    (results / "LEARNING.md").write_text(page(given.journal), encoding="utf-8")
    print("\n".join(SECTIONS[chosen.what](given.journal)))
    print(f"\nWrote {results / 'LEARNING.md'}")
    if chosen.what == "small" and given.journal.median(given.name("small"), "parts", "test", "accuracy") < LEAST:
        sys.exit(f"The accuracy is below {LEAST}.")


if __name__ == "__main__":
    main()
