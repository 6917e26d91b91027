"""The label page: what its routes answer, what is in the file afterwards, and the command as a process."""

import io
import signal
import socket
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the extra `review` is not installed")
pytest.importorskip("httpx", reason="httpx is not installed: it is the client of these tests")

from desks import PORT, TOKEN
from page_process import post, running_command
from pools import CLASSES, IMAGES, answer_next, draw_pool, embed, open_labelling, truth
from starlette.testclient import TestClient

from twofold.cli import main
from twofold.embedding import Runtime
from twofold.review.guard import TOKEN_HEADER
from twofold.review.label_app import build_label_app
from twofold.workflows.label_file import LabelFile
from twofold.workflows.labelling import Labelling, LabelPool


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> LabelPool:
    return embed(draw_pool(tmp_path_factory.mktemp("pool") / "images"), runtime)


@pytest.fixture
def labelling(pool: LabelPool, tmp_path: Path) -> Labelling:
    return open_labelling(pool, tmp_path / "labels.csv")


@pytest.fixture
def client(labelling: Labelling) -> TestClient:
    app = build_label_app(labelling, TOKEN, PORT)
    client = TestClient(app, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)
    client.headers[TOKEN_HEADER] = TOKEN
    return client


def rows_of(labelling: Labelling) -> list[tuple[str, str]]:
    return [(Path(row.path).name, row.label) for row in LabelFile(labelling.file.path, CLASSES).rows]


def test_an_answer_is_in_the_file_before_it_is_confirmed(client: TestClient, labelling: Labelling) -> None:
    state = client.get("/api/state").json()
    assert (state["classes"], state["file"], state["name"]) == (["bars", "rings"], "labels.csv", "images")
    first, second = state["next"][:2]
    received = client.post("/api/answer", json={"answers": [{"row": first["row"], "label": 1}]}).json()
    assert received["progress"] == {"answers": 1, "images": IMAGES, "labels": [0, 1], "skipped": 0}
    assert rows_of(labelling) == [(first["path"], "rings")]
    client.post("/api/answer", json={"answers": [{"row": second["row"], "label": 0}]})
    assert rows_of(labelling) == [(first["path"], "rings"), (second["path"], "bars")]
    assert {first["row"], second["row"]}.isdisjoint(item["row"] for item in client.get("/api/next").json()["next"])


def test_undo_shows_the_image_again_and_takes_its_row_out_of_the_file(client: TestClient, labelling: Labelling) -> None:
    (row,) = answer_next(labelling, 1)
    undone = client.post("/api/undo").json()
    assert undone["undone"]["row"] == row
    assert undone["progress"]["answers"] == 0
    assert rows_of(labelling) == []
    assert client.post("/api/undo").json()["undone"] is None


def test_a_skipped_image_is_not_next_and_is_in_the_file_without_a_label(
    client: TestClient, labelling: Labelling
) -> None:
    first = client.get("/api/next").json()["next"][0]
    assert client.post("/api/skip", json={"row": first["row"]}).json()["progress"]["skipped"] == 1
    assert first["row"] not in [item["row"] for item in client.get("/api/next").json()["next"]]
    assert rows_of(labelling) == [(first["path"], "")]


def test_a_grid_is_confirmed_with_its_exceptions_in_one_request(client: TestClient, labelling: Labelling) -> None:
    assert client.get("/api/grid?label=1").json()["items"] == []
    answer_next(labelling, 12)
    items = client.get("/api/grid?label=1").json()["items"]
    rows = [item["row"] for item in items]
    answers = [{"row": row, "label": truth(labelling.pool, row)} for row in rows]
    received = client.post("/api/answer", json={"answers": answers}).json()
    assert received["progress"]["answers"] == 12 + len(rows)
    assert all(name.endswith(f"{label}.png") for name, label in rows_of(labelling))


def test_the_accuracy_says_how_many_answers_it_is_from(client: TestClient, labelling: Labelling) -> None:
    answer_next(labelling, 24)
    accuracy = client.get("/api/accuracy").json()
    assert accuracy == {**labelling.accuracy()}
    assert (accuracy["answers"], accuracy["random"]) == (24, len(labelling.session.random_rows))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/answer", {}),
        ("/api/answer", {"answers": []}),
        ("/api/answer", {"answers": [{"row": 0}]}),
        ("/api/answer", {"answers": [{"row": "0", "label": 1}]}),
        ("/api/answer", {"answers": [{"row": 0, "label": 2}]}),
        ("/api/answer", {"answers": [{"row": 0, "label": 1}, {"row": 9999, "label": 1}]}),
        ("/api/answer", {"answers": [{"row": -1, "label": True}]}),
        ("/api/skip", {"row": 9999}),
        ("/api/skip", {"row": None}),
        ("/api/skip", []),
    ],
)
def test_a_request_that_makes_no_sense_gets_a_sentence_and_changes_nothing(
    path: str, body: object, client: TestClient, labelling: Labelling
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 400
    assert response.json()["error"].endswith(".")
    assert not labelling.file.path.exists()


def test_where_the_file_cannot_be_written_the_answer_is_not_confirmed(client: TestClient, labelling: Labelling) -> None:
    answer_next(labelling, 1)
    labelling.file.path.write_text("of another program")
    response = client.post("/api/answer", json={"answers": [{"row": 0, "label": 1}]})
    assert response.status_code == 400
    assert "changed by another program" in response.json()["error"]
    assert labelling.file.path.read_text() == "of another program"
    assert client.get("/api/state").json()["progress"]["answers"] == 1


def test_images_are_served_by_number_and_size_and_nothing_else_is(client: TestClient, pool: LabelPool) -> None:
    response = client.get("/image/0?side=160")
    assert Image.open(io.BytesIO(response.content)).format == "JPEG"
    for path in (
        f"/image/{IMAGES}?side=160",
        "/image/0?side=161",
        "/image/0",
        "/static/review.js",
        "/static/label.html",
    ):
        assert client.get(path).status_code == 404, path
    for path in (
        "/image/-1?side=160",
        "/static/../label_app.py",
        "/static/%2e%2e/label_app.py",
        "/etc/passwd",
        "/map/0",
    ):
        assert client.get(path).status_code == 404, path
    text = client.get("/").text
    assert TOKEN in text
    for name in ("theme.css", "review.css", "label.css", "page.js", "label.js"):
        assert client.get(f"/static/{name}").status_code == 200


def test_without_the_token_nothing_is_read_or_written(client: TestClient, labelling: Labelling) -> None:
    for path in ("/", "/api/state", "/api/next", "/image/0?side=160", "/static/label.js"):
        assert client.get(path, headers={TOKEN_HEADER: "another"}).status_code == 403
    body = {"answers": [{"row": 0, "label": 1}]}
    assert client.post("/api/answer", json=body, headers={TOKEN_HEADER: ""}).status_code == 403
    client.cookies.set(f"twofold-{PORT}", TOKEN)  # which another site may have sent
    assert client.post("/api/answer", json=body, headers={TOKEN_HEADER: ""}).status_code == 403
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    assert not labelling.file.path.exists()


def test_a_killed_page_goes_on_where_it_was_on_the_next_free_port(tmp_path: Path) -> None:
    folder, out, cache = draw_pool(tmp_path / "pool"), tmp_path / "labels.csv", tmp_path / "cache"
    words = ["label", folder, "--classes", *CLASSES, "--out", out, "--no-browser", "--quiet"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_command([*words, "--port", port], cache) as (process, base, token):
            assert base != f"http://127.0.0.1:{port}"
            for row in range(5):
                post(base, token, "/api/answer", {"answers": [{"row": row, "label": row % 2}]})
            post(base, token, "/api/skip", {"row": 5})
            process.kill()
    assert [row.label for row in LabelFile(out, CLASSES).rows] == [*("bars", "rings") * 2, "bars", ""]
    with running_command([*words, "--port", 0], cache) as (process, base, token):
        assert post(base, token, "/api/undo", {})["undone"]["row"] == 5
        assert post(base, token, "/api/undo", {})["undone"]["row"] == 4
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "4 of 36 images labelled" in errors
    assert "1 file left out" in errors
    assert "Traceback" not in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "labels.csv", "pool"]


def test_wrong_usage_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "labels.csv")]
    for words in (
        ["--classes", "a", "a", *out],
        ["--classes", "a", "b", *out, "--port", "70000"],
        ["--classes", "a", "b"],
    ):
        assert main(["label", str(tmp_path), *words]) == 2
        assert capsys.readouterr().err.count("\n") <= 2
    assert main(["label", str(tmp_path), "--classes", "a", "b", *out]) == 1
    assert "takes at least 20" in capsys.readouterr().err
