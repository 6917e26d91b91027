"""The service beside LitServe and BentoML: the same network, images and clients, in turns.

    python -m venv bench/.venv-litserve && bench/.venv-litserve/bin/pip install -e . litserve
    python -m venv bench/.venv-bentoml && bench/.venv-bentoml/bin/pip install -e . bentoml
    python bench/serve_peers.py BUNDLE IMAGES --litserve bench/.venv-litserve --bentoml bench/.venv-bentoml [--rounds 3]

Each has what its documentation recommends for a processor: one worker with one thread for each processor, and batches of what
waits. They call the same `Predictor.predict_batch` with the same bytes, so what differs is the way of a request to it. Theirs
takes base64 in JSON, for they read no raw bodies of images.
"""

import argparse
import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from load_client import closed_load, drive, request_bytes
from serve import free_port, server

from twofold.bundle.storage import load_bundle
from twofold.data import iterate_files
from twofold.workflows.predict import Predictor

LITSERVE = """
import base64, os, sys
from pathlib import Path
import litserve
from twofold.bundle.storage import load_bundle
from twofold.core.options import RuntimeOptions
from twofold.embedding import Runtime
from twofold.workflows.predict import Predictor

class Model(litserve.LitAPI):
    def setup(self, device):
        runtime = Runtime(Path(os.devnull), RuntimeOptions(cache=False, threads=1))
        self.predictor = Predictor(load_bundle(Path(os.environ["BUNDLE"])), runtime)
        self.predictor.warm()
    def decode_request(self, request):
        return base64.b64decode(request["image"])
    def predict(self, images):
        return self.predictor.predict_batch(images)
    def unbatch(self, output):
        return output
    def encode_response(self, prediction):
        return {"label": prediction.label, "probability": prediction.probability}

if __name__ == "__main__":
    model = Model(max_batch_size=int(os.environ["BATCH"]), batch_timeout=0)
    workers = len(os.sched_getaffinity(0))
    server = litserve.LitServer(model, accelerator="cpu", workers_per_device=workers)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
"""

BENTOML = """
import base64, os
from pathlib import Path
import bentoml
from twofold.bundle.storage import load_bundle
from twofold.core.options import RuntimeOptions
from twofold.embedding import Runtime
from twofold.workflows.predict import Predictor

@bentoml.service(workers=len(os.sched_getaffinity(0)), traffic={"timeout": 60})
class Model:
    def __init__(self):
        runtime = Runtime(Path(os.devnull), RuntimeOptions(cache=False, threads=1))
        self.predictor = Predictor(load_bundle(Path(os.environ["BUNDLE"])), runtime)
        self.predictor.warm()
    @bentoml.api(batchable=True, max_batch_size=int(os.environ["BATCH"]), max_latency_ms=10_000)
    def predict(self, images: list[str]) -> list[dict]:
        predictions = self.predictor.predict_batch([base64.b64decode(image) for image in images])
        return [{"label": each.label, "probability": each.probability} for each in predictions]
"""


@contextmanager
def peer(words: list[str], program: str, bundle: Path, image: bytes) -> Iterator[int]:
    """A running server of this program, once it answers, and its port."""
    port = free_port()
    settings = {"BUNDLE": str(bundle.absolute()), "PORT": str(port), "BATCH": str(Predictor(load_bundle(bundle)).batch)}
    settings |= {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "bentoml"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.py").write_text(program)
        command = [word.format(port=port) for word in words]
        log = open(Path(folder) / "log", "w")  # noqa: SIM115
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
        )
        try:
            end = time.perf_counter() + 120
            while not answers(port, image):
                if time.perf_counter() > end or process.poll() is not None:
                    raise SystemExit((Path(folder) / "log").read_text())
                time.sleep(0.5)
            yield port
        finally:
            os.killpg(process.pid, 15)
            process.wait()


def answers(port: int, image: bytes) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/predict", image, {"content-type": "application/json"})
        return connection.getresponse().status == 200
    except OSError:
        return False


def rate(port: int, requests: list[bytes]) -> float:
    """Answers per second of 32 clients, on all requests once."""
    drive(closed_load(port, requests, 32, lambda number: number >= 64))
    start = time.perf_counter()
    load = drive(closed_load(port, requests, 32, lambda number: number >= len(requests)))
    if set(load.statuses) != {"200"}:
        print(dict(load.statuses))
    return load.statuses["200"] / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--litserve", type=Path, required=True, help="its environment")
    parser.add_argument("--bentoml", type=Path, required=True, help="its environment")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=400, help="images")
    arguments = parser.parse_args()
    images = [file.read_bytes() for file in list(iterate_files([arguments.images]))[: arguments.count]]
    texts = [base64.b64encode(image).decode() for image in images]
    one = [json.dumps({"image": text}).encode() for text in texts]
    lists = [json.dumps({"images": [text]}).encode() for text in texts]
    rates: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        rates.setdefault(name, []).append(value)
        print(f"{name}: {value:.1f} images a second", flush=True)

    for _ in range(arguments.rounds):
        with server(arguments.bundle) as (port, _process):
            note("twofold, raw bodies", rate(port, [request_bytes(image) for image in images]))
            note("twofold, JSON", rate(port, [request_bytes(body, content_type="application/json") for body in lists]))
        words = [f"{arguments.litserve.absolute()}/bin/python", "model.py"]
        with peer(words, LITSERVE, arguments.bundle, one[0]) as port:
            note("LitServe", rate(port, [request_bytes(body, content_type="application/json") for body in one]))
        words = [f"{arguments.bentoml.absolute()}/bin/bentoml", "serve", "model:Model", "--port", "{port}"]
        with peer(words, BENTOML, arguments.bundle, lists[0]) as port:
            note("BentoML", rate(port, [request_bytes(body, content_type="application/json") for body in lists]))
    best = np.median(rates["twofold, raw bodies"])
    for name, values in rates.items():
        print(f"{name}: median {np.median(values):.1f}, {best / np.median(values):.2f} times as long as raw bodies")


if __name__ == "__main__":
    main()
