"""The application of the review page: its routes. Images are named by their rows, never by paths."""

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twofold.core.errors import TwofoldError
from twofold.data import MAX_PIXELS, one_line
from twofold.review.guard import Guard
from twofold.review.renditions import renderer
from twofold.review.responses import (
    answer_json,
    entries_of,
    error_response,
    image_route,
    page_routes,
    read_json,
    whole_number,
)
from twofold.workflows.review import Review, ReviewOrder, progress_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_AHEAD: Final = 8  # images that a page may load ahead
_GRID: Final = 24
_ASSETS: Final = ("review.css", "page.js", "review.js")


RenderMap = Callable[[int], bytes | None]
"""(row) -> the evidence map of an image as PNG, to be laid over it; None where there is none."""


def build_app(
    review: Review, token: str, port: int, render_map: RenderMap = lambda row: None, *, max_pixels: int = MAX_PIXELS
) -> Guard:
    """The application, behind its guard. `max_pixels` is the size limit that the images of the review were read with."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    dataset = review.dataset
    sources = [dataset.file_list.files[int(number)].path for number in dataset.table.used]
    render = renderer(lambda row: sources[row], review.model.backbone.preprocessing.ranges, max_pixels)
    views = _Views(review, render_map)
    routes = [
        *page_routes("review.html", _ASSETS, token),
        image_route(render, len(sources)),
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

    def __init__(self, review: Review, render_map: RenderMap) -> None:
        self._review, self._render_map = review, render_map

    async def map(self, request: "Request") -> "Response":
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        row = request.path_params["row"]
        data = await run_in_threadpool(self._render_map, row) if row < len(self._review.hashes) else None
        if data is None:
            return error_response("There is no evidence map of this image.", 404)
        return Response(data, media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    async def state(self, request: "Request") -> "Response":
        return await answer_json(lambda: self._state(random_only=request.query_params.get("draw") == "random"))

    async def item(self, request: "Request") -> "Response":
        row, reason = request.path_params["row"], request.query_params.get("reason")

        def describe() -> dict[str, Any]:
            described = self._review.describe(self._review.item(row))
            return {**described, "reason": "random", "random": True} if reason == "random" else described

        return await answer_json(describe)

    async def grid(self, request: "Request") -> "Response":
        def draw() -> dict[str, Any]:
            items = self._review.next(_GRID, random_only=True)
            return {"items": [self._review.brief(item.row) for item in items], **self._state()}

        return await answer_json(draw)

    async def decide(self, request: "Request") -> "Response":
        body = await read_json(request)

        def write() -> dict[str, Any]:
            self._review.decide([_order(entry) for entry in entries_of(body)])
            return self._state(random_only=body.get("draw") == "random")

        return await answer_json(write)

    async def separate(self, request: "Request") -> "Response":
        body = await read_json(request)

        def write() -> dict[str, Any]:
            self._review.separate(whole_number(body, "row"), whole_number(body, "other"))
            return self._state()

        return await answer_json(write)

    async def undo(self, request: "Request") -> "Response":
        def write() -> dict[str, Any]:
            item = self._review.undo()
            undone = None if item is None else {"row": item.row, "reason": item.reason}
            return {"undone": undone, **self._state()}

        return await answer_json(write)

    async def retrain(self, request: "Request") -> "Response":
        def fit() -> dict[str, Any]:
            result = self._review.retrain().as_json()
            return {"result": result, "command": training_command(self._review), **self._state()}

        return await answer_json(fit)

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


def _order(entry: dict[str, Any]) -> ReviewOrder:
    kind, value = entry.get("kind"), entry.get("value", "")
    if not (isinstance(kind, str) and isinstance(value, str)):
        raise TwofoldError("An answer has a kind and a value, both text.")
    return ReviewOrder(whole_number(entry, "row"), kind, value, entry.get("random") is True)  # type: ignore[arg-type]
