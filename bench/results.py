"""The page that bench/run.py writes, out of the journal alone."""

import math
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path

from figures import Given
from measure import Journal

NAMES = {
    "keras": "Keras, as people write it",
    "keras-cached": "Keras, features taken once",
    "torch": "PyTorch loop + scikit-learn",
    "twofold-same-f32": "twofold, same network, f32",
    "twofold-same": "twofold, same network",
    "twofold": "twofold, as it comes",
}
NETWORKS = ("mobilenetv2", "efficientnet-lite0")
KEYS = ("accuracy", "log_loss", "ece")


def results(journal: Journal, given: Given) -> str:
    train, test = (len(list((given.data / part).rglob("*.jpg"))) for part in ("train", "test"))
    return "\n".join(
        [
            "# Results",
            "",
            f"Written by `make bench` on {runtime('openvino', 'pillow', 'numpy')}. Ratios under 15% are ties on such machines.",
            "",
            f"## Train on {train:,} photographs, evaluate on {test:,}: a cold process, start to saved model",
            "",
            "MobileNetV2 at 160 unless it says otherwise; medians of interleaved runs, nothing cached before. The Keras "
            "program embeds each training picture five times, the others once.",
            "",
            *table(
                ("program", "seconds (all runs)", "peak MB", "times faster than Keras", "ms per picture embedded"),
                [_program(journal, name, train, test) for name in NAMES],
            ),
            "",
            "## Scoring, pictures per second",
            "",
            "The limit is 1 / (1/decode + 1/compute), all measured in one process, in turns.",
            "",
            *table(
                ("network, arithmetic", "decode alone", "compute alone", "limit", "end to end", "of the limit"),
                [_rates(journal, f"{name}-{kind}") for name in NETWORKS for kind in ("f32", "int8")],
            ),
            "",
            f"Keras `predict`, MobileNetV2 at 160, in the runs above: {_keras_predict(journal)}.",
            "",
            "## Right answers",
            "",
            "Solar cells: a stratified quarter held out, mean of five seeds.",
            "",
            *table(("pictures, network", "accuracy", "log-loss", "calibration error (ECE)"), _answers(journal)),
            "",
            "## Promises",
            "",
            *table(("what", "measured", "at most"), _promises(journal)),
            "",
            "## Decoding a JPEG file to the network's input",
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
    """The cores, what they are good at, and the versions of these libraries."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    lines = [line.partition(":")[2].split() for line in text.splitlines() if line.startswith(("model name", "flags"))]
    model, flags = (" ".join(lines[0]), set(lines[1])) if len(lines) > 1 else (platform.processor(), set())
    special = ", ".join(
        name for name in ("avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16") if name in flags
    )
    tools = ", ".join(f"{name} {version(name)}" for name in libraries)
    return f"{os.cpu_count()} cores ({model}; {special}), Python {platform.python_version()}, {tools}"


def _program(journal: Journal, name: str, train: int, test: int) -> tuple[str, ...]:
    seconds, each = journal.median(name, "seconds"), [f"{run['seconds']:.1f}" for run in journal.of(name)]
    embedded = train * 5 + test if name == "keras" else train + test
    return (
        NAMES[name],
        f"{number(seconds, '{:.1f}')} ({', '.join(each)})",
        number(journal.median(name, "peak_mb"), "{:.0f}"),
        number(journal.median("keras", "seconds") / seconds, "{:.1f}"),
        number(seconds / embedded * 1000, "{:.1f}"),
    )


def _keras_predict(journal: Journal) -> str:
    rate = journal.median("keras", "json", "predict_per_second")
    ours = [journal.median(f"rates-mobilenetv2-{kind}", "json", "both") / rate for kind in ("f32", "int8")]
    f32, int8 = (number(times, "{:.1f} times") for times in ours)
    return f"{number(rate, '{:.0f}')}; twofold is {f32} as fast in f32 and {int8} in int8"


def _rates(journal: Journal, name: str) -> tuple[str, ...]:
    def shown(what: str, form: str = "{:.0f}") -> str:
        return number(journal.median(f"rates-{name}", "json", what), form)

    return (name, *map(shown, ("decode", "compute", "limit", "both")), shown("share_of_limit", "{:.0%}"))


def _answers(journal: Journal) -> list[tuple[str, ...]]:
    rows = {
        "cats-dogs, efficientnet-lite0 as it comes": ["accuracy-efficientnet-lite0"],
        "cats-dogs, efficientnet-lite0 in f32": ["accuracy-efficientnet-lite0-f32"],
        "cats-dogs, efficientnet-lite2": ["accuracy-efficientnet-lite2"],
        "cats-dogs, mobilenetv2 at 160": ["accuracy-mobilenetv2"],
        "cats-dogs, mobilenetv2 at 160, last pooling alone": ["accuracy-mobilenetv2-last"],
        "solar cells, efficientnet-lite0 as it comes": [f"solar-{seed}" for seed in range(5)],
    }
    return [(what, *(_mean(journal, names, key) for key in KEYS)) for what, names in rows.items()]


def _mean(journal: Journal, names: list[str], key: str) -> str:
    return number(statistics.mean(journal.median(name, key) for name in names), "{:.4f}")


def _promises(journal: Journal) -> list[tuple[str, ...]]:
    def shown(name: str, what: str, form: str) -> str:
        return number(journal.median(name, what), form)

    def fraction(name: str) -> str:
        fit, embed = (journal.median(name, "json", "seconds", part) for part in ("fit", "embed"))
        return number(fit / embed, f"{{:.0%}} ({fit:.1f} s of {embed:.1f} s)")

    return [
        ("train again, every vector cached, whole process", shown("retrain", "seconds", "{:.2f} s"), "3 s"),
        ("`twofold predict` of one picture", shown("predict-one", "seconds", "{:.2f} s"), "1.0 s"),
        ("the same, the network not compiled before", shown("predict-one", "first_seconds", "{:.2f} s"), ""),
        ("`twofold --help`", shown("help", "seconds", "{:.2f} s"), "0.3 s"),
        ("base install on disk", shown("install", "added", "{:.0f} MiB"), "650 MiB"),
        ("the same with pip and setuptools", shown("install", "whole", "{:.0f} MiB"), ""),
        ("peak memory, training on 20,000 pictures", shown("many", "peak_mb", "{:.0f} MB"), "1,200 MB"),
        ("fit and cross-validation of 2,000 pictures, of embedding time", fraction("twofold"), "25%"),
        ("fit and cross-validation of 20,000 pictures, of embedding time", fraction("many"), "25%"),
    ]
