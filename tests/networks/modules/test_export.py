"""A network that was learned becomes an ONNX graph that any backbone could be."""

import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from runs import as_backbone, run
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.networks.modules.export import export
from twofold.networks.modules.network import Network

MEAN, STD = (120.0, 110.0, 100.0), (60.0, 50.0, 40.0)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 20, 20, 3), np.uint8)


class Small(nn.Module):
    """A convolution with batch norm and dropout; `mapped` says whether its map is handed out."""

    def __init__(self, *, mapped: bool = True) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.Dropout(0.5)
        self.mapped = mapped

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        feature_map = self.drop(self.norm(self.conv(x)).relu())
        return feature_map.mean((2, 3)), feature_map if self.mapped else None


class Choosy(nn.Module):
    """Does what depends on the numbers themselves: no graph can hold that."""

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return (x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))), None


def network(body: nn.Module, width: int = 6) -> Network:
    torch.manual_seed(0)
    made = Network(body, width, MEAN, STD)
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.3, 1.5)
    return made


def shapes(graph: bytes) -> dict[str, list[Any]]:
    model = onnx.load_model_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    return {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


def test_the_graph_gives_the_vectors_of_the_network() -> None:
    learned = network(Small())
    found = run(as_backbone(export(learned, 20), 20), PIXELS)
    with torch.inference_mode():
        expected, _ = learned.eval().seen(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float())
    assert np.allclose(found, expected.numpy(), atol=1e-5)


def test_it_takes_any_number_of_pictures_and_hands_out_the_map() -> None:
    assert shapes(export(network(Small()), 20)) == {
        "image": ["batch", 20, 20, 3],
        "features": ["batch", 6],
        "feature_map": ["batch", 6, 9, 9],
    }


def test_a_network_without_a_map_has_a_vector_alone() -> None:
    assert set(shapes(export(network(Small(mapped=False)), 20))) == {"image", "features"}


def test_a_network_gives_the_same_bytes_each_time_and_none_that_tell_of_this_machine() -> None:
    graphs = [export(network(Small()), 20) for _ in range(2)]
    assert graphs[0] == graphs[1]
    assert b".py" not in graphs[0]


def test_exporting_leaves_the_network_as_it_is() -> None:
    learned = network(Small()).train()
    before = {name: tensor.clone() for name, tensor in learned.state_dict().items()}
    export(learned, 20)
    assert learned.training
    assert all(torch.equal(before[name], tensor) for name, tensor in learned.state_dict().items())


def test_exporting_prints_nothing() -> None:
    program = "from networks.modules.test_export import *; export(network(Small()), 20)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": ":".join(sys.path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_cannot_be_exported_is_told_with_its_reason() -> None:
    with pytest.raises(BackboneError, match=r"This network cannot be exported to ONNX \(.+\); "):
        export(network(Choosy(), width=3), 20)
