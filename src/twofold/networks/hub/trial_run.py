"""Running a body from elsewhere once, before anything is built on it."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.core.quiet import reason, silence

T = TypeVar("T")

_PICTURES = 2


def attempt(name: str, size: int, run: Callable[[Tensor], T]) -> T:
    """What `run` makes of normalised noise, (2, 3, size, size), the same each time. BackboneError where it fails."""
    try:
        with torch.no_grad(), silence("transformers"):
            return run(_noise(size))
    except BackboneError:
        raise
    except Exception as error:  # whatever somebody else's forward raises
        raise BackboneError(
            f"{name} does not run on squares of {size} pixels ({reason(error)}); check `size` and `backbone`."
        ) from error


def try_out(name: str, body: nn.Module, size: int) -> int:
    """The width of the vector that the body gives, which is in evaluation mode.

    Raises BackboneError where it does not run on squares of this size, or gives no vector that a head could be fitted on.
    """
    features, again = (attempt(name, size, lambda pixels: body(pixels)[0]) for _ in range(2))
    if features.ndim != 2 or len(features) != _PICTURES:
        raise BackboneError(
            f"{name} gives {tuple(features.shape)} for {_PICTURES} pictures; a vector of each is needed."
        )
    if not torch.isfinite(features).all():
        raise BackboneError(f"{name} gives numbers that are not finite; check that its weights are whole.")
    if not torch.allclose(features, again, rtol=1e-3, atol=1e-5):
        raise BackboneError(f"{name} gives the same picture another vector each time, so it is no backbone.")
    return int(features.shape[1])


def taking_part(body: nn.Module, size: int) -> set[int]:
    """The `id` of every parameter that the vector depends on, and of every buffer."""
    parameters = list(body.parameters())
    with silence("transformers"):
        features: Tensor = body(_noise(size))[0]
        gradients = torch.autograd.grad(features.sum(), parameters, allow_unused=True)
    used = {id(parameter) for parameter, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    return used | {id(buffer) for buffer in body.buffers()}


def _noise(size: int) -> Tensor:
    return torch.randn(_PICTURES, 3, size, size, generator=torch.Generator().manual_seed(0))
