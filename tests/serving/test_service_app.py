"""The service: what it answers over HTTP, and what it refuses."""

import base64
import io
import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_process import LIMITS, HeldPredictor, OneModel, RunningService, running_service

from twofold.serving.model_repository import ModelRepository, ServedModel
from twofold.workflows.predict import Predictor

PREDICTION = ("label", "probability", "familiarity", "logit", "reason")


def form(*images: bytes) -> tuple[bytes, str]:
    """The body and the content type of a form with these files."""
    parts = [
        b'--line\r\nContent-Disposition: form-data; name="image"; filename="%d.png"\r\n'
        b"Content-Type: image/png\r\n\r\n%b\r\n" % (number, image)
        for number, image in enumerate(images)
    ]
    return b"".join([*parts, b"--line--\r\n"]), "multipart/form-data; boundary=line"


@pytest.fixture
def expected(repository: ModelRepository) -> Callable[[bytes], dict[str, Any]]:
    """What the Predictor says of an image."""
    model = repository.get("drawn")
    assert model is not None
    predictor: Predictor = model.predictor

    def predict(image: bytes) -> dict[str, Any]:
        (prediction,) = predictor.predict([image])
        return {name: getattr(prediction, name) for name in PREDICTION}

    return predict


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def held_service(model: ServedModel) -> tuple[HeldPredictor, OneModel]:
    held = HeldPredictor()
    return held, OneModel(replace(model, predictor=held))  # type: ignore[arg-type]


def test_a_raw_image_gets_the_prediction_of_the_predictor_to_the_last_bit(
    service: RunningService, image: bytes, expected: Callable[[bytes], dict[str, Any]], repository: ModelRepository
) -> None:
    status, answer = service.predict(image)
    assert status == 200
    assert {name: answer[name] for name in PREDICTION} == expected(image)
    model = repository.get("drawn")
    assert model is not None
    assert (answer["positive"], answer["model"], answer["version"]) == ("rings", "drawn", model.version)
    assert answer["queue_ms"] >= 0
    assert answer["compute_ms"] > 0


def test_forms_and_lists_get_predictions_in_their_order(
    service: RunningService, pictures: list[bytes], expected: Callable[[bytes], dict[str, Any]]
) -> None:
    images = pictures[:3]
    body, kind = form(*images)
    from_form = service.json("POST", "/predict", body, {"content-type": kind})["predictions"]
    content = json.dumps({"images": [base64.b64encode(image).decode() for image in images]})
    from_list = service.json("POST", "/models/drawn/predict", content, {"content-type": "application/json"})[
        "predictions"
    ]
    assert from_list == [expected(image) for image in images]
    assert from_form == [{"name": f"{number}.png", **each} for number, each in enumerate(from_list)]


def test_many_clients_at_once_each_get_their_own_answer(
    service: RunningService, pictures: list[bytes], expected: Callable[[bytes], dict[str, Any]]
) -> None:
    logits = [expected(picture)["logit"] for picture in pictures]
    wrong = []

    def ask(number: int) -> None:
        for row in range(number, number + 8):
            status, answer = service.predict(pictures[row % len(pictures)])
            if (status, answer.get("logit")) != (200, logits[row % len(pictures)]):
                wrong.append(answer)

    threads = [Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def bomb() -> bytes:
    """A PNG file of 10,000 x 10,000 pixels in 13 kB."""
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    return file.getvalue()


PNG = {"content-type": "image/png"}
JSON = {"content-type": "application/json"}
FORM = {"content-type": form()[1]}


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "reason"),
    [
        ("/predict", PNG, b"no image", 422, "not-an-image"),
        ("/predict", PNG, b"\x89PNG\r\n\x1a\n" + bytes(40), 422, "damaged"),
        ("/predict", PNG, bomb(), 422, "too-large"),
        ("/predict", PNG, bytes(300_000), 413, "too-large"),
        ("/predict", PNG, b"", 400, "empty"),
        ("/predict", {"content-type": "text/plain"}, b"words", 415, "unsupported-media-type"),
        ("/predict", {**PNG, "content-encoding": "gzip"}, b"words", 415, "unsupported-media-type"),
        ("/predict", JSON, b"{", 400, "bad-request"),
        ("/predict", JSON, b"[" * 100_000, 400, "bad-request"),
        ("/predict", JSON, b'{"images": ["*"]}', 400, "bad-request"),
        ("/predict", JSON, b'{"images": [1]}', 400, "bad-request"),
        ("/predict", JSON, b'{"images": []}', 400, "empty"),
        ("/predict", JSON, json.dumps({"images": ["QQ=="] * 5}), 413, "too-many-images"),
        ("/predict", FORM, b"--line--\r\n", 400, "empty"),
        ("/predict", FORM, b"nonsense", 400, "bad-request"),
        ("/predict", {"content-type": "multipart/form-data"}, b"nonsense", 400, "bad-request"),
        ("/predict", FORM, form(*[b"x"] * 5)[0], 413, "too-many-images"),
        ("/models/cells/predict", PNG, b"no image", 404, "unknown-model"),
        ("/explain", PNG, b"no image", 422, "not-an-image"),
        ("/nothing", PNG, b"", 404, "not-found"),
    ],
)
def test_what_is_refused_has_a_status_a_reason_and_a_sentence(
    service: RunningService, path: str, headers: dict[str, str], body: bytes, status: int, reason: str
) -> None:
    answered, _, text = service.ask("POST", path, body, headers)
    error = json.loads(text)["error"]
    assert (answered, error["reason"]) == (status, reason)
    assert error["message"].endswith((".", ")."))
    assert "`" not in error["message"]


def test_a_list_with_an_unreadable_image_still_has_the_other_predictions(service: RunningService, image: bytes) -> None:
    content = json.dumps({"images": [base64.b64encode(each).decode() for each in (image, b"no image")]})
    status, _, text = service.ask("POST", "/predict", content, JSON)
    first, second = json.loads(text)["predictions"]
    assert status == 200
    assert first["label"] == "rings"
    assert (second["label"], second["probability"], second["reason"]) == (None, None, "not-an-image")
    assert "not those of a JPEG" in second["message"]


def test_a_body_without_a_length_is_cut_off_at_the_limit(service: RunningService) -> None:
    def endless() -> Any:
        for _ in range(10_000):
            yield bytes(100_000)

    try:
        status, _, text = service.ask("POST", "/predict", endless(), PNG, encode_chunked=True)
    except OSError:  # the service has closed the connection before the client read the answer
        pass
    else:
        assert (status, json.loads(text)["error"]["reason"]) == (413, "too-large")
    assert service.service.memory.used == 0
    assert service.predict(b"no image")[0] == 422


def test_another_method_is_refused(service: RunningService) -> None:
    status, headers, text = service.ask("DELETE", "/predict")
    assert (status, headers["allow"], json.loads(text)["error"]["reason"]) == (405, "POST", "method-not-allowed")


def test_an_explanation_is_a_picture_of_the_image_with_its_prediction(
    service: RunningService, expected: Callable[[bytes], dict[str, Any]], image: bytes
) -> None:
    status, headers, body = service.ask("POST", "/explain", image, PNG)
    assert (status, headers["content-type"]) == (200, "image/png")
    assert float(headers["x-twofold-logit"]) == pytest.approx(expected(image)["logit"], abs=1e-3)
    with Image.open(io.BytesIO(body)) as overlay:
        assert overlay.size == (64, 64)
        assert len(np.unique(np.asarray(overlay))) > 50


def test_the_tag_of_a_model_spares_a_second_answer(service: RunningService) -> None:
    status, headers, body = service.ask("GET", "/models/drawn")
    model = json.loads(body)
    assert (status, headers["etag"]) == (200, f'"{model["version"]}"')
    assert (model["classes"], model["positive"]) == (["bars", "rings"], "rings")
    assert service.ask("GET", "/models/drawn", None, {"if-none-match": headers["etag"]})[::2] == (304, b"")


def test_metrics_count_requests_and_images_and_unknown_paths_share_a_name(
    repository: ModelRepository, image: bytes
) -> None:
    with running_service(repository, LIMITS) as service:
        for _ in range(3):
            service.predict(image)
        service.predict(b"no image")
        for number in range(5):
            service.ask("GET", f"/nothing/{number}")
        lines = service.ask("GET", "/metrics")[2].decode().splitlines()
    assert 'twofold_requests_total{route="/predict",status="200"} 3.0' in lines
    assert 'twofold_images_total{model="drawn",outcome="rings"} 3.0' in lines
    assert 'twofold_images_total{model="drawn",outcome="not-an-image"} 1.0' in lines
    assert 'twofold_requests_total{route="none",status="404"} 5.0' in lines
    assert 'twofold_reloads_total{model="drawn",result="done"} 0.0' in lines
    assert "twofold_ready 1.0" in lines


def test_the_log_has_a_line_for_each_request_and_nothing_of_the_image(repository: ModelRepository) -> None:
    secret = b"this is what the image says"
    with running_service(repository, LIMITS) as service:
        service.ask("POST", "/predict?token=abc", secret, PNG)
    (line,) = service.lines
    record = json.loads(line)
    assert (record["event"], record["method"], record["path"], record["status"]) == ("request", "POST", "/predict", 422)
    assert "says" not in line
    assert "abc" not in line


def test_without_the_token_only_health_and_the_page_are_open(repository: ModelRepository, image: bytes) -> None:
    with running_service(repository, LIMITS, token="a-token-of-the-service") as service:
        for path in ("/", "/health/live", "/health/ready", "/openapi.json", "/static/serve.js"):
            assert service.ask("GET", path)[0] == 200
        for path in ("/models", "/metrics", "/v2/models/drawn", "/predict", "/nothing"):
            status, headers, text = service.ask("GET", path)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            error = json.loads(text)["error"]
            assert (error.partition(":")[0] if path.startswith("/v2") else error["reason"]) == "unauthorized"
        assert service.predict(image, authorization="Bearer another-token-it-is")[0] == 401
        assert service.predict(image, authorization="Basic a-token-of-the-service")[0] == 401
        assert service.predict(image, authorization="Bearer a-token-of-the-service")[0] == 200
        assert service.predict(image, authorization="bearer  a-token-of-the-service")[0] == 200  # as RFC 9110 allows


def test_before_the_networks_are_compiled_requests_are_told_to_come_back(
    repository: ModelRepository, image: bytes
) -> None:
    model = repository.get("drawn")
    assert model is not None
    starting = OneModel(model)
    starting.ready = False
    with running_service(starting, LIMITS) as service:
        assert service.ask("GET", "/health/live")[0] == 200
        assert service.ask("GET", "/health/ready")[0] == 503
        status, headers, text = service.ask("POST", "/predict", image, PNG)
        assert (status, headers["retry-after"], json.loads(text)["error"]["reason"]) == (503, "1", "not-ready")


def test_while_the_queue_is_full_requests_are_refused_before_their_body(
    repository: ModelRepository, image: bytes
) -> None:
    model = repository.get("drawn")
    assert model is not None
    held, one = held_service(model)
    answers: list[int] = []
    with running_service(one, replace(LIMITS, queue=2), threads=1) as service:
        clients = [Thread(target=lambda: answers.append(service.predict(image)[0])) for _ in range(3)]
        clients[0].start()
        until(held.called.is_set)
        for client in clients[1:]:
            client.start()
        until(lambda: service.service.queue.waiting == 2)
        status, headers, text = service.ask("POST", "/predict", image, PNG)
        assert (status, json.loads(text)["error"]["reason"]) == (429, "busy")
        assert int(headers["retry-after"]) >= 1
        assert service.json("POST", "/v2/models/drawn/infer", image)["error"].startswith("busy:")
        assert 'route="/v2/models/{name}/infer",status="429"} 1.0' in service.ask("GET", "/metrics")[2].decode()
        assert service.ask("GET", "/models/drawn")[0] == 200
        with socket.create_connection(("127.0.0.1", service.port)) as client:  # the body never comes
            client.sendall(
                b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9999\r\n\r\n"
            )
            client.settimeout(10)
            assert client.recv(20).startswith(b"HTTP/1.1 429")
        held.gate.set()
        for client in clients:
            client.join()
        assert answers == [200, 200, 200]
        assert service.predict(image)[0] == 200


def test_a_request_with_more_images_than_can_wait_is_refused_for_good(
    repository: ModelRepository, pictures: list[bytes]
) -> None:
    with running_service(repository, replace(LIMITS, queue=2)) as service:
        body, kind = form(*pictures[:3])
        status, _, text = service.ask("POST", "/predict", body, {"content-type": kind})
        assert (status, json.loads(text)["error"]["reason"]) == (413, "too-many-images")


def test_a_client_that_goes_away_frees_its_place(repository: ModelRepository, image: bytes) -> None:
    model = repository.get("drawn")
    assert model is not None
    held, one = held_service(model)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(image)
    with running_service(one, LIMITS, threads=1) as service:
        with socket.create_connection(("127.0.0.1", service.port)) as first:
            first.sendall(head + image)
            until(held.called.is_set)
            with socket.create_connection(("127.0.0.1", service.port)) as second:
                second.sendall(head + image)
                until(lambda: service.service.queue.waiting == 1)
            until(lambda: service.service.queue.waiting == 0)
        until(lambda: [json.loads(line)["status"] for line in service.lines] == [499, 499])
        held.gate.set()
        assert service.predict(image)[0] == 200
    assert held.started == [1, 1]


def test_a_request_that_takes_too_long_is_given_up(repository: ModelRepository, image: bytes) -> None:
    model = repository.get("drawn")
    assert model is not None
    held, one = held_service(model)
    with running_service(one, replace(LIMITS, deadline=0.2), threads=1) as service:
        status, answer = service.predict(image)
        assert (status, answer["error"]["reason"]) == (504, "deadline")
        held.gate.set()


def test_a_client_that_sends_its_body_slowly_holds_up_no_other(repository: ModelRepository, image: bytes) -> None:
    with (
        running_service(repository, replace(LIMITS, deadline=1.0)) as service,
        socket.create_connection(("127.0.0.1", service.port)) as slow,
    ):
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9999\r\n\r\n1")
        assert service.predict(image)[0] == 200
        slow.settimeout(20)
        answer = slow.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"slow-body" in answer + slow.recv(4096)


def test_a_connection_without_complete_headers_is_closed(repository: ModelRepository, image: bytes) -> None:
    with running_service(repository, replace(LIMITS, deadline=1.0)) as service:
        for start in (
            b"",
            b"POST /predict HTTP/1.1\r\nHost: x\r\nX-Long: ",
            b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET ",
        ):
            with socket.create_connection(("127.0.0.1", service.port), timeout=20) as slow:
                slow.sendall(start)
                answer = b"".join(iter(lambda slow=slow: slow.recv(4096), b""))  # until the service closes it
                assert answer.count(b"HTTP/1.1") == answer.count(b'{"status":"live"}') == start.count(b"GET /")
        assert service.predict(image)[0] == 200


def test_headers_without_an_end_are_cut_off_at_the_limit(repository: ModelRepository) -> None:
    with (
        running_service(repository, LIMITS) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=20) as client,
    ):
        client.sendall(b"GET /health/live HTTP/1.1\r\nX-Long: ")
        sent = 0
        with suppress(ConnectionError):
            while sent < 50_000_000:
                client.sendall(b"x" * 65_536)
                sent += 65_536
        assert sent < 10_000_000  # what the sockets hold
        assert service.ask("GET", "/health/live")[0] == 200


def test_the_schema_names_every_route_and_every_refusal(service: RunningService) -> None:
    schema = service.json("GET", "/openapi.json")
    routes = {"/predict", "/models/{name}/predict", "/explain", "/metrics", "/health/ready", "/v2/models/{name}/infer"}
    assert routes <= set(schema["paths"])
    post = schema["paths"]["/predict"]["post"]
    assert set(post["requestBody"]["content"]) == {"image/*", "multipart/form-data", "application/json"}
    assert {"200", "401", "413", "422", "429", "503", "504"} <= set(post["responses"])


def test_the_page_asks_only_this_service(service: RunningService) -> None:
    _, headers, text = service.ask("GET", "/")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"http" not in text
    assert service.ask("GET", "/static/..%2Fservice.py")[0] == 404
    assert service.ask("GET", "/static/theme.css")[0] == 200
