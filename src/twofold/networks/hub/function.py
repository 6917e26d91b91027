"""A module that a function of the user's own makes, `PACKAGE.module:function`, as a body."""

import hashlib
import importlib
import os
import sys

import torch
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.core.hints import nearest
from twofold.core.quiet import reason
from twofold.networks.hub.trial_run import attempt, try_out
from twofold.networks.modules.network import Seen


def function_body(name: str, size: int) -> tuple[nn.Module, int]:
    """The module in evaluation mode, and the width of its vector.

    It takes normalised pixels, float (n, 3, size, size), and gives vectors (n, d) or maps (n, c, h, w), of which the mean is
    the vector. Raises BackboneError where it cannot be made or does anything else.
    """
    body = _Given(name, _made(name).float().cpu()).eval()
    return body, try_out(name, body, size)


def fingerprint(body: nn.Module, size: int) -> str:
    """A hash of the module's layers and weights, and of what it makes of noise: two that compute differently differ."""
    digest = hashlib.sha256(str(body).encode())
    for name, tensor in body.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    features = attempt(str(body), size, lambda pixels: body(pixels)[0])
    digest.update(features.numpy().tobytes())
    return digest.hexdigest()


class _Given(nn.Module):
    def __init__(self, name: str, module: nn.Module) -> None:
        super().__init__()
        self.name, self.module = name, module

    def forward(self, x: Tensor) -> Seen:
        y = self.module(x)
        if isinstance(y, Tensor) and y.ndim == 4:
            return y.mean((2, 3)), y
        if isinstance(y, Tensor) and y.ndim == 2:
            return y, None
        what = f"a tensor of {y.ndim} dimensions" if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise BackboneError(f"{self.name} gives {what}; it must give vectors (n, d) or maps (n, c, h, w).")


def _made(name: str) -> nn.Module:
    where, function = name.split(":")
    if (folder := os.getcwd()) not in sys.path:
        sys.path.append(folder)  # as `python -m` does; for good, because processes that learn together import it, too
    try:
        module = importlib.import_module(where)
    except Exception as error:  # it is the user's program
        raise BackboneError(
            f"{where} cannot be imported ({reason(error)}); run where it lies, or install it."
        ) from error
    if not hasattr(module, function):
        raise BackboneError(f"{where} has no {function}{nearest(function, dir(module))}; check `backbone`.")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # what it draws at random is the same each time: the head is fitted on it
            made = getattr(module, function)()
    except Exception as error:
        raise BackboneError(f"{name}() failed ({type(error).__name__}: {reason(error)}).") from error
    if not isinstance(made, nn.Module):
        raise BackboneError(f"{name}() gives a {type(made).__name__}; it must give a torch.nn.Module.")
    return made
