"""An audit of a bucket has the rows of its objects, and opens candidates there again; a local server stands in for S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from part_predictors import rows
from pyarrow import parquet
from scenes import jpeg, scene

from twofold.core.options import RuntimeOptions
from twofold.core.progress import no_progress
from twofold.workflows.scale.audit_parts import audit_parts

moto_server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the server


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """A bucket with 25 scenes, one of them again at half the size, a copy, and an object that is no image."""
    from pyarrow.fs import FileSystem

    server = moto_server.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    images = {f"{number:02}.jpg": jpeg(scene(number, (320, 240))) for number in range(25)}
    images["half.jpg"] = jpeg(scene(3, (320, 240)).resize((160, 120)))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        system, _ = FileSystem.from_uri("s3://scenes?allow_bucket_creation=true")
        system.create_dir("scenes")
        for name, image in images.items():
            image.save(tmp_path / name, quality=90)
        copies = {name: (tmp_path / name).read_bytes() for name in images}
        for name, data in (copies | {"copy.jpg": copies["05.jpg"], "notes.txt": b"no image"}).items():
            with system.open_output_stream(f"scenes/{name}") as stream:
                stream.write(data)
        yield "s3://scenes"
    server.stop()


def test_a_bucket_is_audited(bucket: str, tmp_path: Path) -> None:
    result = audit_parts(bucket, tmp_path / "out", "local", RuntimeOptions(threads=2), no_progress)
    assert (result.run.images, result.read_errors) == (28, {"not-an-image": 1})
    assert [row["path"] for row in rows(tmp_path / "out")][-3:] == [
        f"{bucket}/{name}" for name in ("copy.jpg", "half.jpg", "notes.txt")
    ]
    pairs = parquet.read_table(tmp_path / "out" / "duplicates.parquet").to_pylist()
    assert pairs == [
        {"first": f"{bucket}/03.jpg", "second": f"{bucket}/half.jpg", "kind": "near"},
        {"first": f"{bucket}/05.jpg", "second": f"{bucket}/copy.jpg", "kind": "exact"},
    ]
