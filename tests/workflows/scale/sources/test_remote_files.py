"""Objects of a bucket are listed and read as files are; a local server stands in for S3."""

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from part_archives import tar_of, zip_of
from part_predictors import predict_paths, rows, write_list

from twofold.core.errors import DataError
from twofold.data import ReadError
from twofold.workflows.scale.sources.archive_copies import ArchiveCopies
from twofold.workflows.scale.sources.object_reader import ObjectReader
from twofold.workflows.scale.sources.path_list import list_paths

moto_server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the server

SAMPLES = {f"{number:04}.{kind}": f"{number}{kind}".encode() for number in range(30) for kind in ("jpg", "json", "cls")}


@pytest.fixture(scope="module")
def system() -> Iterator[Any]:
    """The file system of a local server, which the environment names."""
    from pyarrow.fs import FileSystem

    server = moto_server.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        yield FileSystem.from_uri("s3://photos?allow_bucket_creation=true")[0]
    server.stop()


def fill(system: Any, bucket: str, files: dict[str, bytes]) -> str:
    """The address of a new bucket with these objects."""
    system.create_dir(bucket)
    for name, data in files.items():
        with system.open_output_stream(f"{bucket}/{name}") as stream:
            stream.write(data)
    return f"s3://{bucket}"


@pytest.fixture(scope="module")
def bucket(system: Any) -> str:
    """A bucket with six objects, two of them hidden."""
    names = ("a.jpg", "b c.jpg", "deep/er/é.jpg", "deep/d#1.jpg", ".hidden.jpg", ".folder/e.jpg")
    return fill(system, "photos", {name: name.encode() for name in names})


@pytest.fixture(scope="module")
def shards(system: Any) -> str:
    """A bucket with a tar of samples, a zip, a damaged tar, and a folder with the name of a tar."""
    packed = {"shards/0.tar": tar_of(SAMPLES), "shards/1.ZIP": zip_of({"a/x.jpg": b"x", ".y": b""})}
    return fill(system, "webdataset", {**packed, "cut.tar": tar_of(SAMPLES)[:5000], "no.tar/1.jpg": b"1"})


def lines(*sources: str) -> list[str]:
    return [line.decode() for line in list_paths(sources)]


def test_a_bucket_is_listed_and_its_objects_have_the_rows_of_their_bytes(bucket: str, tmp_path: Path) -> None:
    names = ["a.jpg", "b c.jpg", "deep/d#1.jpg", "deep/er/é.jpg"]
    expected = [f"{bucket}/{name}" for name in names]
    assert lines(bucket) == expected
    assert lines(f"{bucket}/deep/", f"{bucket}/a.jpg") == [expected[0], *expected[2:]]
    listed = write_list(tmp_path / "images.txt", [*expected, f"{bucket}/gone.jpg", "local.jpg"])
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    local = write_list(tmp_path / "names.txt", names)
    predict_paths([local], tmp_path / "local", tmp_path / "processes")
    found = {row["path"]: row for row in rows(tmp_path / "out")}
    assert sorted(found) == sorted([*expected, f"{bucket}/gone.jpg", str(tmp_path / "local.jpg")])
    assert found[f"{bucket}/gone.jpg"]["reason"] == "missing"
    assert len({found[path]["probability"] for path in expected}) == len(expected)


def test_archives_in_a_bucket_have_the_rows_of_their_images(
    shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copies").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "copies"))  # of the worker
    monkeypatch.setattr(tempfile, "tempdir", None)
    images = [f"{shards}/shards/0.tar/{name}" for name in SAMPLES if name.endswith(".jpg")]
    expected = sorted([*images, f"{shards}/shards/1.ZIP/a/x.jpg", f"{shards}/no.tar/1.jpg", f"{shards}/cut.tar"])
    assert lines(shards) == expected
    names = [f"{shards}/shards/", f"{shards}/no.tar/1.jpg", f"{shards}/cut.tar", f"{shards}/shards/0.tar/9.jpg"]
    listed = write_list(tmp_path / "list.txt", names)
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    found = {row["path"]: row for row in rows(tmp_path / "out")}
    assert sorted(found) == sorted([*expected, names[-1]])
    assert [path for path, row in found.items() if row["reason"] is not None] == [
        names[-1]
    ]  # a member that is not there
    assert not list((tmp_path / "copies").glob("twofold*"))
    for path, data in {f"{shards}/shards/0.tar/0003.jpg": b"3jpg", f"{shards}/shards/1.ZIP/a/x.jpg": b"x"}.items():
        assert found[path]["probability"] == zlib.crc32(data) / 2**32


def test_copies_are_removed_beyond_the_limit_at_the_end_and_after_a_crash(
    shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "twofold-copies-crashed").mkdir()
    (tmp_path / "twofold-copies-crashed" / "lock").touch()
    tar, zipped = f"{shards}/shards/0.tar", f"{shards}/shards/1.ZIP"
    with ArchiveCopies() as alive, ArchiveCopies(limit=0) as copies:
        assert alive.read(tar, "0003.cls", 10) == b"3cls"
        assert copies.read(tar, "0003.cls", 10) == b"3cls"
        assert copies.read(zipped, "a/x.jpg", 10) == b"x"
        assert copies.read(f"{shards}/none.tar", "a", 10) is None
        assert isinstance(copies.read(tar, "0003.cls", 1), ReadError)
        assert sorted(file.suffix for file in tmp_path.glob("*/*.*")) == [".tar", ".tar"]
        assert len(list(tmp_path.iterdir())) == 2
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_listed_or_read_is_named_with_what_to_set(bucket: str) -> None:
    with pytest.raises(DataError, match="There is nothing at s3://photos/none"):
        list_paths([f"{bucket}/none/"])
    with pytest.raises(DataError, match=r"s3://no-such-bucket"):
        list_paths(["s3://no-such-bucket/deep"])
    with ObjectReader(limit=3) as reader:
        assert reader.read("1.jpg") == Path("1.jpg")
        for path, code in {f"{bucket}/gone.jpg": "missing", f"{bucket}/a.jpg": "too-large"}.items():
            error = reader.read(path)
            assert isinstance(error, ReadError)
            assert error.code == code
