"""Windows beside the image (`--views`): out-of-fold log-loss and accuracy on drawn images with a small mark, or on data.

    python bench/views.py scratch faint brushed dot [--images 300] [--folder drawn]
    python bench/views.py large --images 120 --views 2 4 8
    python bench/views.py tiles demo/train.csv --views 2 3

Names of `KINDS` are drawn, half of the images with a mark; other arguments are DATA, of which only training images are read. The
image is squashed; five folds by groups, mean of two shuffles. Log-losses are those of the head, before calibration.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from platformdirs import user_cache_path

from twofold.core.options import BackboneOptions, DataOptions
from twofold.data import list_labelled_files
from twofold.embedding import Runtime
from twofold.networks import Backbone, load_backbone
from twofold.workflows.embedded_sample import CropComparison, EmbeddedSample
from twofold.workflows.views import views_text

SHUFFLES = 2


@dataclass(frozen=True)
class Kind:
    """Images of this size with a texture and a mark, darker by `contrast` of 255."""

    size: tuple[int, int]
    texture: str
    mark: str
    contrast: int


KINDS = {
    "brushed": Kind((1600, 1200), "brushed", "scratch", 60),
    "dot": Kind((1600, 1200), "clouds", "dot", 60),
    "faint": Kind((1600, 1200), "clouds", "scratch", 35),
    "large": Kind((4000, 3000), "clouds", "scratch", 60),
    "large-dot": Kind((4000, 3000), "clouds", "dot", 60),
    "scratch": Kind((1600, 1200), "clouds", "scratch", 60),
}


def draw(name: str, *, marked: bool, number: int) -> Image.Image:
    kind = KINDS[name]
    random = np.random.default_rng([*name.encode(), number, marked])
    pixels = draw_texture(kind, random)
    if marked:
        pixels -= kind.contrast * draw_mark(kind, random)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB")


def draw_texture(kind: Kind, random: np.random.Generator) -> NDArray[np.float32]:
    """Grey values: shapes of several sizes, brightness that differs between images, and grain."""
    width, height = kind.size
    if kind.texture == "brushed":
        lines = random.normal(size=(height, width // 100 + 1)).astype(np.float32)
        shapes = 9 * np.repeat(lines, 100, axis=1)[:, :width] + 12 * draw_clouds(kind.size, 300, random)
    else:
        cells = ((160, 12), (40, 9), (12, 6))
        shapes = np.sum([scale * draw_clouds(kind.size, cell, random) for cell, scale in cells], axis=0)
    return 128 + random.normal(0, 12) + shapes + random.normal(0, 5, (height, width)).astype(np.float32)


def draw_clouds(size: tuple[int, int], cell: int, random: np.random.Generator) -> NDArray[np.float32]:
    grid = random.normal(size=(size[1] // cell + 3, size[0] // cell + 3)).astype(np.float32)
    return np.array(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))


def draw_mark(kind: Kind, random: np.random.Generator) -> NDArray[np.float32]:
    """1 on a scratch of 3 x 60 pixels in any direction, or on a dot of 12 pixels, anywhere; 0 elsewhere."""
    mask = Image.new("L", kind.size)
    x, y, angle = random.uniform(60, kind.size[0] - 60), random.uniform(60, kind.size[1] - 60), random.uniform(0, np.pi)
    dx, dy = 30 * np.cos(angle), 30 * np.sin(angle)
    if kind.mark == "dot":
        ImageDraw.Draw(mask).ellipse((x - 6, y - 6, x + 6, y + 6), fill=255)
    else:
        ImageDraw.Draw(mask).line((x - dx, y - dy, x + dx, y + dy), fill=255, width=3)
    return np.asarray(mask, np.float32) / 255


def draw_folder(name: str, folder: Path, images: int) -> Path:
    """JPEG files of quality 95, in a folder for each class; those that exist stay."""
    for number in range(images):
        label, marked = ("free", "marked")[number % 2], number % 2 == 1
        path = folder / name / label / f"{number // 2:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            draw(name, marked=marked, number=number // 2).save(path, quality=95)
    return folder / name


def measure(data: Path, backbone: Backbone, runtime: Runtime, grids: list[int], limit: int | None) -> Iterator[str]:
    file_list = list_labelled_files(data, DataOptions())
    numbers = np.sort(np.random.default_rng(0).permutation(len(file_list.files))[:limit])
    preprocessing = replace(backbone.preprocessing, views=tuple(grids))
    embedded, start = replace(backbone, preprocessing=preprocessing), perf_counter()
    rows = runtime.embed_rows([file_list.paths[number] for number in numbers], runtime.engine(embedded), what=str(data))
    sample = EmbeddedSample(dict(zip(numbers.tolist(), rows, strict=True)), embedded)
    yield f"{data}: {len(rows)} images, {perf_counter() - start:.0f} s for {len(preprocessing.crops)} model inputs of each"
    comparisons = [CropComparison.of_sample(sample, file_list, 5, seed) for seed in range(SHUFFLES)]
    for views in chain.from_iterable(combinations(grids, count) for count in range(3)):
        losses = np.array([each.losses(replace(preprocessing, views=views)) for each in comparisons])
        yield f"  {views_text(views):8} {losses.mean():.4f}, {np.mean(losses < np.log(2)):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--views", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--images", type=int, help="at most; by default 300 are drawn, and all of DATA are read")
    parser.add_argument("--folder", type=Path, default=Path("drawn"))
    parser.add_argument("--dtype", default="int8")
    arguments = parser.parse_args()
    runtime = Runtime(user_cache_path("twofold"))
    backbone = load_backbone(BackboneOptions(crop_mode="squash"), arguments.dtype, cache=runtime.folder)
    for name in arguments.data:
        data = draw_folder(name, arguments.folder, arguments.images or 300) if name in KINDS else Path(name)
        for line in measure(data, backbone, runtime, arguments.views, arguments.images):
            print(line, flush=True)


if __name__ == "__main__":
    main()
