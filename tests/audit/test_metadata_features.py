"""The features by which an evaluation is sliced."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from twofold.audit.metadata_features import metadata_features, slice_columns
from twofold.core.options import DataOptions
from twofold.data import NO_RANGES, list_labelled_files
from twofold.dataset.labelled import LabelledDataset, labelled_dataset
from twofold.embedding import Runtime


def scanned(folder: Path, runtime: Runtime) -> LabelledDataset:
    file_list = list_labelled_files(folder, DataOptions())
    return labelled_dataset(file_list, runtime.scan(file_list.paths, NO_RANGES, what="train"))


def draw_texture(seed: int, blur: float = 0.0, contrast: int = 128) -> Image.Image:
    noise = np.random.default_rng(seed).integers(128 - contrast, 127 + contrast, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((320, 320), Image.Resampling.NEAREST)
    return image.filter(ImageFilter.GaussianBlur(blur)) if blur else image


def test_the_columns_are_those_of_the_metadata_features_and_some_more(tmp_path: Path, runtime: Runtime) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for seed in range(3):
            draw_texture(seed + 10 * (label == "b")).resize((320, 160 * (seed + 1))).save(
                tmp_path / label / f"{seed}.png"
            )
    dataset = scanned(tmp_path, runtime)
    rows = np.arange(len(dataset.labels))
    columns, features = slice_columns(dataset, rows), metadata_features(dataset, rows)
    assert list(columns) == ["brightness", "sharpness", "pixels", "aspect ratio", "camera", "group size"]
    for name in ("brightness", "aspect ratio", "camera"):
        assert (columns[name] == features[name]).all()
    assert sorted(columns["pixels"].tolist()) == [320 * 160 * k for k in (1, 1, 2, 2, 3, 3)]
    counts = np.bincount(dataset.groups)
    assert columns["group size"].tolist() == counts[dataset.groups].tolist()


def test_a_blurred_image_is_less_sharp_and_a_pale_one_is_not(tmp_path: Path, runtime: Runtime) -> None:
    images = {"sharp": draw_texture(0), "pale": draw_texture(1, contrast=40), "blurred": draw_texture(2, blur=20)}
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
    for name, image in images.items():
        image.save(tmp_path / "a" / f"{name}.png")
    Image.new("RGB", (100, 100), "grey").save(tmp_path / "b" / "flat.png")
    dataset = scanned(tmp_path, runtime)
    sharpness = slice_columns(dataset, np.arange(4))["sharpness"]
    of = {Path(path).stem: value for path, value in zip(dataset.paths, sharpness, strict=True)}
    assert of["flat"] == 0
    assert of["blurred"] < of["sharp"] / 3
    assert 0.8 < of["pale"] / of["sharp"] < 1.25
