"""Nobody but the browser that was given the address reads or changes anything."""

from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra `review` is not installed")
pytest.importorskip("httpx", reason="httpx is not installed: it is the client of these tests")

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from twofold.review.guard import TOKEN_HEADER, Guard


async def secret(request: Any) -> PlainTextResponse:
    return PlainTextResponse("secret")


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/{path:path}", secret, methods=["GET", "POST", "PUT"])]
    guard = Guard(Starlette(routes=routes), "abc", 8711)
    return TestClient(guard, base_url="http://127.0.0.1:8711", follow_redirects=False)


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(client: TestClient) -> None:
    response = client.get("/?token=abc")
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert response.headers["set-cookie"] == "twofold-8711=abc; HttpOnly; SameSite=Strict; Path=/"
    assert client.get("/anything").text == "secret"


@pytest.mark.parametrize("path", ["/", "/?token=abd", "/?token=", "/api/state?token=abc", "/?TOKEN=abc"])
def test_without_the_token_nothing_is_read(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 403
    assert "secret" not in response.text


@pytest.mark.parametrize("cookie", ["abd", "", "abc2", "é"])
def test_a_wrong_cookie_is_refused(client: TestClient, cookie: str) -> None:
    assert client.get("/", headers={"cookie": f"twofold-8711={cookie}".encode()}).status_code == 403
    assert client.get("/", headers={"cookie": "twofold-8712=abc"}).status_code == 403


def test_the_cookie_alone_changes_nothing_because_other_sites_might_have_it_sent(client: TestClient) -> None:
    client.cookies.set("twofold-8711", "abc")
    assert client.get("/").status_code == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert client.request(method, "/").status_code == 403
    assert client.post("/", headers={TOKEN_HEADER: "abd"}).status_code == 403
    assert client.post("/", headers={TOKEN_HEADER: "abc"}).text == "secret"


@pytest.mark.parametrize("host", ["evil.example:8711", "127.0.0.1:80", "127.0.0.1", "", "127.0.0.1:8711.evil.example"])
def test_another_host_name_is_refused_also_with_the_token(client: TestClient, host: str) -> None:
    response = client.get("/", headers={"host": host, TOKEN_HEADER: "abc"})
    assert response.status_code == 403
    assert client.get("/", headers={"host": "localhost:8711", TOKEN_HEADER: "abc"}).status_code == 200


def test_every_answer_forbids_inline_scripts_frames_and_other_sites(client: TestClient) -> None:
    for response in (client.get("/"), client.get("/", headers={TOKEN_HEADER: "abc"})):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
