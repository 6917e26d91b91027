"""The review page: what its routes answer, and what is in the file afterwards."""

import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from desks import OPTIONS, PORT, TOKEN, WRONG, Desk, desk_of, open_desk
from PIL import Image
from starlette.testclient import TestClient

from twofold.bundle.storage import load_bundle
from twofold.core.errors import DataError, UsageError
from twofold.core.options import DataOptions
from twofold.data import DecisionsFile, list_labelled_files, read_decisions
from twofold.embedding import Runtime
from twofold.review.app import build_app
from twofold.review.guard import TOKEN_HEADER
from twofold.workflows.retraining import reviewed_dataset
from twofold.workflows.review import Review, ReviewImages, open_review
from twofold.workflows.train import train


def shown(state: dict, desk: Desk) -> list[str]:  # type: ignore[type-arg]
    return [desk.review.paths[item["row"]] for item in state["next"]]


def test_the_first_images_are_the_conflict_and_the_wrong_labels(desk: Desk) -> None:
    state = desk.get("/api/state")
    assert state["classes"] == ["bars", "rings"]
    assert set(WRONG) <= set(shown(state, desk)[:4])
    assert shown(state, desk)[0] == "bars/bars-010.png"
    conflict = desk.get(f"/api/item/{state['next'][0]['row']}?reason=conflict")
    assert (conflict["reason"], conflict["other"]["path"]) == ("conflict", "rings/copy.png")
    wrong = desk.get(f"/api/item/{desk.review.paths.index(WRONG[0])}")
    assert wrong["label"] == "bars"
    assert wrong["probability"] > 0.5
    assert wrong["p_label_error"] > 0.3
    assert all(near["path"].startswith(name) for name in ("bars", "rings") for near in wrong["nearest"][name])
    assert wrong["path"] not in [near["path"] for near in wrong["nearest"]["bars"]]


def test_an_answer_is_in_the_file_before_the_next_image_and_train_applies_it(
    desk: Desk, mislabelled: Path, runtime: Runtime
) -> None:
    state = desk.answer(WRONG[0], "label", "rings")
    assert WRONG[0] not in shown(state, desk)
    desk.answer(WRONG[1], "exclude")
    state = desk.answer("bars/bars-010.png", "label", "bars")
    assert len(read_decisions(desk.file).answers) == 3
    progress = state["progress"]
    assert (progress["relabelled"], progress["excluded"], progress["checked"]) == (2, 1, 3)
    options = replace(OPTIONS, data=DataOptions(decisions=desk.file))
    result = train(mislabelled, options, runtime)
    statuses = {Path(row.path).name: (row.label, row.status, row.reason) for row in result.audit.file_report()}
    assert statuses["bars-003.png"][:2] == ("rings", "used")
    assert statuses["rings-005.png"] == (None, "skipped", "excluded")
    assert statuses["copy.png"][0] == "bars"
    assert result.dataset.valid.all()
    assert result.as_json()["audit"]["reasons"]["excluded"] == 1
    refitted, rows = reviewed_dataset(desk.review.dataset, read_decisions(desk.file))
    assert refitted.paths == result.dataset.paths == [desk.review.dataset.paths[row] for row in rows]
    for name in ("labels", "valid"):
        assert getattr(refitted, name).tolist() == getattr(result.dataset, name).tolist()


def test_undo_goes_back_without_end_also_after_a_restart(desk: Desk, embedded: ReviewImages) -> None:
    names = [path for path in desk.review.paths if path != "rings/copy.png"][:12]
    before = desk.get("/api/state")["next"]
    for path in names:
        desk.answer(path, "keep")
    desk.answer(names[3], "exclude")
    again = desk_of(Review(embedded, DecisionsFile(desk.file)))
    undone = [again.post("/api/undo")["undone"] for _ in range(14)]
    assert undone.pop() is None
    assert [again.review.paths[item["row"]] for item in undone] == [names[3], *names[::-1]]
    assert again.get("/api/state")["next"] == before
    assert desk.get("/api/state")["progress"]["checked"] == 0  # the first process sees it, too


def test_a_pair_that_is_no_duplicate_is_remembered_and_no_longer_grouped(
    desk: Desk, mislabelled: Path, embedded: ReviewImages, runtime: Runtime
) -> None:
    first, second = (desk.review.paths.index(f"bars/{name}.png") for name in ("large", "small"))
    groups = desk.review.dataset.groups
    assert groups[first] == groups[second]
    item = desk.get(f"/api/item/{second}")
    assert (item["reason"], item["other"]["row"]) == ("duplicate", first)
    desk.post("/api/separate", {"row": second, "other": first})
    assert desk.get(f"/api/item/{second}")["other"] is None
    again = desk_of(Review(embedded, DecisionsFile(desk.file)))
    assert again.get(f"/api/item/{second}")["other"] is None
    dataset = train(mislabelled, replace(OPTIONS, data=DataOptions(decisions=desk.file)), runtime).dataset
    names = [Path(path).name for path in dataset.paths]
    assert dataset.groups[names.index("large.png")] != dataset.groups[names.index("small.png")]
    pairs = {(names[pair.first], names[pair.second]) for pair in dataset.duplicates}
    assert ("large.png", "small.png") not in pairs
    assert ("bars-010.png", "copy.png") in pairs
    desk.post("/api/undo")
    assert desk.get(f"/api/item/{second}")["other"]["row"] == first


def test_the_grid_draws_at_random_and_the_bound_falls_with_what_it_confirms(desk: Desk) -> None:
    bounds, drawn = [], []
    for _ in range(2):
        items = desk.get("/api/grid")["items"]
        drawn += [item["row"] for item in items]
        answers = [{"row": item["row"], "kind": "keep", "random": True} for item in items]
        progress = desk.post("/api/decide", {"answers": answers})["progress"]
        bounds.append(progress["most_wrong_left"])
    assert len(set(drawn)) == progress["drawn"] == 48
    assert progress["images"] == 62  # the file under both labels is one image
    assert bounds[1] < bounds[0] < 62
    assert {decision.drawn_from for decision in read_decisions(desk.file)} == {62}


def test_retraining_compares_on_the_images_whose_label_did_not_change(desk: Desk) -> None:
    desk.answer(WRONG[0], "label", "rings")
    desk.answer(WRONG[1], "exclude")
    received = desk.post("/api/retrain")
    result = received["result"]
    assert (result["relabelled"], result["excluded"]) == (1, 1)
    used = int(desk.review.dataset.valid.sum())
    assert result["comparison"]["images"] == used - 2
    assert result["after"]["accuracy"] >= result["before"]["accuracy"]
    assert "--decisions" in received["command"]
    wrong = desk.get(f"/api/item/{desk.review.paths.index(WRONG[0])}")
    assert wrong["answer"] == {"kind": "label", "value": "rings"}
    assert wrong["p_label_error"] < 0.3  # of the label that was decided


def test_retraining_without_a_decision_changes_nothing(desk: Desk) -> None:
    result = desk.post("/api/retrain")["result"]
    assert result["after"] == pytest.approx(result["before"], rel=1e-4)  # a bundle has logits with six digits
    assert not result["differs"]


def test_retraining_with_too_few_images_left_is_one_sentence(desk: Desk) -> None:
    for path in desk.review.paths:
        if path.startswith("rings"):
            desk.answer(path, "exclude")
    response = desk.client.post("/api/retrain", headers={TOKEN_HEADER: TOKEN})
    assert response.status_code == 400
    assert "rings" in response.json()["error"]


def test_images_are_served_by_number_and_nothing_else_is(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    for side in (160, 320, 1200):
        response = desk.client.get(f"/image/0?side={side}")
        assert response.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(response.content)) as image:
            assert max(image.size) == min(side, 64)
    paths = [
        "/image/0",
        "/image/0?side=9999",
        "/image/999?side=160",
        "/image/-1?side=160",
        "/image/secret.txt?side=160",
    ]
    paths += ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", f"/static/{tmp_path}/secret.txt"]
    paths += ["/map/0", "/decisions.csv", "/api/item/999", "/etc/passwd", "//etc/passwd", "/image/..%2f..%2fsecret.txt"]
    for path in paths:
        response = desk.client.get(path)
        assert response.status_code in (400, 404), path
        assert "secret" not in response.text


def test_an_evidence_map_is_served_where_there_is_one(desk: Desk) -> None:
    app = build_app(desk.review, TOKEN, PORT, lambda row: b"PNG" if row == 3 else None)
    client = TestClient(app, base_url=f"http://127.0.0.1:{PORT}", headers={TOKEN_HEADER: TOKEN})
    assert client.get("/map/3").content == b"PNG"
    assert [client.get(f"/map/{row}").status_code for row in (4, 999)] == [404, 404]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"answers": []}',
        b'{"answers": [{"row": 0}]}',
        b'{"answers": [{"row": 1e9, "kind": "keep"}]}',
        b'{"answers": [{"row": 9999, "kind": "keep"}]}',
        b'{"answers": [{"row": -1, "kind": "keep"}]}',
        b'{"answers": [{"row": true, "kind": "keep"}]}',
        b'{"answers": [{"row": 0, "kind": "undo", "value": "x"}]}',
        b'{"answers": [{"row": 0, "kind": "label", "value": "cats"}]}',
        b'{"answers": [{"row": 0, "kind": "keep"}, {"row": 0, "kind": "label", "value": "\\n"}]}',
        b'{"answers": "' + b"x" * 200_000 + b'"}',
        b"[" * 100_000,
    ],
)
def test_a_request_that_makes_no_sense_is_refused_whole(desk: Desk, body: bytes) -> None:
    response = desk.client.post("/api/decide", content=body, headers={TOKEN_HEADER: TOKEN})
    assert response.status_code == 400
    assert response.json()["error"].endswith(".")
    assert not desk.file.exists()


def test_posting_without_the_token_changes_nothing(desk: Desk) -> None:
    for path in ("decide", "undo", "separate", "retrain"):
        assert desk.client.post(f"/api/{path}", json={"answers": [{"row": 0, "kind": "keep"}]}).status_code == 403
        assert desk.client.get(f"/api/{path}").status_code in (404, 405)
    assert not desk.file.exists()


def test_the_page_has_no_inline_code_and_asks_for_local_files_only(desk: Desk) -> None:
    page = desk.client.get("/").text
    assert TOKEN in page
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|https?://", page)
    for name in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        text = desk.client.get(name)
        assert text.status_code == 200
        assert not re.search(r"https?://(?!www\.w3\.org)", text.text)


def test_a_disk_that_cannot_be_written_is_one_sentence(desk: Desk) -> None:
    desk.file.mkdir()
    response = desk.client.post("/api/undo", headers={TOKEN_HEADER: TOKEN})
    assert response.json()["undone"] is None
    body = {"answers": [{"row": 0, "kind": "keep"}]}
    response = desk.client.post("/api/decide", json=body, headers={TOKEN_HEADER: TOKEN})
    assert response.status_code == 400
    assert "cannot be written" in response.json()["error"]


def test_images_that_moved_are_known_by_content_and_others_are_counted(
    mislabelled: Path, mislabelled_bundle: Path, runtime: Runtime, tmp_path: Path
) -> None:
    data = tmp_path / "elsewhere"
    shutil.copytree(mislabelled, data)
    (data / "bars/bars-000.png").rename(data / "bars/renamed.png")
    for number in range(1, 4):
        (data / f"rings/rings-00{number}.png").unlink()
    desk = open_desk(mislabelled_bundle, tmp_path / "d.csv", runtime, data)
    texts = {note.code: note.text for note in desk.review.notes}
    assert texts["images-missing"].startswith("3 training images of ")
    assert "images-new" not in texts
    desk.answer(WRONG[0], "label", "rings")
    labels = list_labelled_files(mislabelled, DataOptions(decisions=desk.file)).files
    assert next(file.label for file in labels if file.path.name == "bars-003.png") == "rings"


def test_a_bundle_without_images_at_hand_is_one_sentence(
    mislabelled_bundle: Path, runtime: Runtime, tmp_path: Path
) -> None:
    bundle = load_bundle(mislabelled_bundle)
    record = {**bundle.record, "command": ["twofold", "train", str(tmp_path / "gone"), "--out", "a.twofold"]}
    gone = replace(bundle, record=record)
    with pytest.raises(DataError, match="are not at hand; they were in .*gone: give them with `data`"):
        open_review(gone, None, tmp_path / "d.csv", runtime)
    with pytest.raises(UsageError, match="There is no folder"):
        open_review(gone, None, tmp_path / "none" / "d.csv", runtime)
