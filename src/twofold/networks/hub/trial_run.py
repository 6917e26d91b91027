"""Trial runs of a body on noise, before any work is done with it."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.core.third_party import mute, summarise_error

T = TypeVar("T")

_BATCH = 2


def run_on_noise(name: str, size: int, run: Callable[[Tensor], T]) -> T:
    """The result of `run` for normalised noise, (2, 3, size, size), with a fixed seed. BackboneError where it fails."""
    try:
        with torch.no_grad(), mute("transformers"):
            return run(_noise(size))
    except BackboneError:
        raise
    except Exception as error:  # any: the forward pass is third-party code
        raise BackboneError(
            f"{name} does not run on images of {size} x {size} pixels ({summarise_error(error)}); check `size` and `backbone`."
        ) from error


def check_body(name: str, body: nn.Module, size: int) -> int:
    """The width of the features of a body in evaluation mode.

    Raises BackboneError where it does not run at this size, or its features are not finite and deterministic, (n, d).
    """
    features, repeated = (run_on_noise(name, size, lambda pixels: body(pixels)[0]) for _ in range(2))
    if features.ndim != 2 or len(features) != _BATCH:
        raise BackboneError(
            f"{name} returns the shape {tuple(features.shape)} for {_BATCH} images; expected features ({_BATCH}, d)."
        )
    if not torch.isfinite(features).all():
        raise BackboneError(f"{name} returns numbers that are not finite; check that its weights are complete.")
    if not torch.allclose(features, repeated, rtol=1e-3, atol=1e-5):
        raise BackboneError(
            f"{name} returns different features for the same image each time; remove what is random in its forward pass."
        )
    return int(features.shape[1])


def used_tensors(body: nn.Module, size: int) -> set[int]:
    """The `id` of every parameter that the features depend on, and of every buffer."""
    parameters = list(body.parameters())
    with mute("transformers"):
        features: Tensor = body(_noise(size))[0]
        gradients = torch.autograd.grad(features.sum(), parameters, allow_unused=True)
    used = {id(parameter) for parameter, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    return used | {id(buffer) for buffer in body.buffers()}


def _noise(size: int) -> Tensor:
    return torch.randn(_BATCH, 3, size, size, generator=torch.Generator().manual_seed(0))
