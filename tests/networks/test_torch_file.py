"""PyTorch files: the arrays equal those of torch.load, and no code of a hostile file runs."""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from twofold.core.errors import BackboneError
from twofold.networks.architectures import ARCHITECTURES
from twofold.networks.torch_file import read_weights
from twofold.networks.weights import find_weights

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_packaged_weights_equal_those_of_torch_load(name: str, tmp_path: Path) -> None:
    check_against_torch(find_weights(ARCHITECTURES[name].source, cache=tmp_path))


def test_weights_of_mobilenetv2_equal_those_of_torch_load(mobilenetv2: Path) -> None:
    check_against_torch(mobilenetv2)


def test_views_and_transposed_tensors_equal_those_of_torch_load(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {"base": base, "transposed": base.permute(2, 0, 1), "view": base[1, 1:, ::2], "scalar": torch.tensor(3.0)}
    check_against_torch(save(tensors, tmp_path))


def test_integer_tensors_are_skipped(tmp_path: Path) -> None:
    path = save({"weight": torch.ones(2), "num_batches_tracked": torch.tensor(7)}, tmp_path)
    assert list(read_weights(path)) == ["weight"]


class Call:
    """An object that pickle writes as a call of this function with these arguments."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


def opcodes(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")


HOSTILE = {
    "os.system by name": opcodes("cos\\nsystem\\n(V{command}\\ntR."),
    "posix.system by name": opcodes("cposix\\nsystem\\n(V{command}\\ntR."),
    "eval": opcodes("cbuiltins\\neval\\n(V__import__('os').system('{command}')\\ntR."),
    "getattr": opcodes("cbuiltins\\ngetattr\\n(cos\\nsystem\\ntR."),
    "INST": opcodes("(V{command}\\nios\\nsystem\\n."),
    "a dotted name": opcodes("\\x80\\x04\\x8c\\x0ctorch._utils\\x8c\\x24_rebuild_tensor_v2.__init__.__globals__\\x93."),
    "a module's module": opcodes("ctorch.os\\nsystem\\n(V{command}\\ntR."),
    "in a persistent id": opcodes("((V{command}\\ncos\\nsystem\\ntR" + "tQ."),
    "as a storage's type": opcodes("(Vstorage\\ncos\\nsystem\\nV0\\nVcpu\\nI4\\nNtQ."),
    "attributes of a tensor": opcodes(
        "ctorch._utils\\n_rebuild_tensor_v2\\n((Vstorage\\nctorch\\nFloatStorage\\nV0\\nVcpu\\nI1\\nNtQI0\\n(I1\\nt(I1\\ntI00\\n(dtR(dV__class__\\ncos\\nsystem\\nsb."
    ),
    "attributes of what makes tensors": opcodes("ctorch._utils\\n_rebuild_tensor_v2\\n(N(dV__call__\\nI1\\nstb."),
    "an extension": opcodes("\\x82\\x01."),
}


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_file_raises_an_error_and_runs_nothing(attack: str, position: int, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    pickles = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, {}, OrderedDict(), [])]
    pickles[position] = HOSTILE[attack].replace(b"{command}", f"touch {marker}".encode())
    path = tmp_path / "hostile.pth"
    path.write_bytes(b"".join(pickles))
    with pytest.raises(BackboneError, match="damaged or not a plain table of weights"):
        read_weights(path)
    assert not marker.exists()


def test_the_attacks_run_in_plain_pickle(tmp_path: Path) -> None:
    for number, attack in enumerate(["os.system by name", "eval", "INST"]):
        marker = tmp_path / f"marker{number}"
        pickle.loads(HOSTILE[attack].replace(b"{command}", f"touch {marker}".encode()))
        assert marker.exists()


def test_a_pickled_function_call_raises_an_error(tmp_path: Path) -> None:
    path = save({"weight": Call(print, "never")}, tmp_path)
    with pytest.raises(BackboneError, match="print, which weights do not need"):
        read_weights(path)


def test_every_truncation_raises_an_error(tmp_path: Path) -> None:
    content = save({"a": torch.ones(3), "b": torch.ones(2, 2)}, tmp_path).read_bytes()
    path = tmp_path / "short.pth"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(BackboneError, match="get the file again"):
            read_weights(path)


def test_any_flipped_bit_gives_weights_or_an_error(tmp_path: Path) -> None:
    content = save({"a": torch.ones(3), "b": torch.ones(2, 2)}, tmp_path).read_bytes()
    path = tmp_path / "flipped.pth"
    for offset, byte in enumerate(content):
        path.write_bytes(content[:offset] + bytes([byte ^ 1]) + content[offset + 1 :])
        with suppress(BackboneError):
            read_weights(path)


def test_the_newer_zip_format_raises_an_error(tmp_path: Path) -> None:
    path = tmp_path / "zip.pth"
    torch.save({"weight": torch.ones(2)}, path)
    with pytest.raises(BackboneError, match="newer zip format"):
        read_weights(path)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (3, (2,), (1,)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (1 << 40,), (0,)), (0, (2, 2), (1,))],
)
def test_a_tensor_outside_its_storage_raises_an_error(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...], tmp_path: Path
) -> None:
    path = save({"weight": torch.arange(4.0)}, tmp_path)
    assert np.array_equal(read_weights(path)["weight"], np.arange(4))
    pickles = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, {})]
    numbers = (
        "(" + "".join(f"I{number}\\n" for number in size) + "t(" + "".join(f"I{number}\\n" for number in stride) + "t"
    )
    storage = "(Vstorage\\nctorch\\nFloatStorage\\nV0\\nVcpu\\nI4\\nNtQ"
    table = opcodes(f"(dVweight\\nctorch._utils\\n_rebuild_tensor_v2\\n({storage}I{offset}\\n{numbers}I00\\n(dtRs.")
    values = struct.pack("<q4f", 4, 0, 1, 2, 3)
    path.write_bytes(b"".join([*pickles, table, pickle.dumps(["0"], 2), values]))
    with pytest.raises(BackboneError, match="get the file again"):
        read_weights(path)


def check_against_torch(path: Path) -> None:
    expected = {
        name: tensor for name, tensor in torch.load(path, weights_only=True).items() if tensor.is_floating_point()
    }
    actual = read_weights(path)
    assert actual.keys() == expected.keys()
    assert all(np.array_equal(actual[name], expected[name].numpy()) for name in expected)
    assert {values.dtype for values in actual.values()} == {np.dtype(np.float32)}


def save(tensors: dict[str, object], folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(OrderedDict(tensors), path, _use_new_zipfile_serialization=False)
    return path
