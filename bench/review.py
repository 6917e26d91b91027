"""The review: planted wrong labels found, the bound on those that are left, retraining, and the time from key to next image.

    python bench/review.py found [--data ../shared/data/cats-dogs/train] [--planted 40] [--looks 80] [--seeds 5]
    python bench/review.py bound [--runs 400]
    python bench/review.py keys [--images 50000] [--chromium /usr/bin/chromium]

`found` also prints the seconds of a retraining. `keys` needs Playwright and a Chromium.
"""

import argparse
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from twofold.audit.remaining_errors import RandomDraw, most_wrong_left
from twofold.core.options import BackboneOptions, DataOptions
from twofold.data import DecisionsFile, FileList, LabelledFile, list_labelled_files
from twofold.dataset import folds
from twofold.dataset.labelled import LabelledDataset, embed_files
from twofold.decision import Rule, fit_calibration, fit_head
from twofold.embedding import FeatureTable, Metadata, Runtime
from twofold.networks import load_backbone
from twofold.workflows.review import Review, ReviewImages, ReviewOrder

BENCH = Path(__file__).parent


class Scored:
    """What a review reads of a model."""

    def __init__(self, calibration: object, backbone: object) -> None:
        self.calibration, self.backbone = calibration, backbone
        self.rule = Rule.at(0.5) if hasattr(Rule, "at") else Rule(0.5, 0.5)


def review_of(dataset: LabelledDataset, seed: int, file: Path, backbone: object, logits: np.ndarray) -> Review:
    calibration = fit_calibration(logits, dataset.labels)
    model = Scored(calibration, backbone)
    return Review(
        ReviewImages("bench", Path("bench"), model, dataset, logits, None, (), 5, seed, ()), DecisionsFile(file)
    )


def measure_found(arguments: argparse.Namespace) -> None:
    """Labels are flipped at random; a person who is always right answers what the review shows."""
    runtime, file_list = Runtime(user_cache_path("twofold")), list_labelled_files(arguments.data, DataOptions())
    backbone = load_backbone(BackboneOptions(), "f32", cache=runtime.folder)
    clean = embed_files(file_list, file_list.paths, runtime.engine(backbone), runtime, what=str(arguments.data))
    print("| seed | found | looks | of them at random | most left (95%) | left | retraining, s |\n|" + "---|" * 7)
    for seed in range(arguments.seeds):
        planted = set(np.random.default_rng(seed).choice(len(clean.labels), arguments.planted, replace=False).tolist())
        names = [clean.classes[int(label) ^ (row in planted)] for row, label in enumerate(clean.labels)]
        files = tuple(replace(file, label=name) for file, name in zip(file_list.files, names, strict=True))
        dataset = LabelledDataset(replace(file_list, files=files), clean.table, clean.classes, clean.duplicates)
        fold = folds(dataset.names, dataset.groups, 5, seed)
        logits = fit_head(dataset.table.features, dataset.labels, fold).logits
        with tempfile.TemporaryDirectory() as folder:
            review = review_of(dataset, seed, Path(folder) / "decisions.csv", backbone, logits)
            for _ in range(arguments.looks):
                (item,) = review.next(1)
                truth = clean.classes[int(clean.labels[item.row])]
                review.decide([ReviewOrder(item.row, "label", truth, item.reason == "random")])
            start = time.perf_counter()
            review.retrain()
            seconds = time.perf_counter() - start
            progress = review.progress()
        left = arguments.planted - progress.relabelled
        columns = progress.relabelled, arguments.looks, progress.drawn, progress.most_wrong_left, left, f"{seconds:.1f}"
        print("| " + " | ".join(map(str, (seed, *columns))) + " |", flush=True)


def simulate(
    images: int, wrong: int, quality: float, every: int, random: np.random.Generator
) -> tuple[bool, bool, int]:
    """Whether the bound was ever too low, whether it was when the person stopped, and the number of looks until then.

    The ranking finds wrong labels by a score that is `quality` standard deviations higher for them. The person stops as soon as
    the bound is at most 1% of the images, or after a third of them.
    """
    labels = np.zeros(images, np.bool_)
    labels[random.choice(images, wrong, replace=False)] = True
    ranked = np.argsort(-(quality * labels + random.normal(size=images))).tolist()
    order, by_rank, by_chance = random.permutation(images).tolist(), 0, 0
    checked, corrections, draws, ever = np.zeros(images, np.bool_), 0, [], False
    for look in range(images // 3):
        is_random = look % every == every - 1
        while is_random and checked[order[by_chance]]:
            by_chance += 1
        while not is_random and checked[ranked[by_rank]]:
            by_rank += 1
        row = order[by_chance] if is_random else ranked[by_rank]
        if is_random:
            draws.append(RandomDraw(images - look, corrections, bool(labels[row])))
        checked[row] = True
        corrections += int(labels[row])
        if is_random:
            bound = most_wrong_left(draws, images - look - 1, corrections)
            too_low = wrong - corrections > bound
            ever |= too_low
            if bound <= images / 100:
                return ever, too_low, look + 1
    return ever, too_low, images // 3


def measure_bound(arguments: argparse.Namespace) -> None:
    """Simulated reviews with rankings from useless to good, drawing one in ten at random, or nine in ten."""
    print(
        "| images | wrong | ranking | at random | ever too low | too low at the end | looks, median |\n|" + "---|" * 7
    )
    total, failures = 0, 0
    for images, wrong, quality, every in (
        (2000, 0, 2, 10),
        (2000, 5, 2, 10),
        (2000, 40, 3, 10),
        (2000, 40, 0, 10),
        (2000, 100, 1, 10),
        (2000, 40, 2, 1),
        (500, 25, 1, 2),
        (300, 4, 0, 1),
    ):
        random = np.random.default_rng(images + wrong + every)
        runs = [simulate(images, wrong, quality, every, random) for _ in range(arguments.runs)]
        ever, last, looks = zip(*runs, strict=True)
        total, failures = total + len(runs), failures + sum(ever)
        share = f"1 in {every}" if every > 1 else "all"
        columns = images, wrong, quality, share, f"{sum(ever)} of {len(runs)}", sum(last), int(np.median(looks))
        print("| " + " | ".join(map(str, columns)) + " |", flush=True)
    print(f"\nThe bound held at all times in {1 - failures / total:.2%} of {total} reviews.")


def large_dataset(count: int, folder: Path) -> LabelledDataset:
    """A table of `count` images: each file is one of 50 photographs of noise, under a hash of its own."""
    from PIL import Image

    random = np.random.default_rng(0)
    for number in range(50):
        pixels = random.integers(0, 256, (60, 80, 3), np.uint8)
        Image.fromarray(pixels).resize((1024, 768)).save(folder / f"{number}.jpg", quality=88)
    files = tuple(LabelledFile(folder / f"{number % 50}.jpg", "ab"[number % 2]) for number in range(count))
    metadata = tuple(Metadata(f"{number:064x}", f"{number:080x}", 1024, 768, "JPEG", 60_000) for number in range(count))
    features = random.normal(size=(count, 1280)).astype(np.float32)
    features[1::2, :20] += 0.8
    table = FeatureTable(metadata, (None,) * count, features, np.zeros((count, 32, 32, 3), np.uint8))
    return LabelledDataset(FileList(files, (), ("a", "b"), "b", ()), table, ("a", "b"), ())


def measure_keys(arguments: argparse.Namespace) -> None:
    """From the key until the next image is on the screen, in Chromium, and the server's part alone."""
    from playwright.sync_api import sync_playwright

    from twofold.review.app import build_app
    from twofold.review.server import PageServer

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = large_dataset(arguments.images, folder)
        logits = dataset.table.features[:, :20].sum(axis=1).astype(np.float64) - 8
        backbone = load_backbone(BackboneOptions(), "f32", cache=user_cache_path("twofold"))
        start = time.perf_counter()
        review = review_of(dataset, 0, folder / "decisions.csv", backbone, logits)
        print(f"opened in {time.perf_counter() - start:.1f} s")
        server = PageServer(lambda token, port: build_app(review, token, port), 0)
        threading.Thread(target=server.run, daemon=True).start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(server.address)
            page.wait_for_selector("#nearest img")
            page.wait_for_timeout(2000)
            times = [page.evaluate(PRESS) for _ in range(arguments.presses)]
            browser.close()
        for _ in range(200):
            review.decide([ReviewOrder(item.row, "keep") for item in review.next(1)])
        seconds = []
        for _ in range(50):
            start = time.perf_counter()
            review.decide([ReviewOrder(item.row, "keep") for item in review.next(1)])
            review.progress()
            review.next(8)
            seconds.append(time.perf_counter() - start)
    median, worst = np.median(times), np.quantile(times, 0.95)
    print(f"{arguments.images} images: key to next image {median:.0f} ms (median), {worst:.0f} ms (95% of presses)")
    print(f"server: decision written, progress and next images {1000 * np.median(seconds):.0f} ms (median)")


PRESS = """
async () => {
  const image = document.getElementById("image");
  await new Promise((done) => setTimeout(done, 400));  // a person looks
  const start = performance.now(), before = image.src;
  document.dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true }));
  while (image.src === before) await new Promise(requestAnimationFrame);
  await image.decode();
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=["found", "bound", "keys"])
    parser.add_argument("--data", type=Path, default=BENCH.parents[1] / "shared/data/cats-dogs/train")
    parser.add_argument("--planted", type=int, default=40)
    parser.add_argument("--looks", type=int, default=80)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--presses", type=int, default=40)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    {"found": measure_found, "bound": measure_bound, "keys": measure_keys}[arguments.section](arguments)


if __name__ == "__main__":
    main()
