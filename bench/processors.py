"""Does one int8 bundle answer the same on every processor? And how far is int8 from float32?

    python bench/processors.py TRAIN TEST [TRAIN TEST ...]

Each TRAIN is learned from in int8, and its TEST is answered for under each limit that oneDNN can be given: all that
this processor has, AVX-512 without VNNI, and AVX2. What the limit leaves out cannot be had by asking the processor alone, so this
shows what a bundle does on older ones. Prints a table, rows of Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from twofold.bundle.storage import load_bundle
from twofold.core.options import BackboneOptions, RuntimeOptions, TrainingOptions
from twofold.data import list_files
from twofold.embedding import Runtime
from twofold.networks import load_backbone
from twofold.workflows.save import save
from twofold.workflows.train import train

LIMITS = ("AVX512_CORE", "AVX2")


def answers(bundle: Path, images: Path, limit: str | None) -> list[dict[str, Any]]:
    """What the bundle answers in a process of its own, with nothing remembered."""
    command = [sys.executable, "-m", "twofold", "predict", str(bundle), str(images), "--json", "--no-cache"]
    environment = os.environ | ({"ONEDNN_MAX_CPU_ISA": limit} if limit else {})
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(result.stdout)


def row(what: str, first: list[Any], second: list[Any]) -> str:
    """How two lists of (label, logit) differ."""
    turned = sum(a != b for (a, _), (b, _) in zip(first, second, strict=True))
    apart = np.abs([a - b for (_, a), (_, b) in zip(first, second, strict=True)])
    return f"| {what} | {turned} of {len(first)} ({turned / len(first):.2%}) | {np.median(apart):.3f} | {apart.max():.2f} |"


def measure(data: Path, test: Path, folder: Path) -> None:
    runtime = Runtime(folder / "cache", RuntimeOptions(cache=False))
    bundle = folder / "int8.twofold"
    save(train(data, TrainingOptions(backbone=BackboneOptions(dtype="int8")), runtime), bundle, force=True)
    found = {limit: answers(bundle, test, limit) for limit in (None, *LIMITS)}
    pairs = {limit: [(answer["label"], answer["logit"]) for answer in rows] for limit, rows in found.items()}
    model = load_bundle(bundle).model
    exact = runtime.engine(load_backbone(BackboneOptions(dtype="f32"), "f32", cache=folder))
    predictions = model.predict(list_files([test]), runtime, exact)
    floats = [(prediction.label, prediction.logit) for prediction in predictions]
    for limit in LIMITS:
        print(row(f"{test}: {limit}, all that this processor has", pairs[limit], pairs[None]))
    for limit in (None, *LIMITS):
        print(row(f"{test}: float32, int8 under {limit or 'all'}", floats, pairs[limit]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", metavar="TRAIN TEST")
    given = parser.parse_args().data
    print("| pictures | answers that differ | logit moved, median | at most |\n| --- | --- | --- | --- |")
    for data, test in zip(given[::2], given[1::2], strict=True):
        with TemporaryDirectory() as folder:
            measure(data, test, Path(folder))


if __name__ == "__main__":
    main()
