"""Features of a stream are those of the whole sound, however it is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recog.errors import ConfigError
from recog.features import FeatureConfig, Normalizer, extract, finish
from recog.featurestream import FeatureStream
from recog.types import Waveform

configs = st.builds(FeatureConfig, kind=st.sampled_from(["logmel", "mfcc"]), rate=st.sampled_from([8000, 16000]),
                    window_ms=st.sampled_from([25.0, 16.0]), step_ms=st.sampled_from([10.0, 12.5, 30.0]), mels=st.just(14),
                    energy=st.booleans(), deltas=st.integers(0, 2), normalize=st.sampled_from(["corpus", "none"]), stack=st.integers(1, 3))


def pieces_of(samples, cuts):
    return np.split(samples, sorted(cut % (len(samples) + 1) for cut in cuts))


@settings(max_examples=60)
@given(configs, st.integers(1, 6000), st.integers(0, 99), st.lists(st.integers(0, 6000), max_size=12))
def test_any_cutting_gives_the_frames_of_the_whole(config, length, seed, cuts):
    rng = np.random.default_rng(seed)
    samples = (rng.normal(0, 0.1, length) * np.repeat(rng.uniform(0, 3, length // 100 + 1), 100)[:length]).astype(np.float32)
    normalizer = Normalizer(rng.normal(-5, 1, config.width).astype(np.float32), rng.uniform(1, 2, config.width).astype(np.float32))
    whole = finish(extract(Waveform(samples, config.rate), config), config, normalizer)
    stream = FeatureStream(config, normalizer)
    found = [stream.accept(piece) for piece in pieces_of(samples, cuts)] + [stream.finish()]
    assert all(f.shape[1] == config.output_size for f in found)
    np.testing.assert_allclose(np.concatenate(found), whole, atol=2e-4)


def test_one_sample_at_a_time():
    config = FeatureConfig(mels=8, deltas=2, stack=2, normalize="none")
    samples = np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32)
    stream = FeatureStream(config, None)
    found = np.concatenate([*(stream.accept(samples[i:i + 1]) for i in range(len(samples))), stream.finish()])
    np.testing.assert_allclose(found, finish(extract(Waveform(samples, 16000), config), config, None), atol=2e-4)


def test_frames_come_as_soon_as_they_can():
    """Frame n of 10 ms needs 25 ms more, with second differences 40 ms beyond that, and its stack to be full."""
    stream = FeatureStream(FeatureConfig(mels=8, deltas=2, stack=2, normalize="none"), None)
    given, needs = 0, lambda stacks: 160 * (2 * stacks - 1 + 4) + 400
    for n in range(1, 4000):
        given += len(stream.accept(np.full(1, 0.01, np.float32)))
        assert given == max(0, (n - needs(0)) // 320)


def test_memory_does_not_grow():
    stream = FeatureStream(FeatureConfig(mels=8, deltas=2, stack=3, normalize="none"), None)
    for _ in range(50):
        stream.accept(np.zeros(1777, np.float32))
        assert len(stream.samples) < 400 and len(stream.frames) <= 8 and len(stream.stack) < 3


def test_no_sound_gives_no_frames_and_whole_recordings_are_refused():
    stream = FeatureStream(FeatureConfig(normalize="none"), None)
    assert stream.accept(np.zeros(0, np.float32)).shape == stream.finish().shape == (0, 40)
    for kind in ("utterance", "mean"):
        with pytest.raises(ConfigError, match=f"cannot stream.*'{kind}'.*'corpus'"):
            FeatureStream(FeatureConfig(normalize=kind), None)
