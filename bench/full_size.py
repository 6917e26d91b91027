"""Whether files of one exposure, exposures of one scene and look-alikes are distinguished at full size.

    python bench/full_size.py --tiles ../tiles --photographs ../shared/data/cats-dogs/train [--half 1]

Solar cells (of elpv-dataset), magnetic tiles, photographs and drawn slices. Both halves were looked at while the constants were
chosen.
planted: nine changes of some images, each pair compared. exposures: a tile and its next exposure. look-alikes: the pairs found
among images that are no files of one exposure: one exposure of each tile, one slice of each head, all cells and photographs.
resamplings (by `--only` alone): the same in 50 random parts.
"""

import argparse
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image
from planted_duplicates import CHANGES, QUALITY
from scipy.ndimage import gaussian_filter

from twofold.data import ReadError, open_grey
from twofold.duplicates import Fingerprints, FullImages, GreyImage, find_duplicates
from twofold.duplicates.alignment import turn
from twofold.duplicates.confirmation import Likeness, compare_at_full_size
from twofold.duplicates.perceptual_hash import greys
from twofold.duplicates.registration import register

SIZE = 256
RESAMPLINGS, RESAMPLED = 50, 200
TILE_STEP = 60  # exposures of a tile have numbers that differ by less


def draw_head(seed: int, count: int = 24) -> list[Image.Image]:
    """Slices of a drawn head with the noise of magnetic resonance imaging (Rician)."""
    random = np.random.default_rng(seed)
    z, (y, x) = np.linspace(-0.5, 0.5, count)[:, None, None], np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    folds, grain = (
        gaussian_filter(random.normal(size=(count, SIZE, SIZE)), blur) for blur in ((3, 6, 6), (1, 1.5, 1.5))
    )
    radius = np.sqrt((x / random.uniform(0.65, 0.75)) ** 2 + (y / random.uniform(0.8, 0.9)) ** 2 + 1.2 * z**2)
    tissue = (radius < 0.9) * (90 + 15 * folds / folds.std() + 6 * grain / grain.std())
    sharp = gaussian_filter(tissue + 180 * ((radius >= 0.9) & (radius < 1)), (0, 0.6, 0.6))
    noise = random.normal(0, random.uniform(2, 6), (2, count, SIZE, SIZE))
    slices = np.hypot(sharp + noise[0], noise[1]).clip(0, 255).round().astype(np.uint8)
    return [Image.fromarray(each) for each in slices]


def encode(image: Image.Image, quality: int | None = None) -> bytes:
    file = io.BytesIO()
    if quality is None:
        image.save(file, "PNG")
    else:
        image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def load(files: Sequence[bytes]) -> FullImages:
    def read(row: int) -> GreyImage | None:
        grey = open_grey(files[row])
        return None if isinstance(grey, ReadError) else GreyImage(grey[0], grey[1] or None)

    return FullImages(read, 2)


def compare(pairs: Sequence[tuple[bytes, bytes]], orientations: Sequence[int]) -> Likeness:
    files = [file for pair in pairs for file in pair]
    planes = greys(np.stack([np.asarray(thumbnail(file)) for file in files]))
    turned = [turn(plane, orientation) for plane, orientation in zip(planes[::2], orientations, strict=True)]
    maps = register(np.stack(turned), planes[1::2])[1]
    return compare_at_full_size(np.arange(len(files)).reshape(-1, 2), np.array(orientations), maps, load(files))


def thumbnail(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file)).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)


def planted(name: str, files: Sequence[bytes]) -> None:
    random, pairs, changes = np.random.default_rng(0), [], []
    for file in files:
        image = Image.open(io.BytesIO(file)).convert("RGB")
        for change, apply in CHANGES.items():
            pairs.append((file, encode(apply(image, random), 30 if change == "quality30" else QUALITY)))
            changes.append(change)
    near = compare(pairs, [int(change == "mirrored") for change in changes]).near
    missed = Counter(change for change, detected in zip(changes, near, strict=True) if not detected)
    print(f"planted, {name}: near {near.sum()} of {len(near)} ({near.mean():.4f}); missed {dict(missed)}", flush=True)


def same_scene(name: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
    likeness = compare(pairs, [0] * len(pairs))
    near, scene = likeness.near, ~likeness.near & likeness.same_scene
    quantiles = np.nanquantile(likeness.everywhere, (0.02, 0.05, 0.1, 0.5)).round(2).tolist()
    print(
        f"{name}: {len(pairs)} pairs, same-scene {scene.sum()}, near {near.sum()}; quantiles of `everywhere` {quantiles}",
        flush=True,
    )


def look_alikes(name: str, files: Sequence[bytes]) -> None:
    thumbnails = [thumbnail(file) for file in files]
    keys = [(str(row), f"{row} pixels") for row in range(len(files))]
    found = find_duplicates(Fingerprints(keys, np.stack([np.asarray(each) for each in thumbnails])), load(files))
    print(f"look-alikes, {name}: {len(files)} images, pairs {dict(Counter(pair.kind for pair in found))}", flush=True)


def resamplings(name: str, files: Sequence[bytes]) -> None:
    """Pairs found in random parts of images that are no files of one exposure."""
    counts: Counter[str] = Counter()
    thumbnails = np.stack([np.asarray(thumbnail(file)) for file in files])
    for seed in range(RESAMPLINGS):
        rows = np.random.default_rng(seed).permutation(len(files))[: min(RESAMPLED, len(files) * 3 // 4)]
        keys = [(str(row), f"{row} pixels") for row in rows]
        found = find_duplicates(Fingerprints(keys, thumbnails[rows]), load([files[row] for row in rows]))
        counts.update(pair.kind for pair in found)
    means = {kind: counts[kind] / RESAMPLINGS for kind in counts}
    print(f"resamplings, {name}: {RESAMPLINGS} of {len(rows)} images, mean number of pairs {means}", flush=True)


def tile_number(path: Path) -> tuple[int, int]:
    exposure, number = re.findall(r"\d+", path.stem)[:2]
    return int(number), int(exposure)


def of_one_shape(first: Path, second: Path) -> bool:
    """Whether the sides differ by at most 15%: exposures of a tile are cut out alike, and other tiles have near numbers."""
    with Image.open(first) as one, Image.open(second) as other:
        return all(abs(a - b) <= 0.15 * max(a, b) for a, b in zip(one.size, other.size, strict=True))


def apart(tiles: Sequence[Path]) -> list[Path]:
    """One exposure of each tile, except for tiles that were photographed again later."""
    gaps = np.diff([tile_number(path)[0] for path in tiles])
    return [path for path, gap in zip(tiles[1:], gaps, strict=True) if gap > 3 * TILE_STEP]


def read(paths: Iterable[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--half", type=int, default=1)
    parser.add_argument("--count", type=int, default=50, help="images that are changed, of each kind")
    parser.add_argument("--only", default="", help="the part to measure, such as planted")
    options = parser.parse_args()
    import elpv_dataset

    half = options.half
    cells = sorted((Path(elpv_dataset.__file__).parent / "data" / "images").glob("*.png"))[half::2]
    photographs = sorted(options.photographs.glob("*/*.jpg"))[half::2]
    tiles = sorted(options.tiles.glob("*/*.jpg"), key=tile_number)
    heads = [draw_head(1000 * half + seed) for seed in range(12)]
    random = np.random.default_rng(half)
    if options.only in ("", "exposures"):
        next_tiles = [
            pair
            for pair in pairwise(tiles)
            if tile_number(pair[1])[0] - tile_number(pair[0])[0] < TILE_STEP and of_one_shape(*pair)
        ][half::2]
        chosen = random.permutation(len(next_tiles))[:100]
        same_scene("exposures of tiles", [tuple(read(next_tiles[row])) for row in chosen])  # type: ignore[misc]
        same_scene(
            "neighbouring slices",
            [(encode(a), encode(b)) for head in heads for a, b in pairwise(head[8:12])],
        )
    if options.only in ("", "planted"):
        planted("drawn slices", [encode(head[row]) for head in heads for row in range(2, 22, 4)][: options.count])
        planted("photographs", read(random.choice(np.array(photographs), options.count, replace=False)))
        planted("solar cells", read(random.choice(np.array(cells), options.count, replace=False)))
    if options.only in ("", "look-alikes"):
        look_alikes("drawn slices", [encode(draw_head(5000 * half + seed, 3)[1]) for seed in range(80)])
        look_alikes("tiles", read(apart(tiles)))
        look_alikes("photographs", read(photographs))
        look_alikes("solar cells", read(cells))
    if options.only == "resamplings":
        resamplings("drawn slices", [encode(draw_head(5000 * half + seed, 3)[1]) for seed in range(80)])
        resamplings("tiles", read(apart(tiles)))
        resamplings("photographs", read(photographs))
        resamplings("solar cells", read(cells))


if __name__ == "__main__":
    main()
