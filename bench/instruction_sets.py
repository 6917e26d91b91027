"""Predictions of an int8 bundle under several instruction sets, and compared with float32.

    python bench/instruction_sets.py TRAIN TEST [TRAIN TEST ...]

A bundle is trained on each TRAIN in int8. It predicts TEST with all instruction sets of this processor, with AVX-512 without
VNNI, and with AVX2, by limits of oneDNN; this shows what a bundle does on older processors. Prints a table in Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from twofold.bundle.storage import load_bundle
from twofold.core.options import BackboneOptions, RuntimeOptions, TrainingOptions
from twofold.data import list_files
from twofold.embedding import Runtime
from twofold.networks import load_backbone
from twofold.workflows.save import save
from twofold.workflows.train import train

LIMITS = ("AVX512_CORE", "AVX2")


def predict(bundle: Path, images: Path, limit: str | None) -> list[tuple[str, float]]:
    """(label, logit) of each image, from a process of its own without a cache."""
    command = [sys.executable, "-m", "twofold", "predict", str(bundle), str(images), "--json", "--no-cache"]
    environment = os.environ | ({"ONEDNN_MAX_CPU_ISA": limit} if limit else {})
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [(row["label"], row["logit"]) for row in json.loads(result.stdout)]


def table_row(title: str, first: list[tuple[str, float]], second: list[tuple[str, float]]) -> str:
    """The differences between two lists of (label, logit)."""
    changed = sum(a != b for (a, _), (b, _) in zip(first, second, strict=True))
    distances = np.abs([a - b for (_, a), (_, b) in zip(first, second, strict=True)])
    fraction = f"{changed} of {len(first)} ({changed / len(first):.2%})"
    return f"| {title} | {fraction} | {np.median(distances):.3f} | {distances.max():.2f} |"


def measure(data: Path, test: Path, folder: Path) -> None:
    runtime = Runtime(folder / "cache", RuntimeOptions(cache=False))
    bundle = folder / "int8.twofold"
    save(train(data, TrainingOptions(backbone=BackboneOptions(dtype="int8")), runtime), bundle, force=True)
    int8 = {limit: predict(bundle, test, limit) for limit in (None, *LIMITS)}
    model = load_bundle(bundle).model
    float_engine = runtime.engine(load_backbone(BackboneOptions(dtype="f32"), "f32", cache=folder))
    predictions = model.stream(list_files([test]), runtime, float_engine)
    floats = [(prediction.label, prediction.logit) for prediction in predictions]
    for limit in LIMITS:
        print(table_row(f"{test}: {limit}, all instruction sets", int8[limit], int8[None]))
    for limit in (None, *LIMITS):
        print(
            table_row(f"{test}: float32, int8 with {limit or 'all instruction sets'}", floats, int8[limit]), flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", metavar="TRAIN TEST")
    paths = parser.parse_args().data
    print("| images | labels that differ | difference of logits, median | maximum |\n| --- | --- | --- | --- |")
    for data, test in zip(paths[::2], paths[1::2], strict=True):
        with TemporaryDirectory() as folder:
            measure(data, test, Path(folder))


if __name__ == "__main__":
    main()
