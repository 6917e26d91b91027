"""The network while it learns, and what it hands to the head."""

import numpy as np
import torch
from small import network

from twofold.decision import Head


def test_a_fitted_head_begins_with_the_logits_that_it_gave_and_comes_back_as_it_was() -> None:
    random = np.random.default_rng(0)
    features = (random.normal(0, 1, (50, 16)) * 10.0 ** random.integers(-3, 3, 16) + 5).astype(np.float32)
    head = Head(random.normal(0, 1, 16).astype(np.float32) / features.std(axis=0), -0.7)
    learned = network()
    learned.start_with(head.weights, head.bias, features.mean(axis=0), features.std(axis=0))
    standardised = (torch.from_numpy(features) - learned.feature_mean) / learned.feature_std
    with torch.no_grad():
        logits = learned.head(standardised)[:, 0].numpy()
    assert np.allclose(logits, head.logits(features), atol=1e-3)
    weights, bias = learned.affine()
    assert np.allclose(weights, head.weights, rtol=1e-5)
    assert abs(bias - head.bias) < 1e-2


def test_pixels_are_normalised_within() -> None:
    learned = network().eval()
    image = torch.full((1, 3, 32, 32), 192.0)
    with torch.no_grad():
        assert torch.equal(learned.seen(image)[0], learned.body(torch.ones(1, 3, 32, 32))[0])
