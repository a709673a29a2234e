"""Laws of channel augmentation: lengths, measured levels, and what a seed fixes."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recog import augment
from recog.augment import ChannelConfig, channel
from recog.noise import add_noise, babble, colored_noise, mains_hum, power

RATE = 16000
NOTHING = {name: 0.0 for name in ("trim", "speed", "pad", "room", "microphone", "noise", "band",
                                  "telephone", "clip", "quantize")}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def white(seconds: float = 1.0, peak: float = 0.5, seed: int = 0) -> np.ndarray:
    x = rng(seed).uniform(-peak, peak, round(seconds * RATE))
    return x.astype(np.float32)


def tone(hz: float, seconds: float = 1.0, peak: float = 0.5, rate: int = RATE) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (peak * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def share_between(x: np.ndarray, low: float, high: float) -> float:
    """Share of the energy of `x` between two frequencies."""
    energy = np.abs(np.fft.rfft(x.astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    return energy[(hz >= low) & (hz < high)].sum() / energy.sum()


def decibels(ratio: float) -> float:
    return 10 * np.log10(ratio)


def strongest(x: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(x)))) * RATE / len(x)


# Lengths


@given(length=st.integers(1, 6000), factor=st.floats(0.5, 2.0))
@settings(max_examples=40, deadline=None)
def test_speed_gives_the_stated_length(length, factor):
    y = augment.speed(white(1.0)[:length], factor)
    assert len(y) == round(length / factor)
    assert y.dtype == np.float32


def test_speed_moves_the_pitch():
    assert strongest(augment.speed(tone(500.0), 1.25)) == pytest.approx(625, abs=2)


def test_speed_one_changes_nothing():
    x = white()
    assert np.array_equal(augment.speed(x, 1.0), x)


@given(length=st.integers(1, 5000))
@settings(max_examples=25, deadline=None)
def test_filters_keep_the_length(length):
    x = white(0.5)[:length]
    for y in (augment.band_limit(x, RATE, 300, 3000), augment.telephone(x, RATE),
              augment.telephone(x, RATE, codec=augment.gsm), augment.microphone(x, RATE, 6, rng()),
              augment.reverberate(x, augment.room(RATE, 0.2, 3, rng()))):
        assert len(y) == length
        assert y.dtype == np.float32
        assert np.isfinite(y).all()


@given(before=st.integers(0, 900), after=st.integers(0, 900))
@settings(max_examples=25, deadline=None)
def test_padding_surrounds_the_speech(before, after):
    x = white(0.05)
    y = augment.pad(x, before, after, -60.0, rng())
    assert len(y) == before + len(x) + after
    assert np.array_equal(y[before:before + len(x)], x)


def test_padding_has_the_stated_level_or_is_digital_silence():
    x = white(0.05)
    noisy = augment.pad(x, RATE, 0, -50.0, rng())[:RATE]
    assert decibels(power(noisy)) == pytest.approx(-50, abs=0.3)
    assert not augment.pad(x, 100, 100, -np.inf, rng())[:100].any()


def test_trim_undoes_padding():
    x = tone(300.0, 0.3)
    y = augment.pad(x, 1600, 3200, -70.0, rng())
    assert len(augment.trim(y, RATE)) == len(x)
    assert len(augment.trim(y, RATE, keep=0.05)) == len(x) + 2 * 800
    assert np.array_equal(augment.trim(y, RATE), x)


def test_trim_leaves_silence_and_snippets_alone():
    assert len(augment.trim(np.zeros(5000, np.float32), RATE)) == 5000
    assert len(augment.trim(white()[:50], RATE)) == 50


# Levels and bands


@given(snr=st.floats(-10, 50), exponent=st.floats(0, 2), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_noise_has_the_requested_ratio(snr, exponent, seed):
    x = tone(440.0, 0.5)
    y = add_noise(x, colored_noise(len(x), RATE, exponent, rng(seed)), snr)
    assert decibels(power(x) / power(y - x)) == pytest.approx(snr, abs=0.1)


def test_noise_ratio_can_be_of_a_given_power():
    x = np.zeros(RATE, np.float32)
    y = add_noise(x, colored_noise(RATE, RATE, 1.0, rng()), 20.0, signal_power=0.1)
    assert decibels(0.1 / power(y)) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_noise_falls_as_its_exponent_says(exponent):
    noise = colored_noise(20 * RATE, RATE, exponent, rng())
    assert power(noise) == pytest.approx(1, rel=1e-3)
    per_octave = decibels(share_between(noise, 400, 800) / share_between(noise, 800, 1600))
    assert per_octave == pytest.approx(3.01 * (exponent - 1), abs=0.4)    # white doubles with width


def test_hum_is_at_the_mains_frequencies():
    hum = mains_hum(RATE, RATE, rng())
    energy = np.abs(np.fft.rfft(hum)) ** 2
    hz = np.flatnonzero(energy > 1e-3 * energy.max())
    assert set(hz % 50) == {0} or set(hz % 60) == {0}
    assert power(hum) == pytest.approx(1, rel=1e-3)


def test_babble_is_made_of_the_others():
    noise = babble(RATE, [tone(500.0, 0.31), np.zeros(80, np.float32), tone(900.0, 0.77)], rng())
    assert power(noise) == pytest.approx(1, rel=1e-3)
    assert share_between(noise, 480, 520) + share_between(noise, 880, 920) > 0.95


def test_telephone_leaves_only_its_band():
    y = augment.telephone(white(2.0), RATE)
    assert share_between(y, 4000, 8001) < 1e-4
    assert share_between(y, 0, 200) < 1e-3
    inside = tone(1000.0)
    assert power(augment.telephone(inside, RATE)) == pytest.approx(power(inside), rel=0.02)


def test_band_limit_keeps_what_is_inside_in_place():
    x = tone(1000.0)
    y = augment.band_limit(x + tone(6000.0), RATE, 200, 3000)
    assert np.abs(y - x)[800:-800].max() < 0.01


def test_level_sets_the_peak():
    assert np.abs(augment.level(white(), -6.0)).max() == pytest.approx(0.501, abs=1e-3)
    assert not augment.level(np.zeros(10, np.float32), -6.0).any()


def test_clip_cuts_at_a_share_of_the_peak():
    x = tone(100.0, peak=0.8)
    y = augment.clip(x, 0.5)
    assert np.abs(y).max() == pytest.approx(0.4, abs=1e-4)
    assert np.array_equal(y[np.abs(x) < 0.39], x[np.abs(x) < 0.39])


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_quantizing_gives_even_steps(bits):
    y = augment.quantize(white(peak=1.0), bits)
    assert np.array_equal(y * 2 ** (bits - 1), np.round(y * 2 ** (bits - 1)))
    assert len(np.unique(y)) <= 2 ** bits
    assert np.abs(y - white(peak=1.0)).max() <= 1.001 / 2 ** (bits - 1)


@pytest.mark.parametrize("subtype, codec", [("ULAW", augment.mulaw), ("ALAW", augment.alaw)])
def test_codecs_agree_with_libsndfile(subtype, codec):
    """The formulas and the tables of G.711 differ by less than a coding step."""
    soundfile = pytest.importorskip("soundfile")
    x = np.concatenate([white(1.0, peak, seed) for seed, peak in enumerate((0.95, 0.2, 0.03))])
    file = io.BytesIO()
    soundfile.write(file, x, 8000, format="WAV", subtype=subtype)
    file.seek(0)
    expected, _ = soundfile.read(file, dtype="float32")
    ours = codec(x)
    assert power(x - ours) < 1.5 * power(x - expected)
    assert power(x - ours) > power(x - expected) / 1.5
    assert np.abs(ours - expected).max() < 0.08


@pytest.mark.parametrize("codec", [augment.mulaw, augment.alaw])
def test_codecs_use_at_most_eight_bits(codec):
    x = np.linspace(-1, 1, 20001, dtype=np.float32)
    assert len(np.unique(codec(x))) <= 256
    assert np.abs(codec(x) - x).max() < 0.05


def test_gsm_keeps_a_tone_at_its_place():
    y = augment.gsm(tone(440.0, rate=8000))
    assert len(y) == 8000
    assert np.argmax(np.abs(np.fft.rfft(y))) == pytest.approx(440, abs=2)


def test_room_decays_and_has_the_stated_direct_sound():
    response = augment.room(RATE, 0.5, 6.0, rng())
    tail = response[1:]
    assert response[0] == 1
    assert decibels(1 / np.dot(tail, tail)) == pytest.approx(6, abs=0.1)
    quarter = len(tail) // 4
    first, last = power(tail[200:quarter]), power(tail[-quarter:])
    assert decibels(first / last) == pytest.approx(45, abs=2)     # 60 dB over the whole


def test_reverberation_is_convolution():
    x, response = white(0.05), augment.room(RATE, 0.1, 0.0, rng(1))
    assert np.allclose(augment.reverberate(x, response), np.convolve(x, response)[:len(x)],
                       atol=1e-4)


def test_microphone_stays_within_its_gains():
    x = np.zeros(4096, np.float32)
    x[2048] = 1.0
    for seed in range(5):
        y = augment.microphone(x, RATE, 6.0, rng(seed))
        gains = 20 * np.log10(np.abs(np.fft.rfft(y)))
        assert np.abs(gains[10:]).max() < 6.5
        assert gains[10:].max() - gains[10:].min() > 1.0


# The whole channel


@given(seed=st.integers(0, 10_000), length=st.integers(1, 20_000), peak=st.floats(1e-4, 1.0))
@settings(max_examples=80, deadline=None)
def test_channel_is_finite_and_within_full_scale(seed, length, peak):
    y = channel(white(1.25, peak)[:length], RATE, rng(seed), ChannelConfig(), [tone(300.0)])
    assert y.dtype == np.float32
    assert y.ndim == 1 and len(y) > 0
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= 1.0


@pytest.mark.parametrize("seed", range(5))
def test_channel_is_fixed_by_its_seed_and_leaves_its_input(seed):
    x = white()
    once = channel(x, RATE, rng(seed), ChannelConfig())
    again = channel(x, RATE, rng(seed), ChannelConfig())
    other = channel(x, RATE, rng(seed + 100), ChannelConfig())
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert np.array_equal(x, white())


def test_channel_can_do_nothing_but_set_the_level():
    x = tone(440.0)
    y = channel(x, RATE, rng(), ChannelConfig(**NOTHING, peak_db=(-10.0, -10.0)))
    assert np.allclose(y, augment.level(x, -10.0))


def test_channel_survives_silence_and_nothing():
    assert len(channel(np.zeros(0, np.float32), RATE, rng(), ChannelConfig())) == 0
    for seed in range(20):
        y = channel(np.zeros(3000, np.float32), RATE, rng(seed), ChannelConfig())
        assert np.isfinite(y).all()


def test_channel_keeps_telephones_below_four_kilohertz():
    config = ChannelConfig(**{**NOTHING, "telephone": 1.0, "noise": 1.0})
    for seed in range(4):
        assert share_between(channel(white(), RATE, rng(seed), config), 4000, 8001) < 1e-3


@pytest.mark.parametrize("name, value, said", [
    ("trim", 1.5, "trim must be within 0 and 1"),
    ("speed_factor", (1.2, 0.9), "speed_factor must be (lowest, highest)"),
    ("speed_factor", (0.0, 1.0), "speed_factor must be above 0"),
    ("pad_time", (-1.0, 1.0), "pad_time must not be negative"),
    ("peak_db", (-3.0, 3.0), "peak_db must not be above 0"),
])
def test_config_refuses(name, value, said):
    with pytest.raises(ValueError) as error:
        ChannelConfig(**{name: value})
    assert said in str(error.value)
