"""The application of the label page: its routes. Images are named by their rows, never by paths."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from twofold.core.files import printable
from twofold.data import MAX_PIXELS, one_line
from twofold.review.guard import Guard
from twofold.review.renditions import renderer
from twofold.review.responses import answer_json, entries_of, image_route, page_routes, read_json, whole_number
from twofold.workflows.label import LabelAnswer, Proposal
from twofold.workflows.labelling import Labelling

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_AHEAD: Final = 12  # images that a page may load ahead
_GRID: Final = 24
_ASSETS: Final = ("review.css", "label.css", "page.js", "label.js")


def build_label_app(labelling: Labelling, token: str, port: int, *, max_pixels: int = MAX_PIXELS) -> Guard:
    """The application, behind its guard. `max_pixels` is the size limit that the images of the pool were read with."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    pool, views = labelling.pool, _LabelViews(labelling)
    render = renderer(lambda row: pool.paths[row], pool.ranges, max_pixels)
    routes = [
        *page_routes("label.html", _ASSETS, token),
        image_route(render, len(pool.paths)),
        Route("/api/state", views.state),
        Route("/api/next", views.next),
        Route("/api/grid", views.grid),
        Route("/api/accuracy", views.accuracy),
        Route("/api/answer", views.answer, methods=["POST"]),
        Route("/api/skip", views.skip, methods=["POST"]),
        Route("/api/undo", views.undo, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), token, port)


def label_training_command(labelling: Labelling) -> str:
    """The command that trains a bundle on the labels."""
    return one_line(shlex.join(["twofold", "train", str(labelling.file.path), "--out", "labelled.twofold"]))


class _LabelViews:
    """What the routes answer. No answer waits for a fit: what to ask next and the accuracy are requests of their own."""

    def __init__(self, labelling: Labelling) -> None:
        self._labelling = labelling

    async def state(self, request: "Request") -> "Response":
        labelling = self._labelling
        return await answer_json(
            lambda: {
                "name": printable(labelling.pool.folder.absolute().name),
                "classes": labelling.file.classes,
                "file": printable(labelling.file.path.name),
                "command": label_training_command(labelling),
                "notes": [note.text for note in labelling.notes],
                **self._next(),
            }
        )

    async def next(self, request: "Request") -> "Response":
        return await answer_json(self._next)

    async def grid(self, request: "Request") -> "Response":
        label = 1 if request.query_params.get("label") == "1" else 0

        def draw() -> dict[str, Any]:
            rows = self._labelling.sure_rows(label, _GRID)
            return {"items": [self._describe(Proposal(row, "unsure")) for row in rows], **self._progress()}

        return await answer_json(draw)

    async def accuracy(self, request: "Request") -> "Response":
        return await answer_json(self._labelling.accuracy)

    async def answer(self, request: "Request") -> "Response":
        body = await read_json(request)

        def write() -> dict[str, Any]:
            self._labelling.answer(_answers(entries_of(body)))
            return self._progress()

        return await answer_json(write)

    async def skip(self, request: "Request") -> "Response":
        body = await read_json(request)

        def leave() -> dict[str, Any]:
            self._labelling.skip(whole_number(body, "row"))
            return self._progress()

        return await answer_json(leave)

    async def undo(self, request: "Request") -> "Response":
        def take_back() -> dict[str, Any]:
            proposal = self._labelling.undo()
            return {"undone": None if proposal is None else self._describe(proposal), **self._progress()}

        return await answer_json(take_back)

    def _next(self) -> dict[str, Any]:
        proposals = self._labelling.proposals(_AHEAD)
        return {"next": [self._describe(proposal) for proposal in proposals], **self._progress()}

    def _progress(self) -> dict[str, Any]:
        return {"progress": self._labelling.progress()}

    def _describe(self, proposal: Proposal) -> dict[str, Any]:
        path = self._labelling.pool.paths[proposal.row]
        folder = self._labelling.pool.folder
        name = path.relative_to(folder) if path.is_relative_to(folder) else path
        return {"row": proposal.row, "reason": proposal.reason, "path": printable(str(name))}


def _answers(entries: Sequence[dict[str, Any]]) -> list[LabelAnswer]:
    return [LabelAnswer(whole_number(entry, "row"), whole_number(entry, "label")) for entry in entries]
