"""Metadata features that predict the label are listed, others are not."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.audit.shortcuts import NAME, MetadataFeatures, Shortcuts, find_shortcuts, name_pattern

CLASSES = ("cats", "dogs")


def draw_features(n: int, seed: int = 0) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.int8]]:
    """Metadata features of many kinds that are independent of the labels."""
    rng = np.random.default_rng(seed)
    width = rng.choice([320, 499, 500, 640], n, p=[0.2, 0.1, 0.6, 0.1]).astype(float)
    height = rng.integers(200, 500, n).astype(float)
    metadata_features = {
        "width": width,
        "height": height,
        "aspect": width / height,
        "bytes": rng.lognormal(10, 0.5, n),
        "JPEG quality": np.where(rng.random(n) < 0.1, np.nan, rng.integers(70, 96, n)),
        "format": rng.choice(["JPEG", "PNG"], n, p=[0.9, 0.1]),
        "EXIF": rng.choice(["yes", "no"], n),
        "camera": rng.choice(["", "Canon", "Nikon", "Sony"], n),
        "brightness": rng.normal(120, 30, n),
        "one value": np.ones(n),
    }
    return metadata_features, rng.permutation(np.arange(n) % 2).astype(np.int8)


def shortcuts_of(metadata_features: MetadataFeatures, labels: NDArray[np.int8]) -> Shortcuts:
    return find_shortcuts(metadata_features, labels, np.arange(len(labels)) // 2 % 5, CLASSES)


@pytest.mark.parametrize("classes", [("hotdog", "not_hotdog"), ("cat", "golden retriever")])
def test_full_class_names_are_replaced_in_file_names(classes: tuple[str, str]) -> None:
    names = [f"{label.replace(' ', '_')}.{number}.jpg" for number, label in enumerate(classes)]
    assert name_pattern(names, classes)["name pattern"].tolist() == ["@.#.jpg", "@.#.jpg"]


@pytest.mark.parametrize("n", [60, 600])
def test_independent_features_are_not_listed(n: int) -> None:
    metadata_features, labels = draw_features(n)
    results = [shortcuts_of(metadata_features, np.random.default_rng(seed).permutation(labels)) for seed in range(20)]
    assert sum(bool(result.features) for result in results) <= 1
    assert sum(result.combined_auc.low > 0.5 for result in results) <= 3


def test_a_class_with_another_jpeg_quality_is_listed_with_both_distributions() -> None:
    metadata_features, labels = draw_features(400)
    metadata_features["JPEG quality"] = np.where(labels == 0, 60.0, metadata_features["JPEG quality"])
    result = shortcuts_of(metadata_features, labels)
    (shortcut,) = result.features
    assert shortcut.feature == "JPEG quality"
    assert shortcut.auc.low > 0.95
    assert result.combined_auc.low > 0.95
    assert len(shortcut.quantiles["dogs"]) == 21
    assert set(shortcut.quantiles["cats"]) == {60.0}


def test_many_weak_features_are_reported_together() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(2000) % 2).astype(np.int8)
    metadata_features = {f"feature {number}": rng.normal(0.25 * labels, 1) for number in range(12)}
    result = shortcuts_of(metadata_features, labels)
    assert result.features == ()
    assert result.combined_auc.low > 0.6
    assert result.summary is not None
    assert result.summary.startswith(
        "No single metadata feature predicts the class, but size, shape, format, EXIF data, brightness and border together "
        "reach an AUC of 0."
    )
    plain = shortcuts_of({**metadata_features, "format": np.where(labels == 1, "PNG", "JPEG")}, labels)
    assert plain.summary is not None
    assert plain.summary.startswith(
        "Metadata features predict the class: format (AUC 1.00). All together, without file names, reach an AUC of "
    )
    assert shortcuts_of({"feature 0": metadata_features["feature 0"]}, labels).summary is None


def test_texts_are_reported_by_their_fractions() -> None:
    metadata_features, labels = draw_features(400)
    metadata_features["format"] = np.where(labels == 1, "PNG", metadata_features["format"])
    (shortcut,) = shortcuts_of(metadata_features, labels).features
    assert shortcut.feature == "format"
    assert shortcut.fractions["dogs"] == {"PNG": 1.0}
    assert shortcut.fractions["cats"]["JPEG"] == pytest.approx(0.9, abs=0.05)


def test_a_feature_known_for_one_class_only_is_listed() -> None:
    metadata_features, labels = draw_features(400)
    metadata_features["JPEG quality"] = np.where(labels == 1, np.nan, metadata_features["JPEG quality"])
    (shortcut,) = shortcuts_of(metadata_features, labels).features
    assert shortcut.quantiles["dogs"] == []


def test_a_middle_between_two_extremes_is_listed() -> None:
    metadata_features, labels = draw_features(600)
    middle = np.random.default_rng(1).uniform(-1, 1, 600)
    metadata_features["brightness"] = np.where(labels == 1, middle, np.sign(middle) + middle)
    assert [shortcut.feature for shortcut in shortcuts_of(metadata_features, labels).features] == ["brightness"]


def test_for_features_of_the_pixels_the_advice_allows_a_legitimate_difference() -> None:
    metadata_features, labels = draw_features(400)
    metadata_features["brightness"] = np.asarray(metadata_features["brightness"], float) - 60 * labels
    (advice,) = shortcuts_of(metadata_features, labels).advice
    assert "for a good reason" in advice


def test_a_unique_value_for_each_image_is_not_listed() -> None:
    labels = draw_features(200)[1]
    assert (
        shortcuts_of({"camera": np.arange(200).astype(np.str_), "serial": np.full(200, math.nan)}, labels).features
        == ()
    )


def test_file_names_may_contain_the_class_but_not_the_source() -> None:
    labels = (np.arange(100) % 2).astype(np.int8)
    plain = [f"{label}s/{label}.{number}.jpg" for number, label in enumerate(("cat", "dog") * 50)]
    assert shortcuts_of(name_pattern(plain, CLASSES), labels).features == ()
    sources = [path.replace("dog.", "DSC_0") for path in plain]
    (shortcut,) = shortcuts_of(name_pattern(sources, CLASSES), labels).features
    assert shortcut.feature == NAME
    assert shortcut.fractions["dogs"] == {"dsc_#.jpg": 1.0}


def test_hashes_in_file_names_are_replaced() -> None:
    assert set(name_pattern(["a/0f3a9c77d1.png", "b/c0ffee1234.png"], CLASSES)[NAME]) == {"#.png"}
