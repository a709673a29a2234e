import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from recog.segment import Segment, SegmentConfig, segments
from recog.types import Waveform

RATE = 8000
ALWAYS = SegmentConfig(whole_under=0.0)


def recording(bursts, seconds, *, floor=0.001, level=0.05, seed=0, rate=RATE):
    """Noise, with louder and fluttering noise in each burst (start, end), in seconds."""
    rng = np.random.default_rng(seed)
    sound = rng.standard_normal(round(seconds * rate)) * floor
    for start, end in bursts:
        a, b = round(start * rate), round(end * rate)
        flutter = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(b - a) / rate)
        sound[a:b] += rng.standard_normal(b - a) * level * flutter
    return sound.astype(np.float32)


def cut(sound, size, rate=RATE):
    for at in range(0, len(sound), size):
        yield Waveform(sound[at:at + size], rate)


def check(found, sound, config, rate=RATE):
    """The laws that hold for any input."""
    for segment in found:
        assert 0.0 <= segment.start < segment.end <= len(sound) / rate + 1e-9
        assert segment.end - segment.start <= max(config.max_seconds, config.whole_under) + 1e-9
        a, b = round(segment.start * rate), round(segment.end * rate)
        np.testing.assert_array_equal(segment.waveform.samples, sound[a:b])
        assert segment.waveform.rate == rate
    for one, other in zip(found, found[1:]):
        assert one.end <= other.start


def covered(found, start, end, slack=0.02):
    """Whether segments hold all from start to end, without a hole."""
    at = start + slack
    for segment in found:
        if segment.start <= at:
            at = max(at, segment.end)
    return at >= end - slack


@st.composite
def bursts_and_length(draw):
    at, bursts = 1.0, []
    for _ in range(draw(st.integers(1, 8))):
        at += draw(st.floats(0.3, 6.0))
        length = draw(st.floats(0.1, 9.0))
        bursts.append((at, at + length))
        at += length
    return bursts, at + draw(st.floats(0.5, 8.0))


@settings(max_examples=30, deadline=None)
@given(bursts_and_length(), st.sampled_from([160, 1234, 8000, 30 * RATE]), st.integers(0, 5),
       st.sampled_from([ALWAYS, SegmentConfig(), SegmentConfig(max_seconds=5, whole_under=2)]))
def test_all_bursts_are_covered_in_order_and_block_size_changes_nothing(what, size, seed, config):
    bursts, seconds = what
    sound = recording(bursts, seconds, seed=seed)
    found = list(segments(cut(sound, size), config))
    check(found, sound, config)
    for start, end in bursts:
        assert covered(found, start, end), (start, end)
    same = list(segments([Waveform(sound, RATE)], config))
    assert [(one.start, one.end) for one in found] == [(one.start, one.end) for one in same]


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
def test_pauses_end_segments(rate):
    sound = recording([(3, 5), (8, 12), (20, 21)], 30, rate=rate)
    found = list(segments(cut(sound, 5000, rate), ALWAYS))
    check(found, sound, ALWAYS, rate)
    assert len(found) == 3
    assert [segment.start for segment in found] == pytest.approx([2.75, 7.75, 19.75], abs=0.1)
    assert [segment.end for segment in found] == pytest.approx([5.25, 12.25, 21.25], abs=0.1)


@pytest.mark.parametrize("pause, count", [(0.3, 1), (0.7, 3)])
def test_only_pauses_of_min_silence_do(pause, count):
    sound = recording([(3, 5), (5 + pause, 7), (7 + pause, 9)], 25)
    assert len(list(segments(cut(sound, 5000), ALWAYS))) == count


def test_a_short_input_stays_whole():
    for seconds in (0.005, 0.5, 19.99, 20.0):
        sound = recording([(0.2 * seconds, 0.3 * seconds)], seconds)
        found = list(segments(cut(sound, 999)))
        assert [(one.start, one.end) for one in found] == [(0.0, pytest.approx(seconds, abs=1e-3))]
        np.testing.assert_array_equal(found[0].waveform.samples, sound)
    assert len(list(segments(cut(recording([(3, 5), (12, 14)], 20.1), 999)))) == 2


@pytest.mark.parametrize("seconds", [0, 0.01, 3, 60.005])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_silence_is_no_segment(seconds, value):
    sound = np.full(round(seconds * RATE), value, np.float32)
    assert list(segments(cut(sound, 4000))) == []


def test_no_blocks_no_segments():
    assert list(segments([])) == []
    assert list(segments([Waveform(np.zeros(0, np.float32), RATE)] * 3)) == []


def test_speech_without_pauses_is_cut_where_it_is_quietest():
    sound = recording([(2, 62)], 64)
    for dip in (25.0, 50.0):
        sound[round(dip * RATE):round((dip + 0.2) * RATE)] *= 0.1
    found = list(segments(cut(sound, 8000), ALWAYS))
    check(found, sound, ALWAYS)
    assert covered(found, 2, 62)
    assert [one.end for one in found[:2]] == pytest.approx([25.1, 50.1], abs=0.1)
    assert found[0].end == found[1].start


def test_speech_from_the_first_to_the_last_sample():
    sound = recording([(0, 4), (8, 20), (22, 30)], 30)
    found = list(segments(cut(sound, 8000), ALWAYS))
    assert found[0].start == 0.0 and found[-1].end == 30.0
    assert all(covered(found, *burst) for burst in [(0, 4), (8, 20), (22, 30)])


def voiced(seconds, rate, seed):
    """Harmonics of a wandering pitch that rise and fall four times a second: speech to an ear far away."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))) / rate
    sound = sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * t))
    return sound / sound.std()


@pytest.mark.parametrize("seed", range(3))
def test_speech_in_noise_five_decibels_below(seed):
    rng = np.random.default_rng(seed)
    sound = rng.standard_normal(120 * RATE)
    bursts = [(at, at + rng.uniform(0.5, 4)) for at in np.arange(3, 112, 6.5)]
    for start, end in bursts:
        speech = voiced(end - start, RATE, seed) * 10 ** (5 / 20)
        sound[round(start * RATE):][:len(speech)] += speech
    sound = (0.02 * sound).astype(np.float32)
    found = list(segments(cut(sound, 8000)))
    check(found, sound, SegmentConfig())
    assert all(covered(found, *burst) for burst in bursts)
    assert sum(one.end - one.start for one in found) < 100           # and it is not simply everything


def test_the_floor_follows_the_recording_up_and_down():
    loud = recording([(5, 8), (15, 18), (50, 53)], 60, floor=0.03, level=0.3, seed=1)
    quiet = recording([(1, 3), (10, 12), (30, 33)], 60, floor=0.0005, level=0.01, seed=2)
    sound = np.concatenate([quiet, loud, quiet])
    found = list(segments(cut(sound, 8000)))
    check(found, sound, SegmentConfig())
    for start, end in [(5, 8), (15, 18), (50, 53)]:
        assert covered(found, 60 + start, 60 + end)
    for start, end in [(1, 3), (10, 12), (30, 33)]:
        assert covered(found, start, end) and covered(found, 120 + start, 120 + end)
    after = [one for one in found if one.start > 120]
    assert sum(one.end - one.start for one in after) < 15


def test_quiet_speech_just_after_loud_noise():
    before = recording([], 60, floor=0.03)
    words = [(0.5 + 2 * i, 2.1 + 2 * i) for i in range(8)]
    after = recording(words, 20, floor=0.0005, level=0.01)
    found = list(segments(cut(np.concatenate([before, after]), 8000)))
    assert all(covered(found, 60 + start, 60 + end) for start, end in words)


def test_an_offset_and_digital_pauses_hide_nothing():
    sound = recording([(5, 8), (40, 43)], 60) + np.float32(0.1)
    sound[10 * RATE:30 * RATE] = 0.1
    found = list(segments(cut(sound, 8000)))
    assert covered(found, 5, 8) and covered(found, 40, 43)
    assert sum(one.end - one.start for one in found) < 12


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(1.0, 8.0), st.floats(0.0, 1.0), st.floats(0.05, 0.5))
def test_the_laws_hold_for_wild_levels_and_settings(seed, longest, whole, pause):
    rng = np.random.default_rng(seed)
    level = np.repeat(10.0 ** rng.uniform(-6, -0.5, 400), RATE // 10)
    sound = (rng.standard_normal(len(level)) * level).astype(np.float32)
    config = SegmentConfig(max_seconds=longest, whole_under=whole, min_silence=pause, padding=pause / 2)
    found = list(segments(cut(sound, int(rng.integers(50, 20000))), config))
    check(found, sound, config)
    loudest = int(np.argmax(level)) / RATE
    assert covered(found, loudest, loudest + 0.1)


def test_an_hour_takes_little_memory():
    minute = recording([(5, 20), (22, 40), (45, 58)], 60)

    def hour():
        for _ in range(60):
            yield from cut(minute, RATE)

    tracemalloc.start()
    n, seconds = 0, 0.0
    for segment in segments(hour()):
        n, seconds = n + 1, seconds + segment.end - segment.start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n >= 120 and seconds > 60 * 46
    assert peak < 4 * RATE * 110                 # bytes of 110 seconds; the hour has 3600


def test_nothing_is_held_back_for_long():
    read = 0

    def live():
        nonlocal read
        for block in cut(recording([(t, t + 2) for t in range(3, 290, 5)], 300), RATE // 10):
            read += len(block.samples)
            yield block

    for segment in segments(live(), ALWAYS):
        assert read / RATE - segment.end < 8.0 or segment.end > 290


def test_mixed_rates_and_bad_settings_are_refused():
    with pytest.raises(ValueError, match="samples per second"):
        list(segments([Waveform(np.ones(8000, np.float32), 8000), Waveform(np.ones(8000, np.float32), 16000)]))
    for wrong in ({"max_seconds": 0}, {"whole_under": 31}, {"padding": 0.3}, {"padding": -1}, {"margin": 0},
                  {"silence": 1}, {"max_seconds": float("nan")}):
        with pytest.raises(ValueError):
            SegmentConfig(**wrong)
    assert Segment.__dataclass_params__.frozen
