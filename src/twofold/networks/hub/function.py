"""A module returned by the user's function, `PACKAGE.module:function`, as a body."""

import hashlib
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.core.hints import nearest
from twofold.core.third_party import summarise_error
from twofold.networks.hub.trial_run import check_body, run_on_noise
from twofold.networks.modules.network import BodyOutput


def function_body(name: str, size: int) -> tuple[nn.Module, int]:
    """The module in evaluation mode, and the width of its features.

    The module maps normalised pixels, float (n, 3, size, size), to features (n, d) or to a feature map (n, c, h, w), whose mean
    is used as features. Raises BackboneError where the function fails or its module returns anything else.
    """
    folder = os.getcwd()
    with _importable(folder):
        body = _FunctionBody(name, folder, _call(name).float().cpu()).eval()
        return body, check_body(name, body, size)


def fingerprint(body: nn.Module, size: int) -> str:
    """A hash of the module's layers, weights and output on noise: modules that compute differently have different hashes."""
    digest = hashlib.sha256(str(body).encode())
    for name, tensor in body.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    features = run_on_noise(str(body), size, lambda pixels: body(pixels)[0])
    digest.update(features.numpy().tobytes())
    return digest.hexdigest()


class _FunctionBody(nn.Module):
    def __init__(self, name: str, folder: str, module: nn.Module) -> None:
        super().__init__()
        self.name, self.folder, self.module = name, folder, module

    def forward(self, x: Tensor) -> BodyOutput:
        y = self.module(x)
        if isinstance(y, Tensor) and y.ndim == 4:
            return y.mean((2, 3)), y
        if isinstance(y, Tensor) and y.ndim == 2:
            return y, None
        output = f"a tensor of {y.ndim} dimensions" if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise BackboneError(f"{self.name} returns {output}; it must return features (n, d) or maps (n, c, h, w).")

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets another process unpickle the body: `_restore` imports the user's modules before the state refers to them."""
        modules = {type(layer).__module__ for layer in self.module.modules()} | {self.name.partition(":")[0]}
        return _restore, (self.folder, sorted(modules)), self.__getstate__()  # type: ignore[no-untyped-call]


def _restore(folder: str, modules: list[str]) -> _FunctionBody:
    with _importable(folder):
        for module in modules:
            importlib.import_module(module)
    return _FunctionBody.__new__(_FunctionBody)


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """Within this context, modules of this folder can be imported, as with `python -m`."""
    if folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)


def _call(name: str) -> nn.Module:
    """Imports and calls the function."""
    module_name, function = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # any: it is the user's program
        raise BackboneError(
            f"{module_name} cannot be imported ({summarise_error(error)}); run in its folder, or install it."
        ) from error
    if not hasattr(module, function):
        raise BackboneError(f"{module_name} has no {function}{nearest(function, dir(module))}; check `backbone`.")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # random weights must be equal at each call: the head is fitted on the first
            network = getattr(module, function)()
    except Exception as error:
        raise BackboneError(f"{name}() failed ({type(error).__name__}: {summarise_error(error)}).") from error
    if not isinstance(network, nn.Module):
        raise BackboneError(f"{name}() returns a {type(network).__name__}; it must return a torch.nn.Module.")
    return network
