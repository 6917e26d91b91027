"""Files of the hub, from a small hub of our own on this machine."""

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
import sys
from twofold.core.errors import BackboneError
from twofold.networks.hub.repository import find_repository

def progress(stream, length, what):
    print("watched", what, length)
    return stream

try:
    found = find_repository(sys.argv[1], progress)
    print(found.config["model_type"], found.preprocessor, [path.name for path in found.weights])
except BackboneError as error:
    print(error)
"""
BACKBONE = """
import sys
from pathlib import Path
from twofold.networks.hub.hub_backbone import hub_backbone
from twofold.core.options import BackboneOptions
made = hub_backbone(BackboneOptions(backbone=sys.argv[1]), "f32", cache=Path(sys.argv[2]))
print(made.name, made.preprocessing.size, made.identity, "torch" in sys.modules)
"""


class Hub(ThreadingHTTPServer):
    """Answers as the hub does for the repositories under `folder`, and remembers what it was asked and by whom."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder = folder
        self.asked: list[str] = []
        self.agents: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.agents.add(self.headers["User-Agent"])
        repository, _, place = self.path.lstrip("/").partition("/resolve/")
        revision, _, name = place.partition("/")
        folder = self.server.folder / repository
        if not folder.is_dir():
            return self.refuse("RepoNotFound", 401)
        if revision not in ("main", COMMIT):
            return self.refuse("RevisionNotFound", 404)
        if not (folder / name).is_file():
            return self.refuse("EntryNotFound", 404)
        data = (folder / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data)
        return None

    def refuse(self, code: str, status: int) -> None:
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
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repositories: a whole network, one in pickles, and one that says nothing of pictures."""
    root = tmp_path_factory.mktemp("hub")
    save_tiny("convnext", root / "tiny" / "convnext", image_processor_type="ViTImageProcessor", size=32)
    for name, lacking in (("pickled", "model.safetensors"), ("silent", "preprocessor_config.json")):
        save_tiny("convnext", root / "tiny" / name)
        (root / "tiny" / name / lacking).rename(root / "tiny" / name / "pytorch_model.bin")
    return root


def python(program: str, *arguments: object, home: Path, address: str) -> str:
    """What the program prints, in a process that knows of no hub but this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**kept, "HF_ENDPOINT": address, "HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_network_comes_from_the_hub_once_and_then_needs_neither_hub_nor_torch(saved: Path, tmp_path: Path) -> None:
    with serving(saved) as hub:
        first = python(BACKBONE, "hf:tiny/convnext", tmp_path, home=tmp_path / "home", address=hub.address)
        asked = {path.rpartition("/")[2] for path in hub.asked}
    again = python(BACKBONE, "hf:tiny/convnext", tmp_path, home=tmp_path / "home", address=hub.address)
    name, size, identity, torch = first.split()
    assert (name, size, torch) == ("hf:tiny/convnext", "32", "True")
    assert again.split() == [name, size, identity, "False"]
    assert asked == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert not [agent for agent in hub.agents if "torch" in agent]  # what is installed here is nobody's business


def test_a_download_is_watched_and_a_revision_can_be_named(saved: Path, tmp_path: Path) -> None:
    with serving(saved) as hub:
        told = python(FIND, f"hf:tiny/convnext@{COMMIT}", home=tmp_path, address=hub.address)
    assert "watched model.safetensors, MB 1\n" in told
    assert told.endswith("convnext {'image_processor_type': 'ViTImageProcessor', 'size': 32} ['model.safetensors']\n")
    assert f"GET /tiny/convnext/resolve/{COMMIT}/model.safetensors" in hub.asked


def test_what_the_hub_lacks_is_remembered(saved: Path, tmp_path: Path) -> None:
    with serving(saved) as hub:
        first = python(FIND, "hf:tiny/silent", home=tmp_path, address=hub.address)
        count = len(hub.asked)
        again = python(FIND, "hf:tiny/silent", home=tmp_path, address=hub.address)
    assert first.endswith("convnext None ['model.safetensors']\n")
    assert first.endswith(again)
    assert len(hub.asked) == count


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("hf:tiny/none", "There is no hf:tiny/none on the hub, or it is private; check the name, or set HF_TOKEN"),
        ("hf:tiny/convnext@v2", "hf:tiny/convnext has no revision v2; leave @v2 out."),
        ("hf:tiny/pickled", "hf:tiny/pickled holds no model.safetensors; pickled weights (.bin, .pt) could run code"),
        ("hf:a/b/c", "hf:a/b/c is no name of the hub; it looks like hf:OWNER/NAME"),
    ],
)
def test_what_the_hub_does_not_give_is_told(name: str, told: str, saved: Path, tmp_path: Path) -> None:
    with serving(saved) as hub:
        assert told in python(FIND, name, home=tmp_path, address=hub.address)
        assert not [path for path in hub.asked if path.endswith((".bin", ".py"))]


def test_without_a_connection_the_ways_out_are_told_soon(tmp_path: Path) -> None:
    begun = time.monotonic()
    told = python(FIND, "hf:tiny/convnext", home=tmp_path, address="http://127.0.0.1:9")
    assert time.monotonic() - begun < 15  # left to itself, its library tries for half a minute
    assert told.startswith("hf:tiny/convnext could not be fetched (")
    assert "refused" in told
    assert told.endswith("go online once, or download it elsewhere and give the folder with `backbone`.\n")


def test_weights_in_parts_are_found(tmp_path: Path) -> None:
    folder = save_tiny("convnext", tmp_path / "parts")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(
        '{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}'
    )
    with pytest.raises(BackboneError, match=r"holds no model-00002-of-00002.safetensors; pickled"):
        find_repository(str(folder), no_progress)
    (folder / "model-00002-of-00002.safetensors").touch()
    assert [path.name[:11] for path in find_repository(str(folder), no_progress).weights] == [
        "model-00001",
        "model-00002",
    ]


def test_a_processor_for_pictures_and_text_is_read(tmp_path: Path) -> None:
    folder = save_tiny("convnext", tmp_path / "both")
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(
        '{"image_processor": {"size": 3}, "processor_class": "CLIPProcessor"}'
    )
    assert find_repository(str(folder), no_progress).preprocessor == {"size": 3}
