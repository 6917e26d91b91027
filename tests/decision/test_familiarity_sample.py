import numpy as np

from twofold.decision.familiarity import fit_familiarity
from twofold.decision.familiarity_sample import fit_stored_familiarity

PARTS = ((0, 30),)


def test_a_sample_measures_the_familiarity_of_all_images_nearly_as_all_of_them_do() -> None:
    rng = np.random.default_rng(0)
    features = (
        rng.standard_normal((4000, 6)) @ rng.standard_normal((6, 30)) + 0.3 * rng.standard_normal((4000, 30))
    ).astype(np.float16)
    features[7] = 5 * rng.standard_normal(30)  # of another kind
    folds, groups = np.arange(4000) % 5, np.arange(4000)
    everything = fit_familiarity(features.astype(np.float32), folds, groups, PARTS)
    sample = fit_stored_familiarity(features, folds, groups, PARTS, max_images=1500)
    assert np.isfinite(sample.values).all()
    assert sample.gate.groups == 1500
    assert (
        np.abs(sample.values - everything.values).mean() < 0.1
    )  # half of the axes are noise, and are others in a sample
    assert sample.values[7] < 0.02
    # Of images outside of the sample, too, p-values are uniform.
    assert np.abs(np.sort(sample.values) - (np.arange(4000) + 0.5) / 4000).max() < 0.04


def test_features_in_memory_and_few_features_are_all_measured() -> None:
    features = np.random.default_rng(0).standard_normal((300, 30)).astype(np.float16)
    folds, groups = np.arange(300) % 5, np.arange(300)
    expected = fit_familiarity(features, folds, groups, PARTS)
    for stored, most in ((features, 300), (features.astype(np.float32), 100)):
        found = fit_stored_familiarity(stored, folds, groups, PARTS, max_images=most)
        np.testing.assert_array_equal(found.values, expected.values)
