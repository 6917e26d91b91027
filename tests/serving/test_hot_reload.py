"""A bundle that is replaced under load: no request is lost, and every answer is that of the version that it names."""

import shutil
import time
from pathlib import Path
from threading import Event, Thread

from service_process import LIMITS, running_service

from twofold.bundle.storage import load_bundle
from twofold.cli import main
from twofold.embedding import Runtime
from twofold.serving.model_repository import ModelRepository


def test_requests_go_on_while_bundles_take_turns(
    bundle: Path, runtime: Runtime, pictures: list[bytes], tmp_path: Path
) -> None:
    other = tmp_path / "other.twofold"
    assert main(["decide", str(bundle), "--prevalence", "0.02", "--out", str(other), "--quiet"]) == 0
    place = Path(shutil.copytree(bundle, tmp_path / "drawn.twofold"))
    repository = ModelRepository({"drawn": place}, runtime)
    repository.load()
    repository.warm()
    expected = {}
    for path in (bundle, other):
        loaded = ModelRepository({"drawn": path}, runtime)
        loaded.load()
        model = loaded.get("drawn")
        assert model is not None
        expected[model.version] = [each.probability for each in model.predictor.predict(pictures)]
    assert len({tuple(values) for values in expected.values()}) == 2
    done, faults, versions = Event(), list[object](), set[str]()

    with running_service(repository, LIMITS) as service:

        def ask(number: int) -> None:
            while not done.is_set():
                number = (number + 1) % len(pictures)
                status, answer = service.predict(pictures[number])
                if status != 200 or answer["probability"] != expected[answer["version"]][number]:
                    faults.append((status, answer))
                else:
                    versions.add(answer["version"])

        threads = [Thread(target=ask, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for number in range(4):
            source = (other, bundle)[number % 2]
            version = str(load_bundle(source).record["sha256"])[:16]
            shutil.copytree(source, place.with_name("next"))
            place.rename(place.with_name("old"))
            place.with_name("next").rename(place)
            shutil.rmtree(place.with_name("old"))
            end = time.monotonic() + 60
            while service.json("GET", "/models/drawn")["version"] != version:
                assert time.monotonic() < end
                time.sleep(0.05)
        done.set()
        for thread in threads:
            thread.join()
        reloads = [line for line in service.lines if '"event": "reload"' in line]
    assert faults == []
    assert versions == set(expected)
    assert len(reloads) >= 4  # more where one was seen between two renames
