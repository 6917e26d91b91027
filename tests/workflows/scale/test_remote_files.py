"""Objects of a bucket are listed and read as files are; a local server stands in for S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from part_predictors import predict_paths, rows, write_list

from twofold.core.errors import DataError
from twofold.data import ReadError
from twofold.workflows.scale.path_list import list_paths
from twofold.workflows.scale.remote_files import read_remote

moto_server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the server


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket with six objects, two of them hidden."""
    from pyarrow.fs import FileSystem

    server = moto_server.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        system, _ = FileSystem.from_uri("s3://photos?allow_bucket_creation=true")
        system.create_dir("photos")
        for name in ("a.jpg", "b c.jpg", "deep/er/é.jpg", "deep/d#1.jpg", ".hidden.jpg", ".folder/e.jpg"):
            with system.open_output_stream(f"photos/{name}") as stream:
                stream.write(name.encode())
        yield "s3://photos"
    server.stop()


def test_a_bucket_is_listed_and_its_objects_have_the_rows_of_their_bytes(bucket: str, tmp_path: Path) -> None:
    names = ["a.jpg", "b c.jpg", "deep/d#1.jpg", "deep/er/é.jpg"]
    expected = [f"{bucket}/{name}" for name in names]
    assert [line.decode() for line in list_paths([bucket])] == expected
    assert [line.decode() for line in list_paths([f"{bucket}/deep/", f"{bucket}/a.jpg"])] == [
        expected[0],
        *expected[2:],
    ]
    listed = write_list(tmp_path / "images.txt", [*expected, f"{bucket}/gone.jpg", "local.jpg"])
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    local = write_list(tmp_path / "names.txt", names)
    predict_paths([local], tmp_path / "local", tmp_path / "processes")
    found = {row["path"]: row for row in rows(tmp_path / "out")}
    assert sorted(found) == sorted([*expected, f"{bucket}/gone.jpg", str(tmp_path / "local.jpg")])
    assert found[f"{bucket}/gone.jpg"]["reason"] == "missing"
    assert len({found[path]["probability"] for path in expected}) == len(expected)


def test_what_cannot_be_listed_or_read_is_named_with_what_to_set(bucket: str) -> None:
    with pytest.raises(DataError, match="There is nothing at s3://photos/none"):
        list_paths([f"{bucket}/none/"])
    with pytest.raises(DataError, match=r"s3://no-such-bucket"):
        list_paths(["s3://no-such-bucket/deep"])
    assert isinstance(read_remote(f"{bucket}/gone.jpg"), ReadError)
    assert isinstance(read_remote(f"{bucket}/a.jpg", 3), ReadError)
