"""The page that bench/run.py writes, out of the journal alone."""

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


def results(journal: Journal, given: Given) -> str:
    train, test = (len(list((given.data / part).rglob("*.jpg"))) for part in ("train", "test"))
    return "\n".join(
        [
            "# Results",
            "",
            f"Written by `make bench` on {_machine()}. Ratios under 15% are ties on such machines.",
            "",
            f"## Train on {train:,} photographs, evaluate on {test}: a cold process, start to saved model",
            "",
            "MobileNetV2 at 160 unless it says otherwise; medians of interleaved runs, nothing cached before.",
            "The Keras program embeds each training picture five times, the others once.",
            "",
            *_table(
                ("program", "seconds (all runs)", "peak MB", "times faster than Keras", "ms per picture embedded"),
                [_program(journal, name, train, test) for name in NAMES],
            ),
            "",
            "## Scoring, pictures per second",
            "",
            "The limit is 1 / (1/decode + 1/compute), all measured in one process in turns. "
            f"Keras `predict`, in the runs above: {journal.median('keras', 'json', 'predict_per_second'):.0f}.",
            "",
            *_table(
                ("network, arithmetic", "decode alone", "compute alone", "limit", "end to end", "of the limit"),
                [
                    _rates(journal, name)
                    for name in ("mobilenetv2", "efficientnet-lite0")
                    for name in _arithmetics(name)
                ],
            ),
            "",
            "## Right answers on the test photographs, and on solar cells",
            "",
            "Solar cells: a stratified quarter held out, mean of five seeds.",
            "",
            *_table(("network", "accuracy", "log-loss", "expected calibration error"), _accuracies(journal)),
            "",
            "## Promises",
            "",
            *_table(("what", "measured", "at most"), _promises(journal)),
            "",
        ]
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def _machine() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    tools = ", ".join(f"{name} {version(name)}" for name in ("openvino", "pillow", "numpy"))
    return f"{os.cpu_count()} cores ({model or platform.processor()}), Python {platform.python_version()}, {tools}"


def _program(journal: Journal, name: str, train: int, test: int) -> tuple[str, ...]:
    runs = journal.of(name)
    if not runs:
        return (NAMES[name], *["not measured"] * 4)
    seconds, each = journal.median(name, "seconds"), [f"{run['seconds']:.1f}" for run in runs]
    embedded = train * 5 + test if name == "keras" else train + test
    return (
        NAMES[name],
        f"{seconds:.1f} ({', '.join(each)})",
        f"{journal.median(name, 'peak_mb'):.0f}",
        f"{journal.median('keras', 'seconds') / seconds:.1f}",
        f"{seconds / embedded * 1000:.1f}",
    )


def _arithmetics(network: str) -> tuple[str, str]:
    return f"{network}-f32", f"{network}-int8"


def _rates(journal: Journal, name: str) -> tuple[str, ...]:
    columns = ("decode", "compute", "limit", "both")
    rates = [f"{journal.median(f'rates-{name}', 'json', column):.0f}" for column in columns]
    return (name, *rates, f"{journal.median(f'rates-{name}', 'json', 'share_of_limit'):.0%}")


def _accuracies(journal: Journal) -> list[tuple[str, ...]]:
    rows = {
        "efficientnet-lite0, as it comes": ["accuracy-efficientnet-lite0"],
        "efficientnet-lite0, f32": ["accuracy-efficientnet-lite0-f32"],
        "efficientnet-lite2": ["accuracy-efficientnet-lite2"],
        "mobilenetv2 at 160": ["accuracy-mobilenetv2"],
        "mobilenetv2 at 160, last pooling alone": ["accuracy-mobilenetv2-last"],
        "solar cells, as it comes": [f"solar-{seed}" for seed in range(5)],
    }
    return [(what, *_means(journal, names)) for what, names in rows.items()]


def _means(journal: Journal, names: list[str]) -> list[str]:
    keys = (("accuracy", "{:.4f}"), ("log_loss", "{:.4f}"), ("ece", "{:.4f}"))
    return [form.format(statistics.mean(journal.median(name, key) for name in names)) for key, form in keys]


def _promises(journal: Journal) -> list[tuple[str, ...]]:
    def share(name: str) -> str:
        fit, embed = (journal.median(name, "json", "seconds", part) for part in ("fit", "embed"))
        return f"{fit / embed:.0%} ({fit:.1f} s of {embed:.1f} s)"

    first = journal.median("predict-one", "first_seconds")
    return [
        ("train again, every vector cached, whole process", f"{journal.median('retrain', 'seconds'):.2f} s", "3 s"),
        ("`twofold predict` of one picture", f"{journal.median('predict-one', 'seconds'):.2f} s", "1.0 s"),
        ("the same before the network was ever compiled", f"{first:.2f} s", ""),
        ("`twofold --help`", f"{journal.median('help', 'seconds'):.2f} s", "0.3 s"),
        ("base install on disk", f"{journal.median('install', 'megabytes'):.0f} MB", "650 MB"),
        ("peak memory, training on 20,000 pictures", f"{journal.median('many', 'peak_mb'):.0f} MB", "1,200 MB"),
        ("fit and cross-validation, 2,000 vectors, of embedding time", share("twofold"), "25%"),
        ("fit and cross-validation, 20,000 vectors, of embedding time", share("many"), "25%"),
    ]
