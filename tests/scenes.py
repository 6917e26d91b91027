"""Scenes drawn with a fixed seed, no two alike, and what people do to images."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from scipy.fft import irfft2, rfft2

from twofold.data import PreprocessedImage, Preprocessing, preprocess


def scene(number: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Hills and patches of colour, in all sizes, as photographs have them."""
    random = np.random.default_rng([7, number])
    width, height = size
    spectrum = sum(
        _spectrum(random.normal(size=(height, width, 3)), blur) * blur * weight
        for blur, weight in ((2, 20), (5, 50), (12, 90), (30, 120))
    )
    field = irfft2(spectrum, (height, width), axes=(0, 1))
    image = Image.fromarray((128 + field).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, r = random.integers(0, width), random.integers(0, height), random.integers(6, 30)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(value) for value in random.integers(0, 256, 3)))
    return image


def _spectrum(noise: NDArray[np.float64], blur: int) -> NDArray[np.complex128]:
    """Of the noise under a Gaussian filter that wraps around the border; for wide filters much faster than in space."""
    spectrum = rfft2(noise, axes=(0, 1))
    frequencies = np.hypot(np.fft.fftfreq(noise.shape[0])[:, None], np.fft.rfftfreq(noise.shape[1]))
    response = np.exp(-2 * (np.pi * blur * frequencies) ** 2)
    return np.asarray(spectrum * response[..., None])


def jpeg(image: Image.Image, quality: int = 90) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue()))


def marked(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).text((16, 50), "(c) SAMPLE PHOTO", fill="white")
    return image


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "quality 30": lambda image: jpeg(image, 30),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "other quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.75),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "marked": marked,
}
MOVES: dict[str, Callable[[Image.Image], Image.Image]] = {  # which hashes of whole images do not find
    "cropped": lambda image: image.crop((image.width // 10, 0, image.width, image.height)),
    "turned by 3 degrees": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
}


def thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    seen = preprocess(image, Preprocessing(64))
    assert isinstance(seen, PreprocessedImage)
    return seen.thumbnail


def thumbnails(images: list[Image.Image]) -> NDArray[np.uint8]:
    return np.stack([thumbnail(image) for image in images])
