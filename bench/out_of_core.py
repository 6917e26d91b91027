"""Training on more features than fit in memory: its log-loss beside that of a fit in memory, its seconds and its memory.

    python bench/out_of_core.py losses ../shared/data/cats-dogs/train [MORE …]
    python bench/out_of_core.py whole --work DIR [--images 1000000]    # writes 4 GB to DIR, and 6 GB to the cache folder
    python bench/out_of_core.py passes --work DIR                      # after `whole`

losses: the features of labelled images, their head fitted in memory from float32, and in stripes from float16 in a file, with
memory for a quarter, an eighth or a sixteenth of the features. The log-loss is out-of-fold.

whole: `twofold train --features-from` on drawn rows of parts with 1,280 features. "anonymous" memory is what the process cannot
give back; pages of mapped files, which the system takes back when it needs room, are not in it.

passes: seconds to read the features of these parts once from Parquet, and once from a mapped file, standardised.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from backbone_defaults import embed_data
from platformdirs import user_cache_path

from twofold.bundle.model import Prediction
from twofold.bundle.storage import load_bundle
from twofold.core.options import BackboneOptions
from twofold.dataset import folds
from twofold.decision import HeadFit, fit_head
from twofold.decision.feature_stripes import Stripes
from twofold.embedding import Metadata, Runtime
from twofold.workflows.scale.feature_folder import BUNDLE, copy_model
from twofold.workflows.scale.feature_rows import FeatureFormat, FeaturePrediction, features_of
from twofold.workflows.scale.mapped_array import mapped_array
from twofold.workflows.scale.part_files import write_part
from twofold.workflows.scale.plan import read_parts, write_plan

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from drawings import draw_folder

WIDTH = 1280
FACTORS = 16


def log_loss(fit: HeadFit, labels: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0.0, fit.logits) - labels * fit.logits))


def compare_losses(data: Path) -> None:
    dataset = embed_data(data, BackboneOptions(), Runtime(user_cache_path("twofold")))
    features, labels = dataset.table.features, dataset.labels
    fold = folds(dataset.names, dataset.groups, 5, 0)
    in_memory = fit_head(features, labels, fold)
    stored = mapped_array(user_cache_path("twofold"), features.shape, np.float16)
    stored[:] = features
    reference = log_loss(in_memory, labels)
    print(f"{data}: {len(labels)} images, {features.shape[1]} features, in memory C {in_memory.C:.2g}, {reference:.5f}")
    for part in (4, 8, 16):
        fit = fit_head(stored, labels, fold, memory=features.nbytes // part)
        loss = log_loss(fit, labels)
        print(f"  memory for 1/{part}: C {fit.C:.2g}, log-loss {loss:.5f}, ratio {loss / reference:.4f}", flush=True)


def write_folder(work: Path, images: int) -> None:
    """A bundle on drawn images, a finished run of so many drawn rows by it, and their labels."""
    photos = draw_folder(work / "photos", 20)
    command = [sys.executable, "-m", "twofold", "train", str(photos), "--out", str(work / "first.twofold"), "--quiet"]
    subprocess.run([*command, "--features", "last", "--effort", "fast"], check=True, stdout=subprocess.DEVNULL)
    model, out = load_bundle(work / "first.twofold").record["sha256"], work / "answers"
    (out / "parts").mkdir(parents=True)
    write_plan(out, (f"/drawn/{number:09}.jpg".encode() for number in range(images)))
    rng = np.random.default_rng(0)
    # Some directions with much variance and one of the class, as the features of a network have.
    loadings = (
        rng.standard_normal((FACTORS, WIDTH), np.float32) * np.geomspace(1, 0.1, FACTORS, dtype=np.float32)[:, None]
    )
    signal = 0.03 * rng.standard_normal(WIDTH, np.float32)
    row_format = FeatureFormat(WIDTH)
    with (work / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        for part in read_parts(out, model):
            labels = rng.random(part.count) < 0.3
            features = rng.standard_normal((part.count, WIDTH), np.float32) * 0.5 + labels[:, None] * signal
            features += rng.standard_normal((part.count, FACTORS), np.float32) @ loadings * 0.3
            features = np.maximum(features + 0.5, 0).astype(np.float16)
            coarse = rng.integers(0, 255, (part.count, 8, 8, 3), np.uint8)
            thumbnails = coarse.repeat(4, axis=1).repeat(4, axis=2)
            drawn = [
                FeaturePrediction(Prediction(path, "cat", 0.5, 0.5, 0.0, None), metadata(path), thumbnail, row)
                for path, thumbnail, row in zip(part.paths(), thumbnails, features, strict=True)
            ]
            write_part(out / "parts", part.digest, drawn, row_format, model)
            rows.writerows(zip(part.paths(), np.where(labels, "dog", "cat"), strict=True))
    copy_model(work / "first.twofold", out / BUNDLE, model)
    record = {"format": 1, "bundle": model, "features": True, "working_folder": None}
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")


def metadata(path: str) -> Metadata:
    digest = hashlib.sha256(path.encode()).hexdigest()
    return Metadata(digest, digest + digest[:16], 500, 375, "JPEG", 29_000)


def memory(process: int) -> tuple[int, int]:
    """Anonymous and resident megabytes, 0 where the process has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        anonymous, resident = (int(status.partition(name)[2].split()[0]) // 1000 for name in ("RssAnon:", "VmHWM:"))
    except (OSError, IndexError):
        return 0, 0
    return anonymous, resident


def train(work: Path) -> None:
    command = ["train", "labels.csv", "--features-from", "answers", "--out", "second.twofold", "--force", "--json"]
    began, peaks = time.perf_counter(), [(0, 0)]
    with (work / "result.json").open("w", encoding="utf-8") as file:
        run = subprocess.Popen([sys.executable, "-m", "twofold", *command], cwd=work, stdout=file)
        while run.poll() is None:
            peaks.append(memory(run.pid))
            time.sleep(0.05)
    result = json.loads((work / "result.json").read_text(encoding="utf-8"))
    anonymous, resident = (max(column) for column in zip(*peaks, strict=True))
    print(
        f"{result['data']['used']:,} images, {WIDTH} features: {time.perf_counter() - began:.0f} s", result["seconds"]
    )
    print(f"peak memory: {anonymous:,} MB anonymous, {resident:,} MB with pages of mapped files")
    print("log-loss", result["cross_validation"]["metrics"]["log_loss"])


def compare_passes(work: Path) -> None:
    from pyarrow import parquet

    files = sorted((work / "answers" / "parts").iterdir())
    count = sum(parquet.read_metadata(file).num_rows for file in files)
    stored, row = mapped_array(user_cache_path("twofold"), (count, WIDTH), np.float16), 0
    began = time.perf_counter()
    for file in files:
        features = features_of(parquet.ParquetFile(file).read(["features"])["features"])
        stored[row : row + len(features)] = features
        row += len(features)
    print(f"{count:,} rows: {time.perf_counter() - began:.1f} s from Parquet and into a mapped file")
    stripes = Stripes.standardise(stored, 2**24 // (4 * WIDTH))
    began = time.perf_counter()
    for _ in stripes:
        pass
    print(f"{time.perf_counter() - began:.1f} s from the mapped file", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    losses = tasks.add_parser("losses")
    losses.add_argument("data", type=Path, nargs="+")
    whole = tasks.add_parser("whole")
    whole.add_argument("--images", type=int, default=1_000_000)
    whole.add_argument("--work", type=Path, required=True)
    passes = tasks.add_parser("passes")
    passes.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    if options.task == "passes":
        compare_passes(options.work)
        return
    if options.task == "losses":
        for data in options.data:
            compare_losses(data)
        return
    if not (options.work / "answers" / "run.json").exists():
        began = time.perf_counter()
        write_folder(options.work, options.images)
        print(f"{options.images:,} rows written in {time.perf_counter() - began:.0f} s", flush=True)
    train(options.work)


if __name__ == "__main__":
    main()
