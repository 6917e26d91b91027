"""Files that PyTorch wrote: the same arrays as torch.load gives, and nothing of a hostile one is run."""

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
def test_the_packaged_weights_are_read_as_torch_reads_them(name: str, tmp_path: Path) -> None:
    same_as_torch(find_weights(ARCHITECTURES[name].source, cache=tmp_path))


def test_mobilenetv2_is_read_as_torch_reads_it(mobilenetv2: Path) -> None:
    same_as_torch(mobilenetv2)


def test_views_and_transposed_tensors_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {"whole": whole, "turned": whole.permute(2, 0, 1), "part": whole[1, 1:, ::2], "one": torch.tensor(3.0)}
    same_as_torch(saved(tensors, tmp_path))


def test_counters_are_left_out(tmp_path: Path) -> None:
    path = saved({"weight": torch.ones(2), "num_batches_tracked": torch.tensor(7)}, tmp_path)
    assert list(read_weights(path)) == ["weight"]


class Call:
    """What pickle writes as: call this function with these arguments."""

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


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_file_is_refused_and_nothing_is_run(attack: str, place: int, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    pickles = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {}, OrderedDict(), [])]
    pickles[place] = HOSTILE[attack].replace(b"{command}", f"touch {ran}".encode())
    path = tmp_path / "hostile.pth"
    path.write_bytes(b"".join(pickles))
    with pytest.raises(BackboneError, match="damaged or not a plain table of weights"):
        read_weights(path)
    assert not ran.exists()


def test_these_attacks_do_run_where_pickles_are_trusted(tmp_path: Path) -> None:
    for number, attack in enumerate(["os.system by name", "eval", "INST"]):
        ran = tmp_path / f"ran{number}"
        pickle.loads(HOSTILE[attack].replace(b"{command}", f"touch {ran}".encode()))
        assert ran.exists()


def test_an_object_that_torch_would_call_is_refused(tmp_path: Path) -> None:
    path = saved({"weight": Call(print, "never")}, tmp_path)
    with pytest.raises(BackboneError, match="print, which weights do not need"):
        read_weights(path)


def test_every_truncation_is_told(tmp_path: Path) -> None:
    whole = saved({"a": torch.ones(3), "b": torch.ones(2, 2)}, tmp_path).read_bytes()
    path = tmp_path / "short.pth"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BackboneError, match="get the file again"):
            read_weights(path)


def test_any_flipped_bit_gives_weights_or_a_sentence(tmp_path: Path) -> None:
    whole = saved({"a": torch.ones(3), "b": torch.ones(2, 2)}, tmp_path).read_bytes()
    path = tmp_path / "flipped.pth"
    for place, byte in enumerate(whole):
        path.write_bytes(whole[:place] + bytes([byte ^ 1]) + whole[place + 1 :])
        with suppress(BackboneError):
            read_weights(path)


def test_the_newer_zip_format_is_told(tmp_path: Path) -> None:
    path = tmp_path / "zip.pth"
    torch.save({"weight": torch.ones(2)}, path)
    with pytest.raises(BackboneError, match="newer zip format"):
        read_weights(path)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (3, (2,), (1,)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (1 << 40,), (0,)), (0, (2, 2), (1,))],
)
def test_a_tensor_outside_its_storage_is_refused(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...], tmp_path: Path
) -> None:
    path = saved({"weight": torch.arange(4.0)}, tmp_path)
    assert np.array_equal(read_weights(path)["weight"], np.arange(4))
    pickles = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {})]
    numbers = "(" + "".join(f"I{part}\\n" for part in size) + "t(" + "".join(f"I{part}\\n" for part in stride) + "t"
    storage = "(Vstorage\\nctorch\\nFloatStorage\\nV0\\nVcpu\\nI4\\nNtQ"
    table = opcodes(f"(dVweight\\nctorch._utils\\n_rebuild_tensor_v2\\n({storage}I{offset}\\n{numbers}I00\\n(dtRs.")
    values = struct.pack("<q4f", 4, 0, 1, 2, 3)
    path.write_bytes(b"".join([*pickles, table, pickle.dumps(["0"], 2), values]))
    with pytest.raises(BackboneError, match="get the file again"):
        read_weights(path)


def same_as_torch(path: Path) -> None:
    theirs = {
        name: tensor for name, tensor in torch.load(path, weights_only=True).items() if tensor.is_floating_point()
    }
    ours = read_weights(path)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name].numpy()) for name in theirs)
    assert {values.dtype for values in ours.values()} == {np.dtype(np.float32)}


def saved(tensors: dict[str, object], folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(OrderedDict(tensors), path, _use_new_zipfile_serialization=False)
    return path
