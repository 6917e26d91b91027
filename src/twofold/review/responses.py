"""What both pages answer alike: their files, images by number, JSON from work in a thread, and errors as sentences."""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from twofold.core.errors import TwofoldError
from twofold.review.renditions import SIDES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

MAX_BODY: Final = 100_000  # bytes of a request
_TYPES: Final = {"css": "text/css", "js": "text/javascript"}
_THEME: Final = "theme.css"  # the look of all pages


def page_routes(page: str, assets: Sequence[str], token: str) -> "list[Route]":
    """The routes of the page, which gets the token, and of its files. There are no others below /static."""
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Route

    async def show_page(request: "Request") -> "Response":
        text = (files("twofold.review.page") / page).read_text(encoding="utf-8")
        return HTMLResponse(text.replace("{{token}}", token), headers={"cache-control": "no-store"})

    async def show_icon(request: "Request") -> "Response":
        return Response(status_code=204)

    async def show_asset(request: "Request") -> "Response":
        name = request.path_params["name"]
        if name not in (_THEME, *assets):
            return error_response("There is no such file.", 404)
        content = (files("twofold.report.page" if name == _THEME else "twofold.review.page") / name).read_bytes()
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers={"cache-control": "no-cache"})

    return [Route("/", show_page), Route("/favicon.ico", show_icon), Route("/static/{name}", show_asset)]


def image_route(render: Callable[[int, int], bytes | None], count: int) -> "Route":
    """The route of `count` images, which `render` (row, longest side) makes."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Route

    async def show_image(request: "Request") -> "Response":
        row, side = request.path_params["row"], request.query_params.get("side", "")
        if row >= count or side not in map(str, SIDES):
            return error_response("There is no such image.", 404)
        data = await run_in_threadpool(render, row, int(side))
        if data is None:
            return error_response("The image cannot be read any more.", 404)
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    return Route("/image/{row:int}", show_image)


async def answer_json(work: Callable[[], dict[str, Any]]) -> "Response":
    """What the work, done in a thread, returns. An error of twofold is a sentence with the status 400."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse

    try:
        return JSONResponse(await run_in_threadpool(work), headers={"cache-control": "no-store"})
    except TwofoldError as error:
        return error_response(str(error).replace("`", ""), 400)


async def read_json(request: "Request") -> dict[str, Any]:
    """The object in the body of a request; empty where it is none, or too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def entries_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers in a body. Raises TwofoldError where there are none."""
    entries = body.get("answers")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise TwofoldError("The request holds no answers.")
    return entries


def whole_number(entry: dict[str, Any], name: str) -> int:
    """The whole number of this name. Raises TwofoldError where it is missing or no number."""
    value = entry.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TwofoldError(f"The request needs the number {name!r}.")
    return value


def error_response(sentence: str, status: int) -> "Response":
    """The sentence as JSON."""
    from starlette.responses import JSONResponse

    return JSONResponse({"error": sentence}, status_code=status)
