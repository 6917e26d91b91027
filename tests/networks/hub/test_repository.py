"""Files of the hub, from a local server that imitates it."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hub_networks import save_tiny

from twofold.core.errors import BackboneError
from twofold.core.progress import no_progress
from twofold.networks.hub.repository import find_repository

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FIND = """
import os
import sys
import huggingface_hub.constants
from twofold.core.errors import BackboneError
from twofold.networks.hub.repository import find_repository

def progress(stream, length, what):
    print("progress", what, length)
    return stream

environment, telemetry = dict(os.environ), huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY
try:
    repository = find_repository(sys.argv[1], progress)
    print(repository.config["model_type"], repository.preprocessor, [path.name for path in repository.weights])
except BackboneError as error:
    print(error)
assert (os.environ, huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY) == (environment, telemetry)
"""
BACKBONE = """
import sys
from pathlib import Path
from twofold.networks.hub.hub_backbone import load_hub_backbone
from twofold.core.options import BackboneOptions
backbone = load_hub_backbone(BackboneOptions(backbone=sys.argv[1]), "f32", cache=Path(sys.argv[2]))
print(backbone.name, backbone.preprocessing.size, backbone.identity, "torch" in sys.modules)
"""


class Hub(ThreadingHTTPServer):
    """Answers as the hub does for the repositories under `folder`, and records requests and user agents."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.folder = folder
        self.requests: list[str] = []
        self.agents: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.agents.add(self.headers["User-Agent"])
        repository, _, location = self.path.lstrip("/").partition("/resolve/")
        revision, _, name = location.partition("/")
        folder = self.server.folder / repository
        if not folder.is_dir():
            return self.answer_error("RepoNotFound", 401)
        if revision not in ("main", COMMIT):
            return self.answer_error("RevisionNotFound", 404)
        if not (folder / name).is_file():
            return self.answer_error("EntryNotFound", 404)
        data = (folder / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data)
        return None

    def answer_error(self, code: str, status: int) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    hub = Hub(folder)
    thread = Thread(target=hub.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete network, one with pickled weights, and one without a preprocessing configuration."""
    root = tmp_path_factory.mktemp("hub")
    save_tiny("convnext", root / "tiny" / "convnext", image_processor_type="ViTImageProcessor", size=32)
    for name, missing in (("pickled", "model.safetensors"), ("silent", "preprocessor_config.json")):
        save_tiny("convnext", root / "tiny" / name)
        (root / "tiny" / name / missing).rename(root / "tiny" / name / "pytorch_model.bin")
    return root


def python(program: str, *arguments: object, home: Path, address: str) -> str:
    """The output of the program, in a process whose only hub is this server."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    completed = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**environment, "HF_ENDPOINT": address, "HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    return completed.stdout


def test_a_network_is_downloaded_once_and_then_needs_neither_hub_nor_torch(repositories: Path, tmp_path: Path) -> None:
    with serving(repositories) as hub:
        first = python(BACKBONE, "hf:tiny/convnext", tmp_path, home=tmp_path / "home", address=hub.address)
        files = {path.rpartition("/")[2] for path in hub.requests}
    again = python(BACKBONE, "hf:tiny/convnext", tmp_path, home=tmp_path / "home", address=hub.address)
    name, size, identity, torch = first.split()
    assert (name, size, torch) == ("hf:tiny/convnext", "32", "True")
    assert again.split() == [name, size, identity, "False"]
    assert files == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert not [agent for agent in hub.agents if "torch" in agent]  # installed packages are not sent


def test_a_download_reports_progress_and_a_revision_can_be_named(repositories: Path, tmp_path: Path) -> None:
    with serving(repositories) as hub:
        output = python(FIND, f"hf:tiny/convnext@{COMMIT}", home=tmp_path, address=hub.address)
    assert "progress model.safetensors, MB 1\n" in output
    assert output.endswith("convnext {'image_processor_type': 'ViTImageProcessor', 'size': 32} ['model.safetensors']\n")
    assert f"GET /tiny/convnext/resolve/{COMMIT}/model.safetensors" in hub.requests


def test_a_file_that_the_hub_lacks_is_requested_once(repositories: Path, tmp_path: Path) -> None:
    with serving(repositories) as hub:
        first = python(FIND, "hf:tiny/silent", home=tmp_path, address=hub.address)
        count = len(hub.requests)
        again = python(FIND, "hf:tiny/silent", home=tmp_path, address=hub.address)
    assert first.endswith("convnext None ['model.safetensors']\n")
    assert first.endswith(again)
    assert len(hub.requests) == count


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "hf:tiny/none",
            "There is no network hf:tiny/none on the hub, or it is private; check the name, or set HF_TOKEN",
        ),
        ("hf:tiny/convnext@v2", "hf:tiny/convnext has no revision v2; leave @v2 out."),
        ("hf:tiny/pickled", "hf:tiny/pickled has no model.safetensors; pickled weights (.bin, .pt) could run code"),
        ("hf:a/b/c", "hf:a/b/c is not a name of the hub; expected hf:OWNER/NAME"),
    ],
)
def test_an_unavailable_network_raises_an_error(name: str, message: str, repositories: Path, tmp_path: Path) -> None:
    with serving(repositories) as hub:
        assert message in python(FIND, name, home=tmp_path, address=hub.address)
        assert not [path for path in hub.requests if path.endswith((".bin", ".py"))]


def test_without_a_connection_an_error_says_soon_what_to_do(tmp_path: Path) -> None:
    start = time.monotonic()
    output = python(FIND, "hf:tiny/convnext", home=tmp_path, address="http://127.0.0.1:9")
    assert time.monotonic() - start < 15  # by default its library retries for half a minute
    assert output.startswith("hf:tiny/convnext could not be fetched (")
    assert "refused" in output
    assert output.endswith("go online once, or download the network elsewhere and give its folder with `backbone`.\n")


def test_sharded_weights_are_found(tmp_path: Path) -> None:
    folder = save_tiny("convnext", tmp_path / "sharded")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(
        '{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}'
    )
    with pytest.raises(BackboneError, match=r"has no model-00002-of-00002.safetensors; pickled"):
        find_repository(str(folder), no_progress)
    (folder / "model-00002-of-00002.safetensors").touch()
    assert [path.name[:11] for path in find_repository(str(folder), no_progress).weights] == [
        "model-00001",
        "model-00002",
    ]


def test_a_processor_for_images_and_text_is_read(tmp_path: Path) -> None:
    folder = save_tiny("convnext", tmp_path / "both")
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(
        '{"image_processor": {"size": 3}, "processor_class": "CLIPProcessor"}'
    )
    assert find_repository(str(folder), no_progress).preprocessor == {"size": 3}
