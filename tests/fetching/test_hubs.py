"""Datasets of Kaggle and Hugging Face, through their own libraries, from small hubs on this machine."""

import io
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fetching.server import serving

from twofold.core.errors import DataError
from twofold.core.progress import no_progress, run_with_progress_bar

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONVERTED = "fedcba9876543210fedcba9876543210fedcba98"
RESOLVE = """
import sys
from pathlib import Path
from twofold.data import list_labelled_files, read_bytes
from twofold.core.errors import TwofoldError
from twofold.fetching import resolve
from twofold.core.options import DataOptions

def report(stream, length, what):
    print("progress", what, length)
    return stream

cache, hub, *sources = sys.argv[1:]
if sources[0].startswith("kaggle"):
    import kagglesdk.kaggle_env as places
    places._env_to_endpoint[places.KaggleEnv.PROD] = hub
for source in sources:
    print("--", source)
    try:
        path = resolve(source, Path(cache), report)
        print(path.relative_to(Path(cache) / "sources"))
        for item in list_labelled_files(path, DataOptions()).files:
            print(item.label, item.path.relative_to(path), len(read_bytes(item.path)))
    except TwofoldError as error:
        print(error)
"""


class Hub(ThreadingHTTPServer):
    """Sends `responses` by path, and records all requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[str] = []
        self.received: list[str] = []  # headers and bodies of the requests

    def put(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.responses[path] = (status, {"Content-Type": kind, **named}, content)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.respond(body=False)

    def do_GET(self) -> None:
        self.respond(body=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.received.append(body)
        self.path += f"/{json.loads(body)['datasetSlug']}"
        self.respond(body=True)

    def respond(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append(f"{self.command} {path}")
        self.server.received.append(str(self.headers))
        missing = (404, {"X-Error-Code": "RepoNotFound"}, b"")
        status, headers, content = self.server.responses.get(path, missing)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def parquet(labels: list[int]) -> bytes:
    file = io.BytesIO()
    images = [{"bytes": b"x" * (row + 1), "path": None} for row in range(len(labels))]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {"labels": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    table = pa.table({"image": pa.array(images, struct), "labels": labels})
    metadata = json.dumps({"info": {"features": features}})
    pq.write_table(table.replace_schema_metadata({"huggingface": metadata}), file)
    return file.getvalue()


def put_dataset(hub: Hub, name: str, files: dict[str, bytes], revision: str = "", commit: str = COMMIT) -> None:
    siblings = [{"rfilename": file, "size": len(data)} for file, data in files.items()]
    page = f"/api/datasets/{name}{revision and '/revision/' + revision.replace('/', '%2F')}"
    hub.put(page, {"id": name, "sha": commit, "siblings": siblings})
    for file, data in files.items():
        headers = {"ETag": f'"{len(data)}-{file}"', "X_Repo_Commit": commit}
        hub.put(f"/datasets/{name}/resolve/{commit}/{file}", data, **headers)


@pytest.fixture
def hub() -> Hub:
    return Hub()


def run(hub: Hub, home: Path, *sources: str, **environment: str) -> list[list[str]]:
    """The lines that the program prints for each source, in a process that uses this hub only; stderr stays empty."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "KAGGLE"))}
    settings = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(home),
        "KAGGLEHUB_CACHE": str(home / "kaggle"),
        "HOME": str(home),
    }
    process = subprocess.run(
        [sys.executable, "-c", RESOLVE, str(home / "cache"), hub.address, *sources],
        capture_output=True,
        text=True,
        timeout=120,
        env={**environ, **settings, "NO_PROXY": "127.0.0.1", "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert (process.returncode, process.stderr) == (0, "")
    return [part.splitlines()[1:] for part in process.stdout.split("-- ")[1:]]


@pytest.mark.slow
def test_the_parquet_files_of_a_split_are_downloaded_once_and_read_in_place(hub: Hub, tmp_path: Path) -> None:
    names = [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "data/test-00000-of-00001.parquet",
    ]
    contents = [parquet([0, 1]), parquet([1]), parquet([0, 1])]
    put_dataset(hub, "tiny/pets", {"README.md": b"#", **dict(zip(names, contents, strict=True))})
    with serving(hub):
        first, test = run(hub, tmp_path, "hf:tiny/pets", "hf:tiny/pets/test")
    assert first[:2] == [f"progress {name}, MB 1" for name in names[:2]]
    assert first[2:] == [
        "hf--tiny--pets--train",
        "cat 000-train-00000-of-00002.parquet/cat/000000 1",
        "dog 000-train-00000-of-00002.parquet/dog/000001 2",
        "dog 001-train-00001-of-00002.parquet/dog/000000 1",
    ]
    assert not [path for path in hub.requests if "README" in path]
    assert test[1] == "hf--tiny--pets--test"
    assert run(hub, tmp_path, "hf:tiny/pets") == [first[2:]]  # the hub is gone
    assert "torch/" not in "".join(hub.received)  # the installed packages are not sent


def test_a_dataset_in_another_format_is_read_as_the_hub_converts_it(hub: Hub, tmp_path: Path) -> None:
    put_dataset(hub, "tiny/old", {"pets.zip": b"x"})
    put_dataset(hub, "tiny/old", {"default/train/0000.parquet": parquet([0, 1])}, "refs/convert/parquet", CONVERTED)
    with serving(hub):
        (lines,) = run(hub, tmp_path, "hf:tiny/old")
    assert lines[-2:] == ["cat 000-0000.parquet/cat/000000 1", "dog 000-0000.parquet/dog/000001 2"]


def test_a_split_is_matched_by_its_full_name_in_one_configuration(hub: Hub, tmp_path: Path) -> None:
    content = parquet([0, 1])
    names = ("default/partial-train/0.parquet", "pre-train-test/test-0.parquet", "default/train/0.parquet")
    put_dataset(hub, "tiny/pets", dict.fromkeys(names, content))
    put_dataset(hub, "tiny/part", dict.fromkeys(names[:2], content))
    put_dataset(hub, "tiny/two", dict.fromkeys(("a/train/0.parquet", "b/train-0.parquet", "b/test-0.parquet"), content))
    sources = ("hf:tiny/pets", "hf:tiny/part", "hf:tiny/two", "hf:tiny/two/b/train", "hf:tiny/two/test")
    with serving(hub):
        pets, partial, two, selected, test = run(hub, tmp_path, *sources)
    assert [line for line in pets if "progress" in line] == [f"progress {names[2]}, MB 1"]
    assert "no Parquet file of the split 'train'; it has default/partial-train/0.parquet" in partial[0]
    assert "in several configurations (a, b): give one, as in hf:tiny/two/a/train" in two[0]
    assert selected[:2] == ["progress b/train-0.parquet, MB 1", "hf--tiny--two--b--train"]
    assert test[0] == "progress b/test-0.parquet, MB 1"


def test_errors_of_hugging_face_are_explained(hub: Hub, tmp_path: Path) -> None:
    put_dataset(hub, "tiny/pets", {"data/test-0.parquet": parquet([0, 1])})
    put_dataset(hub, "tiny/none", {"pets.zip": b"x"})
    hub.put("/api/datasets/tiny/none/revision/refs%2Fconvert%2Fparquet", b"", 404, X_Error_Code="RevisionNotFound")
    hub.put("/api/datasets/tiny/gated", b"", 403, X_Error_Code="GatedRepo")
    put_dataset(hub, "tiny/huge", {"data/train-0.parquet": b""})
    page = {"id": "tiny/huge", "sha": COMMIT, "siblings": [{"rfilename": "data/train-0.parquet", "size": 10**11}]}
    hub.put("/api/datasets/tiny/huge", page)
    cases = {
        "hf:tiny/pets": "hf:tiny/pets has no Parquet file of the split 'train'; it has data/test-0.parquet",
        "hf:tiny/none": "hf:tiny/none has no Parquet file: download the dataset",
        "hf:tiny/gated": "request it on its page, then set HF_TOKEN",
        "hf:tiny/absent": "There is no dataset hf:tiny/absent on the hub, or it is private; check the name, or set HF_TOKEN",
        "hf:tiny/huge": "the limit is 20,000,000,000",
    }
    with serving(hub):
        output = run(hub, tmp_path, *cases)
    for message, (line,) in zip(cases.values(), output, strict=True):
        assert message in line


def test_without_a_network_the_error_of_hugging_face_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    hub.server_close()
    ((line,),) = run(hub, tmp_path, "hf:tiny/pets")
    assert line.startswith("hf:tiny/pets could not be fetched (")
    assert line.endswith("go online once, or download the dataset elsewhere and give its folder.")


@pytest.mark.slow
def test_a_dataset_of_kaggle_is_downloaded_once(hub: Hub, zip_bytes: bytes, tmp_path: Path) -> None:
    service = "/v1/datasets.DatasetApiService"
    hub.put(f"{service}/GetDataset/pets", {"currentVersionNumber": 3}, X_Kaggle_HubVersion="99.0.0")
    hub.put(f"{service}/DownloadDataset/pets", zip_bytes)
    sources = ("kaggle:owner/pets/pets/train", "kaggle:owner/pets")
    with serving(hub):
        (progress_bar, *first), (*_, split) = run(hub, tmp_path, *sources, KAGGLE_USERNAME="me", KAGGLE_KEY="secret")
    assert progress_bar == "progress kaggle:owner/pets, MB 1"
    assert first[:2] == ["kaggle--owner--pets/pets/train", "cats cats/0.jpg 20000"]
    assert len(first) == 7
    assert "/kaggle--owner--pets/pets holds splits (" in split
    assert "/kaggle--owner--pets/pets/train" in split
    assert run(hub, tmp_path, sources[0]) == [first]  # the hub is gone


def test_a_download_above_the_limit_is_an_error() -> None:
    def work(bar: type) -> str:
        bar(total=3_000_000)
        return "done"

    with pytest.raises(DataError, match=r"kaggle:a/b has 3,000,000 bytes, the limit is 2,000,000"):
        run_with_progress_bar(work, "kaggle:a/b", no_progress, limit=2_000_000)
    assert run_with_progress_bar(work, "kaggle:a/b", no_progress, limit=3_000_000) == "done"


def test_a_download_above_the_limit_is_stopped() -> None:
    checked, stopped = threading.Event(), threading.Event()

    def work(bar: type) -> str:
        bar_of_file = bar(total=3_000_000)
        checked.wait(60)
        try:
            bar_of_file.update(1000)
        except Exception:
            stopped.set()
            raise
        return "done"

    with pytest.raises(DataError, match="the limit is"):
        run_with_progress_bar(work, "kaggle:a/b", no_progress, limit=2_000_000)
    checked.set()
    assert stopped.wait(5)


def test_errors_of_kaggle_are_explained(hub: Hub, tmp_path: Path) -> None:
    cases = {
        401: "set KAGGLE_USERNAME and KAGGLE_KEY, or",
        403: "~/.kaggle/kaggle.json",
        404: "has no such dataset",
        500: "Kaggle returned status 500",
    }
    for status in cases:
        hub.put(f"/v1/datasets.DatasetApiService/GetDataset/pets{status}", b"", status)
    with serving(hub):
        output = run(hub, tmp_path, *(f"kaggle:owner/pets{status}" for status in cases))
    for (status, message), (line,) in zip(cases.items(), output, strict=True):
        assert line.startswith(f"kaggle:owner/pets{status} could not be fetched: ")
        assert message in line


def test_without_a_network_the_error_of_kaggle_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    hub.server_close()
    ((line,),) = run(hub, tmp_path, "kaggle:owner/pets")
    assert line.startswith("kaggle:owner/pets could not be fetched: ")
    assert "go online once" in line
