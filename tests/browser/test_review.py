"""The review page in a browser: keys, undo, grid, retraining; no error, no request to elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest
from browsers import IN_BOTH, grave_faults

pytest.importorskip("starlette", reason="the extra `review` is not installed")

from desks import WRONG, draw_mislabelled, train_bundle

from twofold.bundle.storage import load_bundle
from twofold.data import read_decisions
from twofold.embedding import Runtime
from twofold.review.app import build_app
from twofold.workflows.review import Review, open_review


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> Review:
    folder = tmp_path_factory.mktemp("browser")
    bundle = train_bundle(draw_mislabelled(folder / "images"), folder / "drawn.twofold", runtime)
    return open_review(load_bundle(bundle), None, folder / "decisions.csv", runtime)


@pytest.fixture
def opened(visit_server: Callable[..., Any], review: Review) -> Callable[..., Any]:
    """Opens the page of the review."""

    def open_review_page(**options: Any) -> Any:
        page = visit_server(lambda token, port: build_app(review, token, port), **options).page
        page.locator("#nearest img").first.wait_for()
        return page

    return open_review_page


@pytest.fixture
def page(opened: Callable[..., Any]) -> Any:
    return opened()


def checked(page: Any, count: int) -> None:
    page.wait_for_function(
        "count => document.querySelector('#progress').textContent.startsWith(`${count} of`)", arg=count
    )


def caption(page: Any) -> str:
    return page.locator("#caption").inner_text()


@IN_BOTH
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


@IN_BOTH
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


@IN_BOTH
def test_the_policy_of_the_page_stops_nothing_that_the_page_does(opened: Callable[..., Any]) -> None:
    page = opened(strict=True)
    page.locator("#grid").click()
    page.locator(".tile img").first.wait_for()


@IN_BOTH
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_is_wider_than_the_screen_and_axe_finds_nothing_serious(
    opened: Callable[..., Any], width: int, scheme: str, pytestconfig: pytest.Config
) -> None:
    page = opened(width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert grave_faults(page, pytestconfig) == {}
    page.keyboard.press("g")
    page.wait_for_selector(".tile")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert grave_faults(page, pytestconfig) == {}
