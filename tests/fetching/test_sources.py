"""From SOURCE to a local path."""

import gzip
import hashlib
from pathlib import Path

import pytest

from twofold.core.errors import DataError, UsageError
from twofold.core.options import DataOptions
from twofold.data import list_labelled_files, read_bytes
from twofold.fetching import find_local_data, resolve
from twofold.fetching.sources import PRESETS


def put(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_a_local_path_is_returned_unchanged(tmp_path: Path, zip_bytes: bytes) -> None:
    file = put(tmp_path / "pets.zip", zip_bytes)
    for path in (file, file / "pets/train", tmp_path, tmp_path / "nowhere", put(tmp_path / "list.csv", b"path,label")):
        assert resolve(str(path), tmp_path / "cache") == path
    assert not (tmp_path / "cache").exists()


def test_a_local_folder_has_precedence_over_a_preset_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cats-dogs").mkdir()
    assert resolve("cats-dogs", tmp_path) == Path("cats-dogs")
    assert resolve("cats-dogs/train", tmp_path) == Path("cats-dogs/train")


def test_the_preset_is_an_address_with_a_folder_inside(tmp_path: Path, zip_bytes: bytes) -> None:
    preset = PRESETS["cats-dogs"]
    assert (preset.url[:8], preset.url.rpartition("/")[2]) == ("https://", "cats_and_dogs_filtered.zip")
    entry = tmp_path / "sources" / hashlib.sha256(preset.url.encode()).hexdigest()[:16]
    put(entry / "kept.zip", zip_bytes)  # as after a download
    record = f'{{"url": "{preset.url}", "path": "kept.zip", "sha256": "{"0" * 64}", "bytes": 1}}'
    put(entry / "fetched.json", record.encode())
    assert resolve("cats-dogs", tmp_path) == entry / "kept.zip" / preset.root
    assert resolve("cats-dogs/train", tmp_path) == entry / "kept.zip" / preset.root / "train"


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"path": 3}', '{"path": "kept.zip", "more": 1}'])
def test_a_damaged_record_is_ignored(record: str, tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/pets.zip"
    entry = tmp_path / "sources" / hashlib.sha256(url.encode()).hexdigest()[:16]
    put(entry / "kept.zip", b"x")
    put(entry / "fetched.json", record.encode())
    with pytest.raises(DataError, match="cannot be reached"):
        resolve(url, tmp_path)


def test_a_local_compressed_tar_is_unpacked_once_into_the_cache(tmp_path: Path, tar_bytes: bytes) -> None:
    compressed = gzip.compress(tar_bytes)
    file = put(tmp_path / "pets.tgz", compressed)
    data = resolve(str(file / "pets/train"), tmp_path / "cache")
    assert data.is_relative_to(tmp_path / "cache")
    assert data.parent.parent.name == "pets.tar"
    assert [item.label for item in list_labelled_files(data, DataOptions()).files] == ["cats"] * 3 + ["dogs"] * 3
    modified = data.parent.parent.stat().st_mtime_ns
    assert resolve(str(file), tmp_path / "cache").stat().st_mtime_ns == modified
    assert file.read_bytes() == compressed
    assert isinstance(read_bytes(data / "cats/0.jpg"), bytes)


def test_the_sha256_of_a_local_file_is_checked(tmp_path: Path, zip_bytes: bytes) -> None:
    file = put(tmp_path / "pets.zip", zip_bytes)
    digest = hashlib.sha256(zip_bytes).hexdigest()
    assert find_local_data(str(file), tmp_path, sha256=digest).sha256 == digest
    with pytest.raises(DataError, match="has SHA-256"):
        find_local_data(str(file), tmp_path, sha256="0" * 64)
    for source in (str(tmp_path), "kaggle:a/b", "hf:a/b"):
        with pytest.raises(UsageError, match="`sha256` is for"):
            find_local_data(source, tmp_path, sha256=digest)
    for wrong in ("", "sha256:abc", digest[:-1], digest + "0"):
        with pytest.raises(UsageError, match="`sha256` must be 64 hexadecimal digits"):
            find_local_data(str(tmp_path / "none.zip"), tmp_path, sha256=wrong)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("ftp://a/b.zip", "neither https:// nor http://"),
        ("file:///etc/passwd", "neither https:// nor http://"),
        ("kaggle:cats", "expected kaggle:OWNER/NAME"),
        ("kaggle:../..", "expected kaggle:OWNER/NAME"),
        ("hf:cats", "expected hf:OWNER/NAME"),
        ("hf:a b/c", "expected hf:OWNER/NAME"),
        ("https://", "cannot be reached"),
        ("http://[::1", "cannot be reached"),
    ],
)
def test_what_is_not_a_source_is_an_error(source: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        resolve(source, tmp_path)


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("s3://bucket/pets.zip", "download it with the client of its store"),
        ("s3:/bucket/pets.zip", "download it with the client of its store"),
        ("GS://bucket/pets", "download it with the client of its store"),
        ("az://container/pets", "download it with the client of its store"),
        ("git+https://host.org/pets", "download it with the client of its store"),
        ("file:///data/my%20pets", "give the path alone, /data/my pets"),
    ],
)
def test_addresses_with_other_schemes_are_errors_with_advice(address: str, advice: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(address, tmp_path)
    assert str(caught.value).startswith(f"{address} is neither https:// nor http://: {advice}")


def test_a_folder_whose_name_looks_like_an_address_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets:").mkdir()
    assert resolve("pets:/", tmp_path) == Path("pets:")
