"""A file from an address is there whole, or not at all, whatever the server does."""

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
from twofold.fetching.download import download


def kept(folder: Path) -> set[str]:
    """Without the lock, which has no bytes and stays."""
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def ranges(server: Server) -> list[str | None]:
    return [asked for _, asked in server.asked]


@pytest.mark.parametrize("behaviour", ["whole", "untold", "redirect"])
def test_a_file_is_downloaded_once(behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    first = download(server.url(behaviour), tmp_path / "new", no_progress)
    count = len(server.asked)
    again = download(server.url(behaviour), tmp_path / "new", no_progress)
    assert first == again
    assert len(server.asked) == count
    assert (first.path.name, first.path.read_bytes()) == ("pets.zip", zip_bytes)
    assert first.sha256 == hashlib.sha256(zip_bytes).hexdigest()
    assert kept(tmp_path) == {"fetched.json", "pets.zip"}


@pytest.mark.parametrize("behaviour", ["broken", "dated"])
def test_what_breaks_off_is_taken_up_where_it_ended(
    behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    assert download(server.url(behaviour), tmp_path, no_progress).path.read_bytes() == zip_bytes
    half = len(zip_bytes) // 2
    assert ranges(server) == [None, f"bytes={half}-", *([f"bytes={2 * half}-"] if 2 * half < len(zip_bytes) else [])]


@pytest.mark.parametrize("behaviour", ["no-range", "changed", "anonymous"])
def test_where_the_rest_cannot_be_had_all_is_fetched_anew(
    behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    assert download(server.url(behaviour), tmp_path, no_progress).path.read_bytes() == zip_bytes
    assert len(server.asked) == 2


def test_the_next_run_goes_on_with_what_came(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    def stop(stream: Iterable[bytes], length: int, what: str) -> Iterable[bytes]:
        for chunk in stream:
            yield chunk
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url("broken"), tmp_path, stop)
    assert download(server.url("broken"), tmp_path, no_progress).path.read_bytes() == zip_bytes
    assert ranges(server)[:2] == [None, f"bytes={len(zip_bytes) // 2}-"]


def test_of_those_that_want_one_file_at_once_the_first_downloads_it(
    server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: download(server.url("whole"), tmp_path, no_progress), range(4)))
    assert len(set(found)) == len(server.asked) == 1
    assert found[0].path.read_bytes() == zip_bytes


def test_a_file_into_which_another_program_writes_begins_anew(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    def disturb(stream: Iterable[bytes], length: int, what: str) -> Iterable[bytes]:
        yield from stream
        if len(server.asked) == 1:
            (part,) = tmp_path.rglob("part")
            with part.open("ab") as file:
                file.write(bytes(2 * len(zip_bytes)))

    assert download(server.url("whole"), tmp_path, disturb).path.read_bytes() == zip_bytes
    assert len(server.asked) == 2


def test_what_came_whole_before_it_was_broken_off_is_not_downloaded_again(
    server: Server, zip_bytes: bytes, tmp_path: Path
) -> None:
    part = tmp_path / hashlib.sha256(server.url("whole").encode()).hexdigest()[:16] / "part"
    part.parent.mkdir()
    part.write_bytes(zip_bytes)
    part.with_name("part.mark").write_text('"v1"')
    assert download(server.url("whole"), tmp_path, no_progress).path.read_bytes() == zip_bytes
    assert ranges(server) == [f"bytes={len(zip_bytes)}-"]


def test_more_than_the_server_has_is_thrown_away(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    part = tmp_path / hashlib.sha256(server.url("whole").encode()).hexdigest()[:16] / "part"
    part.parent.mkdir()
    part.write_bytes(zip_bytes + b"more")
    part.with_name("part.mark").write_text('"v1"')
    assert download(server.url("whole"), tmp_path, no_progress).path.read_bytes() == zip_bytes


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ("longer", "The connection to .* broke off 5 times .*; run the same command again to go on"),
        ("shorter", "is cut short or damaged, and was not kept"),
        ("loop", "sends on in a circle"),
        ("to-file", "or to what is not https"),
        ("to-ftp", "or to what is not https"),
        ("404", "there is no such file there"),
        ("401", "gives it only to those it knows"),
        ("403", "gives it only to those it knows"),
        ("503", "answered 503; try again later"),
    ],
)
def test_what_the_server_does_not_give_is_told(behaviour: str, told: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        download(server.url(behaviour), tmp_path, no_progress)
    assert not list(tmp_path.rglob("*.zip"))


def test_a_wrong_hash_is_told_and_the_file_is_not_kept(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has SHA-256 {hashlib.sha256(zip_bytes).hexdigest()}, expected 0000"):
        download(server.url("whole"), tmp_path, no_progress, expected="0" * 64)
    assert not kept(tmp_path)
    right = hashlib.sha256(zip_bytes).hexdigest()
    assert download(server.url("whole"), tmp_path, no_progress, expected=right).sha256 == right


def test_a_kept_file_of_another_hash_is_fetched_anew(server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    download(server.url("whole"), tmp_path, no_progress)
    server.content = zip_bytes + bytes(1)
    right = hashlib.sha256(server.content).hexdigest()
    assert download(server.url("whole"), tmp_path, no_progress, expected=right).path.read_bytes() == server.content


def test_a_kept_tar_of_another_hash_is_unpacked_anew(server: Server, tar_bytes: bytes, tmp_path: Path) -> None:
    server.content = gzip.compress(tar_bytes)
    old = download(server.url("whole", "pets.tgz"), tmp_path, no_progress)
    newer = tar_bytes[:600] + b"other" + tar_bytes[605:]  # of the first picture
    server.content = gzip.compress(newer)
    right = hashlib.sha256(server.content).hexdigest()
    new = download(server.url("whole", "pets.tgz"), tmp_path, no_progress, expected=right)
    assert (old.path.read_bytes(), new.sha256) == (newer, right)


@pytest.mark.parametrize("behaviour", ["whole", "untold"])
def test_a_file_over_the_limit_is_refused(behaviour: str, server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the limit is 100,000: download or unpack it by other means"):
        download(server.url(behaviour), tmp_path, no_progress, limit=100_000)
    assert not kept(tmp_path)


def test_a_web_page_is_no_archive(server: Server, tmp_path: Path) -> None:
    server.content = b"<!doctype html><title>Log in</title>"
    with pytest.raises(DataError, match="no zip, tar or Parquet file, but perhaps a web page"):
        download(server.url("whole"), tmp_path, no_progress)


def test_without_a_network_one_sentence_says_so(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/pets.zip"  # bound, but nobody listens
        with pytest.raises(
            DataError, match=r"cannot be reached \(Connection refused\): check the address and the network"
        ):
            download(url, tmp_path, no_progress)


def test_a_download_can_be_watched(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, str]] = []

    def progress(stream: Iterable[Any], length: int, what: str) -> Iterable[Any]:
        seen.append((length, what))
        return stream

    download(server.url("whole"), tmp_path, progress)
    assert seen == [(1, "pets.zip, MB")]


@pytest.mark.parametrize("name", ["part", "part.mark", "fetched.json", "got", "plain", "lock"])
def test_a_file_may_have_any_name(name: str, server: Server, zip_bytes: bytes, tmp_path: Path) -> None:
    for _ in range(2):
        assert download(server.url("whole", name), tmp_path, no_progress).path.read_bytes() == zip_bytes
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["a%2F..%2Fb.zip", "..", "%00.zip", "猫.zip?x=1", ""])
def test_the_name_of_an_address_stays_inside_its_folder(name: str, server: Server, tmp_path: Path) -> None:
    path = download(server.url("whole", name.replace("猫", "%E7%8C%AB")), tmp_path, no_progress).path
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
    count = len(server.asked)
    assert resolve(server.url("whole", name), tmp_path) == path
    assert len(server.asked) == count


def test_a_compressed_file_that_is_cut_short_or_no_tar_is_told(
    server: Server, tar_bytes: bytes, tmp_path: Path
) -> None:
    cases = {
        "cut": gzip.compress(tar_bytes)[:-9],
        "no": gzip.compress(b"path,label"),
        "zst": b"\x28\xb5\x2f\xfd" + bytes(9),
    }
    told = {"cut": "cannot be unpacked", "no": "holds no tar", "zst": "unzstd"}
    for name, content in cases.items():
        server.content = content
        with pytest.raises(DataError, match=told[name]):
            resolve(server.url("whole", f"{name}.tar.gz"), tmp_path)


def test_a_compressed_tar_whose_unpacking_was_broken_off_is_not_downloaded_again(
    server: Server, tar_bytes: bytes, tmp_path: Path
) -> None:
    server.content = gzip.compress(tar_bytes)

    def broken_off(items: Iterable[Any], count: int, what: str) -> Iterable[Any]:
        if "unpacked" in what:
            raise KeyboardInterrupt
        return items

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            download(server.url("whole", "pets.tar.gz"), tmp_path, broken_off)
    found = download(server.url("whole", "pets.tar.gz"), tmp_path, no_progress)
    assert (found.path.read_bytes(), found.bytes) == (tar_bytes, len(server.content))
    assert len(server.asked) == 1
    assert kept(tmp_path) == {"fetched.json", "pets.tar"}


def test_a_compressed_bomb_is_refused(server: Server, tmp_path: Path) -> None:
    server.content = gzip.compress(bytes(3_000_000))
    with pytest.raises(DataError, match="the limit is 2,000,000"):
        download(server.url("whole", "pets.tar.gz"), tmp_path, no_progress, limit=2_000_000)
    assert not list(tmp_path.rglob("unpacked.*"))


def test_several_streams_of_xz_with_padding_are_one_file(server: Server, tar_bytes: bytes, tmp_path: Path) -> None:
    parts = [lzma.compress(tar_bytes[at : at + 50_000], preset=1) for at in range(0, len(tar_bytes), 50_000)]
    server.content = b"\0\0\0\0".join(parts) + bytes(8)
    assert download(server.url("whole", "pets.tar.xz"), tmp_path, no_progress).path.read_bytes() == tar_bytes


def test_a_file_that_asks_for_very_much_memory_does_not_get_it(
    server: Server, tar_bytes: bytes, tmp_path: Path
) -> None:
    packed = bytearray(lzma.compress(tar_bytes, preset=0))
    packed[16] = 40  # the dictionary: four gigabytes
    packed[20:24] = struct.pack("<I", zlib.crc32(packed[12:20]))  # of the header of the block
    server.content = bytes(packed)
    with pytest.raises(DataError, match=r"cannot be unpacked \(Memory usage limit exceeded\)"):
        download(server.url("whole", "pets.tar.xz"), tmp_path, no_progress)
    assert kept(tmp_path) == set()


def test_a_folder_inside_what_comes_is_named_after_a_hash_sign(
    server: Server, members: dict[str, bytes], tmp_path: Path
) -> None:
    data = resolve(server.url("whole") + "#pets/train", tmp_path)
    items = list_labelled_files(data, DataOptions()).files
    assert [item.label for item in items] == ["cats"] * 3 + ["dogs"] * 3
    assert read_bytes(items[0].path) == members["pets/train/cats/0.jpg"]
