"""Data sets of Kaggle and Hugging Face, through their own libraries, from small hubs of our own on this machine."""

import io
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fetching.server import serving

from twofold.core.errors import DataError
from twofold.core.progress import no_progress, pushed_progress

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONVERTED = "fedcba9876543210fedcba9876543210fedcba98"
RESOLVE = """
import sys
from pathlib import Path
from twofold.data import list_labelled_files, read_bytes
from twofold.core.errors import TwofoldError
from twofold.fetching import resolve
from twofold.core.options import DataOptions

def watch(stream, length, what):
    print("watched", what, length)
    return stream

cache, hub, *sources = sys.argv[1:]
if sources[0].startswith("kaggle"):
    import kagglesdk.kaggle_env as places
    places._env_to_endpoint[places.KaggleEnv.PROD] = hub
for source in sources:
    print("--", source)
    try:
        path = resolve(source, Path(cache), watch)
        print(path.relative_to(Path(cache) / "sources"))
        for item in list_labelled_files(path, DataOptions()).items:
            print(item.label, item.path.relative_to(path), len(read_bytes(item.path)))
    except TwofoldError as error:
        print(error)
"""


class Hub(ThreadingHTTPServer):
    """Gives `answers` by path, and remembers what it was asked and by whom."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.told: list[str] = []  # headers and bodies of the questions

    def give(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = (status, {"Content-Type": kind, **named}, content)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_POST(self) -> None:
        question = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.told.append(question)
        self.path += f"/{json.loads(question)['datasetSlug']}"
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        self.server.told.append(str(self.headers))
        missing = (404, {"X-Error-Code": "RepoNotFound"}, b"")
        status, headers, content = self.server.answers.get(path, missing)
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
    noted = json.dumps({"info": {"features": features}})
    pq.write_table(table.replace_schema_metadata({"huggingface": noted}), file)
    return file.getvalue()


def put_data_set(hub: Hub, name: str, files: dict[str, bytes], revision: str = "", commit: str = COMMIT) -> None:
    siblings = [{"rfilename": file, "size": len(data)} for file, data in files.items()]
    page = f"/api/datasets/{name}{revision and '/revision/' + revision.replace('/', '%2F')}"
    hub.give(page, {"id": name, "sha": commit, "siblings": siblings})
    for file, data in files.items():
        headers = {"ETag": f'"{len(data)}-{file}"', "X_Repo_Commit": commit}
        hub.give(f"/datasets/{name}/resolve/{commit}/{file}", data, **headers)


@pytest.fixture
def hub() -> Hub:
    return Hub()


def run(hub: Hub, home: Path, *sources: str, **environment: str) -> list[list[str]]:
    """What the program prints for each source, in a process that knows of no hub but this one; stderr stays empty."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "KAGGLE"))}
    own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "KAGGLEHUB_CACHE": str(home / "kaggle"), "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, str(home / "cache"), hub.address, *sources],
        capture_output=True,
        text=True,
        timeout=120,
        env={**kept, **own, "NO_PROXY": "127.0.0.1", "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [part.splitlines()[1:] for part in done.stdout.split("-- ")[1:]]


def test_the_parquet_files_of_a_split_are_read_in_place_and_fetched_once(hub: Hub, tmp_path: Path) -> None:
    names = [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "data/test-00000-of-00001.parquet",
    ]
    contents = [parquet([0, 1]), parquet([1]), parquet([0, 1])]
    put_data_set(hub, "tiny/pets", {"README.md": b"#", **dict(zip(names, contents, strict=True))})
    with serving(hub):
        first, test = run(hub, tmp_path, "hf:tiny/pets", "hf:tiny/pets/test")
    assert first[:2] == [f"watched {name}, MB 1" for name in names[:2]]
    assert first[2:] == [
        "hf--tiny--pets--train",
        "cat 000-train-00000-of-00002.parquet/cat/000000 1",
        "dog 000-train-00000-of-00002.parquet/dog/000001 2",
        "dog 001-train-00001-of-00002.parquet/dog/000000 1",
    ]
    assert not [path for path in hub.asked if "README" in path]
    assert test[1] == "hf--tiny--pets--test"
    assert run(hub, tmp_path, "hf:tiny/pets") == [first[2:]]  # the hub is gone
    assert "torch/" not in "".join(hub.told)  # what is installed here is nobody's business


def test_a_data_set_written_otherwise_is_had_as_the_hub_converts_it(hub: Hub, tmp_path: Path) -> None:
    put_data_set(hub, "tiny/old", {"pets.zip": b"x"})
    put_data_set(hub, "tiny/old", {"default/train/0000.parquet": parquet([0, 1])}, "refs/convert/parquet", CONVERTED)
    with serving(hub):
        (said,) = run(hub, tmp_path, "hf:tiny/old")
    assert said[-2:] == ["cat 000-0000.parquet/cat/000000 1", "dog 000-0000.parquet/dog/000001 2"]


def test_a_split_is_known_by_its_whole_name_and_of_one_configuration(hub: Hub, tmp_path: Path) -> None:
    part = parquet([0, 1])
    names = ("default/partial-train/0.parquet", "pre-train-test/test-0.parquet", "default/train/0.parquet")
    put_data_set(hub, "tiny/pets", dict.fromkeys(names, part))
    put_data_set(hub, "tiny/part", dict.fromkeys(names[:2], part))
    put_data_set(hub, "tiny/two", dict.fromkeys(("a/train/0.parquet", "b/train-0.parquet", "b/test-0.parquet"), part))
    sources = ("hf:tiny/pets", "hf:tiny/part", "hf:tiny/two", "hf:tiny/two/b/train", "hf:tiny/two/test")
    with serving(hub):
        pets, partly, two, chosen, test = run(hub, tmp_path, *sources)
    assert [line for line in pets if "watched" in line] == [f"watched {names[2]}, MB 1"]
    assert "no Parquet file of the split 'train', but default/partial-train/0.parquet" in partly[0]
    assert "in several configurations (a, b): name one, as in hf:tiny/two/a/train" in two[0]
    assert chosen[:2] == ["watched b/train-0.parquet, MB 1", "hf--tiny--two--b--train"]
    assert test[0] == "watched b/test-0.parquet, MB 1"


def test_what_hugging_face_does_not_give_is_told(hub: Hub, tmp_path: Path) -> None:
    put_data_set(hub, "tiny/pets", {"data/test-0.parquet": parquet([0, 1])})
    put_data_set(hub, "tiny/none", {"pets.zip": b"x"})
    hub.give("/api/datasets/tiny/none/revision/refs%2Fconvert%2Fparquet", b"", 404, X_Error_Code="RevisionNotFound")
    hub.give("/api/datasets/tiny/gated", b"", 403, X_Error_Code="GatedRepo")
    put_data_set(hub, "tiny/huge", {"data/train-0.parquet": b""})
    page = {"id": "tiny/huge", "sha": COMMIT, "siblings": [{"rfilename": "data/train-0.parquet", "size": 10**11}]}
    hub.give("/api/datasets/tiny/huge", page)
    cases = {
        "hf:tiny/pets": "hf:tiny/pets has no Parquet file of the split 'train', but data/test-0.parquet",
        "hf:tiny/none": "hf:tiny/none has no Parquet file: download it",
        "hf:tiny/gated": "ask there, then set HF_TOKEN",
        "hf:tiny/absent": "There is no data set hf:tiny/absent on the hub, or it is private; check the name, or set HF_TOKEN",
        "hf:tiny/huge": "the limit is 20,000,000,000",
    }
    with serving(hub):
        said = run(hub, tmp_path, *cases)
    for told, (line,) in zip(cases.values(), said, strict=True):
        assert told in line


def test_without_a_network_hugging_face_is_told_in_one_sentence(hub: Hub, tmp_path: Path) -> None:
    hub.server_close()
    ((said,),) = run(hub, tmp_path, "hf:tiny/pets")
    assert said.startswith("hf:tiny/pets could not be fetched (")
    assert said.endswith("go online once, or download it elsewhere and give the folder.")


def test_a_data_set_of_kaggle_is_fetched_once(hub: Hub, zip_bytes: bytes, tmp_path: Path) -> None:
    service = "/v1/datasets.DatasetApiService"
    hub.give(f"{service}/GetDataset/pets", {"currentVersionNumber": 3}, X_Kaggle_HubVersion="99.0.0")
    hub.give(f"{service}/DownloadDataset/pets", zip_bytes)
    sources = ("kaggle:owner/pets/pets/train", "kaggle:owner/pets")
    with serving(hub):
        (progress_bar, *first), (*_, split) = run(hub, tmp_path, *sources, KAGGLE_USERNAME="me", KAGGLE_KEY="secret")
    assert progress_bar == "watched kaggle:owner/pets, MB 1"
    assert first[:2] == ["kaggle--owner--pets/pets/train", "cats cats/0.jpg 20000"]
    assert len(first) == 7
    assert "/kaggle--owner--pets/pets/train --out NAME.twofold" in split
    assert run(hub, tmp_path, sources[0]) == [first]  # the hub is gone


def test_what_a_hub_says_to_be_too_large_is_refused() -> None:
    def work(bar: type) -> str:
        bar(total=3_000_000)
        return "done"

    with pytest.raises(DataError, match=r"kaggle:a/b has 3,000,000 bytes, the limit is 2,000,000"):
        pushed_progress(work, "kaggle:a/b", no_progress, limit=2_000_000)
    assert pushed_progress(work, "kaggle:a/b", no_progress, limit=3_000_000) == "done"


def test_what_kaggle_does_not_give_is_told(hub: Hub, tmp_path: Path) -> None:
    cases = {
        401: "set KAGGLE_USERNAME and KAGGLE_KEY, or",
        403: "~/.kaggle/kaggle.json",
        404: "has no such data set",
        500: "Kaggle answered 500",
    }
    for status in cases:
        hub.give(f"/v1/datasets.DatasetApiService/GetDataset/pets{status}", b"", status)
    with serving(hub):
        said = run(hub, tmp_path, *(f"kaggle:owner/pets{status}" for status in cases))
    for (status, told), (line,) in zip(cases.items(), said, strict=True):
        assert line.startswith(f"kaggle:owner/pets{status} could not be fetched: ")
        assert told in line


def test_without_a_network_kaggle_is_told_in_one_sentence(hub: Hub, tmp_path: Path) -> None:
    hub.server_close()
    ((said,),) = run(hub, tmp_path, "kaggle:owner/pets")
    assert said.startswith("kaggle:owner/pets could not be fetched: ")
    assert "go online once" in said
