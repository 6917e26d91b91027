"""Lives that outlast a service: its folder, and what is wrong with it."""

import io
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from drawings import draw
from prometheus_client import CollectorRegistry
from service_process import LIMITS, running_service

from twofold.bundle import load_bundle
from twofold.bundle.format import checksum
from twofold.bundle.slim import write_slim_bundle
from twofold.bundle.storage import Bundle
from twofold.cli import main
from twofold.core.errors import BundleError, DataError, UsageError
from twofold.embedding import Runtime
from twofold.serving.drift_gauges import DriftGauges
from twofold.serving.model_repository import ModelRepository
from twofold.serving.served_life import ServedLife
from twofold.serving.served_lives import ServedLives
from twofold.workflows.watch_life import WatchLife
from twofold.workflows.watch_state import new_state


def silent(event: str, **fields: object) -> None:
    pass


def png(pattern: str, number: int) -> bytes:
    file = io.BytesIO()
    draw(pattern, number).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def loaded(bundle: Path) -> Bundle:
    return load_bundle(bundle)


@pytest.fixture
def another(loaded: Bundle) -> Bundle:
    """As if it had been trained again: another head."""
    head = {**loaded.record["head"], "bias": loaded.record["head"]["bias"] + 1}
    return replace(loaded, record={**loaded.record, "head": head})


@pytest.fixture
def of_before(loaded: Bundle, tmp_path: Path) -> Path:
    """The slim form of a bundle that an earlier version wrote."""
    path = tmp_path / "before.twofold"
    write_slim_bundle(loaded, path, force=False)
    record = json.loads((path / "bundle.json").read_text())
    del record["score_quantiles"]
    (path / "bundle.json").write_text(json.dumps({**record, "sha256": checksum(record)}))
    return path


def test_a_service_that_starts_again_continues_the_life(
    bundle: Path, runtime: Runtime, pictures: list[bytes], tmp_path: Path
) -> None:
    folder, images, readings = tmp_path / "made" / "lives", [], []
    for _ in range(2):
        repository = ModelRepository({"drawn": bundle}, runtime, ServedLives(folder))
        repository.load()
        repository.warm()
        with running_service(repository, LIMITS) as service:
            for picture in pictures:
                assert service.predict(picture)[0] == 200
            model = repository.get("drawn")
            assert model is not None
            assert model.life is not None
            images.append(model.life.images)
            readings.append(model.life.readings)
    assert images == [6, 6]  # the same images do not count again
    assert readings[0] == readings[1]
    assert [path.suffix for path in sorted(folder.iterdir())] == [".json", ""]


def test_the_file_is_one_that_watch_continues(
    loaded: Bundle, repository: ModelRepository, pictures: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lives, compiled = ServedLives(tmp_path), repository.get("drawn")
    assert compiled is not None
    replace(compiled, life=lives.open("drawn", loaded)).predict_batch(pictures)
    lives.close(silent)
    (path,) = tmp_path.glob("drawn-*.json")
    (tmp_path / "new").mkdir()
    for number, picture in enumerate(pictures):
        (tmp_path / "new" / f"{number}.png").write_bytes(picture)
    assert main(["watch", str(loaded.path), str(tmp_path / "new"), "--state", str(path)]) == 0
    state = json.loads(path.read_text())
    assert (state["images"], state["repeated"]) == (6, 6)


def test_another_rule_continues_the_life_and_another_model_begins_one(loaded: Bundle, another: Bundle) -> None:
    lives = ServedLives()
    first = lives.open("drawn", loaded)
    rule = replace(loaded.model.rule, low=0.9, high=0.9)
    assert lives.open("drawn", replace(loaded, model=replace(loaded.model, rule=rule))) is first
    assert lives.open("other", loaded) is not first
    second = lives.open("drawn", another)
    assert second is not first
    assert second.images == 0


def test_another_service_cannot_use_the_folder_until_the_first_ends(tmp_path: Path) -> None:
    first = ServedLives(tmp_path)
    with pytest.raises(UsageError, match=f"is being written by the process {os.getpid()}"):
        ServedLives(tmp_path)
    first.close(silent)
    ServedLives(tmp_path).close(silent)


def test_a_file_as_folder_and_one_below_it_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "lives"):
        with pytest.raises(UsageError, match="file"):
            ServedLives(path)


def damage(folder: Path, loaded: Bundle, predictions: list[bytes], repository: ModelRepository) -> Path:
    """Makes the file of a life, and cuts it."""
    lives, compiled = ServedLives(folder), repository.get("drawn")
    assert compiled is not None
    replace(compiled, life=lives.open("drawn", loaded)).predict_batch(predictions)
    lives.close(silent)
    (path,) = folder.glob("*.json")
    path.write_bytes(path.read_bytes()[:-9])
    return path


def test_a_damaged_file_is_refused_at_the_start_and_stays(
    loaded: Bundle, bundle: Path, repository: ModelRepository, runtime: Runtime, pictures: list[bytes], tmp_path: Path
) -> None:
    path = damage(tmp_path, loaded, pictures[:1], repository)
    before = path.read_bytes()
    with pytest.raises(DataError, match="is damaged, or not a state of watch: .* move it away"):
        ModelRepository({"drawn": bundle}, runtime, ServedLives(tmp_path)).load()
    assert path.read_bytes() == before


def test_a_damaged_file_of_a_bundle_that_comes_back_keeps_no_answer_up(
    loaded: Bundle,
    bundle: Path,
    repository: ModelRepository,
    runtime: Runtime,
    pictures: list[bytes],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "lives"
    path = damage(folder, loaded, pictures[:1], repository)
    path.rename(tmp_path / path.name)
    place = Path(shutil.copytree(bundle, tmp_path / "drawn.twofold"))
    lives = ServedLives(folder)
    served = ModelRepository({"drawn": place}, runtime, lives)
    served.load()
    served.warm()
    lives.open("drawn", replace(loaded, record={**loaded.record, "head": {}}))  # as another bundle in between
    (tmp_path / path.name).rename(path)
    (place / "bundle.json").touch()
    (reload,) = served.refresh()
    assert reload.error == ""
    assert reload.model is served.get("drawn")
    assert reload.model is not None
    assert reload.model.life is None
    assert "is damaged" in reload.model.not_watched
    assert reload.model.predict_batch(pictures[:1])[0].label is not None


def test_a_bundle_that_cannot_be_watched_is_served_without_gauges(
    of_before: Path, runtime: Runtime, pictures: list[bytes], tmp_path: Path
) -> None:
    repository = ModelRepository({"drawn": of_before}, runtime)
    repository.load()
    repository.warm()
    registry = CollectorRegistry()
    registry.register(DriftGauges(repository))
    with running_service(repository, LIMITS) as service:
        assert service.predict(pictures[0])[0] == 200
        (line,) = [json.loads(line) for line in service.lines if "not-watched" in line]
    assert "holds neither scores.csv nor quantiles of the scores" in line["reason"]
    assert registry.get_sample_value("twofold_watch_images", {"model": "drawn"}) is None
    with pytest.raises(BundleError, match="cannot be watched"):
        ModelRepository({"drawn": of_before}, runtime, ServedLives(tmp_path / "lives")).load()


def test_a_folder_that_is_gone_does_not_harm_answers_and_is_told_once(
    loaded: Bundle, repository: ModelRepository, pictures: list[bytes], tmp_path: Path
) -> None:
    seconds, events, compiled = [0.0], list[str](), repository.get("drawn")
    folder = tmp_path / "lives"
    lives = ServedLives(folder, clock=lambda: seconds[0])
    assert compiled is not None
    model = replace(compiled, life=lives.open("drawn", loaded))
    shutil.rmtree(folder)

    def tell(event: str, error: str) -> None:
        events.append(f"{event}: {error}")

    for now, count in ((59.0, 0), (60.0, 1), (119.0, 1), (180.0, 1)):
        seconds[0] = now
        assert model.predict_batch([pictures[int(now) % 6]])[0].label is not None
        lives.tend(tell)
        assert len(events) == count
    assert events[0].startswith("watch-state: ")
    assert str(folder) in events[0]
    folder.mkdir()
    lives.close(tell)  # it is written as soon as it can be
    (path,) = folder.glob("drawn-*.json")
    assert json.loads(path.read_text())["images"] == len({59 % 6, 60 % 6, 119 % 6, 180 % 6})


def test_an_alarm_is_told_once(loaded: Bundle, repository: ModelRepository) -> None:
    events, lives, compiled = list[dict[str, object]](), ServedLives(), repository.get("drawn")
    assert compiled is not None
    model = replace(compiled, life=lives.open("drawn", loaded))
    for start in range(0, 40, 8):
        model.predict_batch([png("rings", 300 + number) for number in range(start, start + 8)])
    for _ in range(2):
        lives.tend(lambda event, **fields: events.append({"event": event, **fields}))
    (alarm,) = events
    assert {**alarm, "image": 0} == {"event": "alarm", "model": "drawn", "measure": "logit", "image": 0}


def test_of_an_interval_the_first_image_counts(repository: ModelRepository, pictures: list[bytes]) -> None:
    seconds, compiled = [0.0], repository.get("drawn")
    assert compiled is not None
    life = ServedLife(WatchLife((), (), new_state("", ())), None, 10.0, lambda: seconds[0])
    model, images = replace(compiled, life=life), []
    for now, batch in ((0.0, pictures[:2]), (9.9, pictures[2:3]), (10.0, pictures[3:4]), (19.0, pictures[4:])):
        seconds[0] = now
        model.predict_batch(batch)
        images.append(life.images)
    assert images == [1, 1, 2, 2]


def test_threads_add_to_one_life(repository: ModelRepository, pictures: list[bytes]) -> None:
    compiled = repository.get("drawn")
    assert compiled is not None
    life = ServedLife(WatchLife((), (), new_state("", ())), None)
    model = replace(compiled, life=life)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(model.predict_batch, [[picture] for picture in pictures * 3]))
    assert life.images == len(pictures)
