"""The familiarity gate: false alarms on images of the trained kind, and refusals of others.

    python bench/familiarity.py NAME=TRAIN[:TEST]... [--images N] [--axes 64] [--seeds 1] [--altered]

Each NAME is a kind of images: a gate is fitted on TRAIN (or on N groups of it), as `train` does with the crop mode `squash`. It
is asked about TEST (by default a third of the groups of TRAIN, held out), about TRAIN of all other kinds, and about images that
are drawn here: noise, flat colours, pages of text and shapes. A TRAIN after a + is only asked about. With `--altered` TEST is
darkened, compressed, halved and blurred, too. Printed is the percentage of images that are unfamiliar.
"""

import argparse
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont
from platformdirs import user_cache_path

from twofold.core.options import BackboneOptions, DataOptions
from twofold.data import list_labelled_files, open_image
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset, embed_files
from twofold.decision import FamiliarityFit, fit_familiarity
from twofold.embedding import Engine, Runtime, Source
from twofold.networks import choose_dtype, last_pooling, load_backbone, offered_dtypes

DRAWN, ALTERED = 200, 200  # images of each
WORDS = ("lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "do", "eiusmod")
Random = np.random.Generator


def noise(random: Random) -> Image.Image:
    """White noise, or noise of large grain."""
    side = int(random.choice([224, 28]))
    pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC)


def flat(random: Random) -> Image.Image:
    return Image.new("RGB", (260, 200), colour(random))


def page(random: Random) -> Image.Image:
    """A page of text."""
    image = Image.new("RGB", (600, 800), "white" if random.random() < 0.7 else (250, 245, 230))
    size, y, draw = int(random.integers(10, 34)), 30, ImageDraw.Draw(image)
    while y < 770:
        words = random.choice(WORDS, int(random.integers(2, 900 // (size * 4) + 3)))
        draw.text((30, y), " ".join(words), fill=(20, 20, 20), font=ImageFont.load_default(size))
        y += int(size * 1.4) * int(random.choice([1, 1, 1, 2]))
    return image


def shapes(random: Random) -> Image.Image:
    image = Image.new("RGB", (256, 256), colour(random))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(1, 8))):
        left, top, width, height = (*random.integers(0, 200, 2).tolist(), *random.integers(20, 120, 2).tolist())
        box, corners = [left, top, left + width, top + height], random.integers(0, 256, (3, 2)).tolist()
        match int(random.integers(4)):
            case 0:
                draw.rectangle(box, fill=colour(random))
            case 1:
                draw.ellipse(box, fill=colour(random))
            case 2:
                draw.polygon([tuple(corner) for corner in corners], fill=colour(random))
            case _:
                draw.line(box, fill=colour(random), width=int(random.integers(2, 15)))
    return image


def colour(random: Random) -> tuple[int, ...]:
    return tuple(random.integers(0, 256, 3).tolist())


def compressed(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=20)
    return file.getvalue()


ALTERATIONS: dict[str, Callable[[Image.Image], Source]] = {
    "brightness -30%": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "JPEG quality 20": compressed,
    "half size": lambda image: image.resize((max(1, image.width // 2), max(1, image.height // 2))),
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(max(1.0, min(image.size) / 150))),
}


@dataclass(frozen=True)
class Kind:
    """A kind of images: what the gate is fitted on, and what it is asked about."""

    features: NDArray[np.float32]
    labels: NDArray[np.int8]
    groups: NDArray[np.int64]
    test: NDArray[np.float32]
    altered: dict[str, NDArray[np.float32]]
    fitted: bool


class Bench:
    def __init__(self) -> None:
        self.runtime, options = Runtime(user_cache_path("twofold")), BackboneOptions(crop_mode="squash", views="1")
        dtype = choose_dtype(options, offered_dtypes(options.backbone))
        self.engine: Engine = self.runtime.engine(load_backbone(options, dtype, cache=self.runtime.folder))

    def dataset(self, data: Path) -> LabelledDataset:
        file_list = list_labelled_files(data, DataOptions())
        return embed_files(file_list, file_list.paths, self.engine, self.runtime, what=str(data))

    def features(self, sources: Sequence[Source]) -> NDArray[np.float32]:
        return self.last(self.runtime.embed(sources, self.engine).features)

    def last(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The last pooling."""
        backbone = self.engine.backbone
        ((start, end),) = last_pooling(backbone.name, backbone.features, features.shape[1])
        return np.ascontiguousarray(features[:, start:end])

    def kind(self, text: str, *, altered: bool) -> Kind:
        train, _, test = text.removeprefix("+").partition(":")
        dataset = self.dataset(Path(train))
        rows, test_set = np.flatnonzero(dataset.valid), self.dataset(Path(test)) if test else None
        held_out = np.zeros(len(rows), np.bool_) if test else dataset.groups[rows] % 3 == 0
        test_paths = test_set.paths if test_set else [dataset.paths[row] for row in rows[held_out]]
        features = self.last(dataset.table.features)
        test_features = self.last(test_set.table.features) if test_set else features[rows[held_out]]
        fit_rows, sample = rows[~held_out], test_paths[:: max(1, len(test_paths) // ALTERED)]
        images = [Image.fromarray(open_image(Path(path).read_bytes())) for path in sample] if altered else []
        return Kind(
            features[fit_rows],
            dataset.labels[fit_rows],
            dataset.groups[fit_rows],
            test_features,
            {
                name: self.features([change(image) for image in images])
                for name, change in ALTERATIONS.items()
                if images
            },
            not text.startswith("+"),
        )


def fit(kind: Kind, count: int | None, axes: int, seed: int) -> tuple[FamiliarityFit, float]:
    """The gate on `count` groups, and the seconds that it took."""
    names = np.random.default_rng(seed).permutation(np.unique(kind.groups))[:count]
    rows = np.isin(kind.groups, names)
    features, labels, groups = kind.features[rows], kind.labels[rows], kind.groups[rows]
    fold, start = folds(labels, groups, 5, seed), time.perf_counter()
    fitted = fit_familiarity(features, fold, groups, ((0, features.shape[1]),), max_axes=axes)
    return fitted, time.perf_counter() - start


def percent(fits: Sequence[FamiliarityFit], features: NDArray[np.float32]) -> str:
    rates = [100 * np.mean(each.familiarity.of(features) < each.gate.level) for each in fits]
    return f"{np.mean(rates):.1f}"


def size(fitted: FamiliarityFit) -> float:
    familiarity = fitted.familiarity
    return (
        sum(array.nbytes for array in (familiarity.mean, familiarity.axes, familiarity.knots, familiarity.levels)) / 1e3
    )


def seconds_an_image(bench: Bench, kind: Kind, path: Path) -> None:
    """Prints what the gate costs beside the network, for new images."""
    runtime = Runtime(bench.runtime.folder, bench.runtime.options.__class__(cache=False))
    sources, engine = list_labelled_files(path, DataOptions()).paths[:128], runtime.engine(bench.engine.backbone)
    runtime.embed(sources[:16], engine)
    start = time.perf_counter()
    runtime.embed(sources, engine)
    embedding, (fitted, _) = (time.perf_counter() - start) / len(sources), fit(kind, None, 64, 0)
    start = time.perf_counter()
    for row in range(0, 640, 64):
        fitted.familiarity.of(kind.features[row : row + 64])
    print(
        f"embedding {1e3 * embedding:.2f} ms an image, familiarity {1e3 * (time.perf_counter() - start) / 640:.3f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", metavar="NAME=TRAIN[:TEST]")
    parser.add_argument("--images", type=int)
    parser.add_argument("--axes", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--altered", action="store_true")
    arguments = parser.parse_args()
    bench, texts = Bench(), dict(text.split("=", 1) for text in arguments.kinds)
    kinds = {name: bench.kind(text, altered=arguments.altered) for name, text in texts.items()}
    drawn = {
        each.__name__: bench.features([each(np.random.default_rng([7, number])) for number in range(DRAWN)])
        for each in (noise, flat, page, shapes)
    }
    for name, kind in kinds.items():
        if not kind.fitted:
            continue
        results = [fit(kind, arguments.images, arguments.axes, seed) for seed in range(arguments.seeds)]
        fits, gate = [each for each, _ in results], results[0][0].gate
        seconds = np.mean([each for _, each in results])
        print(
            f"\n{name}: {gate.groups} groups, at most {100 * gate.false_alarms:.1f}% false alarms, {size(fits[0]):.0f} kB, "
            f"{seconds:.2f} s\n  same kind: test {percent(fits, kind.test)}"
            + "".join(f", {change} {percent(fits, features)}" for change, features in kind.altered.items())
        )
        others = {other: each.features for other, each in kinds.items() if other != name} | drawn
        print(
            "  others: " + ", ".join(f"{other} {percent(fits, features)}" for other, features in others.items()),
            flush=True,
        )
    name, text = next(iter(texts.items()))
    seconds_an_image(bench, kinds[name], Path(text.removeprefix("+").partition(":")[0]))


if __name__ == "__main__":
    main()
