"""SpecAugment and input noise: where masks fall, how many and how wide, and that the source stays as it is."""

import numpy as np
import pytest

from recog.features import FeatureConfig, extract, mel_centers
from recog.perturb import PerturbConfig, perturb, warped
from recog.types import Waveform


def changed(config, frames=200, seed=0, width=30):
    source = np.ones((frames, width), np.float32)
    before = source.copy()
    found = perturb(source, config, FeatureConfig(), np.random.default_rng(seed))
    assert np.array_equal(source, before) and found.shape == source.shape and found.dtype == np.float32
    return found


def runs(flags):
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def test_nothing_is_nothing():
    assert not PerturbConfig().active and (changed(PerturbConfig()) == 1).all()


def test_a_frequency_mask_is_one_band_over_all_time():
    widths = []
    for seed in range(300):
        found = changed(PerturbConfig(frequency_masks=1, frequency_width=8), seed=seed)
        assert (found == found[0]).all()
        masked = runs(found[0] == 0)
        assert len(masked) <= 1
        widths.append(int(masked.sum()))
    assert set(widths) == set(range(9)) and np.mean(widths) == pytest.approx(4, abs=0.5)      # 0 to 8, all alike


def test_frequency_masks_reach_every_band():
    hit = sum((changed(PerturbConfig(frequency_masks=2), seed=seed)[0] == 0).astype(int) for seed in range(200))
    assert hit.min() > 0


def test_time_masks_are_stretches_over_all_features_and_as_many_as_there_are_seconds():
    config, counts = PerturbConfig(time_masks=1.5, time_width=6), []
    for seed in range(100):
        found = changed(config, frames=2000, seed=seed, width=3)
        assert (found == found[:, :1]).all()
        masked = runs(found[:, 0] == 0)
        counts.append(masked.sum() / 3)                            # a mask has 3 frames on average
        assert set(found.ravel()) <= {0, 1}
    assert np.mean(counts) == pytest.approx(1.5 * 20, rel=0.1)
    assert max(runs(changed(PerturbConfig(time_masks=0.05, time_width=6), frames=2000, seed=3)[:, 0] == 0), default=0) <= 12


def test_masks_fit_into_what_is_small():
    for seed in range(50):
        found = changed(PerturbConfig(frequency_masks=3, frequency_width=50, time_masks=500, time_width=50), frames=2, seed=seed, width=3)
        assert found.shape == (2, 3)


def test_noise_has_its_deviation_and_no_mean():
    found = changed(PerturbConfig(noise=0.6), frames=2000) - 1
    assert found.mean() == pytest.approx(0, abs=0.01) and found.std() == pytest.approx(0.6, rel=0.02)
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.1


def test_masked_values_are_zero_also_under_noise():
    found = changed(PerturbConfig(noise=0.6, frequency_masks=1), seed=1)
    assert ((found == 0).all(0) | (found != 0).all(0)).all() and (found == 0).any()


def test_a_generator_is_a_result():
    config = PerturbConfig(noise=0.1, frequency_masks=2, time_masks=1)
    assert np.array_equal(changed(config, seed=5), changed(config, seed=5))
    assert not np.array_equal(changed(config, seed=5), changed(config, seed=6))


@pytest.mark.parametrize("name", ["frequency_masks", "frequency_width", "time_masks", "time_width", "noise"])
def test_negative_settings_are_refused(name):
    with pytest.raises(ValueError):
        PerturbConfig(**{name: -1})


@pytest.mark.parametrize("factor", [0.85, 0.95, 1.0, 1.1, 1.2])
def test_a_warped_tone_sounds_where_the_scaled_tone_does(factor):
    """The frames of a tone, warped by `factor`, peak where those of a tone at 1 / factor of its frequency do."""
    features = FeatureConfig(mels=60)

    def tone(hz):
        return extract(Waveform(np.sin(2 * np.pi * hz * np.arange(16000) / 16000).astype(np.float32), 16000), features)

    assert mel_centers(features)[tone(2500).mean(0).argmax()] == pytest.approx(2500, rel=0.03)
    for hz in (400, 900, 1500, 2500, 3500):
        peaks = warped(tone(hz), features, factor).mean(0).argmax(), tone(hz / factor).mean(0).argmax()
        assert abs(int(peaks[0]) - int(peaks[1])) <= 1                        # filters


def test_warping_by_one_changes_nothing_and_treats_differences_alike():
    features, rng = FeatureConfig(mels=20, deltas=2), np.random.default_rng(0)
    frames = rng.normal(size=(30, 60)).astype(np.float32)
    assert np.allclose(warped(frames, features, 1.0), frames, atol=1e-5)
    found = warped(frames, features, 1.13)
    assert found.dtype == np.float32
    for part in range(3):
        assert np.array_equal(found[:, 20 * part:20 * part + 20], warped(frames[:, 20 * part:20 * part + 20], FeatureConfig(mels=20), 1.13))


def test_warps_are_drawn_anew():
    frames = np.random.default_rng(0).normal(size=(10, 30)).astype(np.float32)
    one, two = (perturb(frames, PerturbConfig(warp=0.1), FeatureConfig(mels=30), np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(one, two)
