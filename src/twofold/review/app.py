"""The application of the review page: its routes. Images are named by their rows, never by paths."""

import json
import shlex
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from twofold.core.errors import TwofoldError
from twofold.data import one_line
from twofold.review.guard import Guard
from twofold.review.renditions import SIDES, renderer
from twofold.workflows.review import Review, ReviewOrder, progress_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MAX_BODY: Final = 100_000  # bytes of a request
_AHEAD: Final = 8  # images that a page may load ahead
_GRID: Final = 24
_TYPES: Final = {"css": "text/css", "js": "text/javascript"}
_ASSETS: Final = {
    "theme.css": "twofold.report.page",
    "review.css": "twofold.review.page",
    "review.js": "twofold.review.page",
}


RenderMap = Callable[[int], bytes | None]
"""(row) -> the evidence map of an image as PNG, to be laid over it; None where there is none."""


def build_app(review: Review, token: str, port: int, render_map: RenderMap = lambda row: None) -> Guard:
    """The application, behind its guard."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    dataset = review.dataset
    sources = [dataset.file_list.files[int(number)].path for number in dataset.table.used]
    render = renderer(lambda row: sources[row], review.model.backbone.preprocessing.ranges)
    views = _Views(review, token, render, render_map)
    routes = [
        Route("/", views.page),
        Route("/favicon.ico", views.icon),
        Route("/static/{name}", views.asset),
        Route("/image/{row:int}", views.image),
        Route("/map/{row:int}", views.map),
        Route("/api/state", views.state),
        Route("/api/item/{row:int}", views.item),
        Route("/api/grid", views.grid),
        Route("/api/decide", views.decide, methods=["POST"]),
        Route("/api/separate", views.separate, methods=["POST"]),
        Route("/api/undo", views.undo, methods=["POST"]),
        Route("/api/retrain", views.retrain, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), token, port)


def training_command(review: Review) -> str:
    """The command that trains a bundle with the decisions."""
    words = ["twofold", "train", str(review.data), "--decisions", str(review.file.path), "--out", "reviewed.twofold"]
    return one_line(shlex.join(words))


class _Views:
    """What the routes answer. Work is done in threads, so that a retraining does not hold up images."""

    def __init__(
        self, review: Review, token: str, render: Callable[[int, int], bytes | None], render_map: RenderMap
    ) -> None:
        self._review, self._token, self._render, self._render_map = review, token, render, render_map

    async def page(self, request: "Request") -> "Response":
        from starlette.responses import HTMLResponse

        text = (files("twofold.review.page") / "review.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("{{token}}", self._token), headers={"cache-control": "no-store"})

    async def icon(self, request: "Request") -> "Response":
        from starlette.responses import Response

        return Response(status_code=204)

    async def asset(self, request: "Request") -> "Response":
        from starlette.responses import Response

        name = request.path_params["name"]
        if name not in _ASSETS:
            return _error("There is no such file.", 404)
        content = (files(_ASSETS[name]) / name).read_bytes()
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers={"cache-control": "no-cache"})

    async def image(self, request: "Request") -> "Response":
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        row, side = request.path_params["row"], request.query_params.get("side", "")
        if row >= len(self._review.hashes) or side not in map(str, SIDES):
            return _error("There is no such image.", 404)
        data = await run_in_threadpool(self._render, row, int(side))
        if data is None:
            return _error("The image cannot be read any more.", 404)
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    async def map(self, request: "Request") -> "Response":
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        row = request.path_params["row"]
        data = await run_in_threadpool(self._render_map, row) if row < len(self._review.hashes) else None
        if data is None:
            return _error("There is no evidence map of this image.", 404)
        return Response(data, media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    async def state(self, request: "Request") -> "Response":
        return await self._run(lambda: self._state(random_only=request.query_params.get("draw") == "random"))

    async def item(self, request: "Request") -> "Response":
        row, reason = request.path_params["row"], request.query_params.get("reason")

        def describe() -> dict[str, Any]:
            described = self._review.describe(self._review.item(row))
            return {**described, "reason": "random", "random": True} if reason == "random" else described

        return await self._run(describe)

    async def grid(self, request: "Request") -> "Response":
        def draw() -> dict[str, Any]:
            items = self._review.next(_GRID, random_only=True)
            return {"items": [self._review.brief(item.row) for item in items], **self._state()}

        return await self._run(draw)

    async def decide(self, request: "Request") -> "Response":
        body = await _read_json(request)

        def write() -> dict[str, Any]:
            self._review.decide([_order(entry) for entry in _entries(body)])
            return self._state(random_only=body.get("draw") == "random")

        return await self._run(write)

    async def separate(self, request: "Request") -> "Response":
        body = await _read_json(request)

        def write() -> dict[str, Any]:
            self._review.separate(_whole(body, "row"), _whole(body, "other"))
            return self._state()

        return await self._run(write)

    async def undo(self, request: "Request") -> "Response":
        def write() -> dict[str, Any]:
            item = self._review.undo()
            undone = None if item is None else {"row": item.row, "reason": item.reason}
            return {"undone": undone, **self._state()}

        return await self._run(write)

    async def retrain(self, request: "Request") -> "Response":
        def fit() -> dict[str, Any]:
            result = self._review.retrain().as_json()
            return {"result": result, "command": training_command(self._review), **self._state()}

        return await self._run(fit)

    def _state(self, *, random_only: bool = False) -> dict[str, Any]:
        """What every answer has: the progress and the next images."""
        items = self._review.next(_AHEAD, random_only=random_only)
        return {
            "name": self._review.name,
            "classes": self._review.classes,
            "file": self._review.file.path.name,
            "progress": progress_json(self._review.progress()),
            "next": [{"row": item.row, "reason": item.reason} for item in items],
            "notes": [note.text for note in self._review.notes],
        }

    async def _run(self, work: Callable[[], dict[str, Any]]) -> "Response":
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        try:
            return JSONResponse(await run_in_threadpool(work), headers={"cache-control": "no-store"})
        except TwofoldError as error:
            return _error(str(error).replace("`", ""), 400)


async def _read_json(request: "Request") -> dict[str, Any]:
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


def _entries(body: dict[str, Any]) -> list[dict[str, Any]]:
    entries = body.get("answers")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise TwofoldError("The request holds no answers.")
    return entries


def _order(entry: dict[str, Any]) -> ReviewOrder:
    kind, value = entry.get("kind"), entry.get("value", "")
    if not (isinstance(kind, str) and isinstance(value, str)):
        raise TwofoldError("An answer has a kind and a value, both text.")
    return ReviewOrder(_whole(entry, "row"), kind, value, entry.get("random") is True)  # type: ignore[arg-type]


def _whole(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TwofoldError(f"The request needs the number {name!r}.")
    return value


def _error(sentence: str, status: int) -> "Response":
    from starlette.responses import JSONResponse

    return JSONResponse({"error": sentence}, status_code=status)
