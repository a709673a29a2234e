"""Features against the Kaldi definition written out in double precision; normalization; stacking."""

import numpy as np
import pytest

from recog.errors import DataError, ModelError
from recog.features import FeatureConfig, Normalizer, extract, finish, limited
from recog.types import Waveform

SMALLEST = np.finfo(np.float32).eps                    # Kaldi's floor below every logarithm


def sound(seconds=0.31, rate=16000, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    samples = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.sin(2 * np.pi * 2500 * time * time) + rng.normal(0.02, 0.02, len(time))
    return Waveform(samples.astype(np.float32), rate)


def mel(hz):
    return 1127 * np.log(1 + hz / 700)


def windows(wave, config):
    """Every whole window [T, N], its mean taken off."""
    size, step = round(config.window_ms * wave.rate / 1000), round(config.step_ms * wave.rate / 1000)
    samples = wave.samples.astype(np.float64)
    starts = range(0, len(samples) - size + 1, step)
    return np.array([samples[s:s + size] - samples[s:s + size].mean() for s in starts])


def logmel(wave, config):
    frames = windows(wave, config)
    size = frames.shape[1]
    emphasized = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))) ** 0.85
    points = 1 << (size - 1).bit_length()
    powers = abs(np.fft.fft(emphasized * povey, points)[:, :points // 2]) ** 2
    edges = np.linspace(mel(config.low_hz), mel(config.high_hz or wave.rate / 2), config.mels + 2)
    banks = np.zeros((config.mels, points // 2))
    for bank, (left, center, right) in zip(banks, zip(edges, edges[1:], edges[2:])):
        for point in range(points // 2):
            here = mel(point * wave.rate / points)
            if left < here <= center:
                bank[point] = (here - left) / (center - left)
            elif center < here < right:
                bank[point] = (right - here) / (right - center)
    return np.log(np.maximum(powers @ banks.T, SMALLEST))


def energy(wave, config):
    return np.log(np.maximum((windows(wave, config) ** 2).sum(1), SMALLEST))


def mfcc(wave, config):
    """Orthonormal DCT-II of the log mel filters, then Kaldi's lifter of 22."""
    filters = logmel(wave, config)
    count = config.mels
    lifter = 1 + 11 * np.sin(np.pi * np.arange(config.cepstra) / 22)
    cepstra = np.zeros((len(filters), config.cepstra))
    for k in range(config.cepstra):
        scale = np.sqrt((1 if k == 0 else 2) / count)
        cepstra[:, k] = scale * (filters * np.cos(np.pi * k * (np.arange(count) + 0.5) / count)).sum(1)
    return cepstra * lifter


def deltas(frames):
    """Regression over two frames each side; the ends repeat."""
    found = np.zeros_like(frames)
    for t in range(len(frames)):
        for n in (1, 2):
            found[t] += n * (frames[min(t + n, len(frames) - 1)] - frames[max(t - n, 0)]) / 10
    return found


@pytest.mark.parametrize("settings, rate", [
    ({}, 16000), ({"mels": 23, "low_hz": 60.0, "high_hz": 7000.0}, 16000), ({"mels": 26}, 8000),
    ({"window_ms": 32.0, "step_ms": 16.0}, 16000), ({"mels": 80}, 22050)])
def test_log_mel_filters_are_kaldis(settings, rate):
    config = FeatureConfig(rate=rate, **settings)
    expected = logmel(sound(rate=rate), config)
    found = extract(sound(rate=rate), config)
    assert found.dtype == np.float32 and found.shape == expected.shape == (len(expected), config.width)
    assert np.allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("cepstra", [13, 20])
def test_cepstra_are_the_liftered_cosine_transform(cepstra):
    config = FeatureConfig(kind="mfcc", mels=23, cepstra=cepstra)
    assert np.allclose(extract(sound(), config), mfcc(sound(), config), atol=2e-2)


@pytest.mark.parametrize("kind", ["logmel", "mfcc"])
def test_the_energy_comes_first_and_the_rest_is_as_without(kind):
    config = FeatureConfig(kind=kind, mels=23, energy=True)
    found = extract(sound(), config)
    assert found.shape[1] == config.width == (24 if kind == "logmel" else 14)
    assert np.allclose(found[:, 0], energy(sound(), config), atol=1e-3)
    assert np.allclose(found[:, 1:], extract(sound(), FeatureConfig(kind=kind, mels=23)), atol=1e-6)


def test_deltas_and_their_deltas():
    static = extract(sound(), FeatureConfig(mels=5)).astype(np.float64)
    first = deltas(static)
    expected = np.concatenate([static, first, deltas(first)], axis=1)
    found = extract(sound(), FeatureConfig(mels=5, deltas=2))
    assert found.shape == expected.shape and np.allclose(found, expected, atol=1e-4)
    assert np.array_equal(extract(sound(), FeatureConfig(mels=5, deltas=1)), found[:, :10])


@pytest.mark.parametrize("samples, frames", [(1, 1), (399, 1), (400, 1), (559, 1), (560, 2), (720, 3)])
def test_a_short_sound_gives_one_frame_and_a_longer_one_every_whole_window(samples, frames):
    wave = Waveform(sound().samples[:samples], 16000)
    found = extract(wave, FeatureConfig(deltas=2, energy=True))
    assert found.shape == (frames, 123) and np.isfinite(found).all()


def test_silence_is_finite():
    silence = Waveform(np.zeros(1000, np.float32), 16000)
    for kind in ("logmel", "mfcc"):
        found = extract(silence, FeatureConfig(kind=kind, energy=True))
        assert np.isfinite(found).all()
        assert np.isfinite(finish(found, FeatureConfig(kind=kind, energy=True, normalize="utterance"), None)).all()


def test_the_wrong_rate_and_no_sound_are_refused():
    with pytest.raises(DataError, match="8000 samples a second, the features need 16000"):
        extract(sound(rate=8000), FeatureConfig())
    with pytest.raises(DataError, match="no sound"):
        extract(Waveform(np.zeros(0, np.float32), 16000), FeatureConfig())


def test_the_corpus_normalizer_is_the_mean_and_deviation_of_all_frames(tmp_path):
    rng = np.random.default_rng(0)
    parts = [rng.normal(100, 3, (n, 4)).astype(np.float32) for n in (5, 1, 30)]
    parts = [np.concatenate([part, np.full((len(part), 1), 7, np.float32)], axis=1) for part in parts]
    fitted = Normalizer.fit(parts)
    everything = np.concatenate(parts).astype(np.float64)
    assert np.allclose(fitted.mean, everything.mean(0), rtol=1e-6)
    assert np.allclose(fitted.std[:4], everything.std(0)[:4], rtol=1e-4) and fitted.std[4] == np.float32(1e-3)
    fitted.save(tmp_path / "normalizer.json")
    loaded = Normalizer.load(tmp_path / "normalizer.json")
    assert np.array_equal(loaded.mean, fitted.mean) and np.array_equal(loaded.std, fitted.std)
    done = np.concatenate([finish(part, FeatureConfig(mels=5, normalize="corpus"), fitted) for part in parts])
    assert np.allclose(done.mean(0), 0, atol=1e-4) and np.allclose(done.std(0)[:4], 1, atol=1e-4) and (done[:, 4] == 0).all()
    with pytest.raises(DataError, match="no frames"):
        Normalizer.fit([])
    with pytest.raises(ModelError, match="is not a normalizer"):
        (tmp_path / "bad.json").write_text('{"mean": [0], "std": [-1]}')
        Normalizer.load(tmp_path / "bad.json")


@pytest.mark.parametrize("normalize, mean, deviation", [("utterance", 0, 1), ("mean", 0, 3), ("none", 10, 3)])
def test_normalizing_within_an_utterance(normalize, mean, deviation):
    frames = np.random.default_rng(0).normal(0, 1, (50, 4)).astype(np.float32)
    frames = 10 + 3 * (frames - frames.mean(0)) / frames.std(0)
    done = finish(frames, FeatureConfig(mels=4, normalize=normalize), None)
    assert np.allclose(done.mean(0), mean, atol=1e-4) and np.allclose(done.std(0), deviation, atol=1e-3)


@pytest.mark.parametrize("count, stack", [(6, 3), (7, 3), (8, 3), (1, 4), (5, 1)])
def test_stacking_joins_frames_and_repeats_the_last(count, stack):
    frames = np.arange(count * 2, dtype=np.float32).reshape(count, 2)
    config = FeatureConfig(mels=4, normalize="none", stack=stack)
    done = finish(frames, config, None)
    rows = [np.concatenate([frames[min(t + i, count - 1)] for i in range(stack)]) for t in range(0, count, stack)]
    assert np.array_equal(done, np.array(rows)) and config.frame_seconds == pytest.approx(0.01 * stack)


def test_perturbing_comes_between_normalizing_and_stacking_and_leaves_the_source_alone():
    frames = np.random.default_rng(0).normal(5, 2, (7, 4)).astype(np.float32)
    before, seen = frames.copy(), []

    def change(normal):
        seen.append(normal.copy())
        normal[:] = 0
        return normal

    done = finish(frames, FeatureConfig(mels=4, normalize="mean", stack=2), None, change)
    assert np.allclose(seen[0].mean(0), 0, atol=1e-5) and seen[0].shape == (7, 4)
    assert (done == 0).all() and np.array_equal(frames, before)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"window_ms": 0.0}, {"step_ms": 0.01}, {"mels": 3}, {"kind": "mfcc", "cepstra": 41},
                                   {"deltas": 3}, {"stack": 0}, {"low_hz": 9000.0}, {"high_hz": 9000.0}, {"high_hz": 10.0}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        FeatureConfig(**wrong)


def test_mfcc_without_the_zeroth_has_energy_in_its_place():
    wave = Waveform(np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32), 16000)
    both = extract(wave, FeatureConfig(kind="mfcc", cepstra=13, energy=True))
    papers = FeatureConfig(kind="mfcc", cepstra=13, zeroth=False, energy=True, deltas=2)              # Graves 2008: 39 values
    found = extract(wave, papers)
    assert papers.width == 39 == found.shape[1] and both.shape[1] == 14
    np.testing.assert_allclose(found[:, :13], np.delete(both, 1, axis=1), atol=1e-5)
    without = extract(wave, FeatureConfig(kind="mfcc", cepstra=13, zeroth=False))
    np.testing.assert_allclose(without, both[:, 2:], atol=1e-5)


def test_the_range_ends_below_the_loudest_value():
    config = FeatureConfig(mels=4, range_db=20.0, normalize="none")
    frames = np.log(np.array([[1.0, 0.5, 0.011, 0.009], [0.0101, 1e-7, 1e-3, 0.3]], np.float32))
    assert np.allclose(np.exp(limited(frames, config)), [[1.0, 0.5, 0.011, 0.01], [0.0101, 0.01, 0.01, 0.3]], atol=1e-6)
    assert np.array_equal(finish(frames, config, None), limited(frames, config))
    assert np.array_equal(limited(frames - 3, config), limited(frames, config) - 3)            # loudness changes nothing
    with pytest.raises(ValueError, match="range_db"):
        FeatureConfig(kind="mfcc", range_db=60.0)
