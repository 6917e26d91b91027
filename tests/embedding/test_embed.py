"""The one pass over the pictures: in order, in bounded memory, and stopped without a trace."""

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
    """Of a size of its own, so that a picture out of order is noticed."""
    return draw(("bars", "rings")[number % 2], number, side=20 + number % 50)


def features(seen: FeatureRow) -> np.ndarray:
    assert seen.features is not None
    return seen.features


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 150])
def test_observations_come_in_the_order_of_the_sources(threads: int, count: int, tiny: Backbone) -> None:
    found = list(embed([encoded(image(number)) for number in range(count)], Engine(tiny, threads=threads)))
    assert [seen.metadata.width for seen in found if seen.metadata] == [20 + number % 50 for number in range(count)]


def test_threads_do_not_change_vectors(lite0: dict[str, Backbone]) -> None:
    sources = [image(number) for number in range(20)]
    for dtype in ("f32", "int8"):
        one, two = (list(embed(sources, Engine(lite0[dtype], threads=threads))) for threads in (1, 2))
        assert all(np.array_equal(features(a), features(b)) for a, b in zip(one, two, strict=True))


def test_a_vector_does_not_depend_on_what_came_before(tiny: Backbone) -> None:
    engine = Engine(tiny, threads=2)
    (alone,) = embed([image(3)], engine)
    *_, last = embed([*(image(number) for number in range(11)), b"refused", image(3)], engine)
    assert np.array_equal(features(alone), features(last))


def test_refusals_keep_their_place(tiny: Backbone, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    good, half = encoded(image(0)), encoded(image(1))[:300]
    sources: list[Source] = [
        b"no picture",
        good,
        tmp_path / "nowhere.png",
        tmp_path / "empty.png",
        good,
        half,
        tmp_path,
    ]
    found = list(embed(sources * 20, Engine(tiny, threads=2)))
    codes = [seen.read_error.code if seen.read_error else None for seen in found]
    assert codes == ["not-an-image", None, "missing", "empty-file", None, "truncated", "not-a-file"] * 20
    assert all((seen.features is None) == (seen.metadata is None) == (seen.read_error is not None) for seen in found)


def test_pixels_in_memory_give_what_their_file_gives(tiny: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    image(0).save(path)
    sources: list[Source] = [path, path.read_bytes(), Image.open(path), image(0), np.asarray(image(0))]
    found = list(embed(sources, Engine(tiny, threads=2)))
    assert all(np.array_equal(features(seen), features(found[0])) for seen in found)
    assert len({seen.metadata.pixels for seen in found if seen.metadata}) == 1
    assert [seen.metadata.format for seen in found if seen.metadata] == ["PNG", "PNG", "PNG", "array", "array"]


def test_copies_that_differ_in_metadata_have_the_same_pixels(tiny: Backbone) -> None:
    plain = encoded(image(0))
    noted = encoded(image(0), dpi=(72, 72))
    moved = encoded(image(0).crop((0, 0, 19, 20)))
    first, second, third = (seen.metadata for seen in embed([plain, noted, moved], Engine(tiny, threads=1)))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.sha256 != second.sha256
    assert first.pixels == second.pixels != third.pixels


def test_an_image_that_cannot_be_read_any_more_is_refused(tiny: Backbone) -> None:
    broken = Image.open(io.BytesIO(encoded(image(0))[:300]))
    (seen,) = embed([broken], Engine(tiny, threads=1))
    assert seen.read_error is not None
    assert seen.read_error.code == "truncated"


def test_which_way_up_an_image_is_belongs_to_it(tiny: Backbone, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned = (
        encoded(draw("bars", 0), quality=100, kind="JPEG"),
        encoded(draw("bars", 0), "JPEG", quality=100, exif=exif),
    )
    with Store(tmp_path / "store") as store:
        found = [
            features(seen)
            for data in (plain, turned)
            for seen in embed([Image.open(io.BytesIO(data))], Engine(tiny, threads=1), store)
        ]
    assert not np.allclose(*found)


def test_what_was_seen_is_not_looked_at_again(tiny: Backbone, tmp_path: Path) -> None:
    sources = [encoded(image(number)) for number in range(100)]
    with Store(tmp_path / "store") as store:
        first = list(embed(sources[::3], Engine(tiny, threads=2), store))
    with Store(tmp_path / "store") as store:
        mixed = list(embed(sources, Engine(tiny, threads=2), store))
    engine = Engine(tiny, threads=2)
    with Store(tmp_path / "store") as store:
        again = list(embed(sources, engine, store))
    assert not engine.started  # nothing was compiled
    assert [seen.metadata for seen in again] == [seen.metadata for seen in mixed]
    assert all(np.array_equal(features(a), features(b)) for a, b in zip(again, mixed, strict=True))
    assert all(np.array_equal(features(a), features(b)) for a, b in zip(first, again[::3], strict=True))


def test_another_backbone_does_not_find_them(lite0: dict[str, Backbone], tmp_path: Path) -> None:
    found = []
    for dtype in ("f32", "int8"):
        with Store(tmp_path / "store") as store:
            (seen,) = embed([image(0)], Engine(lite0[dtype], threads=1), store)
        found.append(features(seen))
    assert not np.array_equal(*found)


def test_refused_pictures_are_looked_at_again(tiny: Backbone, tmp_path: Path) -> None:
    data = encoded(image(0))
    for limit, usable in ((100, False), (1_000_000, True)):
        with Store(tmp_path / "store") as store:
            (seen,) = embed([data], Engine(tiny, threads=1), store, max_pixels=limit)
        assert (seen.features is not None) == usable


def test_a_picture_that_is_too_large_by_now_is_refused_though_it_was_seen(tiny: Backbone, tmp_path: Path) -> None:
    data = encoded(image(0))  # 20 x 20
    for limit, usable in ((400, True), (399, False), (400, True)):
        with Store(tmp_path / "store") as store:
            (seen,) = embed([data], Engine(tiny, threads=1), store, max_pixels=limit)
        assert (seen.features is not None) == usable
        assert seen.read_error is None or seen.read_error.code == "too-large"


@pytest.mark.parametrize("taken", [0, 1, 30])
def test_stopping_early_leaves_nothing_running(taken: int, tiny: Backbone, tmp_path: Path) -> None:
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
    assert read <= taken + 200  # a bounded stretch ahead, however many there are
    with sqlite3.connect(tmp_path / "store") as database:
        kept = database.execute("SELECT count(*) FROM seen").fetchone()[0]
    database.close()
    assert taken <= kept <= read


def test_an_error_in_the_stream_of_sources_comes_out(tiny: Backbone) -> None:
    def sources() -> Iterator[bytes]:
        yield encoded(image(0))
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(embed(sources(), Engine(tiny, threads=2)))
    assert threading.active_count() == before


def test_one_engine_serves_many_threads(tiny: Backbone) -> None:
    engine = Engine(tiny, threads=2)
    random = np.random.default_rng(0)
    sources = [[random.integers(0, 256, (20, 24, 3), np.uint8) for _ in range(500)] for _ in range(8)]
    expected = [np.stack([features(seen) for seen in embed(each, Engine(tiny, threads=1))]) for each in sources]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: [features(seen) for seen in embed(each, engine)], sources))
    assert all(np.array_equal(np.stack(ours), theirs) for ours, theirs in zip(found, expected, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_an_image_that_was_not_read_yet_may_be_given_many_times(kind: str, tiny: Backbone) -> None:
    data = [encoded(draw("rings", number, side=300), kind) for number in range(4)]
    one = Engine(tiny, threads=1)
    expected = [features(seen) for each in data for seen in embed([Image.open(io.BytesIO(each))], one)]
    for _ in range(5):
        images = [Image.open(io.BytesIO(each)) for each in data]
        found = list(embed(images * 8, Engine(tiny, threads=4)))
        assert [seen.read_error for seen in found] == [None] * 32
        assert all(np.array_equal(features(seen), expected[row % 4]) for row, seen in enumerate(found))


def test_images_that_share_an_open_file_are_read_one_after_another(tiny: Backbone, tmp_path: Path) -> None:
    data = [encoded(draw("bars", number, side=200)) for number in range(12)]
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        for number, content in enumerate(data):
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    expected = [features(seen) for seen in embed(data, Engine(tiny, threads=1))]
    with tarfile.open(tmp_path / "images.tar") as archive:
        images = [Image.open(archive.extractfile(f"{number}.png")) for number in range(12)]  # type: ignore[arg-type]
        found = [features(seen) for seen in embed(images, Engine(tiny, threads=4))]
    assert np.array_equal(found, expected)


def test_two_callers_may_give_the_same_images_at_once(tiny: Backbone) -> None:
    data = [encoded(draw("bars", number, side=300)) for number in range(6)]
    expected = [features(seen) for seen in embed(data, Engine(tiny, threads=1))]
    engine = Engine(tiny, threads=2)
    for _ in range(5):
        images = [Image.open(io.BytesIO(each)) for each in data]
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(
                lambda _, images=images: [features(seen) for seen in embed(images, engine)], range(4)
            ):
                assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_an_image_that_could_not_be_read_stays_refused(kind: str, tiny: Backbone) -> None:
    data = encoded(draw("bars", 0, side=90), kind)
    middle = len(data) // 2
    image = Image.open(
        io.BytesIO(data[:middle] + bytes(255 - byte for byte in data[middle : middle + 60]) + data[middle + 60 :])
    )
    engine = Engine(tiny, threads=2)
    codes = [seen.read_error and seen.read_error.code for _ in range(3) for seen in embed([image, image], engine)]
    assert codes == ["damaged"] * 6
