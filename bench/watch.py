"""What `twofold watch` promises, measured.

    python bench/watch.py lives [--lives 300] [--images 1000000]
    python bench/watch.py prevalence [--streams 500]
    python bench/watch.py accuracy [--streams 1000]
    python bench/watch.py images BUNDLE SAME [--streams 50]
    python bench/watch.py bursts [--streams 1000]
    python bench/watch.py gauges BUNDLE SAME

`lives`: false alarms of all monitors together, over whole lives of simulated images that do not change; half of the lives have
200 reference images, half 2,000. `prevalence`: images until a base rate that rises by 10 points is found, with normal logits of
two classes. `accuracy`: how often the 95% interval of the accuracy without labels holds the truth, with and without another base
rate. `images`: images until the alarm on real images of the kind that BUNDLE was trained on (SAME), as they are, darker, encoded
and blurred by another camera, in shuffled order. The folders of SAME are the classes. `bursts`: false alarms where each image
comes several times in a row, as slightly different frames. `gauges`: milliseconds of processor time that watching adds to an
image of a service, of the images of SAME.
"""

import argparse
import io
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from platformdirs import user_cache_path

from twofold.bundle import Bundle, load_bundle
from twofold.core.errors import DataError
from twofold.data import iterate_files, open_image
from twofold.decision import fit_calibration
from twofold.decision.martingale import Martingale, play, prevalence_bets, shift_bets, wealth
from twofold.decision.rank_urn import FRACTIONS, fit_urn, p_values
from twofold.embedding import Runtime, Source
from twofold.evaluation.prevalence_estimate import estimate_prevalence
from twofold.evaluation.unlabelled_accuracy import LabelledDecisions, estimate_accuracy
from twofold.serving.served_lives import ServedLives
from twofold.workflows.image_measures import measure_images
from twofold.workflows.labelled_scores import out_of_fold_scores
from twofold.workflows.monitors import FALSE_ALARM, SHARES
from twofold.workflows.predict import Predictor
from twofold.workflows.unlabelled_estimates import decide_scores, estimate_unlabelled
from twofold.workflows.watch import Watch

LIMITS = {name: 1 / (FALSE_ALARM * share) for name, share in SHARES.items()}
SIZES = (200, 2000)  # reference images
SEPARATION = 4.0  # of the logits of two classes, in standard deviations: an accuracy of 97.7%


def lives(count: int, images: int) -> None:
    """Prints the lives with an alarm of any monitor, and of each."""
    rng, alarms = np.random.default_rng(0), np.zeros(count, bool)
    start = perf_counter()
    for bets, names in (
        (prevalence_bets(0.5), ["logit"]),
        (shift_bets(), sorted(SHARES.keys() - {"logit"})),
    ):
        rows = count * len(names)
        urns = [fit_urn(rng.random(SIZES[row % 2])) for row in range(rows)]
        edges, balls = np.full((rows, len(FRACTIONS)), np.inf), np.zeros((rows, len(FRACTIONS) + 1), np.int64)
        for row, urn in enumerate(urns):  # a small urn has fewer bins
            edges[row, : len(urn.edges)], balls[row, : len(urn.gaps)] = urn.edges, urn.gaps
        stakes, highest = np.zeros((rows, len(bets.parts))), np.ones(rows)
        everyone = np.arange(rows)
        for number in range(images):
            bins = (edges <= rng.random(rows)[:, None]).sum(axis=1)
            stakes = play(stakes, number, p_values(balls, bins, rng.random(rows)), bets)
            balls[everyone, bins] += 1
            np.maximum(highest, wealth(stakes, number + 1), out=highest)
        of_monitor = (highest.reshape(count, len(names)) >= [LIMITS[name] for name in names]).T
        for name, alarmed in zip(names, of_monitor, strict=True):
            print(f"{name}: {alarmed.sum()} of {count} lives")
            alarms |= alarmed
    seconds = perf_counter() - start
    print(
        f"{count} lives of {images:,} images, {seconds:.0f} s: {alarms.sum()} with a false alarm ({alarms.mean():.2%})"
    )


def draw(rng: np.random.Generator, count: int, prevalence: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits."""
    labels = (rng.random(count) < prevalence).astype(np.int8)
    return labels, rng.normal(SEPARATION * (labels - 0.5), 1)


def delays(streams: int, quiet: int, base: float, change: float) -> list[int]:
    """Images after the change until the alarm of the logits; those that are not found within 2,000 count as 2,000."""
    found = []
    for seed in range(streams):
        rng = np.random.default_rng([seed, quiet, round(100 * base)])
        labels, logits = draw(rng, 2000, base)
        urn, bets = fit_urn(logits), prevalence_bets(float(labels.mean()))
        values = np.concatenate([draw(rng, quiet, base)[1], draw(rng, 2000, base + change)[1]])
        life = Martingale.begin(urn, bets).follow(values, rng.random(len(values)), urn, bets, LIMITS["logit"])
        found.append(2000 if life.alarm is None else life.alarm - quiet)
    return found


def prevalence(streams: int) -> None:
    for base in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5):
        for quiet in (0, 1000):
            found = np.array([each for each in delays(streams, quiet, base, 0.1) if each > 0])
            change = base + 0.1
            gain = change * math.log(change / base) + (1 - change) * math.log((1 - change) / (1 - base))
            print(
                f"{base:.0%} -> {change:.0%} after {quiet} images: found within 300: {np.mean(found <= 300):.1%}, median "
                f"{np.median(found):.0f}, 90% {np.quantile(found, 0.9):.0f}; best possible on average {math.log(100) / gain:.0f}",
                flush=True,
            )


def accuracy(streams: int) -> None:
    for base, new, separation, images in (
        (0.5, 0.5, 4.0, 300),
        (0.5, 0.6, 4.0, 300),
        (0.5, 0.2, 4.0, 1000),
        (0.1, 0.1, 3.0, 300),
        (0.1, 0.2, 3.0, 300),
        (0.1, 0.05, 3.0, 1000),
        (0.5, 0.5, 2.0, 100),
        (0.5, 0.7, 2.0, 1000),
        (0.3, 0.5, 5.0, 300),
    ):
        for count in SIZES:
            held, widths = covered(streams, base, new, separation, images, count)
            print(
                f"{count} labelled, {base:.0%} -> {new:.0%}, separation {separation:g}, {images} images: coverage "
                f"{np.mean(held):.1%} of {len(held)}, median width {np.median(widths):.3f}",
                flush=True,
            )


def covered(
    streams: int, base: float, new: float, separation: float, images: int, count: int
) -> tuple[list[bool], list[float]]:
    held, widths = [], []
    for seed in range(streams):
        rng = np.random.default_rng([seed, images, count, round(100 * new)])
        labels, stream_labels = ((rng.random(n) < p).astype(np.int8) for n, p in ((count, base), (images, new)))
        logits, stream_logits = (rng.normal(separation * (each - 0.5), 1) for each in (labels, stream_labels))
        calibration = fit_calibration(logits, labels)
        known, recent = calibration.probabilities(logits), calibration.probabilities(stream_logits)
        try:
            estimate = estimate_prevalence(recent, labels, known)
        except DataError:
            continue
        decisions = (recent >= 0.5).astype(np.int8)
        labelled = LabelledDecisions(labels, known, (known >= 0.5).astype(np.int8))
        result = estimate_accuracy(recent, decisions, estimate.prevalence, labelled)
        truth = float(np.mean(decisions == stream_labels))
        held.append(result.accuracy.low - 1e-12 <= truth <= result.accuracy.high + 1e-12)
        widths.append(result.accuracy.high - result.accuracy.low)
    return held, widths


def encoded(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def another_camera(image: Image.Image) -> bytes:
    """Half the resolution, a little blur, another encoder's quality."""
    smaller = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.BICUBIC)
    return encoded(smaller.filter(ImageFilter.GaussianBlur(1)), 70)


CHANGES: dict[str, Callable[[Image.Image], Source]] = {
    "brightness -30%": lambda image: encoded(ImageEnhance.Brightness(image).enhance(0.7), 90),
    "encoded again, quality 90": lambda image: encoded(image, 90),
    "encoded again, quality 40": lambda image: encoded(image, 40),
    "blur": lambda image: encoded(image.filter(ImageFilter.GaussianBlur(max(1.0, min(image.size) / 150))), 90),
    "another camera": another_camera,
}


def sources(paths: list[Path], change: Callable[[Image.Image], Source]) -> Iterator[Source]:
    for path in paths:
        yield change(Image.fromarray(open_image(path.read_bytes())))


def images(bundle: Path, same: Path, streams: int) -> None:
    loaded, runtime = load_bundle(bundle), Runtime(user_cache_path("twofold"))
    watching, model = Watch(loaded), loaded.model
    engine, paths = model.engine(runtime), list(iterate_files([same]))
    for name, listed in {
        "as they are": iter(paths),
        **{name: sources(paths, each) for name, each in CHANGES.items()},
    }.items():
        chunks = runtime.embed_chunks(listed, engine, lambda note: None)
        rows = [row for each in chunks for row in each if row.read_error is None]
        entries = measure_images(rows, model.predict_rows([""] * len(rows), rows)).images
        measures = {each.name: np.array([image.measures[each.name] for image in entries]) for each in watching.monitors}
        count = len(entries)
        first: dict[str, list[float]] = {monitor.name: [] for monitor in watching.monitors}
        for seed in range(streams):
            rng = np.random.default_rng(seed)
            order = rng.permutation(count)
            for each in watching.monitors:
                life = Martingale.begin(each.urn, each.bets)
                life = life.follow(measures[each.name][order], rng.random(count), each.urn, each.bets, each.limit)
                first[each.name].append(math.inf if life.alarm is None else life.alarm)
        together = np.min([first[monitor] for monitor in first], axis=0)
        lines = [f"{monitor} {np.mean(np.array(found) <= 300):.0%}" for monitor, found in first.items()]
        if name == "as they are":
            real_accuracy(loaded, paths, measures, streams)
        print(
            f"{name} ({count} images): alarm ever {np.mean(np.isfinite(together)):.0%}, within 300 "
            f"{np.mean(together <= 300):.0%}, median {np.median(together):g}; within 300 by monitor: {', '.join(lines)}",
            flush=True,
        )


def real_accuracy(bundle: Bundle, paths: list[Path], measures: Mapping[str, np.ndarray], streams: int) -> None:
    """Prints how often the interval of the accuracy holds the truth in streams of 300 images; their folders are their classes."""
    model, labelled = bundle.model, out_of_fold_scores(bundle)
    labels = np.array([path.parent.name == model.classes[1] for path in paths])
    for prevalence in (0.5, 0.3, 0.7, 0.1):
        held = []
        for seed in range(10 * streams):
            rng = np.random.default_rng([seed, round(100 * prevalence)])
            count = int(rng.binomial(300, prevalence))
            rows = [
                rng.choice(np.flatnonzero(labels == each), n, replace=False)
                for each, n in ((1, count), (0, 300 - count))
            ]
            stream = np.concatenate(rows)
            scores = measures["logit"][stream], measures["familiarity"][stream]
            interval = estimate_unlabelled(model, labelled, *scores).accuracy.accuracy
            decisions = decide_scores(model, *scores)
            truth = np.mean((decisions == labels[stream])[decisions >= 0])
            held.append(interval.low - 1e-12 <= truth <= interval.high + 1e-12)
        print(
            f"accuracy without labels, {prevalence:.0%} positive: the interval holds it in {np.mean(held):.1%} of {len(held)}"
        )


def bursts(streams: int) -> None:
    """Prints the streams of 500 scenes with an alarm of familiarity or logit, by the frames of a scene, by how far these differ,
    in standard deviations of the scenes, and by which frames count."""
    for lengths, spread, every in (
        ((1, 1), 0.0, 1),
        ((2, 2), 0.1, 1),
        ((5, 5), 0.1, 1),
        ((5, 5), 0.5, 1),
        ((20, 20), 0.1, 1),
        ((20, 20), 0.5, 1),
        ((1, 20), 0.1, 1),
        ((1, 20), 0.1, 5),
        ((1, 20), 0.1, 10),
        ((1, 20), 0.1, 20),
    ):
        alarms = dict.fromkeys(("familiarity", "logit"), 0)
        for seed in range(streams):
            rng = np.random.default_rng([seed, *lengths, round(10 * spread), every])
            for name, bets in (("familiarity", shift_bets()), ("logit", prevalence_bets(0.5))):
                urn = fit_urn(rng.normal(size=1000))
                scenes = np.repeat(rng.normal(size=500), rng.integers(lengths[0], lengths[1] + 1, 500))
                values = (scenes + spread * rng.normal(size=len(scenes)))[::every]
                life = Martingale.begin(urn, bets).follow(values, rng.random(len(values)), urn, bets, LIMITS[name])
                alarms[name] += life.alarm is not None
        rates = ", ".join(
            f"{name} {count / streams:.1%} (promise {FALSE_ALARM * SHARES[name]:.2%})" for name, count in alarms.items()
        )
        frames = "{} to {}".format(*lengths) if lengths[0] < lengths[1] else str(lengths[0])
        print(f"{frames} frames a scene, {spread:g} apart, 1 in {every} counts: {rates}", flush=True)


def _append(batches: list[tuple], *batch: object) -> None:
    batches.append(batch)


def gauges(bundle: Path, same: Path) -> None:
    loaded = load_bundle(bundle)
    sources = [path.read_bytes() for path in iterate_files([same])][:512]
    with Predictor(loaded) as predictor:
        predictor.warm()
        for size in (1, 8):
            batches: list[tuple] = []
            add = partial(_append, batches)
            start = process_time()
            for first in range(0, len(sources), size):
                predictor.predict_batch(sources[first : first + size], add)
            image_ms = 1000 * (process_time() - start) / len(sources)
            life = ServedLives().open("model", loaded)
            start = process_time()
            for rows, predictions in batches:
                life.add(rows, predictions)
            life.readings  # noqa: B018  # what waits is bet on
            watch_ms = 1000 * (process_time() - start) / len(sources)
            print(f"batches of {size}: an image takes {image_ms:.2f} ms, watching it {watch_ms:.3f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=("lives", "prevalence", "accuracy", "images", "bursts", "gauges"))
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--lives", type=int, default=300)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int)
    arguments = parser.parse_args()
    if arguments.section == "lives":
        lives(arguments.lives, arguments.images)
    elif arguments.section == "prevalence":
        prevalence(arguments.streams or 500)
    elif arguments.section == "accuracy":
        accuracy(arguments.streams or 1000)
    elif arguments.section == "bursts":
        bursts(arguments.streams or 1000)
    elif arguments.section == "gauges":
        gauges(*arguments.paths)
    else:
        images(*arguments.paths, arguments.streams or 50)


if __name__ == "__main__":
    main()
