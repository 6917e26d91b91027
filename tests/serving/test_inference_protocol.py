"""The Open Inference Protocol: what Triton's own client sends and reads, and what is refused."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_process import RunningService

from twofold.serving.model_repository import ModelRepository

JSON = {"content-type": "application/json"}


def infer(service: RunningService, content: Any, **headers: str) -> tuple[int, Any]:
    status, _, text = service.ask("POST", "/v2/models/drawn/infer", json.dumps(content), {**JSON, **headers})
    return status, json.loads(text)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["QQ=="], **changes}


@pytest.fixture
def logits(repository: ModelRepository, pictures: list[bytes]) -> list[float | None]:
    model = repository.get("drawn")
    assert model is not None
    return [prediction.logit for prediction in model.predictor.predict(pictures[:3])]


def column(answer: dict[str, Any], name: str) -> list[Any]:
    return list(next(output for output in answer["outputs"] if output["name"] == name)["data"])


def test_encoded_images_and_arrays_get_the_logits_of_the_predictor(
    service: RunningService, pictures: list[bytes], logits: list[float]
) -> None:
    texts = [base64.b64encode(picture).decode() for picture in pictures[:3]]
    _, encoded = infer(service, {"id": "7", "inputs": [tensor(shape=[3], data=texts)]})
    assert (encoded["id"], encoded["model_name"]) == ("7", "drawn")
    assert column(encoded, "logit") == logits
    assert column(encoded, "label") == ["bars", "rings", "bars"]
    assert column(encoded, "reason") == ["", "", ""]
    arrays = np.stack([np.asarray(Image.open(io.BytesIO(picture))) for picture in pictures[:3]])
    content = tensor(datatype="UINT8", shape=list(arrays.shape), data=arrays.ravel().tolist())
    _, decoded = infer(service, {"inputs": [content], "outputs": [{"name": "logit"}]})
    assert [output["name"] for output in decoded["outputs"]] == ["logit"]
    assert column(decoded, "logit") == pytest.approx(logits, abs=1e-6)
    _, single = infer(service, {"inputs": [tensor(datatype="UINT8", shape=[64, 64, 3], data=arrays[0].tolist())]})
    assert column(single, "logit") == pytest.approx(logits[:1], abs=1e-6)


def test_an_unreadable_image_has_a_reason_and_no_number(service: RunningService) -> None:
    _, answer = infer(service, {"inputs": [tensor()]})
    assert (column(answer, "label"), column(answer, "reason"), column(answer, "logit")) == (
        [""],
        ["not-an-image"],
        [None],
    )


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_gets_the_same(
    service: RunningService, pictures: list[bytes], logits: list[float], binary: bool
) -> None:
    client_library = pytest.importorskip(
        "tritonclient.http", reason="tritonclient is not installed: pip install '.[dev]'"
    )
    client = client_library.InferenceServerClient(f"127.0.0.1:{service.port}")
    try:
        assert client.is_server_ready()
        assert client.is_model_ready("drawn")
        (version,) = client.get_model_metadata("drawn")["versions"]
        images = client_library.InferInput("image", [4], "BYTES")
        images.set_data_from_numpy(np.array([*pictures[:3], b"no image"], object), binary_data=True)
        outputs = [client_library.InferRequestedOutput(name, binary_data=binary) for name in ("logit", "label")]
        result = client.infer("drawn", [images], model_version=version, outputs=outputs)
        np.testing.assert_array_equal(result.as_numpy("logit"), [*logits, np.nan])
        labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("label").tolist()]
        assert labels == ["bars", "rings", "bars", ""]
        pixels = np.asarray(Image.open(io.BytesIO(pictures[0])))
        array = client_library.InferInput("image", list(pixels.shape), "UINT8")
        array.set_data_from_numpy(pixels, binary_data=True)
        assert client.infer("drawn", [array]).as_numpy("logit") == pytest.approx(logits[:1], abs=1e-6)
    finally:
        client.close()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({}, "needs one input"),
        ([], "needs one input"),
        ({"inputs": [tensor(), tensor()]}, "needs one input"),
        ({"inputs": [tensor(name="pixels")]}, "no input 'pixels'"),
        ({"inputs": [tensor(datatype="FP32")]}, "'FP32' is not read"),
        ({"inputs": [tensor(shape=[2])]}, "does not fit the 1 elements"),
        ({"inputs": [tensor(shape=[-1])]}, "must be a list of whole numbers"),
        ({"inputs": [tensor(shape="1")]}, "must be a list of whole numbers"),
        ({"inputs": [tensor(data="QQ==")]}, "must be a list of texts"),
        ({"inputs": [tensor(data=["*"])]}, "not valid base64"),
        ({"inputs": [tensor(shape=[0], data=[])]}, "holds no image"),
        ({"inputs": [tensor(shape=[5], data=["QQ=="] * 5)]}, "more than 4 images"),
        ({"inputs": [tensor(datatype="UINT8", shape=[2, 2], data=[1] * 4)]}, "must be [height, width, 3]"),
        ({"inputs": [tensor(datatype="UINT8", shape=[2, 2, 3], data=[1] * 11)]}, "does not fit the 11 values"),
        ({"inputs": [tensor(datatype="UINT8", shape=[1, 1, 3], data=[0, 1, 256])]}, "from 0 to 255"),
        ({"inputs": [tensor(datatype="UINT8", shape=[1, 1, 3], data=["a", 1, 2])]}, "whole numbers"),
        ({"inputs": [tensor(datatype="UINT8", shape=[2**30, 2**30, 3], data=[1])]}, "does not fit the 1 values"),
        ({"inputs": [tensor(parameters={"binary_data_size": 9})]}, "the body holds 0"),
        ({"inputs": [tensor()], "outputs": [{"name": "labels"}]}, "no output 'labels'"),
        ({"inputs": [tensor()], "outputs": [1]}, "must be a list of objects"),
    ],
)
def test_a_request_that_is_wrong_is_refused_with_what_is_wrong(
    service: RunningService, content: Any, fault: str
) -> None:
    status, answer = infer(service, content)
    assert status in (400, 413)
    assert fault in answer["error"]


def test_binary_data_that_ends_early_is_refused(service: RunningService) -> None:
    for rest in (b"\x09\x00\x00\x00abc", b"\x01\x00", b"\xff\xff\xff\xffa"):
        head = json.dumps({"inputs": [tensor(parameters={"binary_data_size": len(rest)}, data=[])]}).encode()
        headers = {"inference-header-content-length": str(len(head))}
        status, _, text = service.ask("POST", "/v2/models/drawn/infer", head + rest, headers)
        assert (status, "ends within an element" in json.loads(text)["error"]) == (400, True)
    for length in ("-1", "9999", "1e3", "x"):
        headers = {"inference-header-content-length": length}
        status, _, text = service.ask("POST", "/v2/models/drawn/infer", b"{}", headers)
        assert (status, "does not fit the body" in json.loads(text)["error"]) == (400, True)


def test_another_version_than_the_one_in_use_is_unknown(service: RunningService) -> None:
    status, _, text = service.ask("GET", "/v2/models/drawn/versions/1")
    assert (status, "unknown-version" in json.loads(text)["error"]) == (404, True)
    assert service.ask("GET", "/v2/models/cells/ready")[0] == 404
    assert service.json("GET", "/v2")["name"] == "twofold"
