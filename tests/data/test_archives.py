"""Archives are read in place, and their members are not trusted."""

import io
import os
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from twofold.core.errors import DataError
from twofold.core.options import DataOptions
from twofold.data import ReadError, list_files, list_labelled_files, read_bytes
from twofold.data.folders import archive_skips

NONE = DataOptions()
Pack = Callable[[Path, dict[str, bytes]], Path]


def zipped(file: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


def tarred(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as archive:
        for name, data in members.items():
            add(archive, name, data)
    return file


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    archive.addfile(member, io.BytesIO(data))


both = pytest.mark.parametrize("pack", [zipped, tarred])


def read(path: Path) -> bytes:
    data = read_bytes(path)
    assert isinstance(data, bytes), data
    return data


def read_error(path: Path) -> ReadError:
    result = read_bytes(path)
    assert isinstance(result, ReadError)
    return result


def statuses(data: Path, options: DataOptions = NONE) -> dict[str, str]:
    """The label of each item and the reason of each skip, by the path below DATA."""
    file_list = list_labelled_files(data, options)
    labels = {str(item.path)[len(str(data)) + 1 :]: item.label for item in file_list.files}
    return labels | {str(skip.path)[len(str(data)) + 1 :]: skip.code for skip in file_list.skips}


@both
def test_an_archive_is_listed_and_read_like_the_unpacked_folder(pack: Pack, tmp_path: Path) -> None:
    names = ["all/pets/cats/1.jpg", "all/pets/cats/more/2.jpg", "all/pets/dogs/1.jpg", "all/pets/dogs/._1.jpg"]
    names += ["__MACOSX/all/x", "all/pets/Thumbs.db", "all/readme.txt"]
    members = {name: name.encode() for name in names}
    file = pack(tmp_path / "pets.bin", members)  # the kind is decided by content, not by name
    for name, data in members.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    assert statuses(file) == statuses(tmp_path / "folder")
    assert [read(item.path) for item in list_labelled_files(file, NONE).files] == [
        name.encode() for name in sorted(names[:3])
    ]
    assert read_error(file / "all/pets/cats").code == read_error(file / "all/none").code == "missing"


@both
def test_a_folder_inside_an_archive_can_be_data(pack: Pack, tmp_path: Path) -> None:
    names = [f"pets/{split}/{label}/1.jpg" for split in ("train", "validation") for label in ("cats", "dogs")]
    file = pack(tmp_path / "my pets.zip", dict.fromkeys(names, b"x"))
    with pytest.raises(DataError) as error:
        list_labelled_files(file, NONE)
    for split in ("train", "validation"):
        assert f"on {file / 'pets' / split}" in str(error.value)
        assert statuses(file / "pets" / split) == {"cats/1.jpg": "cats", "dogs/1.jpg": "dogs"}
    with pytest.raises(DataError, match="There is no .*/pets/test"):
        list_labelled_files(file / "pets" / "test", NONE)


@both
def test_a_flat_archive_is_read_by_pattern(pack: Pack, tmp_path: Path) -> None:
    file = pack(tmp_path / "pets", {"cat.0.jpg": b"x", "dog.0.jpg": b"x", "notes.txt": b"x"})
    rows = statuses(file, DataOptions(label_pattern="^(cat|dog)"))
    assert rows == {"cat.0.jpg": "cat", "dog.0.jpg": "dog", "notes.txt": "no-label"}


def test_an_empty_class_is_an_error_as_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class 'dogs' of .* has no files"):
        list_labelled_files(zipped(tmp_path / "pets.zip", {"cats/1.jpg": b"x", "dogs/": b""}), NONE)


def test_archives_are_listed_for_prediction(tmp_path: Path) -> None:
    file = zipped(tmp_path / "new.zip", {"b/2.jpg": b"x", "1.jpg": b"x", ".DS_Store": b"x"})
    assert list_files([file]) == [file / "1.jpg", file / "b/2.jpg"]
    assert list_files([file / "b", file / "1.jpg", file / "none"]) == [file / "b/2.jpg", file / "1.jpg", file / "none"]
    broken = tmp_path / "broken.zip"
    broken.write_bytes(file.read_bytes()[:-9])
    assert list_files([broken]) == [broken]
    assert read_error(broken / "1.jpg").code == "damaged"
    letter = zipped(tmp_path / "letter.docx", {"word/document.xml": b"x"})  # a zip without images
    assert list_files([letter]) == [letter]


def test_an_archive_among_the_images_of_a_folder_is_a_file(tmp_path: Path) -> None:
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        zipped(tmp_path / label / "old.zip", {"1.jpg": b"x"})
    assert statuses(tmp_path) == {"cats/old.zip": "cats", "dogs/old.zip": "dogs"}


@both
def test_names_that_lead_out_of_the_archive_are_skipped(pack: Pack, tmp_path: Path) -> None:
    names = ["../up.jpg", "cats/../../up.jpg", "/etc/passwd", "C:/windows.jpg", "..\\up.jpg"]
    file = pack(tmp_path / "evil", dict.fromkeys(["cats/1.jpg", "./dogs//1.jpg", *names], b"x"))
    file_list = list_labelled_files(file, NONE)
    assert [str(item.path) for item in file_list.files] == [f"{file}/cats/1.jpg", f"{file}/dogs/1.jpg"]
    assert [skip.code for skip in file_list.skips] == ["unsafe-name"] * 5
    for name in names:
        assert read_error(Path(f"{file}/{name}")).code == "missing"


def test_links_and_devices_in_a_tar_are_skipped(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "pets.tar", "w") as archive:
        add(archive, "cats/1.jpg", b"x")
        add(archive, "dogs/1.jpg", b"x")
        add(archive, "dogs/soft.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(archive, "dogs/hard.jpg", type=tarfile.LNKTYPE, linkname="../../etc/passwd")
        add(archive, "dogs/null.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        add(archive, "dogs/pipe.jpg", type=tarfile.FIFOTYPE)
    rows = statuses(tmp_path / "pets.tar")
    assert {name: code for name, code in rows.items() if name.startswith("dogs/")} == {
        "dogs/1.jpg": "dogs",
        "dogs/soft.jpg": "link",
        "dogs/hard.jpg": "link",
        "dogs/null.jpg": "device",
        "dogs/pipe.jpg": "device",
    }
    assert read_error(tmp_path / "pets.tar/dogs/soft.jpg").code == "missing"
    texts = {note.code: note.text for note in list_labelled_files(tmp_path / "pets.tar", NONE).notes}
    assert texts["skipped-link"].startswith("Skipped 2 links inside an archive, such as ")


def test_links_in_a_zip_are_skipped(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        link = zipfile.ZipInfo("cats/link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for name in ("cats/1.jpg", "dogs/1.jpg"):
            archive.writestr(name, b"x")
    assert statuses(tmp_path / "pets.zip")["cats/link.jpg"] == "link"
    assert [skip.code for skip in archive_skips(tmp_path / "pets.zip/cats")] == ["link"]
    assert archive_skips(tmp_path / "pets.zip/dogs") == []


@both
def test_the_last_member_of_a_name_is_read(pack: Pack, tmp_path: Path) -> None:
    file = pack(tmp_path / "pets", {"cats/1.jpg": b"first", "dogs/1.jpg": b"x", "./cats/1.jpg": b"last"})
    file_list = list_labelled_files(file, NONE)
    assert read(file / "cats/1.jpg") == b"last"
    assert [(skip.path, skip.code) for skip in file_list.skips] == [(file / "cats/1.jpg", "same-name")]
    assert len(file_list.files) == 2


def test_a_file_with_the_name_of_a_folder_is_skipped(tmp_path: Path) -> None:
    file = zipped(tmp_path / "odd.zip", {"cats/1": b"x", "cats/1/2.jpg": b"y", "dogs/1.jpg": b"z"})
    assert [skip.code for skip in list_labelled_files(file, NONE).skips] == ["same-name"]
    assert read(file / "cats/1/2.jpg") == b"y"


@both
def test_names_in_any_language_are_read(pack: Pack, tmp_path: Path) -> None:
    names = ["кошки/Мурка 1.jpg", "кошки/猫.jpg", "собаки/naïve\n.jpg"]
    file = pack(tmp_path / "pets", {name: name.encode() for name in names})
    assert [read(item.path).decode() for item in list_labelled_files(file, NONE).files] == names


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "old.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        add(archive, "cats/caf\xe9.jpg", b"cat")
        add(archive, "dogs/1.jpg", b"dog")
    (cat, _) = list_labelled_files(tmp_path / "old.tar", NONE).files
    assert cat.path.name == "caf\udce9.jpg"
    assert read(cat.path) == b"cat"


def test_backslashes_in_names_separate_folders(tmp_path: Path) -> None:
    file = zipped(tmp_path / "pets.zip", {"cats\\1.jpg": b"cat", "dogs\\1.jpg": b"dog"})
    assert statuses(file) == {"cats/1.jpg": "cats", "dogs/1.jpg": "dogs"}
    assert read(file / "cats/1.jpg") == b"cat"


@both
def test_thousands_of_members_are_read_by_several_threads(pack: Pack, tmp_path: Path) -> None:
    members = {f"{label}/{at}.jpg": f"{label}{at}".encode() * 50 for label in ("cats", "dogs") for at in range(1500)}
    file = pack(tmp_path / "pets", members)
    items = list_labelled_files(file, NONE).files
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda item: read(item.path), items))
    assert {str(item.path.relative_to(file)): data for item, data in zip(items, contents, strict=True)} == members


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no list of open files here")
@both
def test_no_archive_stays_open(pack: Pack, tmp_path: Path) -> None:
    file = pack(tmp_path / "pets", {"cats/1.jpg": b"x" * 9_000, "dogs/1.jpg": b"y"})
    for item in list_labelled_files(file, NONE).files:
        assert read(item.path)
    descriptors = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert str(file) not in {os.readlink(entry) for entry in descriptors if entry.is_symlink()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_processes_read_an_archive_at_the_same_time(tmp_path: Path) -> None:
    members = {f"a/{at}.jpg": bytes([at % 256]) * (50_000 + at) for at in range(200)}
    file = zipped(tmp_path / "pets.zip", members)
    assert read(file / "a/0.jpg")  # its members are in memory now
    child = os.fork()
    equal = all(read_bytes(file / name) == data for name, data in members.items())
    if child == 0:
        os._exit(0 if equal else 1)
    assert equal
    assert os.waitpid(child, 0)[1] == 0


@both
def test_a_changed_archive_is_read_again(pack: Pack, tmp_path: Path) -> None:
    file = pack(tmp_path / "pets", {"a/1.jpg": b"old"})
    assert read(file / "a/1.jpg") == b"old"
    pack(tmp_path / "other", {"a/1.jpg": b"new and longer", "b": b"x"}).replace(file)
    assert read(file / "a/1.jpg") == b"new and longer"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    file = zipped(tmp_path / "bomb.zip", {"cats/1.jpg": bytes(20_000_000), "cats/2.jpg": bytes(10_000_000)})
    assert read_error(file / "cats/1.jpg").code == "bomb"
    assert read(file / "cats/2.jpg") == bytes(10_000_000)  # small enough at any ratio


def test_a_member_larger_than_its_declared_size_is_damaged(tmp_path: Path) -> None:
    file = zipped(tmp_path / "lie.zip", {"1.jpg": bytes(20_000_000)})
    data = file.read_bytes().replace(struct.pack("<L", 20_000_000), struct.pack("<L", 1000))
    file.write_bytes(data)
    assert read_error(file / "1.jpg").code == "damaged"


def test_a_member_over_the_limit_is_not_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "film.tar", "w") as archive:
        add(archive, "cats/1.jpg", b"x")
    archive_bytes = (tmp_path / "film.tar").read_bytes()
    member = tarfile.TarInfo("film.avi")
    member.size = 600_000_000
    (tmp_path / "film.tar").write_bytes(member.tobuf())
    with (tmp_path / "film.tar").open("r+b") as file:
        file.seek(512 + 600_000_000)  # a hole: no disk is used
        file.write(archive_bytes)
    assert read_error(tmp_path / "film.tar/film.avi").code == "too-large"
    assert read(tmp_path / "film.tar/cats/1.jpg") == b"x"


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    file = zipped(tmp_path / "secret.zip", {"1.jpg": b"x"})
    data = bytearray(file.read_bytes())
    data[6] |= 1  # the flags of the local header, and of the list at the end
    data[data.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(data)
    assert read_error(file / "1.jpg").code == "encrypted"


def test_a_compression_without_a_limit_is_unsupported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("1.jpg", bytes(1000))
    assert read_error(tmp_path / "pets.zip/1.jpg").code == "unsupported-format"


def test_a_damaged_member_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 9
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for name in ("1.jpg", "2.jpg"):
            archive.writestr(name, noise + name.encode())
    data = bytearray((tmp_path / "pets.zip").read_bytes())
    data[300] ^= 255
    (tmp_path / "pets.zip").write_bytes(data)
    assert read_error(tmp_path / "pets.zip/1.jpg").code == "damaged"
    assert read(tmp_path / "pets.zip/2.jpg").endswith(b"2.jpg")


@both
def test_a_truncated_archive_is_an_error_and_not_a_smaller_archive(pack: Pack, tmp_path: Path) -> None:
    members = {f"{label}/{at}.jpg": bytes([at]) * 700 for label in ("cats", "dogs") for at in range(3)}
    complete = pack(tmp_path / "complete", members).read_bytes().rstrip(b"\0")
    cut = tmp_path / f"cut.{pack.__name__}"
    for length in range(600, len(complete), 257):
        cut.write_bytes(complete[:length])
        with pytest.raises(DataError, match="cut short or damaged; fetch it again"):
            list_labelled_files(cut, NONE)


def test_a_tar_with_a_damaged_header_is_an_error_and_not_a_smaller_archive(tmp_path: Path) -> None:
    file = tarred(tmp_path / "pets.tar", {"cats/1.jpg": b"x", "dogs/1.jpg": b"x"})
    data = bytearray(file.read_bytes())
    data[1024 + 20] ^= 255
    file.write_bytes(data)
    with pytest.raises(DataError, match="cut short or damaged"):
        list_labelled_files(file, NONE)


def test_a_tar_with_a_negative_size_is_an_error(tmp_path: Path) -> None:
    file = tarred(tmp_path / "pets.tar", {"cats/1.jpg": b"x", "dogs/1.jpg": b"x"})
    data = bytearray(file.read_bytes())
    header = data[1024:1536]
    header[124:136] = b"\xff" * 4 + struct.pack(">q", -1024)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[1024:1536] = header
    file.write_bytes(data)
    with pytest.raises(DataError, match="a size in it is impossible"):
        list_labelled_files(file, NONE)


def test_a_tar_whose_headers_would_fill_the_memory_is_an_error(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.size = 2_000_000
    for kind in b"LKxgX":
        member.type = bytes([kind])
        with (tmp_path / f"{kind}.tar").open("wb") as file:
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            file.truncate(3_000_000)  # a hole: it takes no room
        with pytest.raises(DataError, match="a header in it has 2,000,000 bytes, the limit is 1,000,000"):
            list_labelled_files(tmp_path / f"{kind}.tar", NONE)
    many = {f"a{number}": "b" for number in range(1_001)}
    with tarfile.open(tmp_path / "globals.tar", "w", format=tarfile.PAX_FORMAT, pax_headers=many) as archive:
        add(archive, "cats/1.jpg", b"x")
    with pytest.raises(DataError, match="more than 1,000 entries"):
        list_labelled_files(tmp_path / "globals.tar", NONE)


@both
def test_a_damaged_archive_gives_bytes_read_errors_or_a_data_error(pack: Pack, tmp_path: Path) -> None:
    intact = pack(tmp_path / "intact", {f"{label}/{at}.jpg": bytes(600) for label in ("a", "b") for at in range(3)})
    random = Random(1)
    counts = {"read": 0, "error": 0}
    for at in range(300):
        data = bytearray(intact.read_bytes())
        for _ in range(random.choice((1, 1, 5))):
            offset = random.randrange(len(data) - 8)
            data[offset : offset + random.randrange(8)] = random.randbytes(random.randrange(8))
        file = tmp_path / f"{at}"
        file.write_bytes(data)
        try:
            for item in list_labelled_files(file, NONE).files:
                assert isinstance(read_bytes(item.path), bytes | ReadError)
            counts["read"] += 1
        except DataError:
            counts["error"] += 1
    assert min(counts.values()) > 10


def test_a_compressed_tar_is_an_error_that_says_to_unpack_it(tmp_path: Path) -> None:
    file = tarred(tmp_path / "pets.tar.gz", {"cats/1.jpg": b"x", "dogs/1.jpg": b"x"}, "w:gz")
    with pytest.raises(DataError, match=r"pets.tar.gz is compressed as a whole.*: unpack it first"):
        list_labelled_files(file, NONE)


def test_members_of_a_removed_archive_are_missing(tmp_path: Path) -> None:
    file = tarred(tmp_path / "pets.tar", {"cats/1.jpg": b"x", "dogs/1.jpg": b"x"})
    items = list_labelled_files(file, NONE).files
    shutil.move(file, tmp_path / "elsewhere")
    assert {read_error(item.path).code for item in items} == {"missing"}


@both
@pytest.mark.parametrize("depth", [101, 600, 3_000])
def test_members_more_than_a_hundred_folders_deep_are_skipped(depth: int, pack: Pack, tmp_path: Path) -> None:
    deep = "cats/" + "a/" * (depth - 1) + "1.jpg"
    file = pack(tmp_path / "pets.tar", {deep: b"x", "cats/" + "b/" * 99 + "2.jpg": b"y", "dogs/1.jpg": b"z"})
    cat, dog = (item.path for item in list_labelled_files(file, NONE).files)
    assert (read(cat), read(dog)) == (b"y", b"z")
    assert [(str(skip.path), skip.code) for skip in list_labelled_files(file, NONE).skips] == [
        (f"{file}/{deep}", "too-deep")
    ]
    assert list_files([file]) == [cat, dog, file / deep]  # so that it gets a row
    if depth < 2_000:  # no system takes longer paths
        assert read_error(file / deep).code == "too-deep"


@pytest.mark.slow
def test_two_thousand_members_with_folders_of_their_own_are_listed(tmp_path: Path) -> None:
    """Half an hour, if each of the 200,000 folders were looked up on the disk for each of its parents."""
    names = [f"{'cats' if at % 2 else 'dogs'}/{at}/{'f/' * 97}1.jpg" for at in range(2_000)]
    file = zipped(tmp_path / "pets.zip", dict.fromkeys(names, b""))
    assert len(list_labelled_files(file, NONE).files) == 2_000


def test_a_path_of_thousands_of_folders_is_missing(tmp_path: Path) -> None:
    file = zipped(tmp_path / "pets.zip", {"cats/1.jpg": b"x"})
    for path in (file / ("a/" * 1_500), tmp_path / ("b/" * 1_500)):
        assert read_error(path).code in ("missing", "too-deep")
