"""The page that bench/benchmark.py writes from the journal."""

import math
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path

from journal import Journal
from measurements import BenchmarkSetup

NAMES = {
    "keras": "Keras, usual program",
    "keras-cached": "Keras, features computed once",
    "torch": "PyTorch loop + scikit-learn",
    "twofold-keras-network-f32": "twofold, same network, f32",
    "twofold-keras-network": "twofold, same network",
    "twofold-fast": "twofold, `--effort fast`",
    "twofold": "twofold, defaults",
}
NETWORKS = ("mobilenetv2", "efficientnet-lite0")
KEYS = ("accuracy", "log_loss", "ece")


def results(journal: Journal, setup: BenchmarkSetup) -> str:
    train, test = (len(list((setup.data / name).rglob("*.jpg"))) for name in ("train", "test"))
    return "\n".join(
        [
            "# Results",
            "",
            f"Written by `make bench` on {runtime('openvino', 'pillow', 'numpy')}. Ratios under 15% are ties on such machines.",
            "",
            f"## Train on {train:,} photographs, evaluate on {test:,}: a cold process, start to saved model",
            "",
            "MobileNetV2 at 160 px unless stated otherwise; medians of interleaved runs with empty caches. The Keras "
            "program embeds each training image five times, the other programs once.",
            "",
            *table(
                ("program", "seconds (all runs)", "peak MB", "times faster than Keras", "ms per embedded image"),
                [_program(journal, name, train, test) for name in NAMES],
            ),
            "",
            "## Scoring, images per second",
            "",
            "The limit is 1 / (1/decoding + 1/network). All rates are measured in one process, interleaved.",
            "",
            *table(
                ("network, dtype", "decoding only", "network only", "limit", "both", "fraction of the limit"),
                [_rates(journal, f"{name}-{dtype}") for name in NETWORKS for dtype in ("f32", "int8")],
            ),
            "",
            f"Keras `predict`, MobileNetV2 at 160 px, in the runs above: {_keras_predict(journal)}.",
            "",
            "## Accuracy",
            "",
            "cats-dogs: with the label of `cat.4085` corrected, which is a dog. Solar cells: a stratified quarter for "
            "testing, mean of five seeds.",
            "",
            *table(("images, network", "accuracy", "log-loss", "calibration error (ECE)"), _accuracies(journal)),
            "",
            "## Requirements",
            "",
            *table(("what", "measured", "at most"), _requirements(journal)),
            "",
            "## Decoding a JPEG file to the model input",
            "",
            *(["```text", str(journal.of("decoding")[-1]["text"]).strip(), "```"] if journal.of("decoding") else []),
            "",
        ]
    )


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def number(value: float, form: str) -> str:
    return "not measured" if math.isnan(value) else form.format(value)


def runtime(*libraries: str) -> str:
    """The cores, their instruction sets for low precision, and the versions of these libraries."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    lines = [line.partition(":")[2].split() for line in text.splitlines() if line.startswith(("model name", "flags"))]
    model, flags = (" ".join(lines[0]), set(lines[1])) if len(lines) > 1 else (platform.processor(), set())
    extensions = ", ".join(
        name for name in ("avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16") if name in flags
    )
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    return f"{os.cpu_count()} cores ({model}; {extensions}), Python {platform.python_version()}, {versions}"


def _program(journal: Journal, name: str, train: int, test: int) -> tuple[str, ...]:
    seconds, runs = journal.median(name, "seconds"), [f"{run['seconds']:.1f}" for run in journal.of(name)]
    embedded = train * 5 + test if name == "keras" else train + test
    return (
        NAMES[name],
        f"{number(seconds, '{:.1f}')} ({', '.join(runs)})",
        number(journal.median(name, "peak_mb"), "{:.0f}"),
        number(journal.median("keras", "seconds") / seconds, "{:.1f}"),
        number(seconds / embedded * 1000, "{:.1f}"),
    )


def _keras_predict(journal: Journal) -> str:
    rate = journal.median("keras", "json", "predict_per_second")
    ratios = [journal.median(f"rates-mobilenetv2-{dtype}", "json", "both") / rate for dtype in ("f32", "int8")]
    f32, int8 = (number(ratio, "{:.1f} times") for ratio in ratios)
    return f"{number(rate, '{:.0f}')}; twofold is {f32} as fast in f32 and {int8} in int8"


def _rates(journal: Journal, name: str) -> tuple[str, ...]:
    def rate(key: str, form: str = "{:.0f}") -> str:
        return number(journal.median(f"rates-{name}", "json", key), form)

    return (name, *map(rate, ("decode", "compute", "limit", "both")), rate("fraction_of_limit", "{:.0%}"))


def _accuracies(journal: Journal) -> list[tuple[str, ...]]:
    rows = {
        "cats-dogs, efficientnet-lite0": ["accuracy-efficientnet-lite0"],
        "cats-dogs, efficientnet-lite0, `--effort fast`": ["accuracy-efficientnet-lite0-fast"],
        "cats-dogs, efficientnet-lite0, f32": ["accuracy-efficientnet-lite0-f32"],
        "cats-dogs, efficientnet-lite2": ["accuracy-efficientnet-lite2"],
        "cats-dogs, mobilenetv2 at 160 px": ["accuracy-mobilenetv2"],
        "cats-dogs, mobilenetv2 at 160 px, last pooling only": ["accuracy-mobilenetv2-last"],
        "solar cells, efficientnet-lite0": [f"solar-{seed}" for seed in range(5)],
    }
    return [(title, *(_mean(journal, names, key) for key in KEYS)) for title, names in rows.items()]


def _mean(journal: Journal, names: list[str], key: str) -> str:
    return number(statistics.mean(journal.median(name, key) for name in names), "{:.4f}")


def _requirements(journal: Journal) -> list[tuple[str, ...]]:
    def median(name: str, key: str, form: str) -> str:
        return number(journal.median(name, key), form)

    def fraction(name: str) -> str:
        fit, embed = (journal.median(name, "json", "seconds", step) for step in ("fit", "embed"))
        return number(fit / embed, f"{{:.0%}} ({fit:.1f} s of {embed:.1f} s)")

    return [
        ("train again with all features cached, whole process", median("retrain", "seconds", "{:.2f} s"), "3 s"),
        ("`twofold predict` of one image", median("predict-one", "seconds", "{:.2f} s"), "1.0 s"),
        ("the same, network not compiled before", median("predict-one", "first_seconds", "{:.2f} s"), ""),
        ("`twofold --help`", median("help", "seconds", "{:.2f} s"), "0.3 s"),
        ("base install on disk", median("install", "added", "{:.0f} MiB"), "650 MiB"),
        ("the same, with pip and setuptools", median("install", "total", "{:.0f} MiB"), ""),
        ("peak memory, training on 20,000 images", median("train-many", "peak_mb", "{:.0f} MB"), "1,200 MB"),
        ("fit and cross-validation of 2,000 images, relative to embedding", fraction("twofold"), "25%"),
        ("fit and cross-validation of 20,000 images, relative to embedding", fraction("train-many"), "25%"),
    ]
