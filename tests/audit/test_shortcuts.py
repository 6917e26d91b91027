import math

import numpy as np
import pytest
from numpy.typing import NDArray

from twofold.audit.shortcuts import NAME, EncodingMetadata, Shortcuts, find_shortcuts, name_traits

CLASSES = ("cats", "dogs")


def drawn(n: int, seed: int = 0) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.int8]]:
    """Traits that have nothing to do with the labels, of the many kinds there are."""
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


def found(metadata_features: EncodingMetadata, labels: NDArray[np.int8]) -> Shortcuts:
    return find_shortcuts(metadata_features, labels, np.arange(len(labels)) // 2 % 5, CLASSES)


@pytest.mark.parametrize("classes", [("hotdog", "not_hotdog"), ("cat", "golden retriever")])
def test_names_of_classes_are_struck_out_whole(classes: tuple[str, str]) -> None:
    named = [f"{label.replace(' ', '_')}.{number}.jpg" for number, label in enumerate(classes)]
    assert name_traits(named, classes)["name pattern"].tolist() == ["@.#.jpg", "@.#.jpg"]


@pytest.mark.parametrize("n", [60, 600])
def test_clean_data_is_not_accused(n: int) -> None:
    metadata_features, labels = drawn(n)
    accused = [found(metadata_features, np.random.default_rng(seed).permutation(labels)) for seed in range(20)]
    assert sum(bool(told.found) for told in accused) <= 1
    assert sum(told.together.low > 0.5 for told in accused) <= 3


def test_a_class_saved_at_another_quality_is_named_with_both_distributions() -> None:
    metadata_features, labels = drawn(400)
    metadata_features["JPEG quality"] = np.where(labels == 0, 60.0, metadata_features["JPEG quality"])
    told = found(metadata_features, labels)
    (shortcut,) = told.found
    assert shortcut.feature == "JPEG quality"
    assert shortcut.auc.low > 0.95
    assert told.together.low > 0.95
    assert shortcut.text.startswith("JPEG quality: cats 60 (60 to 60); dogs 8")
    assert "unknown for" in shortcut.text
    assert len(shortcut.quantiles["dogs"]) == 21
    assert set(shortcut.quantiles["cats"]) == {60.0}


def test_many_weak_traits_are_told_together() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(2000) % 2).astype(np.int8)
    metadata_features = {f"trait {number}": rng.normal(0.25 * labels, 1) for number in range(12)}
    told = found(metadata_features, labels)
    assert told.found == ()
    assert told.together.low > 0.6
    assert told.texts[0].startswith("No single feature of the files gives the label away, but all together do")
    plain = found({**metadata_features, "format": np.where(labels == 1, "PNG", "JPEG")}, labels)
    assert plain.texts == [shortcut.text for shortcut in plain.found]
    assert found({"trait 0": metadata_features["trait 0"]}, labels).texts == []


def test_words_are_told_by_their_shares() -> None:
    metadata_features, labels = drawn(400)
    metadata_features["format"] = np.where(labels == 1, "PNG", metadata_features["format"])
    (shortcut,) = found(metadata_features, labels).found
    assert shortcut.feature == "format"
    assert "; dogs PNG 100%." in shortcut.text
    assert shortcut.fractions["dogs"] == {"PNG": 1.0}
    assert shortcut.fractions["cats"]["JPEG"] == pytest.approx(0.9, abs=0.05)


def test_what_is_known_of_one_class_only_gives_it_away() -> None:
    metadata_features, labels = drawn(400)
    metadata_features["JPEG quality"] = np.where(labels == 1, np.nan, metadata_features["JPEG quality"])
    (shortcut,) = found(metadata_features, labels).found
    assert "dogs unknown." in shortcut.text
    assert shortcut.quantiles["dogs"] == []


def test_a_middle_between_two_extremes_is_seen() -> None:
    metadata_features, labels = drawn(600)
    middle = np.random.default_rng(1).uniform(-1, 1, 600)
    metadata_features["brightness"] = np.where(labels == 1, middle, np.sign(middle) + middle)
    assert [shortcut.feature for shortcut in found(metadata_features, labels).found] == ["brightness"]


def test_what_shows_in_the_pixels_is_a_finding_and_no_verdict() -> None:
    metadata_features, labels = drawn(400)
    metadata_features["brightness"] = np.asarray(metadata_features["brightness"], float) - 60 * labels
    (shortcut,) = found(metadata_features, labels).found
    assert "may be what the classes are about" in shortcut.text


def test_a_number_of_its_own_for_each_picture_gives_nothing_away() -> None:
    labels = drawn(200)[1]
    assert found({"camera": np.arange(200).astype(np.str_), "serial": np.full(200, math.nan)}, labels).found == ()


def test_names_may_name_the_class_but_not_the_source() -> None:
    labels = (np.arange(100) % 2).astype(np.int8)
    plain = [f"{label}s/{label}.{number}.jpg" for number, label in enumerate(("cat", "dog") * 50)]
    assert found(name_traits(plain, CLASSES), labels).found == ()
    sources = [path.replace("dog.", "DSC_0") for path in plain]
    (shortcut,) = found(name_traits(sources, CLASSES), labels).found
    assert shortcut.feature == NAME
    assert "dogs dsc_#.jpg 100%" in shortcut.text


def test_hashes_in_names_are_struck_out() -> None:
    assert set(name_traits(["a/0f3a9c77d1.png", "b/c0ffee1234.png"], CLASSES)[NAME]) == {"#.png"}
