"""Evidence maps: sums, planted marks, cost, and agreement with occlusion.

    python bench/evidence.py scratch [--bundle pets.twofold --data pets/test] [--images 60]

Trains on drawn textures with a blob or a line of two pixels in half of the images, 150 of each class, and looks for the marks of
100 others in their maps. With a bundle and images of its own it also measures cost and agreement with occlusion there.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from platformdirs import user_cache_path

from twofold.bundle.model import Model
from twofold.bundle.storage import load_bundle
from twofold.core.options import BackboneOptions, RuntimeOptions, TrainingOptions
from twofold.data import iterate_files
from twofold.embedding import PATCHES, Runtime, coarsen
from twofold.workflows.evidence_checks import evidence_checks
from twofold.workflows.explain import Explainer
from twofold.workflows.predict import Predictor
from twofold.workflows.train import train

TRAINING, TESTS = 150, 100
CELL = 16  # pixels of the model input per cell of the middle blocks, which most features are pooled from
KINDS: dict[str, dict[str, Any]] = {
    "blob": {},
    "blob, squash": {"crop_mode": "squash"},
    "blob, pad": {"crop_mode": "pad"},
    "blob, 2 x 2 views": {"views": "2x2"},
    "line": {},
}


def texture(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Soft grey clouds with grain."""
    width, height = size
    clouds = Image.fromarray(random.integers(0, 256, (height, width), np.uint8)).filter(ImageFilter.GaussianBlur(6))
    values = 128 + (np.asarray(clouds, np.float64) - 128) * 4 + random.normal(0, 6, (height, width))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


def draw(kind: str, number: int, label: int) -> tuple[Image.Image, NDArray[np.float64]]:
    """An image, with a mark for label 1, and the points of its mark, (n, 2) as x and y."""
    random = np.random.default_rng([11, len(kind.split(",")[0]), number, label])
    size = (320, 240) if number % 2 else (240, 300)
    image = texture(random, size)
    # Within what the centre crop sees.
    left, top = (size[0] - min(size) * 0.875) / 2 + 14, (size[1] - min(size) * 0.875) / 2 + 14
    x, y = random.uniform(left, size[0] - left), random.uniform(top, size[1] - top)
    if not label:
        return image, np.zeros((0, 2))
    pen = ImageDraw.Draw(image)
    if kind.startswith("blob"):
        radius = random.uniform(6, 12)
        shade = int(random.choice([30, 225]))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(shade, shade, shade))
        return image, np.array([[x, y]])
    angle, length = random.uniform(0, np.pi), random.uniform(40, 70)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    points = np.array([x, y]) + np.linspace(-1, 1, 40)[:, None] * step
    pen.line([tuple(points[0]), tuple(points[-1])], fill=(30, 30, 30), width=2)
    return image, points


def write(folder: Path, kind: str) -> Path:
    for label, name in enumerate(("free", "marked")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(TRAINING):
            draw(kind, number, label)[0].save(folder / name / f"{number}.png")
    return folder


def fit(kind: str, folder: Path, runtime: Runtime) -> Model:
    data = write(folder / kind.split(",")[0], kind)
    options = TrainingOptions(backbone=BackboneOptions(**KINDS[kind]), positive="marked")
    return train(data, options, runtime).fit.model


def find_marks(kind: str, explainer: Explainer) -> dict[str, Any]:
    """How often the strongest cell of the map lies within a cell of the mark, and the distances of marks and dots in cells."""
    distances, dots, errors, correct = [], [], [], 0
    for number in range(10_000, 10_000 + TESTS):
        image, points = draw(kind, number, 1)
        explanation = explainer.explain(np.asarray(image))
        assert explanation.map is not None
        assert explanation.bias is not None
        assert explanation.logit is not None
        correct += explanation.prediction.label == "marked"
        errors.append(abs(float(explanation.map.sum(dtype=np.float64)) + explanation.bias - explanation.logit))
        cell = CELL * min(image.size) * 0.875 / explainer.model.backbone.preprocessing.size
        at = strongest(explanation.map, image.size)
        distances.append(float(np.hypot(*(points - at).T).min()) / cell)
        dots.append(find_dot(explainer, number) / cell)
    return {
        "accuracy": correct / TESTS,
        "hits": float(np.mean(np.array(distances) <= 1)),
        "median distance in cells": float(np.median(distances)),
        "dots within half a cell": float(np.mean(np.array(dots) <= 0.5)),
        "median dot distance in cells": float(np.median(dots)),
        "largest error of the sum": max(errors),
    }


def strongest(evidence: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """The centre of the strongest cell, as x and y in pixels of the image."""
    row, column = np.unravel_index(int(np.argmax(evidence)), evidence.shape)
    return np.array([(column + 0.5) / evidence.shape[1] * size[0], (row + 0.5) / evidence.shape[0] * size[1]])


def find_dot(explainer: Explainer, number: int) -> float:
    """The distance, in pixels, between a dot and the centre of the change of the map that it makes."""
    random = np.random.default_rng([12, number])
    image = texture(random, (320, 240))
    x, y = random.uniform(80, 240), random.uniform(50, 190)
    dotted = image.copy()
    ImageDraw.Draw(dotted).ellipse((x - 4, y - 4, x + 4, y + 4), fill=(255, 255, 255))
    before, after = (explainer.explain(np.asarray(each)).map for each in (image, dotted))
    assert before is not None
    assert after is not None
    change = np.abs(after - before)
    at = strongest(change, image.size)
    return float(np.hypot(at[0] - x, at[1] - y))


def seconds(stream: Iterator[Any]) -> float:
    """Processor time, which other processes change less than time on the clock."""
    start = process_time()
    for _ in stream:
        pass
    return process_time() - start


def measure_cost(model: Model, files: list[Path], runtime: Runtime) -> dict[str, float]:
    """Milliseconds of processor time per image of predicting and of explaining, without the cache; the best of three rounds."""
    uncached = Runtime(runtime.folder, RuntimeOptions(cache=False))
    predictor, explainer = Predictor(model, uncached), Explainer(model, uncached)
    predictor.predict(files[:8])
    explainer.explain(files[0])
    rounds = [(seconds(predictor.stream(files)), seconds(explainer.stream(files))) for _ in range(3)]
    predicting, explaining = (min(each) * 1000 / len(files) for each in zip(*rounds, strict=True))
    return {"predict ms": predicting, "explain ms": explaining, "added": explaining / predicting - 1}


def compare_occlusion(explainer: Explainer, files: list[Path]) -> dict[str, float]:
    """The mean correlation with occlusion over 8 x 8 patches, and how often the strongest patch is among the three strongest."""
    correlations, agreements, errors = [], [], []
    for file in files:
        exact, occluded = explainer.explain(file), explainer.explain(file, method="occlusion")
        if exact.map is None or occluded.map is None or exact.logit is None or exact.bias is None:
            continue
        sign = 1 if exact.logit > 0 else -1
        ours, theirs = sign * coarsen(exact.map, PATCHES).ravel(), sign * occluded.map.ravel()
        correlations.append(float(np.corrcoef(ours, theirs)[0, 1]))
        agreements.append(int(np.argmax(ours)) in np.argsort(-theirs)[:3].tolist())
        errors.append(abs(float(exact.map.sum(dtype=np.float64)) + exact.bias - exact.logit))
    return {
        "correlation": float(np.mean(correlations)),
        "strongest among three": float(np.mean(agreements)),
        "largest error of the sum": max(errors),
    }


def show(title: str, numbers: dict[str, Any]) -> None:
    print(f"{title}: " + ", ".join(f"{name} {value:.3g}" for name, value in numbers.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for drawn images")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--data", type=Path, help="images for the bundle")
    parser.add_argument("--images", type=int, default=60)
    arguments = parser.parse_args()
    runtime = Runtime(user_cache_path("twofold"))
    for kind in arguments.kinds:
        explainer = Explainer(fit(kind, arguments.folder, runtime), runtime)
        show(kind, find_marks(kind, explainer))
    if arguments.bundle:
        files = list(iterate_files([arguments.data]))
        files = files[:: max(1, len(files) // arguments.images)][: arguments.images]
        explainer = Explainer(load_bundle(arguments.bundle), runtime)
        show("occlusion", compare_occlusion(explainer, files))
        print(evidence_checks(explainer, files[:: max(1, len(files) // 16)][:16]))
        show("cost", measure_cost(explainer.model, files, runtime))


if __name__ == "__main__":
    main()
