"""The Ray engine writes the files of the local one, also where a node is lost."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from part_predictors import MODEL, PathPredictor, part_bytes, predict_paths, write_list

from twofold.core.progress import no_progress
from twofold.workflows.scale.prediction_rows import PredictionFormat
from twofold.workflows.scale.run_parts import PartsResult, compute_parts

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray: Any = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray leaves sockets and files to the collector

NAMES = [f"{number:05}.jpg" for number in range(6 * 512 - 100)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with one CPU each, on this machine; the last test removes one."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # of actors, which find the predictor there
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def predict_on_ray(listed: Path, out: Path, processes: Path, progress: Any, seconds: float = 0) -> PartsResult:
    predictor = PathPredictor(processes, seconds)
    return compute_parts(
        [str(listed)], out, predictor, PredictionFormat(), MODEL, {"bundle": MODEL}, "ray", progress, threads=1
    )


def test_two_nodes_write_the_files_of_one_machine_and_a_crash_is_a_row(cluster: Any, tmp_path: Path) -> None:
    listed = write_list(tmp_path / "images.txt", [*NAMES, "00100-killer.jpg"])
    predict_paths([listed], tmp_path / "local", tmp_path / "processes")
    result = predict_on_ray(listed, tmp_path / "ray", tmp_path / "processes", no_progress)
    assert result.reasons == {None: len(NAMES), "crashed": 1}
    assert part_bytes(tmp_path / "ray") == part_bytes(tmp_path / "local")


def test_nothing_is_lost_with_a_node(cluster: Any, tmp_path: Path) -> None:
    listed = write_list(tmp_path / "images.txt", NAMES)
    predict_paths([listed], tmp_path / "local", tmp_path / "processes")

    def remove_after_the_first(stream: Any, length: int, what: str) -> Any:
        for number, part in enumerate(stream):
            if number == 0:
                cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            yield part

    predict_on_ray(listed, tmp_path / "ray", tmp_path / "processes", remove_after_the_first, seconds=0.5)
    assert part_bytes(tmp_path / "ray") == part_bytes(tmp_path / "local")
