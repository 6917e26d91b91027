"""The page that bench/duplicates.py writes from the journal."""

from collections.abc import Iterator

from journal import Journal, Record
from planted_duplicates import CHANGES, COUNT, QUALITY
from results_page import number, runtime, table

CHANGE_TEXTS = {
    "half": "half size",
    "quality30": "JPEG quality 30",
    "mirrored": "mirrored",
    "cropped": "10% cropped off one side",
    "bright": "brightness +25%",
    "dark": "brightness -25%",
    "grey": "grey",
    "watermark": "a text watermark",
    "rotated": "rotated 3°",
}
DATASETS = {"photographs": "cats-dogs, train and test", "solar": "solar cells"}
assert list(CHANGE_TEXTS) == list(CHANGES)


def page(journal: Journal) -> str:
    return "\n".join(
        [
            "# The audit: results",
            "",
            f"Written by `make bench-audit` on {runtime('openvino', 'pillow', 'numpy')}.{_load(journal)}",
            "",
            *table(("measurement", "value", "required"), list(_requirements(journal))),
            "",
            "Two sources: all of cats-dogs against another source of some of these photographs, without a network. A pair is "
            "correct if class and number are the same, or if both images are visibly the same: the collection contains some "
            "twice.",
            *_errors(journal, "two-sources"),
            "",
            "## Planted duplicates",
            "",
            f"{COUNT} of the training photographs, each changed in {len(CHANGES)} ways and saved as JPEG of quality {QUALITY} "
            "under another name: as a separate folder `--against` the originals, and in one list with the originals, where a "
            "duplicate is detected if a chain of correct pairs leads to its original.",
            "",
            *table(("change", "recall, against the originals", "recall, in one list"), list(_recalls(journal))),
            *_errors(journal, "planted", "planted-in-one-list"),
            "",
            "## Real data",
            "",
            *table(
                (
                    "images",
                    "exact duplicates",
                    "pixel duplicates",
                    "near duplicates",
                    "possible label errors",
                    "estimated label errors",
                    "seconds",
                ),
                [_dataset_row(journal, name) for name in DATASETS],
            ),
            "",
            "In brackets: pairs whose labels differ.",
            "",
        ]
    )


def _load(journal: Journal) -> str:
    loads = [run["load"] for name in journal.names("") for run in journal.of(name)]
    return f" Load average at the start of the runs: {min(loads):.1f} to {max(loads):.1f}." if loads else ""


def _requirements(journal: Journal) -> Iterator[tuple[str, ...]]:
    for name, title, recall, precision in (
        ("two-sources", "two sources", 0.995, 0.995),
        ("planted", "planted duplicates, against the originals", 0.985, 0.99),
        ("planted-in-one-list", "planted duplicates, in one list with the originals", 0.985, 0.99),
    ):
        for run in journal.of(name)[-1:]:
            expected, detected = (sum(run[key].values()) for key in ("expected", "detected"))
            yield (f"{title}: recall", _fraction(detected, expected), f"at least {recall}")
            yield (f"{title}: precision", _fraction(run["correct"], run["reported"]), f"at least {precision}")
            if name != "two-sources":
                lowest = min(_recall(run, change) for change in run["expected"])
                yield (f"{title}: lowest recall of a change", f"{lowest:.4f}", "at least 0.95")
    yield (
        "two sources: seconds of the process",
        _median_and_runs(journal, "two-sources", "seconds", "{:.1f}"),
        "at most 45",
    )
    yield (
        "two sources: peak memory",
        _median_and_runs(journal, "two-sources", "peak_mb", "{:.0f} MB"),
        "at most 1,000 MB",
    )
    yield ("time of the search in 200,000 hashes, relative to 20,000", _search_times(journal), "below 14 times")
    yield ("audit in training on 2,000 images, relative to the other steps", _audit_time(journal), "at most 15%")


def _fraction(count: int, total: int) -> str:
    return f"{count / total:.4f} ({count:,} of {total:,})" if total else "none"


def _median_and_runs(journal: Journal, name: str, key: str, form: str) -> str:
    runs = ", ".join(form.format(run[key]) for run in journal.of(name))
    return number(journal.median(name, key), form) + (f" ({runs})" if runs else "")


def _search_times(journal: Journal) -> str:
    few, many = (journal.median(f"search-{count}", "seconds") for count in (20_000, 200_000))
    missed = sum(run["near"] - run["detected"] for name in journal.names("search-") for run in journal.of(name))
    return f"{number(many / few, '{:.1f} times')} ({few:.2f} and {many:.2f} s; {missed} near duplicates missed)"


def _audit_time(journal: Journal) -> str:
    audit, total = (number(journal.median("audit-time", "steps", step), "{:.1f} s") for step in ("audit", "total"))
    return f"{_median_and_runs(journal, 'audit-time', 'ratio', '{:.1%}')}; {audit} of {total}"


def _recalls(journal: Journal) -> Iterator[tuple[str, ...]]:
    for change, text in CHANGE_TEXTS.items():
        runs = [journal.of(name)[-1:] for name in ("planted", "planted-in-one-list")]
        yield (text, *(f"{_recall(run[0], change):.3f}" if run else "not measured" for run in runs))


def _recall(run: Record, change: str) -> float:
    return float(run["detected"].get(change, 0) / run["expected"][change])


def _errors(journal: Journal, *names: str, limit: int = 12) -> Iterator[str]:
    """The false positives and the missed duplicates, by name."""
    for name in names:
        for run in journal.of(name)[-1:]:
            for key in ("false positives", "missed"):
                files = ", ".join(f"`{file}`" for file in run[key][:limit])
                more = f" and {len(run[key]) - limit} more" if len(run[key]) > limit else ""
                yield from ("", f"{name}, {key}: {files or 'none'}{more}.")


def _dataset_row(journal: Journal, name: str) -> tuple[str, ...]:
    for run in journal.of(name)[-1:]:
        kinds = [
            f"{run['kinds'].get(kind, 0)} ({run['conflicts'].get(kind, 0)})" for kind in ("exact", "pixels", "near")
        ]
        estimate = run["label_errors_expected"]
        errors = "{value:.0f} ({low:.0f} to {high:.0f})".format(**estimate) if estimate else "not estimated"
        return (
            f"{DATASETS[name]}: {run['images']:,}",
            *kinds,
            str(run["label_issues"]),
            errors,
            f"{run['seconds']:.0f}",
        )
    return (DATASETS[name], *["not measured"] * 6)
