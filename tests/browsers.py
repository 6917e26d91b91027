"""The browsers of tests of pages, through Playwright: Debian's Chromium and Firefox."""

import importlib.util
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from twofold.review.guard import App, AsgiMessage, Receive, Scope, Send

PROGRAMS = {"chromium": "chromium", "firefox": "firefox-esr"}
IN_BOTH = pytest.mark.parametrize("browser", list(PROGRAMS), indirect=True)
UNKNOWN_COMMANDS = Path(__file__).with_name("unknown_commands.cjs")


def start_playwright() -> Any:
    """Playwright, which can also drive a Firefox that does not know all of its commands."""
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODE_OPTIONS", f'--require "{UNKNOWN_COMMANDS}"')
        return sync_playwright().start()


def launch(playwright: Any, name: str, program: str, color_scheme: str) -> Any:
    """A browser. Firefox 140 cannot be told the colour scheme of one page, so it is that of the program."""
    if name == "chromium":
        return playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
    settings = {"layout.css.prefers-color-scheme.content-override": int(color_scheme == "light")}
    return playwright.firefox.launch(executable_path=program, channel="moz-firefox", firefox_user_prefs=settings)


class Browsers:
    """Browsers that start when a test asks for them, and then stay until `stop`."""

    def __init__(self, config: pytest.Config) -> None:
        pytest.importorskip("playwright", reason="playwright is not installed: pip install '.[dev]'")
        self._playwright, self._config = start_playwright(), config
        self._started = cache(self._start)

    def new_page(self, name: str, width: int, color_scheme: str, **options: Any) -> Any:
        """A page of this width; the test is skipped where the program is missing."""
        browser = self._started(name, color_scheme if name == "firefox" else "any")
        return browser.new_page(viewport={"width": width, "height": 900}, color_scheme=color_scheme, **options)

    def stop(self) -> None:
        self._playwright.stop()

    def _start(self, name: str, color_scheme: str) -> Any:
        program = self._config.getoption(f"--{name}") or shutil.which(PROGRAMS[name])
        if program is None:
            pytest.skip(f"there is no {PROGRAMS[name]}: install Debian's package, or give its path with --{name}")
        return launch(self._playwright, name, program, color_scheme)


def allow_eval(policy: str) -> str:
    """The content security policy with `eval`, by which Playwright evaluates expressions of tests in Firefox."""
    return policy.replace("script-src ", "script-src 'unsafe-eval' ")


def without_eval(messages: list[str]) -> list[str]:
    """The messages of a page whose policy does not allow the `eval` of Playwright, without the one on this."""
    return [message for message in messages if "'unsafe-eval'" not in message]


def with_eval(app: App) -> App:
    """The application with `eval` allowed in its pages."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_changed(message: AsgiMessage) -> None:
            headers = [
                (name, allow_eval(value.decode()).encode() if name == b"content-security-policy" else value)
                for name, value in message.get("headers", [])
            ]
            await send({**message, "headers": headers} if headers else message)

        await app(scope, receive, send_changed)

    return answer


def grave_faults(page: Any, config: pytest.Config) -> dict[str, list[str]]:
    """What axe-core calls serious or critical in the page: rule -> HTML; the test is skipped where axe-core is missing."""
    page.evaluate(axe_script(config))
    found = page.evaluate("async () => (await axe.run()).violations")
    grave = [entry for entry in found if entry["impact"] in ("serious", "critical")]
    return {entry["id"]: [node["html"] for node in entry["nodes"]] for entry in grave}


def axe_script(config: pytest.Config) -> str:
    """The source of axe-core: that of `--axe PATH`, or of the package axe-playwright-python."""
    given = config.getoption("--axe")
    if given is None:
        package = importlib.util.find_spec("axe_playwright_python")
        if package is None or package.origin is None:
            pytest.skip("axe-playwright-python is not installed: pip install '.[dev]', or give axe.min.js with --axe")
        given = Path(package.origin).with_name("axe.min.js")
    return Path(given).read_text(encoding="utf-8")
