"""Make a clean recording sound like another room, microphone and line.

Every function takes and gives a float32 waveform `[samples]`, about within [-1, 1], and changes
nothing in place; what is random is drawn from the generator that is handed in. `channel` strings
them together as a `ChannelConfig` says. Rates are in Hz, times in seconds, levels in dB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from .noise import Wave, add_noise, babble, colored_noise, mains_hum, power

Range = tuple[float, float]

TELEPHONE_RATE = 8000


def filtered(x: Wave, rate: int, response: Callable[[np.ndarray], np.ndarray]) -> Wave:
    """Zero-phase filter of the same length; `response` gives the gain at frequencies [F] in Hz."""
    from scipy import fft

    size = fft.next_fast_len(len(x) + rate // 20, real=True)    # room, so that nothing wraps
    gain = response(np.arange(size // 2 + 1, dtype=np.float32) * np.float32(rate / size))
    return fft.irfft(fft.rfft(x, size) * gain.astype(np.float32), size)[:len(x)]


def resampled(x: Wave, old: float, new: float, length: int) -> Wave:
    """`x` brought from the rate `old` to `new`, cut or filled with zeros to `length` samples."""
    import soxr

    y = soxr.resample(x, old, new, quality="MQ")[:length]
    return np.pad(y, (0, length - len(y))) if len(y) < length else y


def speed(x: Wave, factor: float) -> Wave:
    """`x` played `factor` times as fast, pitch and all: gives round(len(x) / factor) samples."""
    if factor == 1.0:
        return x.copy()
    return resampled(x, factor, 1.0, round(len(x) / factor))


def band_limit(x: Wave, rate: int, low: float, high: float) -> Wave:
    """`x` between `low` and `high` Hz; outside, the gain falls to zero within a fifth of each."""
    def response(hz: np.ndarray) -> np.ndarray:
        rise = np.clip((hz - 0.8 * low) / max(0.2 * low, 1.0), 0, 1)
        fall = np.clip((1.2 * high - hz) / (0.2 * high), 0, 1)
        return np.sin(np.pi / 2 * np.minimum(rise, fall)) ** 2
    return filtered(x, rate, response)


def telephone(x: Wave, rate: int, low: float = 300.0, high: float = 3400.0,
              codec: Callable[[Wave], Wave] | None = None) -> Wave:
    """`x` through a telephone line: band limited, sampled at 8 kHz, coded, and brought back."""
    y = band_limit(x, rate, low, min(high, 3990 / 1.2))
    y = resampled(y, rate, TELEPHONE_RATE, round(len(x) * TELEPHONE_RATE / rate))
    if codec is not None:
        y = codec(y)
    return resampled(y, TELEPHONE_RATE, rate, len(x))


def quantize(x: Wave, bits: int) -> Wave:
    """`x` rounded to 2 ** bits even steps over [-1, 1]."""
    steps = np.float32(2 ** (bits - 1))
    return np.clip(np.round(x * steps), -steps, steps - 1) / steps


def mulaw(x: Wave) -> Wave:
    """`x` coded to 8 bits by the mu law (G.711, as its formula) and back."""
    mu = np.float32(255.0)
    x = np.clip(x, -1, 1)
    coded = np.round(np.log1p(mu * np.abs(x)) / np.log1p(mu) * 127) / 127
    return np.sign(x) * np.expm1(coded.astype(np.float32) * np.log1p(mu)) / mu


def alaw(x: Wave) -> Wave:
    """`x` coded to 8 bits by the A law (G.711, as its formula) and back."""
    a = 87.6
    scale = np.float32(1 + np.log(a))
    size = np.abs(np.clip(x, -1, 1))
    coded = np.where(size < 1 / a, a * size, 1 + np.log(np.maximum(a * size, 1))) / scale
    coded = (np.floor(np.minimum(coded * 128, 127)) + 0.5) / 128 * scale
    size = np.where(coded < 1, coded, np.exp(coded - 1)) / a
    return np.copysign(size, x).astype(np.float32)


def gsm(x: Wave) -> Wave:
    """`x`, which must be at 8 kHz, through the GSM 06.10 codec of mobile telephones and back."""
    import io

    import soundfile

    file = io.BytesIO()
    soundfile.write(file, x, TELEPHONE_RATE, format="WAV", subtype="GSM610")
    file.seek(0)
    y, _ = soundfile.read(file, dtype="float32")
    return np.pad(y, (0, max(0, len(x) - len(y))))[:len(x)]


CODECS: tuple[Callable[[Wave], Wave] | None, ...] = (None, mulaw, alaw, gsm)


def level(x: Wave, peak_db: float) -> Wave:
    """`x` scaled so that its highest peak is `peak_db` below (or above) full scale."""
    peak = float(np.abs(x).max(initial=0.0))
    return x * np.float32(10 ** (peak_db / 20) / peak) if peak > 0 else x.copy()


def clip(x: Wave, share: float) -> Wave:
    """`x` cut off at `share` of its highest peak, as by a microphone turned up too far."""
    limit = share * float(np.abs(x).max(initial=0.0))
    return np.clip(x, -limit, limit)


def room(rate: int, t60: float, direct_db: float, rng: np.random.Generator) -> Wave:
    """An artificial room response: a direct path of 1, then noise that falls 60 dB in `t60` s.

    `direct_db` is the ratio of the energy of the direct path to that of all the rest.
    """
    length = max(2, round(t60 * rate))
    decay = np.exp(np.float32(-3 * np.log(10) / length) * np.arange(length, dtype=np.float32))
    tail = rng.standard_normal(length, dtype=np.float32) * decay
    tail[:1 + round(rng.uniform(0.001, 0.01) * rate)] = 0     # the first wall is some way off
    tail *= np.float32(10 ** (-direct_db / 20) / (np.sqrt(np.dot(tail, tail)) or 1.0))
    tail[0] = 1.0
    return tail


def reverberate(x: Wave, response: Wave) -> Wave:
    """`x` as heard in a room, of the same length: what rings on after the end is cut off."""
    from scipy import fft

    size = fft.next_fast_len(len(x) + len(response) - 1, real=True)
    return fft.irfft(fft.rfft(x, size) * fft.rfft(response, size), size)[:len(x)]


def microphone(x: Wave, rate: int, spread_db: float, rng: np.random.Generator) -> Wave:
    """`x` with a random smooth coloring: gains within +-`spread_db` at 8 points from 60 Hz up."""
    points = np.geomspace(60.0, rate / 2, 8)
    gains = rng.uniform(-spread_db, spread_db, len(points))
    return filtered(x, rate, lambda hz: 10 ** (np.interp(
        np.log(np.maximum(hz, 1.0)), np.log(points), gains) / 20))


def pad(x: Wave, before: int, after: int, noise_db: float, rng: np.random.Generator) -> Wave:
    """`x` with samples of white noise before and after it, `noise_db` below full scale.

    -inf gives digital silence.
    """
    scale = np.float32(10 ** (noise_db / 20))
    noise = rng.standard_normal(before + after, dtype=np.float32) * scale
    return np.concatenate([noise[:before], x, noise[before:]])


def trim(x: Wave, rate: int, threshold_db: float = -40.0, keep: float = 0.0) -> Wave:
    """`x` without the silence at its ends, but for `keep` seconds of it.

    Silent are frames of 10 ms whose power is `threshold_db` or more below the loudest frame's.
    """
    frame = rate // 100
    count = len(x) // frame
    if count == 0:
        return x.copy()
    frames = x[:count * frame].reshape(count, frame)
    powers = np.einsum("tn,tn->t", frames, frames)
    loud = np.flatnonzero(powers > powers.max() * 10 ** (threshold_db / 10))
    if len(loud) == 0:
        return x.copy()
    margin = round(keep * rate)
    return x[max(0, loud[0] * frame - margin):(loud[-1] + 1) * frame + margin].copy()


@dataclass(frozen=True)
class ChannelConfig:
    """How often, and how strongly, `channel` does what. A range is (lowest, highest), drawn evenly."""
    trim: float = 0.5                    # probability of cutting off silence at both ends
    trim_keep: Range = (0.0, 0.15)       # seconds of it that stay
    speed: float = 0.5                   # probability of playing faster or slower
    speed_factor: Range = (0.88, 1.14)   # above 1 is faster and higher
    pad: float = 0.6                     # probability of silence around the speech
    pad_time: Range = (0.0, 0.6)         # seconds, drawn for each end
    pad_digital: float = 0.3             # share of paddings that are digital silence
    pad_db: Range = (-90.0, -50.0)       # level of the others, below full scale
    room: float = 0.35                   # probability of reverberation
    room_t60: Range = (0.1, 0.6)         # seconds until the room is 60 dB down
    room_direct_db: Range = (-2.0, 15.0)  # direct sound over reverberation
    microphone: float = 0.6              # probability of a colored microphone
    microphone_db: Range = (1.0, 8.0)    # its largest gain or loss
    noise: float = 0.6                   # probability of noise of any color, hum or babble
    noise_snr_db: Range = (8.0, 40.0)    # speech over noise
    noise_exponent: Range = (0.0, 2.0)   # 0 white, 1 pink, 2 brown
    hum: float = 0.15                    # share of noises that are mains hum
    babble: float = 0.2                  # share of noises that are other voices, where there are
    band: float = 0.3                    # probability of a band limit that is not a telephone's
    band_low: Range = (40.0, 250.0)      # Hz
    band_high: Range = (3400.0, 7500.0)  # Hz
    telephone: float = 0.4               # probability of a telephone line, with or without codec
    telephone_low: Range = (80.0, 350.0)  # Hz
    telephone_high: Range = (3000.0, 3900.0)  # Hz
    clip: float = 0.1                    # probability of clipping
    clip_share: Range = (0.2, 0.9)       # of the highest peak
    quantize: float = 0.1                # probability of few bits
    quantize_bits: Range = (7, 12)       # bits a sample
    peak_db: Range = (-30.0, -0.5)       # highest peak in the end, below full scale

    def __post_init__(self):
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(item.default, tuple):
                if len(value) != 2 or not value[0] <= value[1]:
                    raise ValueError(f"{item.name} must be (lowest, highest), not {value}")
            elif not 0 <= value <= 1:
                raise ValueError(f"{item.name} must be within 0 and 1, not {value}")
        for name in ("speed_factor", "room_t60", "band_high", "telephone_high", "clip_share",
                     "quantize_bits"):
            if getattr(self, name)[0] <= 0:
                raise ValueError(f"{name} must be above 0")
        for name in ("trim_keep", "pad_time", "band_low", "telephone_low"):
            if getattr(self, name)[0] < 0:
                raise ValueError(f"{name} must not be negative")
        if self.peak_db[1] > 0:
            raise ValueError("peak_db must not be above 0, which is full scale")


def noise_for(length: int, rate: int, rng: np.random.Generator, config: ChannelConfig,
              others: Sequence[Wave]) -> Wave:
    """One noise of power 1: hum, the babble of `others`, or some color."""
    kind = rng.random()
    if kind < config.hum:
        return mains_hum(length, rate, rng)
    if kind < config.hum + config.babble and others:
        return babble(length, others, rng)
    return colored_noise(length, rate, rng.uniform(*config.noise_exponent), rng)


def padded(x: Wave, rate: int, rng: np.random.Generator, config: ChannelConfig) -> Wave:
    before, after = (round(rng.uniform(*config.pad_time) * rate) for _ in range(2))
    noise_db = -np.inf if rng.random() < config.pad_digital else rng.uniform(*config.pad_db)
    return pad(x, before, after, noise_db, rng)


def through_line(x: Wave, rate: int, rng: np.random.Generator, config: ChannelConfig) -> Wave:
    low, high = rng.uniform(*config.telephone_low), rng.uniform(*config.telephone_high)
    return telephone(level(x, -3.0), rate, low, high, CODECS[rng.integers(len(CODECS))])


def channel(x: Wave, rate: int, rng: np.random.Generator, config: ChannelConfig,
            others: Sequence[Wave] = ()) -> Wave:
    """`x` as it might have come over some room, microphone and line, as `config` says.

    In the order of the real thing: the speaker, the room, the microphone, the line, the recorder.
    `others` are waveforms at the same rate that can be made into babble. The length changes with
    speed, trimming and padding. The result is finite and within [-1, 1].
    """
    x = np.asarray(x, dtype=np.float32)
    if len(x) == 0:
        return x.copy()

    def happens(probability: float) -> bool:
        return rng.random() < probability

    if happens(config.trim):
        x = trim(x, rate, keep=rng.uniform(*config.trim_keep))
    if happens(config.speed):
        x = speed(x, rng.uniform(*config.speed_factor))
    speech_power = power(x)
    if happens(config.pad):
        x = padded(x, rate, rng, config)
    if happens(config.room):
        x = reverberate(x, room(rate, rng.uniform(*config.room_t60),
                                rng.uniform(*config.room_direct_db), rng))
    if happens(config.noise):
        noise = noise_for(len(x), rate, rng, config, others)
        x = add_noise(x, noise, rng.uniform(*config.noise_snr_db), speech_power)
    if happens(config.microphone):
        x = microphone(x, rate, rng.uniform(*config.microphone_db), rng)
    if happens(config.clip):
        x = clip(x, rng.uniform(*config.clip_share))
    if happens(config.telephone):
        x = through_line(x, rate, rng, config)
    elif happens(config.band):
        x = band_limit(x, rate, rng.uniform(*config.band_low), rng.uniform(*config.band_high))
    x = level(x, rng.uniform(*config.peak_db))
    if happens(config.quantize):
        x = quantize(x, round(rng.uniform(*config.quantize_bits)))
    return x
