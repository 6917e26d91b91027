"""A trained network is exported as the ONNX graph of a backbone."""

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
    """A convolution with batch norm and dropout; `mapped` says whether it returns its map."""

    def __init__(self, *, mapped: bool = True) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.Dropout(0.5)
        self.mapped = mapped

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        feature_map = self.drop(self.norm(self.conv(x)).relu())
        return feature_map.mean((2, 3)), feature_map if self.mapped else None


class DataDependent(nn.Module):
    """Branches on the pixels, which a graph cannot express."""

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return (x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))), None


def network(body: nn.Module, width: int = 6) -> Network:
    torch.manual_seed(0)
    result = Network(body, width, MEAN, STD)
    for layer in result.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.3, 1.5)
    return result


def shapes(graph: bytes) -> dict[str, list[Any]]:
    model = onnx.load_model_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    return {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


def test_the_graph_gives_the_features_of_the_network() -> None:
    trained = network(Small())
    features = run(as_backbone(export(trained, 20), 20), PIXELS)
    with torch.inference_mode():
        expected, _ = trained.eval().embed(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float())
    assert np.allclose(features, expected.numpy(), atol=1e-5)


def test_the_graph_takes_any_batch_size_and_has_the_feature_map() -> None:
    assert shapes(export(network(Small()), 20)) == {
        "image": ["batch", 20, 20, 3],
        "features": ["batch", 6],
        "feature_map": ["batch", 6, 9, 9],
    }


def test_a_network_without_a_map_has_features_only() -> None:
    assert set(shapes(export(network(Small(mapped=False)), 20))) == {"image", "features"}


def test_exports_are_equal_bytes_without_paths_of_this_machine() -> None:
    graphs = [export(network(Small()), 20) for _ in range(2)]
    assert graphs[0] == graphs[1]
    assert b".py" not in graphs[0]


def test_exporting_does_not_change_the_network() -> None:
    trained = network(Small()).train()
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    export(trained, 20)
    assert trained.training
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.state_dict().items())


def test_exporting_prints_nothing() -> None:
    program = "from networks.modules.test_export import *; export(network(Small()), 20)"
    command = [sys.executable, "-c", program]
    completed = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")


def test_a_network_that_cannot_be_exported_raises_an_error_with_the_reason() -> None:
    with pytest.raises(BackboneError, match=r"This network cannot be exported to ONNX \(.+\); "):
        export(network(DataDependent(), width=3), 20)
