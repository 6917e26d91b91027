"""Embedding is one pass: in order, in bounded memory, and stopped without a trace."""

import io
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from PIL import Image

from twofold.embedding import Engine, FeatureRow, Store
from twofold.embedding.content import Source
from twofold.embedding.embed import embed
from twofold.networks import Backbone


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def image(number: int) -> Image.Image:
    """Each of a different size, so that an image out of order is noticed."""
    return draw(("bars", "rings")[number % 2], number, side=20 + number % 50)


def features(row: FeatureRow) -> np.ndarray:
    assert row.features is not None
    return row.features


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 150])
def test_rows_come_in_the_order_of_the_sources(threads: int, count: int, tiny: Backbone) -> None:
    rows = list(embed([encoded(image(number)) for number in range(count)], Engine(tiny, threads=threads)))
    assert [row.metadata.width for row in rows if row.metadata] == [20 + number % 50 for number in range(count)]


def test_threads_do_not_change_features(lite0: dict[str, Backbone]) -> None:
    sources = [image(number) for number in range(20)]
    for dtype in ("f32", "int8"):
        one, two = (list(embed(sources, Engine(lite0[dtype], threads=threads))) for threads in (1, 2))
        assert all(np.array_equal(features(a), features(b)) for a, b in zip(one, two, strict=True))


def test_features_do_not_depend_on_earlier_images(tiny: Backbone) -> None:
    engine = Engine(tiny, threads=2)
    (alone,) = embed([image(3)], engine)
    *_, last = embed([*(image(number) for number in range(11)), b"no image", image(3)], engine)
    assert np.array_equal(features(alone), features(last))


def test_read_errors_keep_their_row(tiny: Backbone, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    good, truncated = encoded(image(0)), encoded(image(1))[:300]
    sources: list[Source] = [
        b"no image",
        good,
        tmp_path / "nowhere.png",
        tmp_path / "empty.png",
        good,
        truncated,
        tmp_path,
    ]
    rows = list(embed(sources * 20, Engine(tiny, threads=2)))
    codes = [row.read_error.code if row.read_error else None for row in rows]
    assert codes == ["not-an-image", None, "missing", "empty-file", None, "truncated", "not-a-file"] * 20
    assert all((row.features is None) == (row.metadata is None) == (row.read_error is not None) for row in rows)


def test_pixels_in_memory_give_the_features_of_their_file(tiny: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    image(0).save(path)
    sources: list[Source] = [path, path.read_bytes(), Image.open(path), image(0), np.asarray(image(0))]
    rows = list(embed(sources, Engine(tiny, threads=2)))
    assert all(np.array_equal(features(row), features(rows[0])) for row in rows)
    assert len({row.metadata.pixels for row in rows if row.metadata}) == 1
    assert [row.metadata.format for row in rows if row.metadata] == ["PNG", "PNG", "PNG", "array", "array"]


def test_files_that_differ_in_metadata_alone_have_the_same_pixel_hash(tiny: Backbone) -> None:
    plain = encoded(image(0))
    with_metadata = encoded(image(0), dpi=(72, 72))
    cropped = encoded(image(0).crop((0, 0, 19, 20)))
    rows = embed([plain, with_metadata, cropped], Engine(tiny, threads=1))
    first, second, third = (row.metadata for row in rows)
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.sha256 != second.sha256
    assert first.pixels == second.pixels != third.pixels


def test_a_pil_image_whose_file_is_truncated_is_a_read_error(tiny: Backbone) -> None:
    truncated = Image.open(io.BytesIO(encoded(image(0))[:300]))
    (row,) = embed([truncated], Engine(tiny, threads=1))
    assert row.read_error is not None
    assert row.read_error.code == "truncated"


def test_images_that_differ_in_orientation_alone_are_stored_apart(tiny: Backbone, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright, rotated = (
        encoded(draw("bars", 0), quality=100, kind="JPEG"),
        encoded(draw("bars", 0), "JPEG", quality=100, exif=exif),
    )
    with Store(tmp_path / "store") as store:
        both = [
            features(row)
            for data in (upright, rotated)
            for row in embed([Image.open(io.BytesIO(data))], Engine(tiny, threads=1), store)
        ]
    assert not np.allclose(*both)


def test_stored_rows_are_not_embedded_again(tiny: Backbone, tmp_path: Path) -> None:
    sources = [encoded(image(number)) for number in range(100)]
    with Store(tmp_path / "store") as store:
        first = list(embed(sources[::3], Engine(tiny, threads=2), store))
    with Store(tmp_path / "store") as store:
        mixed = list(embed(sources, Engine(tiny, threads=2), store))
    engine = Engine(tiny, threads=2)
    with Store(tmp_path / "store") as store:
        again = list(embed(sources, engine, store))
    assert not engine.started  # nothing was compiled
    assert [row.metadata for row in again] == [row.metadata for row in mixed]
    assert all(np.array_equal(features(a), features(b)) for a, b in zip(again, mixed, strict=True))
    assert all(np.array_equal(features(a), features(b)) for a, b in zip(first, again[::3], strict=True))


def test_another_backbone_has_rows_of_its_own(lite0: dict[str, Backbone], tmp_path: Path) -> None:
    both = []
    for dtype in ("f32", "int8"):
        with Store(tmp_path / "store") as store:
            (row,) = embed([image(0)], Engine(lite0[dtype], threads=1), store)
        both.append(features(row))
    assert not np.array_equal(*both)


def test_read_errors_are_not_stored(tiny: Backbone, tmp_path: Path) -> None:
    data = encoded(image(0))
    for limit, usable in ((100, False), (1_000_000, True)):
        with Store(tmp_path / "store") as store:
            (row,) = embed([data], Engine(tiny, threads=1), store, max_pixels=limit)
        assert (row.features is not None) == usable


def test_a_stored_image_above_a_new_limit_is_too_large(tiny: Backbone, tmp_path: Path) -> None:
    data = encoded(image(0))  # 20 x 20
    for limit, usable in ((400, True), (399, False), (400, True)):
        with Store(tmp_path / "store") as store:
            (row,) = embed([data], Engine(tiny, threads=1), store, max_pixels=limit)
        assert (row.features is not None) == usable
        assert row.read_error is None or row.read_error.code == "too-large"


@pytest.mark.parametrize("taken", [0, 1, 30])
def test_closing_the_stream_early_stops_all_threads(taken: int, tiny: Backbone, tmp_path: Path) -> None:
    before = threading.active_count()
    read = 0

    def sources() -> Iterator[bytes]:
        nonlocal read
        for number in range(10_000):
            read += 1
            yield encoded(image(number % 100))

    with Store(tmp_path / "store") as store:
        stream = embed(sources(), Engine(tiny, threads=2), store)
        for _ in range(taken):
            next(stream)
        stream.close()
    assert threading.active_count() == before
    assert read <= taken + 200  # a bounded number ahead, however many there are
    with sqlite3.connect(tmp_path / "store") as database:
        stored = database.execute("SELECT count(*) FROM feature_rows").fetchone()[0]
    database.close()
    assert taken <= stored <= read


def test_an_error_of_the_sources_is_raised(tiny: Backbone) -> None:
    def sources() -> Iterator[bytes]:
        yield encoded(image(0))
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(embed(sources(), Engine(tiny, threads=2)))
    assert threading.active_count() == before


def test_threads_that_share_an_engine_get_the_features_of_one(tiny: Backbone) -> None:
    engine = Engine(tiny, threads=2)
    random = np.random.default_rng(0)
    batches = [[random.integers(0, 256, (20, 24, 3), np.uint8) for _ in range(500)] for _ in range(8)]
    expected = [[features(row) for row in embed(images, Engine(tiny, threads=1))] for images in batches]
    with ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(lambda images: [features(row) for row in embed(images, engine)], batches))
    assert np.array_equal(np.array(shared), np.array(expected))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_lazy_pil_image_may_be_given_many_times(kind: str, tiny: Backbone) -> None:
    data = [encoded(draw("rings", number, side=300), kind) for number in range(4)]
    engine = Engine(tiny, threads=1)
    expected = [features(row) for file in data for row in embed([Image.open(io.BytesIO(file))], engine)]
    for _ in range(5):
        images = [Image.open(io.BytesIO(file)) for file in data]
        rows = list(embed(images * 8, Engine(tiny, threads=4)))
        assert [row.read_error for row in rows] == [None] * 32
        assert all(np.array_equal(features(row), expected[number % 4]) for number, row in enumerate(rows))


def test_images_that_share_an_open_file_have_the_right_features(tiny: Backbone, tmp_path: Path) -> None:
    data = [encoded(draw("bars", number, side=200)) for number in range(12)]
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        for number, content in enumerate(data):
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    expected = [features(row) for row in embed(data, Engine(tiny, threads=1))]
    with tarfile.open(tmp_path / "images.tar") as archive:
        images = [Image.open(archive.extractfile(f"{number}.png")) for number in range(12)]  # type: ignore[arg-type]
        shared = [features(row) for row in embed(images, Engine(tiny, threads=4))]
    assert np.array_equal(shared, expected)


def test_threads_may_embed_the_same_images_at_once(tiny: Backbone) -> None:
    data = [encoded(draw("bars", number, side=300)) for number in range(6)]
    expected = [features(row) for row in embed(data, Engine(tiny, threads=1))]
    engine = Engine(tiny, threads=2)
    for _ in range(5):
        images = [Image.open(io.BytesIO(file)) for file in data]
        with ThreadPoolExecutor(4) as pool:
            for shared in pool.map(lambda _, images=images: [features(row) for row in embed(images, engine)], range(4)):
                assert np.array_equal(shared, expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_damaged_pil_image_is_a_read_error_each_time(kind: str, tiny: Backbone) -> None:
    data = encoded(draw("bars", 0, side=90), kind)
    middle = len(data) // 2
    image = Image.open(
        io.BytesIO(data[:middle] + bytes(255 - byte for byte in data[middle : middle + 60]) + data[middle + 60 :])
    )
    engine = Engine(tiny, threads=2)
    codes = [row.read_error and row.read_error.code for _ in range(3) for row in embed([image, image], engine)]
    assert codes == ["damaged"] * 6
