"""The page that bench/learning.py writes, out of the journal alone."""

import statistics
from collections.abc import Iterator

from finetuning import SEEDS
from measure import Figures, Journal
from results import number, runtime, table

STEPS = {
    "steps-keras": "Keras on TensorFlow",
    "steps-keras-bf16": "the same, `mixed_bfloat16`",
    "steps-lightning": "twofold, float32",
    "steps-lightning-bf16": "twofold, bfloat16 mixed: as it comes, where the processor multiplies it",
    "steps-bare": "the same network in a bare loop of PyTorch, float32",
    "steps-bare-bf16": "the same, bfloat16 mixed",
}
PARTS = ("train", "validation", "test")


def page(journal: Journal) -> str:
    libraries = runtime("torch", "lightning", "openvino", "numpy")
    return "\n".join(
        [
            "# Learning: results",
            "",
            f"Written by the commands of `bench/learning.py` on {libraries}. Ratios under 15% are ties on such machines.",
            *(from_scratch(journal) if journal.names("scratch-") + journal.names("small") else ()),
            *(fine_tuned(journal) if journal.names("solar-") else ()),
            *(steps(journal) if journal.names("steps-") else ()),
            *(memory(journal) if journal.names("memory-") else ()),
            "",
        ]
    )


def from_scratch(journal: Journal) -> Iterator[str]:
    """A table and two curves for every run on a collection, and the small run."""
    yield from ("", "## From scratch")
    names = journal.names("scratch-")
    for name in names:
        yield from _run(name, journal.of(name)[-1])
        yield from ("", f"![loss and accuracy by epoch](curves/{name}.svg) ([as numbers](curves/{name}.csv))")
    for name in journal.names("small"):
        yield from _run(name, journal.of(name)[-1])
        yield from ("", "The least that is asked of this one is a test accuracy of 0.70.")


def fine_tuned(journal: Journal) -> Iterator[str]:
    yield from ("", "## Fine-tuned", "")
    yield (
        f"`python bench/learning.py finetune`. Solar cells: a stratified quarter held out, mean of {len(SEEDS)} seeds (each); at "
        "least 0.90 is asked for. Cats and dogs: better log-loss than frozen, and no worse accuracy. How much of the way the "
        "weights went from the frozen network to the fine-tuned one, the validation part chose: 0% is the frozen model, "
        "in the arithmetic of learned ones."
    )
    yield from (
        "",
        *table(
            ("solar cells", "accuracy", "log-loss", "of the way", "arithmetic", "seconds each"), list(_solar(journal))
        ),
    )
    yield from (
        "",
        *table(
            ("cats and dogs", "accuracy", "log-loss", "of the way", "arithmetic", "seconds"),
            list(_photographs(journal)),
        ),
    )
    for name in journal.names("photographs-compared"):
        found, other = (
            journal.of(name)[-1]["comparison"],
            name.removeprefix("photographs-").replace("compared", "finetune"),
        )
        told = ", ".join(
            f"{key.replace('_', '-')} {value['value']:+.4f} ({value['low']:+.4f} to {value['high']:+.4f})"
            for key, value in found["differences"].items()
            if key in ("accuracy", "log_loss")
        )
        yield from ("", f"`twofold evaluate`, {other} minus frozen: {told}; p = {found['p_value']:.2g}.")


def steps(journal: Journal) -> Iterator[str]:
    keras = journal.median("steps-keras", "json", "pictures_per_second")
    rows = []
    for name, what in STEPS.items():
        rate, each = journal.median(name, "json", "pictures_per_second"), journal.of(name)
        runs = ", ".join(f"{run['json']['pictures_per_second']:.1f}" for run in each)
        peak = number(journal.median(name, "peak_mb"), "{:.0f}")
        rows.append((what, f"{number(rate, '{:.1f}')} ({runs})", number(rate / keras, "{:.2f}"), peak))
    yield from ("", "## A training step", "")
    yield (
        "The classic network at 200 px in batches of 32: forward, backward, update, on random pixels, no augmentation on "
        "either side. Medians of interleaved whole processes, each the median of its steps. At least 1.1 times is asked for."
    )
    yield from ("", *table(("what", "pictures/s (all runs)", "times Keras", "peak MB"), rows))


def memory(journal: Journal) -> Iterator[str]:
    rows = [
        (f"`--dtype {name.removeprefix('memory-')}`", f"{journal.median(name, 'peak_mb') / 1000:.1f}")
        for name in journal.names("memory-")
    ]
    yield from ("", "## Memory", "")
    yield "`twofold train --mode scratch --image-size 200 --batch-size 128`, one epoch on 300 photographs: the whole process."
    yield from ("", *table(("arithmetic", "peak GB, at most 6"), rows))


def _run(name: str, run: Figures) -> Iterator[str]:
    """The classic table, and what it took."""
    learned, cells = run["learning"], run["confusion"]
    low, high = run["test_interval"]
    images = {**learned["images"], "test": sum(cells.values())}
    rows = [
        (part, f"{images[part]:,}", *(f"{run['parts'][part][key]:.4f}" for key in ("accuracy", "log_loss")))
        for part in PARTS
    ]
    yield from ("", f"### {name}", "", "```console", f"$ {run['command']}", "```", "")
    yield from table(("", "images", "accuracy", "loss"), rows)
    yield ""
    yield (
        f"Test accuracy {low:.4f} to {high:.4f} with 95% confidence; right and wrong: {cells['tn']} and {cells['fp']} of the "
        f"first class, {cells['tp']} and {cells['fn']} of the second. Best epoch: {learned['best_epoch']} of "
        f"{learned['epochs']}; {learned['pictures_per_second']:.0f} pictures/s while learning "
        f"({learned['seconds']:,.0f} s, decoding and validation included), {run['seconds']:,.0f} s in all, "
        f"{run['peak_mb'] / 1000:.1f} GB."
    )


def _solar(journal: Journal) -> Iterator[tuple[str, ...]]:
    for first in [*journal.names("solar-frozen-0"), *journal.names("solar-finetune-0")]:
        names = (first.replace("-0", f"-{seed}", 1) for seed in SEEDS)
        yield _row(
            first.removeprefix("solar-").replace("-0", "", 1), [run for name in names for run in journal.of(name)]
        )


def _photographs(journal: Journal) -> Iterator[tuple[str, ...]]:
    for name in [*journal.names("photographs-frozen"), *journal.names("photographs-finetune")]:
        yield _row(name.removeprefix("photographs-"), journal.of(name))


def _row(what: str, runs: list[Figures]) -> tuple[str, ...]:
    def shown(key: str) -> str:
        values = [run["parts"]["test"][key] for run in runs]
        each = f" ({', '.join(f'{value:.4f}' for value in values)})" if len(values) > 1 else ""
        return f"{statistics.mean(values):.4f}{each}"

    seconds = statistics.median(run["seconds"] for run in runs)
    ways = ", ".join(f"{run['learning']['weights']['share']:.0%}" for run in runs if "learning" in run)
    arithmetic = " and ".join(sorted({run["dtype"] for run in runs}))
    return (what, shown("accuracy"), shown("log_loss"), ways, arithmetic, f"{seconds:.0f}")
