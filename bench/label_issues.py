"""Flipped labels: the hits, compared with cleanlab on the same scores, and the estimated number of label errors.

    python bench/label_issues.py [--data ../shared/data/cats-dogs/train] [--flipped 0 10 40 100] [--seeds 5]

On the first run, cleanlab is installed into bench/.venv-cleanlab. Features are cached in bench/work.
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

BENCH = Path(__file__).parent

# Runs in cleanlab's environment: its ranking by self-confidence, its list, and its count, which has no interval.
CLEANLAB = """
import json, sys
import numpy as np
from cleanlab.count import num_label_issues
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
file = np.load(sys.argv[1])
labels, probabilities = file["labels"].astype(int), np.stack([1 - file["p"], file["p"]], axis=1)
order = np.argsort(get_label_quality_scores(labels, probabilities), kind="stable")
listed = find_label_issues(labels, probabilities)
print(json.dumps({"order": order.tolist(), "listed": int(listed.sum()), "count": int(num_label_issues(labels, probabilities))}))
"""


def cleanlab_python() -> Path:
    """The Python of cleanlab's environment, which is created if it is missing."""
    environment = BENCH / ".venv-cleanlab"
    python = environment / "bin/python"
    if not (environment / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "cleanlab==2.9.0"], check=True)
        (environment / ".gitignore").write_text("*\n", encoding="utf-8")
        (environment / "complete").touch()
    return python


def load_features(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and groups of DATA, from bench/work if they are there."""
    file = BENCH / "work" / f"features-{data.resolve().parent.name}-{data.stem}.npz"
    if not file.exists():
        runtime, file_list = Runtime(user_cache_path("twofold")), list_labelled_files(data, DataOptions())
        engine = runtime.engine(load_backbone(BackboneOptions(), "f32", cache=runtime.folder))
        dataset = embed_files(file_list, [file.path for file in file_list.files], engine, runtime, what=str(data))
        file.parent.mkdir(exist_ok=True)
        np.savez(file, features=dataset.table.features, labels=dataset.labels, groups=dataset.groups)
    arrays = np.load(file)
    return arrays["features"], arrays["labels"], arrays["groups"]


def run_cleanlab(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scores.npz"
        np.savez(file, labels=labels, p=probabilities)
        command = [cleanlab_python(), "-c", CLEANLAB, file]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(data: tuple[np.ndarray, np.ndarray, np.ndarray], flipped: int, seed: int) -> str:
    """One row: the flipped labels among the first images of both rankings, and both estimates of the number of label errors."""
    features, truth, groups = data
    flipped_mask = np.zeros(len(truth), np.bool_)
    flipped_mask[np.random.default_rng(seed).choice(len(truth), flipped, replace=False)] = True
    labels = np.where(flipped_mask, 1 - truth, truth).astype(np.int8)
    logits = fit_head(features, labels, folds(labels, groups, 5, seed)).logits
    cleanlab = run_cleanlab(labels, fit_calibration(logits, labels).probabilities(logits))
    issues = find_label_issues(logits, labels)
    orders = np.argsort(-issues.p_label_error, kind="stable"), np.array(cleanlab["order"])
    lengths = flipped, round(1.25 * flipped), round(1.5 * flipped)
    hits = [" ".join(str(int(flipped_mask[order[:length]].sum())) for length in lengths) for order in orders]
    expected = issues.expected
    counts = f"{expected.value:.0f} ({expected.low:.0f} to {expected.high:.0f}) | {cleanlab['count']}"
    return f"| {flipped} | {seed} | {hits[0]} | {hits[1]} | {counts} | {len(issues.rows)} | {cleanlab['listed']} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=BENCH.parents[1] / "shared/data/cats-dogs/train")
    parser.add_argument("--flipped", type=int, nargs="+", default=[0, 10, 40, 100])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    data = load_features(arguments.data)
    print("Hits among the first k, 1.25 k and 1.5 k images, with k flipped labels:\n")
    print("| flipped | seed | hits | cleanlab | estimated | cleanlab | listed | cleanlab |\n|" + "---|" * 8)
    for flipped in arguments.flipped:
        for seed in range(arguments.seeds if flipped else 1):
            print(measure(data, flipped, seed), flush=True)


if __name__ == "__main__":
    main()
