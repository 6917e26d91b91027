"""A review of drawn images with wrong labels, duplicates and a conflict, and a client of its page."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drawings import draw, draw_folder
from starlette.testclient import TestClient

from twofold.bundle.storage import load_bundle
from twofold.core.options import BackboneOptions, TrainingOptions
from twofold.embedding import Runtime
from twofold.review.app import build_app
from twofold.review.guard import TOKEN_HEADER
from twofold.workflows.review import Review, open_review
from twofold.workflows.save import save
from twofold.workflows.train import train

TOKEN, PORT = "the-token-of-the-tests", 8711
OPTIONS = TrainingOptions(backbone=BackboneOptions(size=96, effort="fast", dtype="f32"))
WRONG = ("bars/bars-003.png", "rings/rings-005.png")


def draw_mislabelled(folder: Path) -> Path:
    """30 images of each class: two with the other label, one file under both labels, and a pair of near duplicates."""
    draw_folder(folder, 30)
    draw("rings", 90).save(folder / WRONG[0])
    draw("bars", 90).save(folder / WRONG[1])
    shutil.copy(folder / "bars/bars-010.png", folder / "rings/copy.png")
    draw("bars", 20, 96).save(folder / "bars/large.png")
    draw("bars", 20, 96).resize((72, 72)).save(folder / "bars/small.png")
    return folder


def train_bundle(data: Path, path: Path, runtime: Runtime) -> Path:
    save(train(data, OPTIONS, runtime), path, command=["twofold", "train", str(data)])
    return path


@dataclass
class Desk:
    """A review that writes to `file`, and the routes of its page as its own browser sees them."""

    review: Review
    file: Path
    client: TestClient

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        response = self.client.post(path, json=body or {}, headers={TOKEN_HEADER: TOKEN})
        assert response.status_code == 200, response.text
        return dict(response.json())

    def get(self, path: str) -> dict[str, Any]:
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def answer(self, path: str, kind: str, value: str = "", **more: Any) -> dict[str, Any]:
        row = self.review.paths.index(path)
        return self.post("/api/decide", {"answers": [{"row": row, "kind": kind, "value": value, **more}]})


def open_desk(bundle: Path, file: Path, runtime: Runtime, data: Path | None = None) -> Desk:
    return desk_of(open_review(load_bundle(bundle), data, file, runtime))


def desk_of(review: Review) -> Desk:
    client = TestClient(build_app(review, TOKEN, PORT), base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)
    client.cookies.set(f"twofold-{PORT}", TOKEN)
    return Desk(review, review.file.path, client)
