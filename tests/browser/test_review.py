"""The review page in a browser: keys, undo, grid, retraining; no error, no request to elsewhere."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra `review` is not installed")

from desks import WRONG, draw_mislabelled, train_bundle

from twofold.bundle.storage import load_bundle
from twofold.data import read_decisions
from twofold.embedding import Runtime
from twofold.review.app import build_app
from twofold.review.server import PageServer
from twofold.workflows.review import Review, open_review


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> Review:
    folder = tmp_path_factory.mktemp("browser")
    bundle = train_bundle(draw_mislabelled(folder / "images"), folder / "drawn.twofold", runtime)
    return open_review(load_bundle(bundle), None, folder / "decisions.csv", runtime)


@pytest.fixture(scope="module")
def address(review: Review) -> str:
    server = PageServer(lambda token, port: build_app(review, token, port), 0)
    threading.Thread(target=server.run, daemon=True).start()
    return server.address


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url) if "//127.0.0.1:" not in request.url else None)
    page.goto(address)
    page.wait_for_selector("#nearest img")
    yield page
    page.close()
    assert faults == []


def checked(page: Any, count: int) -> None:
    page.wait_for_function(
        "count => document.querySelector('#progress').textContent.startsWith(`${count} of`)", arg=count
    )


def caption(page: Any) -> str:
    return page.locator("#caption").inner_text()


def test_a_review_with_the_keyboard_alone(page: Any, review: Review) -> None:
    seen = []
    for count, key in enumerate(("0", "1", "Space", "x", "u"), start=1):
        seen.append(caption(page))
        page.keyboard.press(key)
        checked(page, count)
        page.wait_for_function("before => document.querySelector('#caption').textContent !== before", arg=seen[-1])
    kinds = [(decision.path, decision.kind, decision.value) for decision in read_decisions(review.file.path)]
    answers = [("label", "bars"), ("label", "rings"), ("keep", ""), ("exclude", ""), ("unsure", "")]
    assert kinds == [(path, *answer) for path, answer in zip(seen, answers, strict=True)]
    assert set(WRONG) <= set(seen)
    page.reload()
    page.wait_for_selector("#nearest img")
    for count in range(4, -1, -1):
        page.keyboard.press("z")
        checked(page, count)
        page.wait_for_function("path => document.querySelector('#caption').textContent === path", arg=seen[count])
    page.keyboard.press("z")
    page.wait_for_function("() => document.querySelector('#message').textContent === 'There is nothing to undo.'")
    assert read_decisions(review.file.path).answers == {}


def test_every_control_does_something(page: Any) -> None:
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.locator("#close-keys").click()
    page.locator("#help").click()
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    for count, name in enumerate(("negative", "positive", "keep", "exclude", "unsure"), start=1):
        page.locator(f"#{name}").click()
        checked(page, count)
    page.keyboard.press("Space")  # after a click: keep, not the clicked button
    checked(page, 6)
    page.locator("#undo").click()
    checked(page, 5)
    page.locator("#grid").click()
    page.wait_for_selector(".tile")
    page.locator(".tile").first.click()
    page.locator("#selected").filter(has_text="1 change").wait_for()
    page.locator("#confirm").click()
    checked(page, 29)
    page.locator("#bound").filter(has_text="At most").wait_for()
    page.locator("#one").click()
    page.wait_for_selector("#single:not([hidden])")
    page.locator("#retrain").click()
    page.wait_for_selector("#retrained[open]", timeout=60_000)
    page.locator("#retrained-text").filter(has_text="more than noise").wait_for()
    page.locator("#close-retrained").click()
    for count in range(28, -1, -1):
        page.keyboard.press("z")
        checked(page, count)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_and_text_is_legible(page: Any, width: int, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ratio = page.evaluate(CONTRAST)
    assert ratio >= 4.5
    page.keyboard.press("g")
    page.wait_for_selector(".tile")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


CONTRAST = """
() => {
  const luminance = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratios = [...document.querySelectorAll("#progress, #bound, #scores, #label, .answer")].map((element) => {
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)" && behind.parentElement) behind = behind.parentElement;
    const pair = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(luminance).sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  });
  return Math.min(...ratios);
}
"""
