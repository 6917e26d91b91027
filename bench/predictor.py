"""The Predictor: equal predictions in several threads, the latency of one image, and the memory of 200,000 cached paths.

python bench/predictor.py threads B.twofold IMAGES    # IMAGES: a folder with at least 440 images
python bench/predictor.py latency B.twofold IMAGES
python bench/predictor.py cached B.twofold --work DIR # writes 2,000 images and 200,000 hard links to them
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from twofold.bundle.storage import load_bundle
from twofold.core.options import RuntimeOptions
from twofold.data import list_files, preprocess
from twofold.embedding import BATCH, Runtime
from twofold.workflows.predict import Predictor

IMAGES, LINKS = 2_000, 100  # of the cached paths


def mixed_files(folder: Path, images: Path, count: int = 500) -> list[Path]:
    """Images of many sizes; every tenth is replaced by a truncated, empty or missing file, or a file that is no image."""
    images_of_folder = [path for path in list_files([images]) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    paths, random_state = [], random.Random(0)
    for number, source in enumerate(random_state.sample(images_of_folder, count)):
        path = folder / f"{number}.jpg"
        if number % 10 == 7:
            content = (source.read_bytes()[:2000], b"", b"no image", None)[number // 10 % 4]
            if content is not None:
                path.write_bytes(content)
        else:
            with Image.open(source) as image:
                side = random_state.choice((16, 64, 224, 500, 1200))
                image.convert("RGB").resize((side, side * (1 + number % 3) // 2)).save(path)
        paths.append(path)
    return paths


def compare_threads(bundle: Path, images: Path) -> None:
    loaded = load_bundle(bundle)
    with tempfile.TemporaryDirectory() as folder:
        files = mixed_files(Path(folder), images)
        with Predictor(loaded, Runtime(Path(folder), RuntimeOptions(cache=False, threads=1))) as predictor:
            expected = predictor.predict(files)
        read_errors = sum(prediction.reason is not None for prediction in expected)
        print(f"one thread: {len(files)} files, {read_errors} with a read error")
        for threads in (2, 8):
            with Predictor(loaded, Runtime(Path(folder), RuntimeOptions(cache=False))) as predictor:
                start = time.perf_counter()
                with ThreadPoolExecutor(threads) as pool:
                    results = list(pool.map(predictor.predict, [files] * threads))
                seconds = time.perf_counter() - start
            equal = sum(result == expected for result in results)
            rate = threads * len(files) / seconds
            print(
                f"{threads} threads x {len(files)} files: {equal} of {threads} equal to the bit, {rate:.0f} files/s",
                flush=True,
            )


def milliseconds(*functions: Callable[[], object], repeats: int = 200) -> list[float]:
    """The tenth percentile of each function's time; calls are interleaved, so that other processes affect all functions."""
    seconds = np.empty((repeats, len(functions)))
    for row in seconds:
        for column, function in enumerate(functions):
            start = time.perf_counter()
            function()
            row[column] = time.perf_counter() - start
    return [float(value) for value in np.percentile(seconds, 10, axis=0) * 1000]


def measure_latency(bundle: Path, images: Path) -> None:
    model = load_bundle(bundle).model
    preprocessing, file = model.backbone.preprocessing, list_files([images])[0]
    pixels = np.random.default_rng(0).integers(0, 256, (preprocessing.size, preprocessing.size, 3), np.uint8)
    runtime = Runtime(Path(os.devnull), RuntimeOptions(cache=False))
    engine = model.engine(runtime)
    engine.warm()

    def run(count: int) -> None:
        with engine.request(count) as request:
            request.model_inputs[:] = pixels
            request.run(count)

    with Predictor(model, runtime) as predictor:
        predictor.warm()
        for name, source in (
            ("array of the network's size", pixels),
            (f"JPEG of {file.stat().st_size // 1000} kB", file),
        ):
            data = source if isinstance(source, np.ndarray) else source.read_bytes()
            total, single, batch, decoding = milliseconds(
                lambda source=source: predictor.predict([source]),
                lambda: run(1),
                lambda: run(BATCH),
                lambda data=data: preprocess(data, preprocessing),
            )
            print(
                f"{model.backbone.dtype}, one {name}: {total:.2f} ms; bare network {single:.2f} ms, in a batch of {BATCH} "
                f"{batch:.2f} ms, preprocessing {decoding:.2f} ms, overhead {total - single - decoding:.2f} ms: "
                f"{total / single:.2f} x bare network, {total / batch:.2f} x its batch"
            )


def link_images(work: Path) -> Path:
    folder = work / "links"
    if folder.exists():
        return folder
    (work / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    folder.mkdir()
    for number in range(IMAGES):
        path = work / "images" / f"{number}.png"
        Image.fromarray(generator.integers(0, 256, (24, 24, 3), np.uint8)).save(path)
        for link in range(LINKS):
            os.link(path, folder / f"{link:03d}-{number:04d}.png")
    return folder


def resident_mb(process: int) -> float:
    fields = Path(f"/proc/{process}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) * 1024 / 1e6


def measure_cached(bundle: Path, work: Path) -> None:
    folder = link_images(work)
    environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}
    command = [sys.executable, "-m", "twofold", "predict", str(bundle)]
    subprocess.run([*command, str(work / "images")], env=environment, stdout=subprocess.DEVNULL, check=True)
    start = time.perf_counter()
    subprocess.run([*command, str(work / "images" / "0.png")], env=environment, stdout=subprocess.DEVNULL, check=True)
    print(f"the command on one cached path: {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    files = list_files([folder])
    listing_seconds = time.perf_counter() - start
    loaded = load_bundle(bundle)
    with Predictor(loaded, Runtime(work / "cache" / "twofold")) as predictor:
        start = time.perf_counter()
        stream = predictor.stream(files)
        next(stream)
        first = time.perf_counter() - start
        print(
            f"Predictor.stream of {len(files):,} cached paths: first row after {first:.2f} s; listing {listing_seconds:.2f} s"
        )
        stream.close()
    (work / "paths.txt").write_text("\n".join(map(str, files)))
    measure_memory("a folder", [*command, str(folder)], work, environment)
    measure_memory("paths on stdin", [*command, "-"], work, environment)


def measure_memory(title: str, command: list[str], work: Path, environment: dict[str, str]) -> None:
    start = time.perf_counter()
    with (work / "paths.txt").open() as paths:
        process = subprocess.Popen(command, env=environment, stdin=paths, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    header = time.perf_counter() - start
    first, peak, baseline, count = 0.0, 0.0, 0.0, 0
    for count, _ in enumerate(process.stdout, 1):
        if count == 1:
            first = time.perf_counter() - start
        elif count == 10_000:
            baseline = peak = resident_mb(process.pid)
        elif count % 5_000 == 0 and process.poll() is None:
            peak = max(peak, resident_mb(process.pid))
    process.wait()
    print(
        f"{title}: {count:,} rows in {time.perf_counter() - start:.1f} s; header {header:.2f} s and first row {first:.2f} s "
        f"after the start of the process; resident {baseline:.0f} MB at row 10,000, at most {peak - baseline:+.1f} MB later",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurement", choices=("threads", "latency", "cached"))
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path, nargs="?")
    parser.add_argument("--work", type=Path, default=Path("predictor-bench"))
    arguments = parser.parse_args()
    if arguments.measurement == "cached":
        measure_cached(arguments.bundle, arguments.work)
    else:
        {"threads": compare_threads, "latency": measure_latency}[arguments.measurement](
            arguments.bundle, arguments.images
        )


if __name__ == "__main__":
    main()
