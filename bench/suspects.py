"""Planted wrong labels: how many are found, beside cleanlab on the same scores, and whether the count is right.

    python bench/suspects.py [--data ../shared/data/cats-dogs/train] [--flipped 0 10 40 100] [--seeds 5]

The first time, cleanlab is installed into bench/.venv-cleanlab; vectors are kept in bench/work.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from twofold.audit.label_issues import find_label_issues
from twofold.core.options import BackboneOptions, DataOptions
from twofold.data import list_labelled_files
from twofold.dataset import folds
from twofold.dataset.labelled import embed_files
from twofold.decision import fit_calibration, fit_head
from twofold.embedding import Runtime
from twofold.networks import load_backbone

HERE = Path(__file__).parent

# Run by cleanlab's own Python: its ranking by self-confidence, its list, and its count, which has no interval.
CLEANLAB = """
import json, sys
import numpy as np
from cleanlab.count import num_label_issues
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
given = np.load(sys.argv[1])
labels, chances = given["labels"].astype(int), np.stack([1 - given["p"], given["p"]], axis=1)
order = np.argsort(get_label_quality_scores(labels, chances), kind="stable")
listed = find_label_issues(labels, chances)
print(json.dumps({"order": order.tolist(), "listed": int(listed.sum()), "count": int(num_label_issues(labels, chances))}))
"""


def cleanlab_python() -> Path:
    """The Python of cleanlab's own environment, made where it is missing."""
    environment = HERE / ".venv-cleanlab"
    python = environment / "bin/python"
    if not (environment / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "cleanlab==2.9.0"], check=True)
        (environment / ".gitignore").write_text("*\n", encoding="utf-8")
        (environment / "complete").touch()
    return python


def observed(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, labels and groups of DATA, from bench/work where they are."""
    file = HERE / "work" / f"vectors-{data.resolve().parent.name}-{data.stem}.npz"
    if not file.exists():
        runtime, file_list = Runtime(user_cache_path("twofold")), list_labelled_files(data, DataOptions())
        engine = runtime.engine(load_backbone(BackboneOptions(), "f32", cache=runtime.folder))
        sample = embed_files(file_list, [item.path for item in file_list.items], engine, runtime, what=str(data))
        file.parent.mkdir(exist_ok=True)
        np.savez(file, features=sample.table.features, labels=sample.labels, groups=sample.groups)
    kept = np.load(file)
    return kept["vectors"], kept["labels"], kept["groups"]


def by_cleanlab(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.npz"
        np.savez(given, labels=labels, p=probabilities)
        command = [cleanlab_python(), "-c", CLEANLAB, given]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measured(data: tuple[np.ndarray, np.ndarray, np.ndarray], flipped: int, seed: int) -> str:
    """One line: planted labels among the first of each list, and what each says of their number."""
    features, truth, groups = data
    wrong = np.zeros(len(truth), np.bool_)
    wrong[np.random.default_rng(seed).choice(len(truth), flipped, replace=False)] = True
    labels = np.where(wrong, 1 - truth, truth).astype(np.int8)
    logits = fit_head(features, labels, folds(labels, groups, 5, seed)).logits
    theirs = by_cleanlab(labels, fit_calibration(logits, labels).probabilities(logits))
    ours = find_label_issues(logits, labels)
    orders = np.argsort(-ours.p_label_error, kind="stable"), np.array(theirs["order"])
    firsts = flipped, round(1.25 * flipped), round(1.5 * flipped)
    found = [" ".join(str(int(wrong[order[:first]].sum())) for first in firsts) for order in orders]
    n = ours.expected
    told = f"{n.value:.0f} ({n.low:.0f} to {n.high:.0f}) | {theirs['count']}"
    return f"| {flipped} | {seed} | {found[0]} | {found[1]} | {told} | {len(ours.listed)} | {theirs['listed']} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared/data/cats-dogs/train")
    parser.add_argument("--flipped", type=int, nargs="+", default=[0, 10, 40, 100])
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    data = observed(given.data)
    print("Found among the first k, 1.25 k and 1.5 k, of k that were flipped:\n")
    print("| flipped | seed | found | cleanlab | wrong in all | cleanlab | listed | cleanlab |\n|" + "---|" * 8)
    for flipped in given.flipped:
        for seed in range(given.seeds if flipped else 1):
            print(measured(data, flipped, seed), flush=True)


if __name__ == "__main__":
    main()
