"""Small archives of pets, and a server of one."""

import io
import random
import tarfile
import zipfile
from collections.abc import Iterator

import pytest
from fetching.server import Server, serving

NAMES = [
    f"pets/{split}/{label}/{number}.jpg"
    for split in ("train", "test")
    for label in ("cats", "dogs")
    for number in range(3)
]


@pytest.fixture(scope="session")
def members() -> dict[str, bytes]:
    """Files of noise, 250 kB in all: two splits of two classes with three files each."""
    noise = random.Random(1)
    return {name: noise.randbytes(20_000) for name in NAMES}


@pytest.fixture(scope="session")
def zip_bytes(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.fixture(scope="session")
def tar_bytes(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def server(zip_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(zip_bytes)
    with serving(server):
        yield server
