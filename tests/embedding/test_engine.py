"""Running a backbone: the same vectors however it is run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from embedding.runs import as_backbone, run, squares

from twofold.embedding import BATCH, Backbone, Engine
from twofold.errors import BackboneError


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_a_vector_does_not_depend_on_its_companions(precision: str, lite0: dict[str, Backbone]) -> None:
    pixels = squares([draw(pattern, number) for number in range(4) for pattern in ("bars", "rings")], 96)
    (lane,) = Engine(lite0[precision], threads=1).lanes
    lane.squares[:] = pixels
    together = lane.run(BATCH)
    for place in range(BATCH):
        lane.squares[:] = 255 - pixels
        lane.squares[place] = pixels[0]
        assert np.array_equal(lane.run(BATCH)[place], together[0])


def test_every_lane_gives_the_same(lite0: dict[str, Backbone]) -> None:
    pixels = squares([draw("bars", number) for number in range(BATCH)], 96)
    found = []
    for lane in (*Engine(lite0["f32"], threads=2).lanes, *Engine(lite0["f32"], threads=1).lanes):
        lane.squares[:] = pixels
        found.append(lane.run(BATCH))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_what_a_lane_gave_stays_when_it_runs_again(tiny: Backbone) -> None:
    (lane,) = Engine(tiny, threads=1).lanes
    lane.squares[:] = 10
    first = lane.run(2)
    before = first.copy()
    lane.squares[:] = 200
    assert not np.array_equal(lane.run(2), first)
    assert np.array_equal(first, before)
    assert first.shape == (2, 6)


def test_lanes_are_made_once(tiny: Backbone) -> None:
    engine = Engine(tiny, threads=2)
    assert engine.lanes is engine.lanes
    assert len(engine.lanes) == 2


def test_compiled_networks_are_kept_and_give_the_same(lite0: dict[str, Backbone], tmp_path: Path) -> None:
    pixels = squares([draw("bars", 0)], 96)
    found = []
    for _ in range(2):
        (lane,) = Engine(lite0["int8"], threads=1, cache=tmp_path).lanes
        lane.squares[:1] = pixels
        found.append(lane.run(1))
        assert len(list(tmp_path.glob("*.blob"))) == 1
    assert np.array_equal(*found)


def test_a_damaged_compiled_network_is_compiled_anew(tiny: Backbone, tmp_path: Path) -> None:
    expected = []
    for damage in (None, b"", b"nonsense"):
        for blob in tmp_path.glob("*.blob"):
            blob.chmod(0o600)
            blob.write_bytes(damage or b"")
        (lane,) = Engine(tiny, threads=1, cache=tmp_path).lanes
        lane.squares[:] = 99
        expected.append(lane.run(1))
    assert np.array_equal(expected[0], expected[1])
    assert np.array_equal(expected[0], expected[2])


def test_only_the_newest_compiled_networks_are_kept(tiny: Backbone, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.blob").touch()
    Engine(tiny, threads=1, cache=tmp_path).lanes  # noqa: B018
    assert len(list(tmp_path.glob("*.blob"))) == 20


def test_a_folder_that_cannot_be_made_is_done_without(tiny: Backbone, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert len(Engine(tiny, threads=1, cache=tmp_path / "file" / "folder").lanes) == 1


@pytest.mark.parametrize("graph", [b"", b"not a network"])
def test_a_graph_that_cannot_be_run_is_told(graph: bytes) -> None:
    with pytest.raises(BackboneError, match="The network test cannot be run by OpenVINO: "):
        run(as_backbone(graph, 16), np.zeros((1, 16, 16, 3), np.uint8))


def test_openvino_is_imported_without_its_reporter() -> None:
    program = (
        "import sys; from twofold.embedding.engine import import_openvino; import_openvino(); "
        "print(*(name for name in sys.modules if name.startswith('openvino_telemetry')))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["openvino_telemetry"]
