"""Files to bytes, and bytes to formats."""

import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twofold.data import PreprocessedImage, Preprocessing, ReadError, open_image, preprocess, read_bytes
from twofold.data import formats as files


def read_error(path: Path) -> ReadError:
    result = read_bytes(path)
    assert isinstance(result, ReadError)
    return result


def test_a_file_gives_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"abc")
    assert read_bytes(tmp_path / "a.jpg") == b"abc"


def test_a_path_that_is_no_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken-link.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")  # reading it would wait for ever
    codes = {
        name: read_error(tmp_path / name).code for name in ("none.jpg", "broken-link.jpg", ".", "pipe.jpg", "a\0b")
    }
    assert codes == {
        "none.jpg": "missing",
        "broken-link.jpg": "missing",
        ".": "not-a-file",
        "pipe.jpg": "not-a-file",
        "a\0b": "unreadable",
    }
    assert read_error(tmp_path / ("a" * 300)).code == "unreadable"


def test_a_file_too_large_for_an_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "film.jpg").open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)  # a hole: it takes no room
    assert read_error(tmp_path / "film.jpg").code == "too-large"


def test_reading_a_file_never_changes_it(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data[: len(data) - len(name) % 2])  # some of them damaged
        before = path.stat()
        content = read_bytes(path)
        assert isinstance(content, bytes)
        preprocess(content, Preprocessing(16))
        after = path.stat()
        assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
        assert path.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == len(files)


def tagged(*tags: tuple[int, int, int], order: str = "<", preamble: bytes = b"") -> bytes:
    """The beginning of a TIFF file with these (tag, kind, value) in its first directory."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(preamble)) + preamble
    directory = struct.pack(f"{order}H", len(tags))
    for tag, kind, value in tags:
        inline = struct.pack(f"{order}I", value) if kind != 3 else struct.pack(f"{order}Hxx", value)
        directory += struct.pack(f"{order}HHI", tag, kind, 1) + inline
    return head + directory + bytes(1000)


def preview(photo: Image.Image, **tags: Any) -> bytes:
    """A whole TIFF file, as cameras begin their raw files: with a small image that can be decoded."""
    file = io.BytesIO()
    photo.save(file, "TIFF", **tags)
    return file.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_camera_s_raw_file_is_never_used_by_its_preview(order: str, photo: Image.Image) -> None:
    raw = [
        tagged((254, 4, 1), (256, 4, 160), order=order),  # NEF, ARW
        tagged((256, 4, 160), (254, 3, 1), order=order),
        tagged((254, 4, 5), order=order),
        tagged((254, 4, 0), (50706, 1, 0x01040000), order=order),  # DNG
        tagged((262, 3, 32803), order=order),  # PEF
        tagged((262, 3, 34892), order=order),
        tagged((256, 4, 160), order=order, preamble=b"CR\x02\0"),  # CR2
        preview(photo, tiffinfo={254: 1}),
        b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(100),  # CR3
        b"FUJIFILMCCD-RAW 0201" + bytes(100),
        b"IIRO\x08\0\0\0" + bytes(100),
        b"IIRS\x08\0\0\0" + bytes(100),
        b"MMOR\0\0\0\x08" + bytes(100),
        b"IIU\0\x18\0\0\0" + bytes(100),
        b"\0MRM" + bytes(100),
        b"FOVb" + bytes(100),
        b"II\x1a\0\0\0HEAPCCDR" + bytes(100),
    ]
    for data in raw:
        result = preprocess(data, Preprocessing(16))
        assert isinstance(result, ReadError), data[:40]
        assert result.code == "unsupported-format", data[:40]
        assert "raw file" in result.sentence


def test_other_tiff_files_are_read(photo: Image.Image) -> None:
    for tags in ({}, {254: 0}, {254: 2}, {330: 8}, {271: "Canon"}):
        assert isinstance(preprocess(preview(photo, tiffinfo=tags), Preprocessing(16)), PreprocessedImage), tags
    pages = preview(photo, save_all=True, append_images=[photo.resize((8, 8))])
    assert isinstance(preprocess(pages, Preprocessing(16)), PreprocessedImage)


@pytest.mark.parametrize(
    ("data", "name", "advice"),
    [
        (bytes(128) + b"DICM\x02\0\0\0", "DICOM", "PNG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "Git LFS", "git lfs pull"),
        (b"\xef\xbb\xbf<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", "export"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "SVG", "export"),
        (b"<!-- made by hand --><svg/>", "SVG", "export"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'><svg/>", "SVG", "export"),
        ("<svg/>".encode("utf-16"), "SVG", "export"),
        (b"\xfe\xff" + "<svg/>".encode("utf-16-be"), "SVG", "export"),
        (b"\n <SVG/>", "SVG", "export"),
        (b"DDS |\0\0\0" + bytes(120), "DDS", "export"),
        (b"\n\x05\x01\x08" + bytes(124), "PCX", "export"),
        (b"\x01\xda\x01\x01\0\x03" + bytes(506), "SGI", "export"),
        (b"\0\0\x01\0\x01\0" + bytes(20), "icon", "export"),
        (b"icns\0\0\0\x10" + bytes(20), "icon", "export"),
        (b"SIMPLE  =                    T" + bytes(100), "FITS", "PNG"),
        (b"\x5c\x01\0\0" + bytes(340) + b"n+1\0", "NIfTI", "PNG"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5", "PNG"),
        (b"\x93NUMPY\x01\0" + bytes(20), "NumPy", "PNG"),
        (b"MATLAB 5.0 MAT-file, Platform: PCWIN" + bytes(100), "MATLAB", "PNG"),
        (b"\xd7\xcd\xc6\x9a" + bytes(20), "metafile", "export"),
        (b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(20), "metafile", "export"),
        (b"gimp xcf v011\0" + bytes(20), "GIMP", "export"),
        (b"\xff\xd8\xff\xf7\0\x0b" + bytes(20), "JPEG-LS", "export"),
        (b"II\xbc\x01\x08\0\0\0" + bytes(20), "JPEG XR", "export"),
        (b"#?RADIANCE\n", "Radiance", "export"),
        (b"P7\nWIDTH 2\n", "PAM", "export"),
        (b"PF\n2 2\n-1.0\n", "PFM", "export"),
        (b"qoif\0\0\0\x02", "QOI", "export"),
        (b"\x1f\x8b\x08\0", "gzip", "unpack"),
    ],
)
def test_common_formats_that_are_not_supported_are_refused_by_name_with_advice(
    data: bytes, name: str, advice: str
) -> None:
    result = preprocess(data, Preprocessing(16))
    assert isinstance(result, ReadError)
    assert result.code == "unsupported-format"
    assert name in result.sentence
    assert advice in result.sentence


@pytest.mark.parametrize("format", ["TGA", "PCX", "SGI", "DDS", "ICO", "ICNS", "JPEG2000"])
def test_unsupported_formats_of_pillow_are_refused_by_name(format: str, photo: Image.Image) -> None:
    for options in ({}, {"compression": "tga_rle"}) if format == "TGA" else ({},):
        file = io.BytesIO()
        photo.save(file, format, **options)
        for data in (file.getvalue(), file.getvalue()[:-26]):  # of a TGA file, without its footer
            result = preprocess(data, Preprocessing(16))
            assert isinstance(result, ReadError)
            assert result.code == "unsupported-format"
            assert "export it as JPEG or PNG" in result.sentence


def test_pages_and_other_text_are_no_images_whatever_precedes_them() -> None:
    for page in (
        b"\xef\xbb\xbf<!DOCTYPE html><html><body><svg/></body>",
        b"<!-- cached --><html>",
        b"<?xml version='1.0'?><html>",
        "<html>".encode("utf-16"),
    ):
        result = preprocess(page, Preprocessing(16))
        assert isinstance(result, ReadError)
        assert (result.code, "web page" in result.sentence) == ("not-an-image", True), page
    for text in (
        b"<Error><Code>AccessDenied</Code></Error>",
        b"<",
        b"\xff\xfe<",
        b"P",
        b"P8 1 1",
        b"\n\x05",
        b"\0" * 600,
    ):
        result = preprocess(text, Preprocessing(16))
        assert isinstance(result, ReadError)
        assert result.code == "not-an-image", text


def test_an_image_is_read_though_it_holds_the_signature_of_another_format(files: dict[str, bytes]) -> None:
    for name in ("jpeg", "png", "bmp", "webp"):
        assert isinstance(preprocess(files[name] + b"TRUEVISION-XFILE.\0", Preprocessing(16)), PreprocessedImage), name
    comment = b"\xff\xfe\x00\xc8" + b"DICM" * 49 + b"  "
    assert isinstance(preprocess(files["jpeg"][:2] + comment + files["jpeg"][2:], Preprocessing(16)), PreprocessedImage)


def test_netpbm_files_are_read_plain_and_binary(photo: Image.Image) -> None:
    pixels = np.asarray(photo)
    grey = pixels[..., 0]
    plain = " ".join(map(str, pixels.ravel())).encode()
    for data, expected in (
        (b"P6 48 32 255\n" + pixels.tobytes(), pixels),
        (b"P6\n# a comment\n48 32\n# another\n255\n" + pixels.tobytes(), pixels),
        (b"P3\n48 32\n255\n" + plain, pixels),
        (b"P3\n48 32 # wide and high\n255\n# and on\n" + plain, pixels),
        (b"P5 48 32 255\n" + grey.tobytes(), grey[..., None]),
        (b"P2 48 32 255\n" + " ".join(map(str, grey.ravel())).encode(), grey[..., None]),
        (b"P4 48 32\n" + np.packbits(grey < 128, axis=1).tobytes(), np.where(grey < 128, 0, 255)[..., None]),
        (
            b"P1 48 32\n" + "".join(map(str, (grey < 128).astype(int).ravel())).encode(),
            np.where(grey < 128, 0, 255)[..., None],
        ),
    ):
        result = open_image(data)
        assert not isinstance(result, ReadError), result
        assert np.array_equal(result, np.broadcast_to(expected, (32, 48, 3))), data[:20]
    for data in (b"P6 48 32 255\n" + pixels.tobytes()[:-9], b"P5 48", b"P6 48 32 0\n" + bytes(5000), b"P6 a b c\n"):
        result = preprocess(data, Preprocessing(16))
        assert isinstance(result, ReadError)
        assert result.code in ("truncated", "damaged"), data[:20]
