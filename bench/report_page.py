"""The report of a bundle: seconds, bytes, and what a browser makes of it.

    python bench/report_page.py BUNDLE [DATA] [--scores 20000] [--chromium PATH] [--firefox PATH]

With DATA the page has thumbnails and evidence maps, as after `train`. Then the scores of BUNDLE are multiplied for a page without
images: its bytes, and in each browser that is found the time to its load event and, of 120 steps of a handle, the milliseconds
of the work and between two frames.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from decide_speed import multiply
from platformdirs import user_cache_path

from twofold.bundle.storage import load_bundle
from twofold.embedding import Runtime
from twofold.report.page import report_page
from twofold.report.page.maps import with_maps
from twofold.workflows.explain import Explainer
from twofold.workflows.report import report_of_bundle

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browsers import PROGRAMS, allow_eval, launch, start_playwright

DRAG = """
async () => {
  const handle = document.querySelector("threshold-explorer input[type=range]");
  const [low, high] = [Number(handle.min), Number(handle.max)];
  const work = [], frames = [];
  let before = await new Promise(requestAnimationFrame);
  for (let step = 0; step < 120; step++) {
    handle.value = low + (high - low) * (0.2 + 0.6 * step / 120);
    const start = performance.now();
    handle.dispatchEvent(new Event("input", {bubbles: true}));
    document.body.offsetHeight;
    work.push(performance.now() - start);
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - before);
    before = now;
  }
  return [work, frames];
}
"""
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"


def text(milliseconds: list[float]) -> str:
    return f"median {np.median(milliseconds):.1f} ms, 95% {np.percentile(milliseconds, 95):.1f}, most {max(milliseconds):.1f}"


def write(bundle: Path, data: Path | None, page: Path) -> None:
    start = time.perf_counter()
    loaded = load_bundle(bundle)
    report = report_of_bundle(loaded, data)
    report = with_maps(report, Explainer(loaded, Runtime(user_cache_path("twofold"))))
    page.write_text(report_page(report, str), encoding="utf-8")
    seconds, images = time.perf_counter() - start, len(report.thumbnails.places)
    print(
        f"{bundle.name}: {seconds:.2f} s, {page.stat().st_size:,} bytes, {images} images, {len(report.maps)} maps",
        flush=True,
    )


def look(page: Path, name: str, program: str) -> None:
    """What a browser makes of the page; in Firefox, Playwright evaluates with `eval`, which this copy of the page allows."""
    page.write_text(allow_eval(page.read_text(encoding="utf-8")), encoding="utf-8")
    playwright = start_playwright()
    browser = launch(playwright, name, program, "light")
    shown = browser.new_page(viewport={"width": 1280, "height": 900})
    shown.goto(page.as_uri())
    loaded = shown.evaluate(LOADED)
    work, frames = shown.evaluate(DRAG)
    print(f"{name} {browser.version}: loaded after {loaded:.0f} ms")
    print(f"a step of a handle: {text(work)}; between frames: {text(frames)}")
    playwright.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--scores", type=int, default=20_000)
    for name, program in PROGRAMS.items():
        parser.add_argument(f"--{name}", default=shutil.which(program))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        if arguments.data is not None:
            write(arguments.bundle, arguments.data, page)
        many = Path(folder) / "many.twofold"
        multiply(arguments.bundle, many, arguments.scores)
        write(many, None, page)
        for name in PROGRAMS:
            if vars(arguments)[name] is not None:
                look(page, name, vars(arguments)[name])


if __name__ == "__main__":
    main()
