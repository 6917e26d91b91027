"""Duplicates of an audit in parts: seconds and peak memory for a million images.

python bench/parts_audit.py --images 1000000 --work DIR    # writes DIR: parts of drawn thumbnails, 3 kB each, and no images

Two images in 100 have the bytes of another, one has its pixels, and two are changed by noise and light. The others have the
spectrum of photographs, and their hashes are as near to each other as those of photographs are. The paths name no files, so
nothing is compared at full size.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import idctn

from twofold.core.options import RuntimeOptions
from twofold.core.progress import no_progress
from twofold.data import SMALL
from twofold.embedding import Metadata
from twofold.workflows.scale.audit_parts import audit_finished_parts
from twofold.workflows.scale.part_files import PARTS, write_part
from twofold.workflows.scale.plan import read_parts, write_plan
from twofold.workflows.scale.scan_rows import ImageScanner, ScanFormat, ScannedImage

COMMON = 0.3  # of the light: 2,800 photographs have 14 pairs of hashes that differ in 12 bits, as many drawn ones 11
BLOCK = 10_000  # images that are drawn at once, in each of which the last five in 100 are changed from the first
OPTIONS = RuntimeOptions()


def draw(count: int, seed: int) -> NDArray[np.uint8]:
    """Grey images with a spectrum of 1 / f, and some light in common."""
    random = np.random.default_rng(seed)
    across, down = np.meshgrid(np.arange(SMALL), np.arange(SMALL))
    amplitude = 900 / (1 + np.hypot(across, down)) ** 1.2
    common = np.random.default_rng(0).normal(0, COMMON, (SMALL, SMALL))
    waves = (random.normal(0, 1, (count, SMALL, SMALL)) + common) * amplitude
    waves[:, 0, 0] = 0
    grey = idctn(waves.astype(np.float32), axes=(1, 2), norm="ortho") + 128
    return np.repeat(grey[..., None], 3, axis=3).clip(0, 255).astype(np.uint8)


def rows(first: int, count: int) -> list[ScannedImage]:
    """The rows of images with these numbers, planted duplicates at the end."""
    thumbnails, random = draw(count, first), np.random.default_rng(first + 1)
    at = {kind: count * share // 100 for kind, share in (("near", 95), ("pixels", 97), ("exact", 98))}
    originals = thumbnails[: at["pixels"] - at["near"]]
    light = random.uniform(0.8, 1.2, (len(originals), 1, 1, 1))
    noise = random.normal(0, 4, originals.shape)
    thumbnails[at["near"] : at["pixels"]] = (originals * light + noise).clip(0, 255)
    same = np.arange(at["pixels"], count)
    thumbnails[same] = thumbnails[same - at["pixels"]]
    names = [f"{first + (row if row < at['pixels'] else row - at['pixels'])}" for row in range(count)]
    return [
        ScannedImage(
            f"{first + row:09}", None, metadata(name, other_bytes=at["pixels"] <= row < at["exact"]), thumbnail
        )
        for row, (name, thumbnail) in enumerate(zip(names, thumbnails, strict=True))
    ]


def metadata(name: str, *, other_bytes: bool) -> Metadata:
    pixels = hashlib.sha256(name.encode()).hexdigest()
    sha256 = hashlib.sha256(f"{name} {other_bytes}".encode()).hexdigest()
    return Metadata(sha256, pixels + pixels[:16], 500, 375, "JPEG", 30_000)


def write_parts(out: Path, count: int) -> None:
    scanner = ImageScanner(OPTIONS)
    (out / PARTS).mkdir(parents=True)
    write_plan(out, (f"/no/such/folder/of/images/{number:09}.jpg".encode() for number in range(count)))
    parts, waiting, first = read_parts(out, scanner.digest()), [], 0
    for part in parts:
        while len(waiting) < part.count:
            waiting += rows(first, min(BLOCK, count - first))
            first += BLOCK
        write_part(out / PARTS, part.digest, waiting[: part.count], ScanFormat(), scanner.digest())
        del waiting[: part.count]


def peak_megabytes() -> int:
    return int(Path("/proc/self/status").read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0]) // 1000


def find(out: Path) -> None:
    """Finds the duplicates in this process, and prints what it took."""
    before = peak_megabytes()
    began = time.perf_counter()
    _, summary = audit_finished_parts(out, ImageScanner(OPTIONS).digest(), OPTIONS, no_progress)
    seconds, peak = time.perf_counter() - began, peak_megabytes()
    counts = ", ".join(f"{count.pairs:,} {kind}" for kind, count in summary.kinds.items())
    print(
        f"{seconds:.0f} s ({time.process_time():.0f} s of a core), {peak:,} MB at most, {before} MB of them before; {counts}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--find", action="store_true", help="only the duplicates of the parts in DIR")
    options = parser.parse_args()
    if options.find:
        find(options.work)
        return
    shutil.rmtree(options.work, ignore_errors=True)
    began = time.perf_counter()
    write_parts(options.work, options.images)
    print(f"parts of {options.images:,} images drawn and written in {time.perf_counter() - began:.0f} s", flush=True)
    planted = {kind: options.images * share // 100 for kind, share in (("exact", 2), ("pixels", 1), ("near", 2))}
    print("planted: " + ", ".join(f"{count:,} {kind}" for kind, count in planted.items()), flush=True)
    subprocess.run([sys.executable, __file__, "--find", "--work", str(options.work)], check=True)


if __name__ == "__main__":
    main()
