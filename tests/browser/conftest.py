"""A browser for tests of pages: Debian's Chromium, or the one of `--chromium PATH`."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[Any]:
    """A browser; the test is skipped where Playwright or Chromium is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
    path = pytestconfig.getoption("--chromium") or shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium: install Debian's package, or give its path with --chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """An open page, with what it said and asked for."""

    def __init__(self, page: Any, file: Path) -> None:
        self.page, self.messages, self.requests = page, list[str](), list[str]()
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: self.messages.append(f"dialog {dialog.message}"))
        page.goto(file.as_uri())
        self.requests = [url for url in self.requests if not url.startswith(("data:", file.as_uri()))]

    def text(self, selector: str = "body") -> str:
        return str(self.page.locator(selector).inner_text())

    def value(self, selector: str) -> str:
        return str(self.page.locator(selector).text_content())


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Visit]]:
    """Opens HTML from a file, as a person does."""
    contexts = []

    def open_page(html: str, width: int = 1280, **options: Any) -> Visit:
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        return Visit(contexts[-1].new_page(), file)

    yield open_page
    for context in contexts:
        context.close()
