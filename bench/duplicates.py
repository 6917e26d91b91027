"""`make bench-audit`: recall and precision of duplicates, the time of the audit, and real data; writes bench/AUDIT.md.

    python bench/duplicates.py [--data ../shared/data/cats-dogs] [--pets ../shared/data/pets180.tar] [--only NAME ...]

two-sources: photographs that are in two collections. planted, planted-in-one-list: planted near duplicates, in a separate
folder and among the originals. search: the time of the search in ten times as many hashes. audit-time: what the audit adds to
`twofold train`. solar, photographs: real data.

Every run is recorded in --work, bench/work/audit by default, with contact sheets of false positives and missed duplicates; delete
it to start again. With another --work the page is written there, too.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from audit_page import page
from benchmark import run_measurements
from journal import Journal, Record, run
from measurements import BENCH, TWOFOLD, Measurement
from planted_duplicates import (
    Pair,
    change_name,
    draw_sheet,
    is_correct,
    label_by_name,
    photograph_name,
    plant,
    write_list,
)
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twofold.data import list_files
from twofold.duplicates.hamming_search import MAX_BITS, pairs_within

WORK = BENCH / "work" / "audit"


@dataclass(frozen=True, slots=True)
class AuditSetup:
    """The photographs, another source of some of them, and the folder for work."""

    data: Path
    pets: Path
    work: Path

    def audit(self, data: Path, *options: str, cache: Path | None = None) -> Record:
        return run([TWOFOLD, "audit", str(data), *options, "--json", "--quiet"], cache=cache)

    @property
    def photographs(self) -> list[Path]:
        return sorted(self.data.glob("*/*/*.jpg"))

    @property
    def originals(self) -> Path:
        return self.data / "train"


def two_sources(setup: AuditSetup) -> Record:
    """All photographs against the other source, without a network. Class and number are the ground truth."""
    data = write_list(setup.work / "two-sources.csv", label_by_name(setup.photographs))
    result = setup.audit(data, "--against", str(setup.pets), "--quick")
    pet_names = {photograph_name(path) for path in list_files([setup.pets])}
    expected = [path for path in setup.photographs if photograph_name(path) in pet_names]
    return _against_record(setup, "two-sources", result, expected)


def planted(setup: AuditSetup) -> Record:
    """The planted duplicates against the originals."""
    expected = _plant(setup)
    result = setup.audit(setup.work / "planted", "--against", str(setup.originals), cache=setup.work / "cache")
    return _against_record(setup, "planted", result, expected)


def planted_in_one_list(setup: AuditSetup) -> Record:
    """The planted duplicates among the originals; one is detected if a chain of correct pairs leads to its original."""
    expected = _plant(setup)
    originals = sorted(setup.originals.glob("*/*.jpg"))
    data = write_list(setup.work / "planted-in-one-list.csv", label_by_name([*originals, *expected]))
    result = setup.audit(data, cache=setup.work / "cache")
    pairs = [(Path(row["path"]), Path(row["duplicate_of"])) for row in result["json"]["duplicates"]]
    detected = _linked_to_originals(originals, expected, pairs)
    return {**_process(result), **_detection(setup, "planted-in-one-list", expected, pairs, detected)}


def time_search(count: int) -> Record:
    """Seconds of the search in this many random hashes, in which every second hash is 0 to 12 bits from the one before."""
    random = np.random.default_rng(0)
    hashes = random.integers(0, 1 << 63, count, dtype=np.uint64)
    flipped = random.random((count // 2, 63)).argsort(axis=1) < random.integers(0, 13, count // 2)[:, None]
    bits = flipped.sum(axis=1)
    hashes[1::2] = hashes[::2] ^ (flipped * (np.uint64(1) << np.arange(63, dtype=np.uint64))).sum(
        axis=1, dtype=np.uint64
    )
    start = time.perf_counter()
    pairs = pairs_within(hashes, hashes)
    seconds = time.perf_counter() - start
    detected = np.zeros(count, np.bool_)
    detected[pairs[pairs[:, 0] == pairs[:, 1] + 1, 0]] = True
    return {
        "seconds": seconds,
        "near": int((bits <= MAX_BITS).sum()),
        "detected": int(detected[1::2][bits <= MAX_BITS].sum()),
    }


def audit_time(setup: AuditSetup) -> Record:
    """Training with an empty cache, and the seconds of its steps."""
    out = ["--out", str(setup.work / "bench.twofold"), "--force", "--json", "--quiet"]
    result = run([TWOFOLD, "train", str(setup.originals), *out])
    steps = result["json"]["seconds"]
    return {**_process(result), "steps": steps, "ratio": steps["audit"] / (steps["total"] - steps["audit"])}


def solar(setup: AuditSetup) -> Record:
    sys.path.insert(0, str(BENCH.parent / "examples"))
    from solar_cells import list_cells

    return real_data(setup, "solar", write_list(setup.work / "solar.csv", list_cells()))


def photographs(setup: AuditSetup) -> Record:
    return real_data(setup, "photographs", write_list(setup.work / "photographs.csv", label_by_name(setup.photographs)))


def real_data(setup: AuditSetup, name: str, data: Path) -> Record:
    """The audit of unchanged data, with contact sheets of duplicates and label issues."""
    result = setup.audit(data)
    audit = result["json"]
    pairs = [(Path(row["path"]), Path(row["duplicate_of"])) for row in audit["duplicates"]]
    draw_sheet(pairs, setup.work / f"{name}-duplicates.png")
    draw_sheet(_pair_up([Path(row["path"]) for row in audit["label_issues"]]), setup.work / f"{name}-label-issues.png")
    return {
        **_process(result),
        "images": audit["data"]["files"],
        "kinds": Counter(row["kind"] for row in audit["duplicates"]),
        "conflicts": Counter(row["kind"] for row in audit["duplicates"] if not row["labels_agree"]),
        "label_issues": len(audit["label_issues"]),
        "label_errors_expected": audit["label_errors_expected"],
    }


def _plant(setup: AuditSetup) -> list[Path]:
    plant(setup.originals, setup.work / "planted")
    return sorted((setup.work / "planted").glob("*/*.jpg"))


def _process(result: Record) -> Record:
    return {"seconds": result["seconds"], "peak_mb": result["peak_mb"]}


def _against_record(setup: AuditSetup, name: str, result: Record, expected: Sequence[Path]) -> Record:
    """The record of an audit with `--against`."""
    pairs = [(Path(row["path"]), Path(row["duplicate_of"])) for row in result["json"]["against"]]
    detected = {path for path, other_path in pairs if is_correct((path, other_path))}
    return {**_process(result), **_detection(setup, name, expected, pairs, detected)}


def _detection(
    setup: AuditSetup, name: str, expected: Sequence[Path], pairs: Sequence[Pair], detected: set[Path]
) -> Record:
    """The numbers of expected and detected duplicates by change, of reported and of correct pairs; false positives and missed
    duplicates by name, and as contact sheets."""
    false_positives = [pair for pair in pairs if not is_correct(pair)]
    missed = [path for path in expected if path not in detected]
    draw_sheet(false_positives, setup.work / f"{name}-false-positives.png")
    draw_sheet(_pair_up(missed), setup.work / f"{name}-missed.png")
    return {
        "expected": Counter(map(change_name, expected)),
        "detected": Counter(change_name(path) for path in expected if path in detected),
        "reported": len(pairs),
        "correct": len(pairs) - len(false_positives),
        "false positives": [f"{a.name} = {'/'.join(b.parts[-2:])}" for a, b in false_positives],
        "missed": [path.name for path in missed],
    }


def _linked_to_originals(originals: Sequence[Path], planted: Sequence[Path], pairs: Iterable[Pair]) -> set[Path]:
    """The planted images from which a chain of correct pairs leads to an original."""
    paths = [*originals, *planted]
    row = {path: number for number, path in enumerate(paths)}
    linked = np.array([(row[a], row[b]) for a, b in pairs if is_correct((a, b))], np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(linked)), linked.T), shape=(len(paths), len(paths)))
    _, group = connected_components(graph, directed=False)
    original_groups = set(group[: len(originals)].tolist())
    return {path for path in planted if int(group[row[path]]) in original_groups}


def _pair_up(paths: Sequence[Path]) -> list[Pair]:
    return list(zip(paths[::2], [*paths[1::2], *paths[-1:]], strict=False))


def _with_load(measure: Callable[[AuditSetup], Record]) -> Callable[[AuditSetup], Record]:
    return lambda setup: {"load": os.getloadavg()[0], **measure(setup)}


MEASUREMENTS = (
    (Measurement("two-sources", two_sources),),
    (Measurement("planted", planted, 1), Measurement("planted-in-one-list", planted_in_one_list, 1)),
    tuple(Measurement(f"search-{count}", lambda _, count=count: time_search(count)) for count in (20_000, 200_000)),
    (Measurement("audit-time", audit_time),),
    (Measurement("solar", solar, 1), Measurement("photographs", photographs, 1)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    datasets = BENCH.parents[1] / "shared/data"
    parser.add_argument("--data", type=Path, default=datasets / "cats-dogs", help="a folder with train/ and test/")
    parser.add_argument(
        "--pets", type=Path, default=datasets / "pets180.tar", help="another source of some of these photographs"
    )
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--repeats", type=int, default=3, help="runs of what is timed")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="prefixes of measurements; all by default")
    arguments = parser.parse_args()
    for path in (arguments.data / "train", arguments.data / "test", arguments.pets):
        if not path.exists():
            parser.error(f"there is no {path}; pass --data and --pets")
    arguments.work.mkdir(parents=True, exist_ok=True)
    setup = AuditSetup(arguments.data.resolve(), arguments.pets.resolve(), arguments.work.resolve())
    journal = Journal(setup.work / "runs.jsonl")
    for group in MEASUREMENTS:
        measurements = [m for m in group if not arguments.only or m.name.startswith(tuple(arguments.only))]
        if measurements:
            with_load = tuple(replace(m, measure=_with_load(m.measure)) for m in measurements)
            run_measurements(with_load, setup, journal, arguments.repeats)
    file = (BENCH if setup.work == WORK.resolve() else setup.work) / "AUDIT.md"
    file.write_text(page(journal), encoding="utf-8")
    print(f"Wrote {file}")


if __name__ == "__main__":
    main()
