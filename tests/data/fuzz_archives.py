"""Damaged and hostile archives, listed, read and unpacked: the results, the time and the memory they take.

    cd tests; python -m data.fuzz_archives [--seed 8] [--files 1000] [--trace]

Prints one line of JSON. Every archive follows from the seed and its number; --trace prints the numbers, to find a crash.
"""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data.fuzz import Outcome, damage, main, measure

from twofold.core.errors import TwofoldError
from twofold.core.options import DataOptions
from twofold.core.progress import no_progress
from twofold.data import ReadError, contents, is_archive, list_files, list_labelled_files, read_bytes
from twofold.fetching import unpack
from twofold.fetching.compression import uncompress

LIMIT = 4_000_000  # bytes of all unpacked members
MEMBER_LIMIT = 1_000_000  # bytes of a member
_IMAGE = b"\xff\xd8\xff" + bytes(range(256)) * 2
_NAMES = (
    "cats/1.jpg",
    "cats/2.jpg",
    "dogs/1.jpg",
    "dogs/deep/er/2.jpg",
    "caf\u00e9/\u732b.jpg",
    ".hidden",
    "__MACOSX/._1.jpg",
)
_ODD = (
    *(
        "../up.jpg",
        "/absolute.jpg",
        "a/../../b.jpg",
        "C:\\\\c.jpg",
        "\\\\\\\\host\\\\share",
        "a//b",
        "./c",
        ".",
        "..",
        "",
        "a" * 300,
        "a/" * 90 + "b",
    ),
    *(
        "nul\0.jpg",
        "line\n.jpg",
        "esc\x1b[31m.jpg",
        "\udcff.jpg",
        "con.jpg",
        "a:b",
        "trailing. ",
        "cats",
        "cats/1.jpg/x",
        "\ufeffbom",
    ),
)


def run(seed: int, count: int, *, trace: bool = False) -> Outcome:
    """The results of `count` archives; an exception, except twofold's own errors, ends the run."""
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(valid_archives()):
            assert _outcome(Path(folder) / f"valid-{number}", data) == "unpacked"
        _bombs()
        numbers = iter(range(count))
        return measure(
            lambda random: _outcome(Path(folder) / str(next(numbers)), generate(random)), seed, count, trace=trace
        )


def _outcome(folder: Path, data: bytes) -> str:
    """The result of one archive, in a folder that is removed again."""
    folder.mkdir()
    file, out = folder / "data.zip", folder / "out"
    file.write_bytes(data)
    try:
        plain = uncompress(file, folder / "plain", no_progress, limit=LIMIT)
        if not is_archive(plain):
            return "no-archive"
        for path in list_files([plain])[:50]:
            content = read_bytes(path, limit=MEMBER_LIMIT)
            assert isinstance(content, ReadError) or len(content) <= MEMBER_LIMIT
        list(contents(plain))
        unpack(plain, out, limit=LIMIT)
        _check_inside(out)
        list_labelled_files(plain, DataOptions())
    except TwofoldError:
        return "unpacked" if out.is_dir() else "refused"
    finally:
        assert {path.name for path in folder.iterdir()} <= {"data.zip", "plain", "out"}
        _remove(folder)
    return "unpacked"


def _check_inside(out: Path) -> None:
    size = 0
    for path in out.rglob("*"):
        assert not path.is_symlink()
        assert path.is_file() or path.is_dir()
        size += path.stat().st_size if path.is_file() else 0
    assert size <= LIMIT


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir()


def generate(random: np.random.Generator) -> bytes:
    """A damaged valid archive, or a hostile one."""
    if random.random() < 0.25:
        return _HOSTILE[random.integers(len(_HOSTILE))](random)
    files = valid_archives()
    data = files[random.integers(len(files))]
    if random.random() < 0.4:  # where zip and Parquet files have their directory
        at = max(0, len(data) - int(random.integers(10, 600)))
        damaged = bytearray(data[:at]) + damage(data[at:], random, files)
    else:
        damaged = damage(data, random, files)
    if random.random() < 0.8:
        _mend_tar(damaged)
    return bytes(damaged)


@cache
def valid_archives() -> list[bytes]:
    """Small archives of every supported kind, all of which can be unpacked."""
    tar = _tar(tarfile.PAX_FORMAT)
    zips = [_zip(zipfile.ZIP_STORED), _zip(zipfile.ZIP_DEFLATED), _zip(zipfile.ZIP_DEFLATED, streamed=True)]
    tars = [tar, _tar(tarfile.GNU_FORMAT), _tar(tarfile.USTAR_FORMAT)]
    return [
        *zips,
        *tars,
        gzip.compress(tar),
        bz2.compress(tar),
        lzma.compress(tar, preset=0),
        *map(_parquet, ("NONE", "SNAPPY")),
    ]


class _Stream(io.BytesIO):
    """A file without random access, so that zipfile writes the sizes behind the members."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError

    def seek(self, *_: int) -> int:
        raise OSError


def _zip(compression: int, *, streamed: bool = False) -> bytes:
    file = _Stream() if streamed else io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.comment = b"images"
        for name in _NAMES:
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=name.startswith("dogs")) as member:
                member.write(_IMAGE)
    return file.getvalue()


def _tar(format: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for name in (*_NAMES, *(["long/" + "n" * 120] if format != tarfile.USTAR_FORMAT else [])):
            archive.addfile(_member(name, size=len(_IMAGE)), io.BytesIO(_IMAGE))
        archive.addfile(_member("link", type=tarfile.SYMTYPE, linkname="cats/1.jpg"))
    return file.getvalue()


def _member(name: str, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(member, field, value)
    return member


def _parquet(compression: str) -> bytes:
    images = [{"bytes": _IMAGE, "path": f"{row}.jpg"} for row in range(9)]
    table = pa.table({"image": images, "label": [row % 2 for row in range(9)]})
    file = io.BytesIO()
    pq.write_table(table, file, compression=compression, row_group_size=4)
    return file.getvalue()


def _odd_zip(random: np.random.Generator) -> bytes:
    """Odd names, duplicate names, files that are folders, links, and false sizes in both headers."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # about duplicate names
        for at in random.integers(len(_ODD), size=9):
            info = zipfile.ZipInfo("x")
            info.filename = _ODD[at].encode("utf-8", "replace").decode()
            info.external_attr = int(random.choice([0o100644, 0o120777, 0o020666, 0o040755, 0])) << 16
            archive.writestr(info, _IMAGE)
    data = bytearray(file.getvalue())
    for mark, offset in ((b"PK\x01\x02", 20), (b"PK\x03\x04", 18)):
        at = data.find(mark)
        if random.random() < 0.5 and at >= 0:
            data[at + offset : at + offset + 8] = struct.pack(
                "<II", *(int(size) for size in random.integers(0, 2**32, 2))
            )
    return bytes(data)


def _overlapping_zip(random: np.random.Generator) -> bytes:
    """Many members that share the same compressed bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cats/1.jpg", bytes(int(random.integers(1_000, 900_000))))
        first = archive.infolist()[0]
        for number in range(int(random.integers(2, 300))):
            copy = zipfile.ZipInfo(f"dogs/{number}.jpg")
            for field in ("CRC", "compress_size", "file_size", "compress_type", "header_offset", "flag_bits"):
                setattr(copy, field, getattr(first, field))
            archive.filelist.append(copy)
    return file.getvalue()


def _deep_zip(random: np.random.Generator) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(3):
            archive.writestr("d/" * int(random.integers(1, 99)) + f"{number}.jpg", _IMAGE)
    return file.getvalue()


def _odd_tar(random: np.random.Generator) -> bytes:
    """Links, devices, odd names and odd headers: sparse maps, sizes beyond the file, negative ones, and sizes in pax headers."""
    file = io.BytesIO()
    kinds = (
        tarfile.REGTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        b"S",
        b"V",
    )
    with tarfile.open(fileobj=file, mode="w", format=int(random.integers(3)), errors="surrogateescape") as archive:
        for at in random.integers(len(_ODD), size=6):
            pax = {"size": str(random.choice([0, 1, -1, 10**9, 10**30]))} if random.random() < 0.3 else {}
            pax |= {"GNU.sparse.map": "0,1,5,9", "GNU.sparse.size": "99999999999"} if random.random() < 0.2 else {}
            size = int(random.choice([0, 1, len(_IMAGE)]))
            kind = kinds[random.integers(len(kinds))]
            member = _member(_ODD[at], size=size, type=kind, linkname="../../etc/passwd", pax_headers=pax)
            try:
                archive.addfile(member, io.BytesIO(_IMAGE))
            except ValueError:  # not possible in this format
                continue
    return file.getvalue()


def _bomb(random: np.random.Generator) -> bytes:
    """A compressed file, or a zip member, that unpacks to more than the limit."""
    return _bombs()[random.integers(len(_bombs()))]


@cache
def _bombs() -> list[bytes]:
    zeros = bytes(LIMIT * 3)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cats/1.jpg", zeros)
    packed = [gzip.compress(zeros), bz2.compress(zeros), lzma.compress(zeros, preset=0)]
    return [*packed, gzip.compress(zeros[: LIMIT - 5_000]), file.getvalue()]


def _greedy_xz(random: np.random.Generator) -> bytes:
    """A small file that asks for a dictionary of up to a gigabyte and a half."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0}]
    data = bytearray(lzma.compress(_tar(tarfile.USTAR_FORMAT), filters=filters))
    data[16] = int(random.integers(30, 41))  # the size in the header of the block
    end = 12 + 4 * (data[12] + 1)
    data[end - 4 : end] = struct.pack("<I", zlib.crc32(data[12 : end - 4]))
    return bytes(data)


def _nested_parquet(random: np.random.Generator) -> bytes:
    """One large image, or one long label, written once for very many rows."""
    rows, size = int(random.integers(2, 1_000)), int(random.integers(1, 20_000))
    image = pa.array([bytes(size)] * rows) if random.random() < 0.5 else pa.array([{"bytes": bytes(size)}] * rows)
    labels = pa.array(["n" * int(random.integers(1, 2_000))] * rows)
    file = io.BytesIO()
    pq.write_table(pa.table({"image": image, "label": labels}), file, compression="ZSTD")
    return file.getvalue()


_HOSTILE: tuple[Callable[[np.random.Generator], bytes], ...] = (
    _odd_zip,
    _overlapping_zip,
    _deep_zip,
    _odd_tar,
    _bomb,
    _greedy_xz,
    _nested_parquet,
)


def _mend_tar(data: bytearray) -> None:
    """Corrects the checksums of tar headers: else they would be refused before anything else is read."""
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])


if __name__ == "__main__":
    main(run, __doc__, 1_000)
