"""A network of transformers as a body: which of its outputs is the vector, and which of its weights take part in that."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.core.quiet import reason, silence
from twofold.networks.hub.repository import Repository
from twofold.networks.hub.trial_run import attempt, taking_part, try_out
from twofold.networks.modules.network import Seen

Reading = Literal["map", "pooled", "first", "tokens"]
"""The vector is: the mean of the last map, what the network pools itself, its first token, or the mean of its tokens."""


def pretrained_body(repository: Repository, size: int, *, reversed: bool) -> tuple[nn.Module, int]:
    """The network of a repository in evaluation mode, and the width of its vector; `reversed` networks take blue first.

    Weights that the vector does not depend on are frozen: learning on several devices waits for the gradient of each.
    Raises BackboneError where transformers cannot read it, weights are lacking, or it is no network for such squares.
    """
    name = repository.name
    model, missing = _load(repository)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    model = getattr(model, "vision_model", model)  # of networks for pictures and text
    if getattr(model, "main_input_name", "") != "pixel_values":
        raise BackboneError(f"{name} is no network for pictures; check `backbone`.")
    if _has_dense(getattr(model, "pooler", None)):
        model.pooler = None  # it was made for another task, and often never trained
    body = _Pretrained(model, _arguments(model, repository.image_size, size), reversed=reversed)
    body.reading = attempt(name, size, lambda pixels: _reading(model, *body.outputs(pixels)))
    width, used = try_out(name, body, size), taking_part(body, size)
    lacking = sorted(key for key in missing if id(tensors.get(key)) in used and not key.endswith("num_batches_tracked"))
    if lacking:
        others = f" and {len(lacking) - 1} others" if len(lacking) > 1 else ""
        raise BackboneError(f"The weights of {name} lack {lacking[0]}{others}; get them again.")
    for parameter in body.parameters():
        parameter.requires_grad_(id(parameter) in used)
    return body, width


class _Pretrained(nn.Module):
    def __init__(self, model: nn.Module, arguments: dict[str, Any], *, reversed: bool) -> None:
        super().__init__()
        self.model, self.arguments, self.reversed = model, arguments, reversed
        self.reading: Reading = "pooled"

    def forward(self, x: Tensor) -> Seen:
        last, pooled = self.outputs(x)
        match self.reading:
            case "map":
                return last.mean((2, 3)), last
            case "first":
                return last[:, 0], None
            case "tokens":
                return last.mean(1), None
        assert pooled is not None
        return pooled.flatten(1), last if last.ndim == 4 else None

    def outputs(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The last map (n, c, h, w) or tokens (n, t, d), and what the network pools out of them."""
        made = self.model(pixel_values=x.flip(1) if self.reversed else x, **self.arguments)
        return made.last_hidden_state, getattr(made, "pooler_output", None)


def _reading(model: nn.Module, last: Tensor, pooled: Tensor | None) -> Reading:
    if last.ndim == 4:
        mean = last.mean((2, 3))
        same = pooled is None or (pooled.numel() == mean.numel() and torch.allclose(pooled.flatten(1), mean, atol=1e-5))
        # Where it makes no difference, our own mean: some pool with windows larger than the map, which ONNX does not have.
        return "map" if same else "pooled"
    if pooled is not None:
        return "pooled"
    return "first" if any(name.endswith("cls_token") for name, _ in model.named_parameters()) else "tokens"


def _has_dense(pooler: Any) -> bool:
    return isinstance(pooler, nn.Module) and any(isinstance(layer, nn.Linear) for layer in pooler.modules())


def _arguments(model: nn.Module, own: int | None, size: int) -> dict[str, Any]:
    """Positions are interpolated where the squares are of another size than the network's own."""
    able = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
    return {"interpolate_pos_encoding": True} if able and own != size else {}


def _load(repository: Repository) -> tuple[nn.Module, set[str]]:
    """The network in float32, and the names of its weights that the files do not hold."""
    from transformers import AutoModel

    try:
        with _quiet():
            model, found = AutoModel.from_pretrained(
                str(repository.folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                attn_implementation="eager",  # the fused one is exported wrongly for Swin and BEiT
                output_loading_info=True,
            )
    except Exception as error:  # whatever transformers and what it reads raise
        if "auto_map" in repository.config:
            raise BackboneError(
                f"{repository.name} brings code of its own, which twofold does not run; install that code and name a function "
                "of yours that makes the network, as `backbone='MODULE:FUNCTION'`."
            ) from error
        raise BackboneError(f"{repository.name} cannot be loaded by transformers ({reason(error)}).") from error
    return model.eval(), set(found["missing_keys"])


@contextmanager
def _quiet() -> Iterator[None]:
    import transformers

    bars: Any = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        with silence("transformers"):
            yield
    finally:
        if shown:
            bars.enable_progress_bar()
