"""`make bench-audit`: duplicates that the audit finds, what it costs, and what it finds in real data; writes bench/AUDIT.md.

    python bench/duplicates.py [--data ../shared/data/cats-dogs] [--pets ../shared/data/pets180.tar] [--only NAME ...]

shared: photographs that two collections share. planted, together: near duplicates made on purpose, in their own folder and among
the originals. growth: the search among ten times as many hashes. share: what the audit adds to `twofold train`. solar,
photographs: real data.

Every run is kept in --work, bench/work/audit by default, and so are contact sheets of what was reported wrongly or missed:
delete it to begin anew. With another --work the page goes there, too, as is right for a trial.
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
from figures import HERE, TWOFOLD, Figure
from findings import page
from measure import Figures, Journal, run
from planted import Pair, change, draw_sheet, named, photograph, plant, same, write_list
from run import measured
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twofold.data import list_files
from twofold.duplicates.hamming_search import MOST, pairs_within

WORK = HERE / "work" / "audit"


@dataclass(frozen=True, slots=True)
class Given:
    """Where the photographs are, the other source of some of them, and where to work."""

    data: Path
    pets: Path
    work: Path

    def audit(self, data: Path, *options: str, cache: Path | None = None) -> Figures:
        return run([TWOFOLD, "audit", str(data), *options, "--json", "--quiet"], cache=cache)

    @property
    def photographs(self) -> list[Path]:
        return sorted(self.data.glob("*/*/*.jpg"))

    @property
    def originals(self) -> Path:
        return self.data / "train"


def shared(given: Given) -> Figures:
    """All photographs against the other source, without a network; truth by class and number."""
    listed = write_list(given.work / "shared.csv", named(given.photographs))
    done = given.audit(listed, "--against", str(given.pets), "--quick")
    theirs = {photograph(path) for path in list_files([given.pets])}
    wanted = [path for path in given.photographs if photograph(path) in theirs]
    pairs = [(Path(leak["path"]), Path(leak["other"])) for leak in done["json"]["against"]]
    return {**_spent(done), **_judged(given, "shared", wanted, pairs, {a for a, b in pairs if same((a, b))})}


def planted(given: Given) -> Figures:
    """The planted duplicates, alone in DATA, against the originals."""
    wanted = _planted(given)
    done = given.audit(given.work / "planted", "--against", str(given.originals), cache=given.work / "cache")
    pairs = [(Path(leak["path"]), Path(leak["other"])) for leak in done["json"]["against"]]
    return {**_spent(done), **_judged(given, "planted", wanted, pairs, {a for a, b in pairs if same((a, b))})}


def together(given: Given) -> Figures:
    """The planted duplicates among the originals: found where correct pairs lead from one to the other."""
    wanted = _planted(given)
    originals = sorted(given.originals.glob("*/*.jpg"))
    listed = write_list(given.work / "together.csv", named([*originals, *wanted]))
    done = given.audit(listed, cache=given.work / "cache")
    pairs = [(Path(copy["path"]), Path(copy["nearest"])) for copy in done["json"]["duplicates"]]
    return {**_spent(done), **_judged(given, "together", wanted, pairs, _led(originals, wanted, pairs))}


def growth(count: int) -> Figures:
    """Seconds to find the near ones among so many random hashes, each second of which is 0 to 12 bits from the one before."""
    random = np.random.default_rng(0)
    hashes = random.integers(0, 1 << 63, count, dtype=np.uint64)
    turned = random.random((count // 2, 63)).argsort(axis=1) < random.integers(0, 13, count // 2)[:, None]
    apart = turned.sum(axis=1)
    hashes[1::2] = hashes[::2] ^ (turned * (np.uint64(1) << np.arange(63, dtype=np.uint64))).sum(
        axis=1, dtype=np.uint64
    )
    started = time.perf_counter()
    pairs = pairs_within(hashes, hashes)
    seconds = time.perf_counter() - started
    detected = np.zeros(count, np.bool_)
    detected[pairs[pairs[:, 0] == pairs[:, 1] + 1, 0]] = True
    return {"seconds": seconds, "near": int((apart <= MOST).sum()), "found": int(detected[1::2][apart <= MOST].sum())}


def fraction(given: Given) -> Figures:
    """Training with an empty cache, and where its seconds went."""
    out = ["--out", str(given.work / "bench.twofold"), "--force", "--json", "--quiet"]
    done = run([TWOFOLD, "train", str(given.originals), *out])
    spent = done["json"]["seconds"]
    return {**_spent(done), "blocks": spent, "share": spent["audit"] / (spent["total"] - spent["audit"])}


def solar(given: Given) -> Figures:
    sys.path.insert(0, str(HERE.parent / "examples"))
    from solar_cells import list_cells

    return real(given, "solar", write_list(given.work / "solar.csv", list_cells()))


def photographs(given: Given) -> Figures:
    return real(given, "photographs", write_list(given.work / "photographs.csv", named(given.photographs)))


def real(given: Given, name: str, data: Path) -> Figures:
    """What the audit finds in data that nobody changed, with contact sheets of it."""
    done = given.audit(data)
    said = done["json"]
    pairs = [(Path(copy["path"]), Path(copy["nearest"])) for copy in said["duplicates"]]
    draw_sheet(pairs, given.work / f"{name}-duplicates.png")
    draw_sheet(_paired([Path(one["path"]) for one in said["label_issues"]]), given.work / f"{name}-suspects.png")
    return {
        **_spent(done),
        "images": said["data"]["images"],
        "kinds": Counter(copy["kind"] for copy in said["duplicates"]),
        "apart": Counter(copy["kind"] for copy in said["duplicates"] if not copy["labels_agree"]),
        "label_issues": len(said["label_issues"]),
        "expected": said["label_errors_expected"],
    }


def _planted(given: Given) -> list[Path]:
    plant(given.originals, given.work / "planted")
    return sorted((given.work / "planted").glob("*/*.jpg"))


def _spent(done: Figures) -> Figures:
    return {"seconds": done["seconds"], "peak_mb": done["peak_mb"]}


def _judged(given: Given, name: str, wanted: Sequence[Path], pairs: Sequence[Pair], detected: set[Path]) -> Figures:
    """How many were wanted and found, by how they were changed; how many pairs are right; the others by name and as images."""
    wrong, missed = [pair for pair in pairs if not same(pair)], [path for path in wanted if path not in detected]
    draw_sheet(wrong, given.work / f"{name}-wrong.png")
    draw_sheet(_paired(missed), given.work / f"{name}-missed.png")
    return {
        "wanted": Counter(map(change, wanted)),
        "found": Counter(change(path) for path in wanted if path in detected),
        "reported": len(pairs),
        "right": len(pairs) - len(wrong),
        "wrong": [f"{a.name} = {'/'.join(b.parts[-2:])}" for a, b in wrong],
        "missed": [path.name for path in missed],
    }


def _led(originals: Sequence[Path], wanted: Sequence[Path], pairs: Iterable[Pair]) -> set[Path]:
    """Those that right pairs lead from to an original."""
    paths = [*originals, *wanted]
    row = {path: number for number, path in enumerate(paths)}
    linked = np.array([(row[a], row[b]) for a, b in pairs if same((a, b))], np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(linked)), linked.T), shape=(len(paths), len(paths)))
    _, group = connected_components(graph, directed=False)
    reached = set(group[: len(originals)].tolist())
    return {path for path in wanted if int(group[row[path]]) in reached}


def _paired(paths: Sequence[Path]) -> list[Pair]:
    return list(zip(paths[::2], [*paths[1::2], *paths[-1:]], strict=False))


def _with_load(measure: Callable[[Given], Figures]) -> Callable[[Given], Figures]:
    return lambda given: {"load": os.getloadavg()[0], **measure(given)}


FIGURES = (
    (Figure("shared", shared),),
    (Figure("planted", planted, 1), Figure("together", together, 1)),
    tuple(Figure(f"growth-{count}", lambda _, count=count: growth(count)) for count in (20_000, 200_000)),
    (Figure("share", fraction),),
    (Figure("solar", solar, 1), Figure("photographs", photographs, 1)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shelf = HERE.parents[1] / "shared/data"
    parser.add_argument("--data", type=Path, default=shelf / "cats-dogs", help="a folder with train/ and test/")
    parser.add_argument("--pets", type=Path, default=shelf / "pets180.tar", help="some of these from another source")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--repeats", type=int, default=3, help="of what is timed")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="figures whose names begin so; all by default")
    chosen = parser.parse_args()
    for needed in (chosen.data / "train", chosen.data / "test", chosen.pets):
        if not needed.exists():
            parser.error(f"there is no {needed}; pass --data and --pets")
    chosen.work.mkdir(parents=True, exist_ok=True)
    given = Given(chosen.data.resolve(), chosen.pets.resolve(), chosen.work.resolve())
    journal = Journal(given.work / "runs.jsonl")
    for figures in FIGURES:
        wanted = [figure for figure in figures if not chosen.only or figure.name.startswith(tuple(chosen.only))]
        if wanted:
            timed = tuple(replace(figure, measure=_with_load(figure.measure)) for figure in wanted)
            measured(timed, given, journal, chosen.repeats)
    file = (HERE if given.work == WORK.resolve() else given.work) / "AUDIT.md"
    file.write_text(page(journal), encoding="utf-8")
    print(f"Wrote {file}")


if __name__ == "__main__":
    main()
