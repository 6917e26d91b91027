"""The page that bench/learning.py writes from the journal."""

import statistics
from collections.abc import Iterator

from finetuning_runs import SEEDS
from journal import Journal, Record
from results_page import number, runtime, table

LOOPS = {
    "steps-keras": "Keras on TensorFlow",
    "steps-keras-bf16": "the same, `mixed_bfloat16`",
    "steps-lightning": "twofold, float32",
    "steps-lightning-bf16": "twofold, bfloat16 mixed: the default where the processor supports it",
    "steps-bare": "the same network in a bare PyTorch loop, float32",
    "steps-bare-bf16": "the same, bfloat16 mixed",
}
SPLITS = ("train", "validation", "test")


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
    """A table and the curves of every long run, and a table of the small run."""
    yield from ("", "## From scratch")
    names = journal.names("scratch-")
    for name in names:
        yield from _run(name, journal.of(name)[-1])
        yield from ("", f"![loss and accuracy by epoch](curves/{name}.svg) ([as numbers](curves/{name}.csv))")
    for name in journal.names("small"):
        yield from _run(name, journal.of(name)[-1])
        yield from ("", "Required: a test accuracy of at least 0.70.")


def fine_tuned(journal: Journal) -> Iterator[str]:
    yield from ("", "## Fine-tuned", "")
    yield (
        f"`python bench/learning.py finetune`. Solar cells: a stratified quarter for testing, mean of {len(SEEDS)} seeds "
        "(in brackets: each seed); required: an accuracy of 0.90. Cats and dogs; required: better log-loss than frozen, and no "
        "worse accuracy. The interpolation between frozen and fine-tuned weights is chosen by validation: 0% is the frozen "
        "model, in the dtype of trained networks."
    )
    yield from (
        "",
        *table(
            ("solar cells", "accuracy", "log-loss", "interpolation", "dtype", "median seconds"), list(_solar(journal))
        ),
    )
    yield from (
        "",
        *table(
            ("cats and dogs", "accuracy", "log-loss", "interpolation", "dtype", "seconds"),
            list(_photographs(journal)),
        ),
    )
    for name in journal.names("photographs-compared"):
        comparison = journal.of(name)[-1]["comparison"]
        run_name = name.removeprefix("photographs-").replace("compared", "finetune")
        differences = ", ".join(
            f"{key.replace('_', '-')} {value['value']:+.4f} ({value['low']:+.4f} to {value['high']:+.4f})"
            for key, value in comparison["differences"].items()
            if key in ("accuracy", "log_loss")
        )
        yield from ("", f"`twofold evaluate`, {run_name} minus frozen: {differences}; p = {comparison['p_value']:.2g}.")


def steps(journal: Journal) -> Iterator[str]:
    keras = journal.median("steps-keras", "json", "images_per_second")
    rows = []
    for name, label in LOOPS.items():
        rate = journal.median(name, "json", "images_per_second")
        runs = ", ".join(f"{run['json']['images_per_second']:.1f}" for run in journal.of(name))
        peak = number(journal.median(name, "peak_mb"), "{:.0f}")
        rows.append((label, f"{number(rate, '{:.1f}')} ({runs})", number(rate / keras, "{:.2f}"), peak))
    yield from ("", "## A training step", "")
    yield (
        "The classic network at 200 px in batches of 32: forward, backward, update, on random pixels, no augmentation on "
        "either side. Medians of interleaved processes, each with the median of its steps. Required: at least 1.1 times Keras."
    )
    yield from ("", *table(("loop", "images/s (all runs)", "times Keras", "peak MB"), rows))


def memory(journal: Journal) -> Iterator[str]:
    rows = [
        (f"`--dtype {name.removeprefix('memory-')}`", f"{journal.median(name, 'peak_mb') / 1000:.1f}")
        for name in journal.names("memory-")
    ]
    yield from ("", "## Memory", "")
    yield "`twofold train --mode scratch --image-size 200 --batch-size 128`, one epoch on 300 photographs: peak of the process."
    yield from ("", *table(("dtype", "peak GB, at most 6"), rows))


def _run(name: str, run: Record) -> Iterator[str]:
    """The table of loss and accuracy, time and memory."""
    learning, cells = run["learning"], run["confusion"]
    low, high = run["test_interval"]
    images = {**learning["images"], "test": sum(cells.values())}
    rows = [
        (name, f"{images[name]:,}", *(f"{run['evaluations'][name][key]:.4f}" for key in ("accuracy", "log_loss")))
        for name in SPLITS
    ]
    yield from ("", f"### {name}", "", "```console", f"$ {run['command']}", "```", "")
    yield from table(("set", "images", "accuracy", "loss"), rows)
    yield ""
    yield (
        f"Test accuracy: 95% interval {low:.4f} to {high:.4f}; correct and wrong: {cells['tn']} and {cells['fp']} of the "
        f"first class, {cells['tp']} and {cells['fn']} of the second. Best epoch: {learning['best_epoch']} of "
        f"{learning['epochs']}; {learning['images_per_second']:.0f} images/s during training "
        f"({learning['seconds']:,.0f} s, decoding and validation included), {run['seconds']:,.0f} s in all, "
        f"{run['peak_mb'] / 1000:.1f} GB."
    )


def _solar(journal: Journal) -> Iterator[tuple[str, ...]]:
    for first_name in [*journal.names("solar-frozen-0"), *journal.names("solar-finetune-0")]:
        names = (first_name.replace("-0", f"-{seed}", 1) for seed in SEEDS)
        yield _row(
            first_name.removeprefix("solar-").replace("-0", "", 1), [run for name in names for run in journal.of(name)]
        )


def _photographs(journal: Journal) -> Iterator[tuple[str, ...]]:
    for name in [*journal.names("photographs-frozen"), *journal.names("photographs-finetune")]:
        yield _row(name.removeprefix("photographs-"), journal.of(name))


def _row(label: str, runs: list[Record]) -> tuple[str, ...]:
    def mean(key: str) -> str:
        values = [run["evaluations"]["test"][key] for run in runs]
        values_text = f" ({', '.join(f'{value:.4f}' for value in values)})" if len(values) > 1 else ""
        return f"{statistics.mean(values):.4f}{values_text}"

    seconds = statistics.median(run["seconds"] for run in runs)
    fractions = ", ".join(f"{run['learning']['weights']['fraction']:.0%}" for run in runs if "learning" in run)
    dtypes = " and ".join(sorted({run["dtype"] for run in runs}))
    return (label, mean("accuracy"), mean("log_loss"), fractions, dtypes, f"{seconds:.0f}")
