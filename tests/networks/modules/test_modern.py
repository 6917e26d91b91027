"""The residual network."""

import torch

from twofold.networks.modules.modern import WIDTHS, ModernBody


def test_features_are_the_mean_of_the_last_map_at_any_size() -> None:
    body = ModernBody().eval()
    for size in (48, 70, 96):
        with torch.no_grad():
            features, feature_map = body(torch.rand(2, 3, size, size))
        assert feature_map is not None
        assert feature_map.shape == (2, WIDTHS[-1], -(-size // 16), -(-size // 16))
        assert torch.allclose(features, feature_map.mean((2, 3)), atol=1e-5)
