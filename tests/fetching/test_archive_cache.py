"""An archive from an address is complete or not there, whatever the server does."""

import bz2
import gzip
import hashlib
import lzma
import socket
import struct
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fetching.server import Server

from twofold.core.errors import DataError
from twofold.core.options import DataOptions
from twofold.core.progress import no_progress
from twofold.data import list_labelled_files, read_bytes
from twofold.fetching import resolve
from twofold.fetching.archive_cache import fetch_archive


def file_names(folder: Path) -> set[str]:
    """Without the lock, which stays and is empty."""
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def ranges(server: Server) -> list[str | None]:
    return [byte_range for _, byte_range in server.requests]


@pytest.mark.parametrize("behaviour", ["whole", "no-length", "redirect"])
def test_an_archive_is_downloaded_once(behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    first = fetch_archive(server.url(behaviour), tmp_path / "new", no_progress)
    count = len(server.requests)
    again = fetch_archive(server.url(behaviour), tmp_path / "new", no_progress)
    assert first == again
    assert len(server.requests) == count
    assert (first.path.name, first.path.read_bytes()) == ("pets.zip", zip_bytes)
    assert first.sha256 == hashlib.sha256(zip_bytes).hexdigest()
    assert file_names(tmp_path) == {"fetched.json", "pets.zip"}


@pytest.mark.parametrize("behaviour", ["broken", "dated"])
def test_a_lost_connection_is_resumed_where_it_ended(
    behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    assert fetch_archive(server.url(behaviour), tmp_path, no_progress).path.read_bytes() == zip_bytes
    half = len(zip_bytes) // 2
    assert ranges(server) == [None, f"bytes={half}-", *([f"bytes={2 * half}-"] if 2 * half < len(zip_bytes) else [])]


@pytest.mark.parametrize("behaviour", ["no-range", "changed", "anonymous"])
def test_without_ranges_the_download_starts_anew(
    behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    assert fetch_archive(server.url(behaviour), tmp_path, no_progress).path.read_bytes() == zip_bytes
    assert len(server.requests) == 2


def test_the_next_run_resumes_the_download(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    def stop(stream: Iterable[bytes], length: int, what: str) -> Iterable[bytes]:
        for chunk in stream:
            yield chunk
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_archive(server.url("broken"), tmp_path, stop)
    assert fetch_archive(server.url("broken"), tmp_path, no_progress).path.read_bytes() == zip_bytes
    assert ranges(server)[:2] == [None, f"bytes={len(zip_bytes) // 2}-"]


def test_several_threads_download_an_archive_once(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        archives = list(pool.map(lambda _: fetch_archive(server.url("whole"), tmp_path, no_progress), range(4)))
    assert len(set(archives)) == len(server.requests) == 1
    assert archives[0].path.read_bytes() == zip_bytes


def test_a_file_that_another_program_writes_to_is_downloaded_anew(
    server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    def disturb(stream: Iterable[bytes], length: int, what: str) -> Iterable[bytes]:
        yield from stream
        if len(server.requests) == 1:
            (part,) = tmp_path.rglob("part")
            with part.open("ab") as file:
                file.write(bytes(2 * len(zip_bytes)))

    assert fetch_archive(server.url("whole"), tmp_path, disturb).path.read_bytes() == zip_bytes
    assert len(server.requests) == 2


def test_a_complete_partial_file_is_not_downloaded_again(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    part = tmp_path / hashlib.sha256(server.url("whole").encode()).hexdigest()[:16] / "part"
    part.parent.mkdir()
    part.write_bytes(zip_bytes)
    part.with_name("part.mark").write_text('"v1"')
    assert fetch_archive(server.url("whole"), tmp_path, no_progress).path.read_bytes() == zip_bytes
    assert ranges(server) == [f"bytes={len(zip_bytes)}-"]


def test_a_partial_file_longer_than_the_servers_is_discarded(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    part = tmp_path / hashlib.sha256(server.url("whole").encode()).hexdigest()[:16] / "part"
    part.parent.mkdir()
    part.write_bytes(zip_bytes + b"more")
    part.with_name("part.mark").write_text('"v1"')
    assert fetch_archive(server.url("whole"), tmp_path, no_progress).path.read_bytes() == zip_bytes


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("longer", "the connection was lost 5 times .*; run it again to continue"),
        ("shorter", "is cut short or damaged, and was not kept"),
        ("loop", "redirects in a circle"),
        ("to-file", "from https to http, or to another protocol"),
        ("to-ftp", "from https to http, or to another protocol"),
        ("404", "the server has no such file"),
        ("401", "the server denies access"),
        ("403", "the server denies access"),
        ("503", "returned status 503; try again later"),
    ],
)
def test_a_failed_download_is_an_error_with_advice(
    behaviour: str, message: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        fetch_archive(server.url(behaviour), tmp_path, no_progress)
    assert not list(tmp_path.rglob("*.zip"))


def test_a_wrong_sha256_is_an_error_and_the_file_is_removed(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has SHA-256 {hashlib.sha256(zip_bytes).hexdigest()}, expected 0000"):
        fetch_archive(server.url("whole"), tmp_path, no_progress, sha256="0" * 64)
    assert not file_names(tmp_path)
    digest = hashlib.sha256(zip_bytes).hexdigest()
    assert fetch_archive(server.url("whole"), tmp_path, no_progress, sha256=digest).sha256 == digest


def test_a_cached_file_with_another_sha256_is_downloaded_again(
    server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    fetch_archive(server.url("whole"), tmp_path, no_progress)
    server.content = zip_bytes + bytes(1)
    digest = hashlib.sha256(server.content).hexdigest()
    assert fetch_archive(server.url("whole"), tmp_path, no_progress, sha256=digest).path.read_bytes() == server.content


def test_a_cached_tar_with_another_sha256_is_downloaded_again(server: Server, tar_bytes: bytes, tmp_path: Path) -> None:
    server.content = gzip.compress(tar_bytes)
    old = fetch_archive(server.url("whole", "pets.tgz"), tmp_path, no_progress)
    newer = tar_bytes[:600] + b"other" + tar_bytes[605:]  # of the first image
    server.content = gzip.compress(newer)
    digest = hashlib.sha256(server.content).hexdigest()
    new = fetch_archive(server.url("whole", "pets.tgz"), tmp_path, no_progress, sha256=digest)
    assert (old.path.read_bytes(), new.sha256) == (newer, digest)


@pytest.mark.parametrize("behaviour", ["whole", "no-length"])
def test_a_file_above_the_limit_is_an_error(behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the limit is 100,000: download or unpack it with another program"):
        fetch_archive(server.url(behaviour), tmp_path, no_progress, limit=100_000)
    assert not file_names(tmp_path)


def test_a_web_page_is_not_an_archive(server: Server, tmp_path: Path) -> None:
    server.content = b"<!doctype html><title>Log in</title>"
    with pytest.raises(DataError, match="not a zip, tar or Parquet file, perhaps a web page"):
        fetch_archive(server.url("whole"), tmp_path, no_progress)


def test_without_a_network_the_error_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/pets.zip"  # bound, but nobody listens
        with pytest.raises(
            DataError, match=r"cannot be reached \(Connection refused\): check the address and the network"
        ):
            fetch_archive(url, tmp_path, no_progress)


def test_the_progress_of_a_download_is_reported(server: Server, tmp_path: Path) -> None:
    reports: list[tuple[int, str]] = []

    def progress(stream: Iterable[Any], length: int, what: str) -> Iterable[Any]:
        reports.append((length, what))
        return stream

    fetch_archive(server.url("whole"), tmp_path, progress)
    assert reports == [(1, "pets.zip, MB")]


@pytest.mark.parametrize("name", ["part", "part.mark", "fetched.json", "got", "plain", "lock"])
def test_an_archive_may_have_the_name_of_a_cache_file(
    name: str, server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    for _ in range(2):
        assert fetch_archive(server.url("whole", name), tmp_path, no_progress).path.read_bytes() == zip_bytes
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["a%2F..%2Fb.zip", "..", "%00.zip", "猫.zip?x=1", ""])
def test_the_name_of_an_address_stays_inside_its_folder(name: str, server: Server, tmp_path: Path) -> None:
    path = fetch_archive(server.url("whole", name.replace("猫", "%E7%8C%AB")), tmp_path, no_progress).path
    assert path.resolve().parent.parent.parent == tmp_path.resolve()


@pytest.mark.parametrize(
    ("pack", "name"),
    [
        (gzip.compress, "pets.tar.gz"),
        (bz2.compress, "pets.tbz"),
        (lzma.compress, "pets.tar.xz"),
        (gzip.compress, "pets.tar"),
    ],
)
def test_a_compressed_tar_becomes_a_plain_one(
    pack: Callable[[bytes], bytes], name: str, server: Server, tar_bytes: bytes, tmp_path: Path
) -> None:
    server.content = pack(tar_bytes)
    path = resolve(server.url("whole", name), tmp_path)
    assert (path.name, path.read_bytes()) == ("pets.tar", tar_bytes)
    count = len(server.requests)
    assert resolve(server.url("whole", name), tmp_path) == path
    assert len(server.requests) == count


def test_a_compressed_file_that_is_cut_short_or_not_a_tar_is_an_error(
    server: Server, tar_bytes: bytes, tmp_path: Path
) -> None:
    cases = {
        "cut": gzip.compress(tar_bytes)[:-9],
        "no": gzip.compress(b"path,label"),
        "zst": b"\x28\xb5\x2f\xfd" + bytes(9),
    }
    messages = {"cut": "cannot be unpacked", "no": "but not a tar", "zst": "unzstd"}
    for name, content in cases.items():
        server.content = content
        with pytest.raises(DataError, match=messages[name]):
            resolve(server.url("whole", f"{name}.tar.gz"), tmp_path)


def test_after_an_interrupted_decompression_the_tar_is_not_downloaded_again(
    server: Server, tar_bytes: bytes, tmp_path: Path
) -> None:
    server.content = gzip.compress(tar_bytes)

    def interrupt(items: Iterable[Any], count: int, what: str) -> Iterable[Any]:
        if "unpacked" in what:
            raise KeyboardInterrupt
        return items

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fetch_archive(server.url("whole", "pets.tar.gz"), tmp_path, interrupt)
    archive = fetch_archive(server.url("whole", "pets.tar.gz"), tmp_path, no_progress)
    assert (archive.path.read_bytes(), archive.bytes) == (tar_bytes, len(server.content))
    assert len(server.requests) == 1
    assert file_names(tmp_path) == {"fetched.json", "pets.tar"}


def test_a_compressed_bomb_is_an_error(server: Server, tmp_path: Path) -> None:
    server.content = gzip.compress(bytes(3_000_000))
    with pytest.raises(DataError, match="the limit is 2,000,000"):
        fetch_archive(server.url("whole", "pets.tar.gz"), tmp_path, no_progress, limit=2_000_000)
    assert not list(tmp_path.rglob("unpacked.*"))


def test_several_streams_of_xz_with_padding_are_one_file(server: Server, tar_bytes: bytes, tmp_path: Path) -> None:
    streams = [lzma.compress(tar_bytes[at : at + 50_000], preset=1) for at in range(0, len(tar_bytes), 50_000)]
    server.content = b"\0\0\0\0".join(streams) + bytes(8)
    assert fetch_archive(server.url("whole", "pets.tar.xz"), tmp_path, no_progress).path.read_bytes() == tar_bytes


def test_the_memory_of_decompression_is_limited(server: Server, tar_bytes: bytes, tmp_path: Path) -> None:
    compressed = bytearray(lzma.compress(tar_bytes, preset=0))
    compressed[16] = 40  # the dictionary: four gigabytes
    compressed[20:24] = struct.pack("<I", zlib.crc32(compressed[12:20]))  # of the header of the block
    server.content = bytes(compressed)
    with pytest.raises(DataError, match=r"cannot be unpacked \(Memory usage limit exceeded\)"):
        fetch_archive(server.url("whole", "pets.tar.xz"), tmp_path, no_progress)
    assert file_names(tmp_path) == set()


def test_a_fragment_names_a_folder_in_the_archive(server: Server, members: dict[str, bytes], tmp_path: Path) -> None:
    data = resolve(server.url("whole") + "#pets/train", tmp_path)
    files = list_labelled_files(data, DataOptions()).files
    assert [file.label for file in files] == ["cats"] * 3 + ["dogs"] * 3
    assert read_bytes(files[0].path) == members["pets/train/cats/0.jpg"]
