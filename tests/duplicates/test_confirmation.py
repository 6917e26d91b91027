"""Files of one exposure, exposures of one scene, and images that only look alike."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scenes import CHANGES, MOVES, scene, thumbnails
from scipy.ndimage import gaussian_filter

from twofold.data import ReadError, open_grey
from twofold.duplicates import Duplicate, Fingerprints, FullImages, GreyImage, confirm_matches, find_duplicates
from twofold.duplicates.confirmation import Likeness, compare_at_full_size

SIDE = 256
Plane = NDArray[np.float64]


def texture(number: int) -> Plane:
    """A scene with details of all sizes, without noise."""
    random = np.random.default_rng([11, number])
    waves = np.fft.rfft2(random.normal(size=(SIDE, SIDE)))
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    field = np.fft.irfft2(waves * np.exp(-((frequency / 0.12) ** 2)), (SIDE, SIDE))
    return np.asarray(field / field.std() * 12 + np.asarray(scene(number, (SIDE, SIDE)).convert("L")) / 2 + 50)


def exposure(number: int, seed: int, light: float = 1.0) -> Image.Image:
    """An exposure of the scene, with noise of its own."""
    noise = np.random.default_rng([12, number, seed]).normal(0, 3, (SIDE, SIDE))
    return Image.fromarray((texture(number) * light + noise).clip(0, 255).round().astype(np.uint8)).convert("RGB")


def cell(number: int) -> Image.Image:
    """An image of one make: a bright grid that all share, and grain and noise of its own."""
    grid = np.zeros((SIDE, SIDE))
    grid[8::16], grid[:, 40::88] = 60, 90
    random = np.random.default_rng([13, number])
    grain = random.normal(0, 4, (SIDE // 4, SIDE // 4)).repeat(4, axis=0).repeat(4, axis=1)
    noise = random.normal(0, 2, (SIDE, SIDE))
    common = np.asarray(scene(99, (SIDE, SIDE)).convert("L")) / 3
    return Image.fromarray((40 + common + grid + grain + noise).clip(0, 255).round().astype(np.uint8)).convert("RGB")


def plate(number: int) -> Image.Image:
    """An image of one make with hardly anything but layout: shading, and bars of dashes with soft edges."""
    y, x = np.mgrid[:SIDE, :SIDE]
    bars = (np.abs((y - 30) % 64 - 32) < 3) * ((x % 40) < 26)
    noise = np.random.default_rng([14, number]).normal(0, 2, (SIDE, SIDE))
    field = gaussian_filter(150 - 80.0 * bars, 1.2) - (((x - 128) ** 2 + (y - 128) ** 2) > 150**2) * 100 + noise
    return Image.fromarray(field.clip(0, 255).round().astype(np.uint8)).convert("RGB")


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def full_images(files: list[bytes], threads: int = 1) -> FullImages:
    def load(row: int) -> GreyImage | None:
        grey = open_grey(files[row])
        return None if isinstance(grey, ReadError) else GreyImage(grey[0], grey[1] or None)

    return FullImages(load, threads)


def compare(first: bytes, second: bytes, orientation: int = 0) -> Likeness:
    start = np.eye(3, dtype=np.float32)[None]
    return compare_at_full_size(np.array([[0, 1]]), np.array([orientation]), start, full_images([first, second]))


def fingerprints(images: list[Image.Image]) -> Fingerprints:
    return Fingerprints([(f"{row}", f" {row}") for row in range(len(images))], thumbnails(images))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    **{
        name: (lambda image, change=change: jpeg(change(image)))  # type: ignore[misc]
        for name, change in {**CHANGES, **MOVES}.items()
        if name in ("half", "brighter", "darker", "grey", "marked", "cropped", "turned by 3 degrees")
    },
    "quality 30": lambda image: jpeg(image, 30),
    "twice the size": lambda image: jpeg(image.resize((2 * SIDE, 2 * SIDE))),
    "the same": png,
}


@pytest.mark.parametrize("name", COPIES)
def test_files_of_one_exposure_are_near(name: str) -> None:
    for number in range(3):
        assert compare(png(exposure(number, 0)), COPIES[name](exposure(number, 0))).near.all(), number


@pytest.mark.parametrize("light", [1.0, 0.8])
def test_another_exposure_shows_the_same_scene_and_is_not_near(light: float) -> None:
    for number in range(3):
        for encode in (png, jpeg):
            likeness = compare(encode(exposure(number, 0)), encode(exposure(number, 1, light)))
            assert not likeness.near.any()
            assert likeness.same_scene.all()


def test_images_of_one_make_are_neither() -> None:
    for draw in (cell, plate):
        for number in range(4):
            likeness = compare(png(draw(number)), png(draw(number + 10)))
            assert not likeness.near.any()
            assert not likeness.same_scene.any()


@pytest.mark.filterwarnings("error")
def test_blank_blocks_are_compared_without_a_warning() -> None:
    page = Image.new("RGB", (600, 800), (238, 238, 238))
    for line in range(8):
        ImageDraw.Draw(page).text((60, 60 + 48 * line), f"line {line} of a page that is blank below", "black")
    likeness = compare(png(page), png(page.resize((300, 400))))
    assert np.isfinite(likeness.overall).all()
    assert not likeness.unrelated.any()


def test_a_mirrored_file_is_compared_in_the_orientation_of_its_hash() -> None:
    image = exposure(1, 0)
    assert compare(png(image), jpeg(CHANGES["mirrored"](image)), orientation=1).near.all()


def test_only_a_window_of_large_images_is_compared() -> None:
    large = Image.fromarray(np.tile(np.asarray(exposure(2, 0)), (6, 5, 1)))
    noisy = np.asarray(large, np.float64) + np.random.default_rng(5).normal(0, 3, (6 * SIDE, 5 * SIDE, 1))
    again = Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8))
    assert compare(png(large), jpeg(large)).near.all()
    assert not compare(png(large), jpeg(again)).near.any()


def test_nothing_is_told_about_files_that_cannot_be_read_or_are_too_small() -> None:
    image = exposure(0, 0)
    for other in (b"no image", png(image.resize((24, 24)))):
        likeness = compare(png(image), other)
        assert np.isnan(likeness.misfit).all()
        assert not likeness.near.any()


def test_a_chain_of_near_pairs_needs_no_further_comparison() -> None:
    image, loaded = exposure(0, 0), []
    files = full_images([png(image), jpeg(image), jpeg(image, 60)])
    pairs = np.array([[0, 1], [1, 2], *[[0, 0]] * 62, [0, 2]])
    counting = FullImages(lambda row: loaded.append(row) or files.load(row))  # type: ignore[func-returns-value]
    maps = np.tile(np.eye(3, dtype=np.float32), (len(pairs), 1, 1))
    assert compare_at_full_size(pairs, np.zeros(len(pairs), np.intp), maps, counting).near.all()
    assert loaded == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 4])
def test_kinds_in_one_list_do_not_depend_on_threads(threads: int) -> None:
    images = [*(exposure(number, 0) for number in range(24)), exposure(3, 1, 0.9)]
    files = [*map(png, images), jpeg(images[5].resize((200, 200)))]
    with Image.open(io.BytesIO(files[-1])) as small:
        pairs = find_duplicates(fingerprints([*images, small.convert("RGB")]), full_images(files, threads))
    assert pairs == [Duplicate(3, 24, "same-scene"), Duplicate(5, 25, "near")]


def test_thumbnails_alone_call_pairs_near_where_others_do_not_look_as_alike() -> None:
    images = [*(exposure(number, 0) for number in range(24)), exposure(3, 1, 0.9)]
    assert find_duplicates(fingerprints(images)) == [Duplicate(3, 24, "near")]


def test_images_of_one_make_make_no_pairs_but_their_copies_do() -> None:
    images = [cell(number) for number in range(40)]
    files = [*map(png, images), jpeg(images[7])]
    with Image.open(io.BytesIO(files[-1])) as copy:
        pairs = find_duplicates(fingerprints([*images, copy.convert("RGB")]), full_images(files))
    assert pairs == [Duplicate(7, 40, "near")]


def test_images_that_are_alike_only_from_afar_make_no_pair() -> None:
    far = gaussian_filter(texture(0), 6)
    details = [texture(number) - gaussian_filter(texture(number), 6) for number in (30, 31)]
    alike = [Image.fromarray((far + part).clip(0, 255).round().astype(np.uint8)).convert("RGB") for part in details]
    images = [*alike, *(exposure(number, 0) for number in range(1, 24))]
    assert find_duplicates(fingerprints(images)) == [Duplicate(0, 1, "near")]
    assert find_duplicates(fingerprints(images), full_images([*map(png, images)])) == []


def test_matches_between_datasets_are_confirmed_or_dropped() -> None:
    ours, theirs = [exposure(0, 0), exposure(1, 0), cell(0)], [exposure(0, 0), exposure(1, 1), cell(1)]
    files = [jpeg(ours[0]), *map(png, ours[1:])], [*map(png, theirs)]
    matches = [Duplicate(row, row, "same-scene") for row in range(3)]
    sides = fingerprints(ours), fingerprints(theirs)
    confirmed = confirm_matches(matches, sides, (full_images(files[0]), full_images(files[1])))
    assert confirmed == [Duplicate(0, 0, "near"), Duplicate(1, 1, "same-scene")]
    exact = [Duplicate(2, 2, "exact")]
    assert confirm_matches(exact, sides, (full_images(files[0]), full_images(files[1]))) == exact
    hashed = confirm_matches([Duplicate(2, 2, "near")], sides, (full_images(files[0]), full_images(files[1])))
    assert hashed == [Duplicate(2, 2, "same-scene")]  # hashes that are near only by copying
