"""watch: alarms, estimates, a life in several parts, and the file of its state."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from PIL import Image, ImageEnhance

from twofold.bundle import load_bundle
from twofold.core.errors import BundleError, DataError, UsageError
from twofold.embedding import Runtime
from twofold.report.watch_text import watch_text
from twofold.workflows.monitors import SHARES, TRAITS
from twofold.workflows.watch import Watch, WatchResult
from twofold.workflows.watch_state import WatchState, new_state, read_state, write_state


@pytest.fixture(scope="module")
def watching(bundle: Path) -> Watch:
    return Watch(load_bundle(bundle))


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """60 new images of the kind of the training images, of both classes in turn."""
    folder = tmp_path_factory.mktemp("same")
    paths = [folder / f"{number:03}.png" for number in range(60)]
    for number, path in enumerate(paths):
        draw(("bars", "rings")[number % 2], 700 + number).save(path)
    return paths


@pytest.fixture(scope="module")
def dark(same: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same images with a third of their light."""
    folder = tmp_path_factory.mktemp("dark")
    for path in same:
        with Image.open(path) as image:
            ImageEnhance.Brightness(image).enhance(0.33).save(folder / path.name)
    return sorted(folder.iterdir())


def content(result: WatchResult) -> dict[str, object]:
    """What of a result does not depend on how many runs it took."""
    plain = result.as_json()
    del plain["images"]  # what is counted since the beginning is in the state
    return {**plain, "state": result.state.as_json()}


def test_all_shares_are_the_whole_promise() -> None:
    assert sum(SHARES.values()) == pytest.approx(1, abs=1e-12)


def test_new_images_of_the_same_kind_raise_no_alarm(watching: Watch, same: list[Path], runtime: Runtime) -> None:
    result = watching.follow(same, runtime)
    assert result.alarms == ()
    assert (result.new, result.recent, result.estimates.unknown) == (60, 60, "")
    assert result.estimates.prevalence is not None
    assert result.estimates.prevalence.prevalence.low <= 0.5 <= result.estimates.prevalence.prevalence.high
    assert result.estimates.accuracy is not None
    assert result.estimates.accuracy.accuracy.high == pytest.approx(1, abs=0.01)
    assert [reading.name for reading in result.readings] == ["familiarity", "logit", *TRAITS]


def test_darker_images_raise_an_alarm_that_names_the_trait(watching: Watch, dark: list[Path], runtime: Runtime) -> None:
    result = watching.follow(dark, runtime)
    alarms = {reading.name: reading for reading in result.alarms}
    assert alarms["brightness"].alarm is not None
    assert alarms["brightness"].recent is not None
    assert alarms["brightness"].recent < alarms["brightness"].reference
    assert (result.estimates.prevalence, result.estimates.accuracy) == (None, None)
    assert "brightness" in result.estimates.unknown
    text = watch_text(result, "drawn.twofold")
    assert "ALARM: brightness, at image " in text
    assert "accuracy: cannot tell: the images themselves have changed" in text


def test_images_of_one_class_raise_an_alarm_of_the_logit(watching: Watch, runtime: Runtime, tmp_path: Path) -> None:
    for number in range(60):
        draw("rings", 900 + number).save(tmp_path / f"{number}.png")
    result = watching.follow(sorted(tmp_path.iterdir()), runtime)
    assert [reading.name for reading in result.alarms] == ["logit"]
    assert result.estimates.prevalence is not None  # the images themselves are as before
    assert result.estimates.prevalence.prevalence.low > 0.8


def test_a_life_in_two_runs_is_the_life_in_one(
    watching: Watch, same: list[Path], dark: list[Path], runtime: Runtime, tmp_path: Path
) -> None:
    paths = [*same[:20], *dark[:25], *same[20:30]]
    one = watching.follow(paths, runtime)
    first = watching.follow(paths[:33], runtime)
    write_state(tmp_path / "state.json", first.state)
    state = read_state(tmp_path / "state.json", watching.identity, watching.monitors)
    assert content(watching.follow(paths[33:], runtime, state)) == content(one)


def test_an_image_counts_once_also_in_another_run(watching: Watch, same: list[Path], runtime: Runtime) -> None:
    first = watching.follow([*same[:10], same[3]], runtime)
    assert (first.new, first.state.repeated) == (10, 1)
    second = watching.follow(same[:12], runtime, first.state)
    assert (second.new, second.state.images, second.state.repeated) == (2, 12, 11)
    plain = watching.follow(same[:12], runtime)
    assert second.readings == plain.readings


def test_training_images_do_not_count(watching: Watch, drawn: Path, same: list[Path], runtime: Runtime) -> None:
    result = watching.follow([*sorted(drawn.glob("*/*"))[:5], same[0]], runtime)
    assert (result.new, result.state.training_images) == (1, 5)


def test_read_errors_are_counted(watching: Watch, same: list[Path], runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_bytes(b"no image")
    result = watching.follow([same[0], tmp_path / "text.jpg", tmp_path / "missing.jpg"], runtime)
    assert result.new == 1
    assert sum(result.state.read_errors.values()) == 2
    assert result.state.read_errors["not-an-image"] == 1


def test_without_a_usable_image_nothing_is_told(watching: Watch, runtime: Runtime, tmp_path: Path) -> None:
    result = watching.follow([tmp_path / "missing.jpg"], runtime)
    assert (result.new, result.alarms, result.estimates.accuracy) == (0, (), None)
    assert "0 images of 30" in watch_text(result, "drawn.twofold")


def test_few_images_are_too_few_for_an_estimate(watching: Watch, same: list[Path], runtime: Runtime) -> None:
    result = watching.follow(same[:29], runtime)
    assert (result.estimates.prevalence, result.estimates.accuracy) == (None, None)
    assert result.estimates.unknown == "29 images of 30 that this takes"


def test_a_bundle_of_before_cannot_say_which_trait_moved(bundle: Path, same: list[Path], runtime: Runtime) -> None:
    loaded = load_bundle(bundle)
    old = replace(loaded, record={key: value for key, value in loaded.record.items() if key != "traits"})
    result = Watch(old).follow(same[:5], runtime)
    assert [reading.name for reading in result.readings] == ["familiarity", "logit"]
    (note,) = [note for note in result.notes if note.code == "unknown-traits"]
    assert "brightness, sharpness, pixels, bytes per pixel" in note.text


def test_illegal_traits_are_refused(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    for traits in ([], {"brightness": {"edges": [1.0], "gaps": [0, 1]}}, {"sharpness": {"edges": [1.0]}}):
        with pytest.raises(BundleError, match="traits"):
            Watch(replace(loaded, record={**loaded.record, "traits": traits}))


def test_a_bundle_without_scores_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"scores\.csv"):
        Watch(replace(load_bundle(bundle), path=tmp_path))


@pytest.fixture
def state_file(watching: Watch, same: list[Path], runtime: Runtime, tmp_path: Path) -> Path:
    path = tmp_path / "state.json"
    write_state(path, watching.follow(same[:5], runtime).state)
    return path


def read(path: Path, watching: Watch) -> WatchState:
    return read_state(path, watching.identity, watching.monitors)


def test_without_a_file_a_life_begins(watching: Watch, tmp_path: Path) -> None:
    state = read(tmp_path / "none.json", watching)
    assert state.as_json() == new_state(watching.identity, watching.monitors).as_json()


@pytest.mark.parametrize("cut", [2, 50, 700])
def test_a_damaged_state_is_refused_and_kept(state_file: Path, watching: Watch, cut: int) -> None:
    data = state_file.read_bytes()
    for damaged in (data[:-cut], data.replace(b'"images": 5', b'"images": 6'), b"[]", b"{}", b"\xff"):
        state_file.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged, or not a state of watch"):
            read(state_file, watching)
        assert state_file.read_bytes() == damaged


def test_the_state_of_another_bundle_is_refused(state_file: Path, watching: Watch) -> None:
    with pytest.raises(UsageError, match="another bundle"):
        read_state(state_file, "0" * 64, watching.monitors)


def test_a_state_that_cannot_be_read_is_refused(watching: Watch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="state"):
        read(tmp_path, watching)


def test_the_text_of_the_state_is_json_with_finite_numbers(state_file: Path) -> None:
    plain = json.loads(state_file.read_text(encoding="ascii"))
    assert plain["images"] == 5
    assert np.isfinite(plain["martingales"]["logit"]["stakes"]).all()
