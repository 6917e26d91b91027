"""The label page in a browser: keys, undo, skip, grid; every control does something; no error, no request to elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsers import IN_BOTH, grave_faults

pytest.importorskip("starlette", reason="the extra `review` is not installed")

from pools import CLASSES, IMAGES, draw_pool, embed, open_labelling

from twofold.embedding import Runtime
from twofold.review.label_app import build_label_app
from twofold.workflows.label_file import LabelFile
from twofold.workflows.labelling import Labelling, LabelPool


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> LabelPool:
    return embed(draw_pool(tmp_path_factory.mktemp("browser") / "images"), runtime)


@pytest.fixture
def labelling(pool: LabelPool, tmp_path: Path) -> Labelling:
    return open_labelling(pool, tmp_path / "labels.csv")


@pytest.fixture
def opened(visit_server: Callable[..., Any], labelling: Labelling) -> Callable[..., Any]:
    """Opens the page of the labelling."""

    def open_label_page(**options: Any) -> Any:
        page = visit_server(lambda token, port: build_label_app(labelling, token, port), **options).page
        page.wait_for_selector("#caption:not(:empty)")
        return page

    return open_label_page


@pytest.fixture
def page(opened: Callable[..., Any]) -> Any:
    return opened()


def labelled(page: Any, count: int) -> None:
    page.wait_for_function(
        "count => document.querySelector('#progress').textContent.startsWith(`${count} of`)", arg=count
    )


def contains(page: Any, selector: str, text: str) -> None:
    """Waits until the element has this text: answers of the server come a little later."""
    page.locator(selector).filter(has_text=text).wait_for()


def caption(page: Any) -> str:
    return str(page.locator("#caption").inner_text())


def answer_shown(page: Any) -> str:
    """The path of the image on the screen, which gets its label by a key."""
    page.wait_for_selector("#caption:not(:empty)")
    shown = caption(page)
    page.keyboard.press("1" if "rings" in shown else "0")
    return shown


def rows_of(labelling: Labelling) -> list[tuple[str, str]]:
    return [(Path(row.path).name, row.label) for row in LabelFile(labelling.file.path, CLASSES).rows]


def test_all_images_get_their_label_with_the_keyboard_alone_and_none_is_shown_twice(
    page: Any, labelling: Labelling
) -> None:
    shown = [answer_shown(page) for _ in range(IMAGES)]
    labelled(page, IMAGES)
    assert len(set(shown)) == IMAGES
    assert [name for name, _ in rows_of(labelling)] == shown
    assert all(label in name for name, label in rows_of(labelling))
    page.wait_for_selector("#end:not([hidden])")
    contains(page, "#command", f"twofold train {labelling.file.path}")


@IN_BOTH
def test_undo_and_skip_with_the_keyboard_also_after_the_page_was_loaded_again(page: Any, labelling: Labelling) -> None:
    shown = []
    for count in range(1, 4):
        shown.append(answer_shown(page))
        labelled(page, count)
    later = caption(page)
    page.keyboard.press("u")
    page.wait_for_function("() => document.querySelector('#progress').textContent.includes('1 for later')")
    page.wait_for_function("path => document.querySelector('#caption').textContent !== path", arg=later)
    page.keyboard.press("z")
    page.wait_for_function("path => document.querySelector('#caption').textContent === path", arg=later)
    page.reload()
    page.wait_for_selector("#caption:not(:empty)")
    for count in (2, 1, 0):
        page.keyboard.press("z")
        labelled(page, count)
        page.wait_for_function("path => document.querySelector('#caption').textContent === path", arg=shown[count])
    page.keyboard.press("z")
    page.wait_for_function("() => document.querySelector('#message').textContent === 'There is nothing to undo.'")
    assert rows_of(labelling) == []


@IN_BOTH
def test_every_control_does_something(page: Any, labelling: Labelling) -> None:
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.locator("#close-keys").click()
    page.locator("#help").click()
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.locator("#grid").click()
    contains(page, "#empty", "labels of both classes")
    page.locator("#one").click()
    page.locator("#negative").click()
    labelled(page, 1)
    page.locator("#positive").click()
    labelled(page, 2)
    page.locator("#unsure").click()
    page.wait_for_function("() => document.querySelector('#progress').textContent.includes('1 for later')")
    page.locator("#undo").click()
    page.locator("#undo").click()
    labelled(page, 1)
    for count in range(2, 15):
        answer_shown(page)
        labelled(page, count)
    page.wait_for_function("() => document.querySelector('#accuracy').textContent.endsWith('%')")
    contains(page, "#evidence", "drawn at random")
    page.locator("#grid").click()
    page.wait_for_selector(".tile")
    contains(page, "#grid-title", "All of these are bars, but…")
    page.locator("#grid-positive").click()
    page.wait_for_function("() => document.querySelector('#grid-title').textContent.includes('rings')")
    page.keyboard.press("0")
    page.wait_for_function("() => document.querySelector('#grid-title').textContent.includes('bars')")
    count = page.locator(".tile").count()
    page.locator(".tile").nth(0).click()
    page.locator(".tile").nth(1).dblclick()
    contains(page, "#selected", f"{count - 2} bars, 1 rings, 1 for later.")
    page.locator("#confirm").click()
    labelled(page, 14 + count - 1)
    assert sum(label != "" for _, label in rows_of(labelling)) == 14 + count - 1
    page.locator("#grid-undo").click()
    page.wait_for_selector("#single:not([hidden])")


@IN_BOTH
def test_the_policy_of_the_page_stops_nothing_that_the_page_does(opened: Callable[..., Any]) -> None:
    page = opened(strict=True)
    page.locator("#negative").click()
    contains(page, "#progress", "1 of")
    page.locator("#grid").click()
    contains(page, "#empty", "labels of both classes")


@IN_BOTH
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_is_wider_than_the_screen_and_axe_finds_nothing_serious(
    opened: Callable[..., Any], width: int, scheme: str, pytestconfig: pytest.Config
) -> None:
    page = opened(width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert grave_faults(page, pytestconfig) == {}
    for count in range(1, 13):
        answer_shown(page)
        labelled(page, count)
    assert grave_faults(page, pytestconfig) == {}
    page.keyboard.press("g")
    page.wait_for_selector(".tile")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert grave_faults(page, pytestconfig) == {}
