"""Pages in browsers."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import Browsers, allow_eval, with_eval, without_eval

from twofold.review.guard import Guard
from twofold.review.server import PageServer


@pytest.fixture(scope="module")
def browsers(pytestconfig: pytest.Config) -> Iterator[Browsers]:
    """Chromium and Firefox; the test is skipped where Playwright is missing.

    They stop with their module: Playwright's event loop counts as running in this thread, and tests elsewhere run theirs.
    """
    browsers = Browsers(pytestconfig)
    yield browsers
    browsers.stop()


@pytest.fixture
def browser(request: pytest.FixtureRequest) -> str:
    """Chromium, but for tests that are marked `IN_BOTH`."""
    return str(getattr(request, "param", "chromium"))


class Visit:
    """An open page, with what it said and asked for. `origin` is where requests may go."""

    def __init__(self, page: Any, address: str, origin: str) -> None:
        self.page, self.messages, self.requests = page, list[str](), list[str]()
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("request", lambda request: self._note_request(request.url, origin))
        page.on("dialog", lambda dialog: self.messages.append(f"dialog {dialog.message}"))
        page.goto(address)

    def text(self, selector: str = "body") -> str:
        return str(self.page.locator(selector).inner_text())

    def value(self, selector: str) -> str:
        return str(self.page.locator(selector).text_content())

    def _note_request(self, url: str, origin: str) -> None:
        if not url.startswith(("data:", "blob:", origin)):
            self.requests.append(url)


@pytest.fixture
def open_page(browsers: Browsers, browser: str) -> Iterator[Callable[..., Visit]]:
    """Opens an address."""
    pages = []

    def open_address(
        address: str, origin: str, width: int = 1280, color_scheme: str = "light", **options: Any
    ) -> Visit:
        pages.append(browsers.new_page(browser, width, color_scheme, **options))
        return Visit(pages[-1], address, origin)

    yield open_address
    for page in pages:
        page.close()


@pytest.fixture
def visit(open_page: Callable[..., Visit], tmp_path: Path) -> Callable[..., Visit]:
    """Opens HTML from a file, as a person does; with its own policy where it is `strict`."""

    def open_html(html: str, width: int = 1280, *, strict: bool = False, **options: Any) -> Visit:
        file = tmp_path / "page.html"
        file.write_text(html if strict else allow_eval(html), encoding="utf-8")
        return open_page(file.as_uri(), file.as_uri(), width, **options)

    return open_html


@pytest.fixture
def visit_server(open_page: Callable[..., Visit]) -> Iterator[Callable[..., Visit]]:
    """Serves an application and opens its page, which logs nothing and asks for nothing elsewhere until the end of the test."""
    visits = []

    def open_served(build: Callable[[str, int], Guard], *, strict: bool = False, **options: Any) -> Visit:
        server = PageServer(build if strict else lambda token, port: with_eval(build(token, port)), 0)
        threading.Thread(target=server.run, daemon=True).start()
        visits.append(open_page(server.address, f"http://127.0.0.1:{server.port}/", **options))
        return visits[-1]

    yield open_served
    assert [without_eval(visit.messages) for visit in visits] == [[]] * len(visits)
    assert [visit.requests for visit in visits] == [[]] * len(visits)
