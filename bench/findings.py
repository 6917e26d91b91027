"""The page that bench/duplicates.py writes, out of the journal alone."""

from collections.abc import Iterator

from measure import Figures, Journal
from planted import CHANGES, COUNT, QUALITY
from results import number, runtime, table

WORDS = {
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
REAL = {"photographs": "cats-dogs, train and test", "solar": "solar cells"}
assert list(WORDS) == list(CHANGES)


def page(journal: Journal) -> str:
    return "\n".join(
        [
            "# The audit: results",
            "",
            f"Written by `make bench-audit` on {runtime('openvino', 'pillow', 'numpy')}.{_load(journal)}",
            "",
            *table(("what", "measured", "target"), list(_targets(journal))),
            "",
            "Shared photographs: all of cats-dogs against another source of some of them, without a network. A pair is right "
            "when class and number are the same, or when both images are one to the eye: the collection has some twice.",
            *_others(journal, "shared"),
            "",
            "## Planted duplicates",
            "",
            f"{COUNT} of the training photographs, each changed in {len(CHANGES)} ways and saved as JPEG of quality {QUALITY} "
            "under a name of its own: in a folder of their own, `--against` the originals, and in one list with the originals, "
            "where a duplicate is found when correct pairs lead to its original.",
            "",
            *table(("changed", "found, against the originals", "found, in one list"), list(_planted(journal))),
            *_others(journal, "planted", "together"),
            "",
            "## In real data",
            "",
            *table(
                (
                    "images",
                    "exact duplicates",
                    "by pixels",
                    "near",
                    "possible label errors",
                    "wrong in all",
                    "seconds",
                ),
                [_real(journal, name) for name in REAL],
            ),
            "",
            "In brackets: those of the pairs whose labels differ. Solar cells that are near are, to the eye, "
            "neighbouring wafers of one block, or, where they have no grain, cells of one make that share their layout and "
            "little else.",
            "",
        ]
    )


def _load(journal: Journal) -> str:
    loads = [run["load"] for name in journal.names("") for run in journal.of(name)]
    return f" Load average when the runs began: {min(loads):.1f} to {max(loads):.1f}." if loads else ""


def _targets(journal: Journal) -> Iterator[tuple[str, ...]]:
    for name, what, recall, precision in (
        ("shared", "shared photographs", 0.995, 0.995),
        ("planted", "planted duplicates, against the originals", 0.985, 0.99),
        ("together", "planted duplicates, in one list with the originals", 0.985, 0.99),
    ):
        for run in journal.of(name)[-1:]:
            wanted, detected = (sum(run[part].values()) for part in ("wanted", "found"))
            yield (f"{what}: recall", _fraction(detected, wanted), f"at least {recall}")
            yield (f"{what}: precision", _fraction(run["right"], run["reported"]), f"at least {precision}")
            if name != "shared":
                least = min(run["found"].get(kind, 0) / of for kind, of in run["wanted"].items())
                yield (f"{what}: recall of the hardest kind", f"{least:.4f}", "at least 0.95")
    yield ("shared photographs: seconds, whole process", _each(journal, "shared", "seconds", "{:.1f}"), "at most 45")
    yield ("shared photographs: peak memory", _each(journal, "shared", "peak_mb", "{:.0f} MB"), "at most 1,000 MB")
    yield ("search among 200,000 hashes, of the time among 20,000", _growth(journal), "below 14 times")
    yield ("the audit's part of training on 2,000, of the rest", _part(journal), "at most 15%")


def _fraction(count: int, total: int) -> str:
    return f"{count / total:.4f} ({count:,} of {total:,})" if total else "none"


def _each(journal: Journal, name: str, key: str, form: str) -> str:
    each = ", ".join(form.format(run[key]) for run in journal.of(name))
    return number(journal.median(name, key), form) + (f" ({each})" if each else "")


def _growth(journal: Journal) -> str:
    few, many = (journal.median(f"growth-{count}", "seconds") for count in (20_000, 200_000))
    missed = sum(run["near"] - run["found"] for name in journal.names("growth-") for run in journal.of(name))
    return f"{number(many / few, '{:.1f} times')} ({few:.2f} and {many:.2f} s; {missed} near ones missed)"


def _part(journal: Journal) -> str:
    audit, total = (number(journal.median("share", "blocks", block), "{:.1f} s") for block in ("audit", "total"))
    return f"{_each(journal, 'share', 'share', '{:.1%}')}; {audit} of {total}"


def _planted(journal: Journal) -> Iterator[tuple[str, ...]]:
    for kind, words in WORDS.items():
        runs = [journal.of(name)[-1:] for name in ("planted", "together")]
        yield (words, *(_kind(run[0], kind) if run else "not measured" for run in runs))


def _kind(run: Figures, kind: str) -> str:
    return f"{run['found'].get(kind, 0) / run['wanted'][kind]:.3f}"


def _others(journal: Journal, *names: str, most: int = 12) -> Iterator[str]:
    """What was reported wrongly and what was missed, by name."""
    for name in names:
        for run in journal.of(name)[-1:]:
            for words, key in (("reported, and another photograph", "wrong"), ("missed", "missed")):
                names_text = ", ".join(f"`{one}`" for one in run[key][:most])
                more = f" and {len(run[key]) - most} more" if len(run[key]) > most else ""
                yield from ("", f"{name}, {words}: {names_text or 'none'}{more}.")


def _real(journal: Journal, name: str) -> tuple[str, ...]:
    for run in journal.of(name)[-1:]:
        kinds = (f"{run['kinds'].get(kind, 0)} ({run['apart'].get(kind, 0)})" for kind in ("exact", "pixels", "near"))
        n = run["expected"]
        wrong = f"{n['value']:.0f} ({n['low']:.0f} to {n['high']:.0f})" if n else "not judged"
        return (f"{REAL[name]}: {run['images']:,}", *kinds, str(run["label_issues"]), wrong, f"{run['seconds']:.0f}")
    return (REAL[name], *["not measured"] * 6)
