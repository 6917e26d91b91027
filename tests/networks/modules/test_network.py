"""The trainable network, and its head."""

import numpy as np
import torch
from small import network

from twofold.decision import Head


def test_a_fitted_head_gives_the_same_logits_inside_the_network_and_is_recovered() -> None:
    random = np.random.default_rng(0)
    features = (random.normal(0, 1, (50, 16)) * 10.0 ** random.integers(-3, 3, 16) + 5).astype(np.float32)
    head = Head(random.normal(0, 1, 16).astype(np.float32) / features.std(axis=0), -0.7)
    trainable = network()
    trainable.set_head(head.weights, head.bias, features.mean(axis=0), features.std(axis=0))
    standardised = (torch.from_numpy(features) - trainable.feature_mean) / trainable.feature_std
    with torch.no_grad():
        logits = trainable.head(standardised)[:, 0].numpy()
    assert np.allclose(logits, head.logits(features), atol=1e-3)
    weights, bias = trainable.fold_head()
    assert np.allclose(weights, head.weights, rtol=1e-5)
    assert abs(bias - head.bias) < 1e-2


def test_the_network_normalises_pixels() -> None:
    trainable = network().eval()
    image = torch.full((1, 3, 32, 32), 192.0)
    with torch.no_grad():
        assert torch.equal(trainable.embed(image)[0], trainable.body(torch.ones(1, 3, 32, 32))[0])
