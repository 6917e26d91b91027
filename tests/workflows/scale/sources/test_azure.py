"""A container of Azure is listed and read as a bucket; Azurite, Microsoft's local server, stands in for it."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from part_archives import tar_of

from twofold.core.errors import DataError
from twofold.data import ReadError
from twofold.workflows.scale.sources.object_reader import ObjectReader
from twofold.workflows.scale.sources.path_list import list_paths

fsspec = pytest.importorskip("fsspec", reason="the extra `azure` is not installed")
pytest.importorskip("adlfs", reason="the extra `azure` is not installed")
azurite = shutil.which("azurite-blob")
pytestmark = [
    pytest.mark.skipif(azurite is None, reason="azurite-blob is not installed (npm install --global azurite)"),
    pytest.mark.filterwarnings("ignore"),  # of the client, which leaves sockets to the collector
]
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # of every Azurite


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    """A container with two images and a tar of two more."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = "--silent --skipApiVersionCheck --inMemoryPersistence --disableTelemetry --blobHost 127.0.0.1 --blobPort"
    server = subprocess.Popen([str(azurite), *options.split(), str(port)], stdout=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as environment:
        address = f"http://127.0.0.1:{port}/{ACCOUNT}"
        setting = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={address};"
        environment.setenv("AZURE_STORAGE_CONNECTION_STRING", setting)
        wait_for(port)
        client: Any = fsspec.filesystem("az")
        client.mkdir("photos")
        files = {"a.jpg": b"a", "deep/é#1.jpg": b"b", ".c.jpg": b"c", "0.tar": tar_of({"1.jpg": b"1", "1.txt": b""})}
        for name, data in files.items():
            client.pipe_file(f"photos/{name}", data)
        yield "az://photos"
    server.kill()
    server.wait()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)


def test_a_container_is_listed_and_read(container: str) -> None:
    expected = {f"{container}/0.tar/1.jpg": b"1", f"{container}/a.jpg": b"a", f"{container}/deep/é#1.jpg": b"b"}
    assert [line.decode() for line in list_paths([container])] == list(expected)
    with pytest.raises(DataError, match="There is nothing at az://photos/none"):
        list_paths([f"{container}/none"])
    with ObjectReader() as reader:
        assert {path: reader.read(path) for path in expected} == expected
        error = reader.read(f"{container}/gone.jpg")
        assert isinstance(error, ReadError)
        assert error.code == "missing"
