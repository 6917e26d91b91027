"""The page of the service in a browser: images are chosen, predicted and explained; a token is asked for."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsers import IN_BOTH, grave_faults, with_eval
from drawings import draw

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("prometheus_client", reason="the extra `serve` is not installed")

from service_process import LIMITS, RunningService, running_service

from twofold.embedding import Runtime
from twofold.serving.model_repository import ModelRepository


@pytest.fixture(scope="module")
def repository(bundle: Path, runtime: Runtime) -> ModelRepository:
    repository = ModelRepository({"drawn": bundle, "second": bundle}, runtime)
    repository.load()
    repository.warm()
    return repository


def png(pattern: str) -> dict[str, Any]:
    file = io.BytesIO()
    draw(pattern, 70).save(file, "PNG")
    return {"name": f"{pattern}.png", "mimeType": "image/png", "buffer": file.getvalue()}


def visit(open_page: Callable[..., Any], service: RunningService, **options: Any) -> Any:
    address = f"http://127.0.0.1:{service.port}/"
    return open_page(address, address, **options)


@IN_BOTH
def test_images_that_are_chosen_are_predicted_and_explained(
    open_page: Callable[..., Any], repository: ModelRepository
) -> None:
    with running_service(repository, LIMITS, wrap=with_eval) as service:
        visited = visit(open_page, service)
        page = visited.page
        page.locator("#about", has_text="drawn: bars or rings.").wait_for()
        page.locator("#files").set_input_files([png("rings"), png("bars")])
        for pattern in ("rings", "bars"):
            entry = page.locator(".result", has_text=f"{pattern}.png")
            entry.locator(".label", has_text=pattern).wait_for()
            assert "probability of rings 0." in entry.locator(".detail").inner_text()
        rings = page.locator(".result", has_text="rings.png")
        before = rings.locator("img").get_attribute("src")
        rings.locator("button").click()
        rings.locator("button", has_text="Orange speaks for rings").wait_for()
        assert rings.locator("img").get_attribute("src") != before
        page.locator("#model").select_option("second")
        page.locator("#about", has_text="second: bars or rings.").wait_for()
        page.locator("#files").set_input_files([{**png("rings"), "name": "text.png", "buffer": b"no image"}])
        text = page.locator(".result", has_text="text.png")
        text.locator(".label", has_text="no prediction").wait_for()
        assert "not those of a JPEG" in text.locator(".detail").inner_text()
        assert visited.requests == []


@IN_BOTH
def test_the_page_is_accessible_and_fits_a_phone(
    open_page: Callable[..., Any],
    repository: ModelRepository,
    pytestconfig: pytest.Config,
) -> None:
    with running_service(repository, LIMITS, wrap=with_eval) as service:
        for scheme in ("light", "dark"):
            page = visit(open_page, service, width=390, color_scheme=scheme).page
            page.locator("#files").set_input_files([png("rings")])
            page.locator(".explain").wait_for()
            assert grave_faults(page, pytestconfig) == {}
            assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_page_asks_for_the_token_and_works_under_its_own_policy(
    open_page: Callable[..., Any], repository: ModelRepository
) -> None:
    with running_service(repository, LIMITS, token="a-token-of-the-service") as service:
        page = visit(open_page, service).page
        for token, message in (("wrong", "Send the token of the service"), ("a-token-of-the-service", "")):
            page.locator("#token").fill(token)
            page.locator("#access button").click()
            if message:
                page.locator("#message", has_text=message).wait_for()
        page.locator("#files").set_input_files([png("bars")])
        page.locator(".label", has_text="bars").wait_for()
