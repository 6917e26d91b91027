"""A transformers network as a body: the output that becomes the features, and the weights that it depends on."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from twofold.core.errors import BackboneError
from twofold.core.third_party import mute, summarise_error
from twofold.networks.hub.repository import Repository
from twofold.networks.hub.trial_run import check_body, run_on_noise, used_tensors
from twofold.networks.modules.network import BodyOutput

Pooling = Literal["map", "pooled", "first", "tokens"]
"""The features are the mean of the last feature map, the network's own pooled output, its first token, or the mean token."""


def pretrained_body(repository: Repository, size: int, *, bgr: bool) -> tuple[nn.Module, int]:
    """The network of a repository in evaluation mode, and the width of its features; `bgr` networks take BGR images.

    Weights that the features do not depend on are frozen, because training on several devices waits for the gradient of each
    trainable weight. Raises BackboneError where transformers cannot load it, weights are missing, or it does not take images of
    this size.
    """
    name = repository.name
    model, missing = _load(repository)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    model = getattr(model, "vision_model", model)  # of networks for images and text
    if getattr(model, "main_input_name", "") != "pixel_values":
        raise BackboneError(f"{name} does not take images; check `backbone`.")
    if _has_dense(getattr(model, "pooler", None)):
        model.pooler = None  # it belongs to another task, and is often untrained
    body = _PretrainedBody(model, _forward_arguments(model, repository.image_size, size), bgr=bgr)
    body.pooling = run_on_noise(name, size, lambda pixels: _choose_pooling(model, *body.outputs(pixels)))
    width, used_ids = check_body(name, body, size), used_tensors(body, size)
    missing_weights = sorted(
        key for key in missing if id(tensors.get(key)) in used_ids and not key.endswith("num_batches_tracked")
    )
    if missing_weights:
        more = f" and {len(missing_weights) - 1} others" if len(missing_weights) > 1 else ""
        raise BackboneError(f"The weights of {name} lack {missing_weights[0]}{more}; download them again.")
    for parameter in body.parameters():
        parameter.requires_grad_(id(parameter) in used_ids)
    return body, width


class _PretrainedBody(nn.Module):
    def __init__(self, model: nn.Module, arguments: dict[str, Any], *, bgr: bool) -> None:
        super().__init__()
        self.model, self.arguments, self.bgr = model, arguments, bgr
        self.pooling: Pooling = "pooled"

    def forward(self, x: Tensor) -> BodyOutput:
        last, pooled = self.outputs(x)
        match self.pooling:
            case "map":
                return last.mean((2, 3)), last
            case "first":
                return last[:, 0], None
            case "tokens":
                return last.mean(1), None
        assert pooled is not None
        return pooled.flatten(1), last if last.ndim == 4 else None

    def outputs(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The last feature map (n, c, h, w) or tokens (n, t, d), and the network's own pooled output."""
        outputs = self.model(pixel_values=x.flip(1) if self.bgr else x, **self.arguments)
        return outputs.last_hidden_state, getattr(outputs, "pooler_output", None)


def _choose_pooling(model: nn.Module, feature_map: Tensor, pooled: Tensor | None) -> Pooling:
    if feature_map.ndim == 4:
        mean = feature_map.mean((2, 3))
        is_mean = pooled is None or (
            pooled.numel() == mean.numel() and torch.allclose(pooled.flatten(1), mean, atol=1e-5)
        )
        # The mean where both are equal: some networks pool with windows larger than the map, which ONNX does not support.
        return "map" if is_mean else "pooled"
    if pooled is not None:
        return "pooled"
    return "first" if any(name.endswith("cls_token") for name, _ in model.named_parameters()) else "tokens"


def _has_dense(pooler: Any) -> bool:
    return isinstance(pooler, nn.Module) and any(isinstance(layer, nn.Linear) for layer in pooler.modules())


def _forward_arguments(model: nn.Module, network_size: int | None, size: int) -> dict[str, Any]:
    """Interpolation of the position embeddings, where `size` is not the image size of the network."""
    supported = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
    return {"interpolate_pos_encoding": True} if supported and network_size != size else {}


def _load(repository: Repository) -> tuple[nn.Module, set[str]]:
    """The network in float32, and the names of the weights that its files lack."""
    from transformers import AutoModel

    try:
        with _muted_transformers():
            model, loading_info = AutoModel.from_pretrained(
                str(repository.folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                attn_implementation="eager",  # the fused attention is exported incorrectly for Swin and BEiT
                output_loading_info=True,
            )
    except Exception as error:  # transformers and the files it reads raise exceptions of many kinds
        if "auto_map" in repository.config:
            raise BackboneError(
                f"{repository.name} contains code, which twofold does not run; install that code and name a function that "
                "returns the network, as `backbone='MODULE:FUNCTION'`."
            ) from error
        raise BackboneError(
            f"{repository.name} cannot be loaded by transformers ({summarise_error(error)})."
        ) from error
    return model.eval(), set(loading_info["missing_keys"])


@contextmanager
def _muted_transformers() -> Iterator[None]:
    import transformers

    bars: Any = transformers.utils.logging
    enabled = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        with mute("transformers"):
            yield
    finally:
        if enabled:
            bars.enable_progress_bar()
