"""Long sound into pieces that a recognizer can take: speech between pauses, as a stream, in bounded memory.

The power of each short frame in a few bands is compared with a noise floor that follows the recording in each band (as
in the long-term spectral divergence of Ramirez et al. 2004): speech that is lost in the sum of all bands stands out in
one. Every frame that stands out is inside some segment; when in doubt, a segment holds too much rather than too little.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Iterable, Iterator

import numpy as np

from .types import Waveform

FRAME = 0.02                     # seconds; longer than a pitch period, shorter than a phone
STEP = 50                        # frames handled at once, about a second; block sizes therefore change nothing
BANDS = (80, 300, 600, 1000, 1600, 2400, 3600, 6000)   # Hz, the edges; below is rumble
SMOOTH = 2                       # frames to each side: 0.1 s, since one frame of noise in one band varies too much
PAST, AHEAD = 30, 5              # steps seen when the noise floor is set; the future lets it fall in time
QUIET, LOUD = 0.10, 0.95         # the shares of frames below the noise floor, and below loud speech
MARGIN_SHARE, MOST_MARGIN = 0.2, 8.0   # of the range in dB: a clean recording can afford a margin above `margin`
HYSTERESIS = 1.0                 # dB below the beginning of speech, where it ends
NOTHING = -99.0                  # dB, the level of silence


@dataclass(frozen=True)
class SegmentConfig:
    max_seconds: float = 30.0    # no segment is longer; speech without pauses is cut at its quietest point
    whole_under: float = 20.0    # seconds; an input not longer than this stays whole
    min_silence: float = 0.5     # seconds; shorter pauses do not end a segment
    padding: float = 0.25        # seconds kept before and after speech, for soft beginnings and ends
    margin: float = 3.0          # dB above the noise floor where speech begins, at the least
    silence: float = -80.0       # dB below full scale; nothing so quiet is ever speech

    def __post_init__(self):
        if not 1.0 <= self.max_seconds <= 3600.0:
            raise ValueError("max_seconds must be from 1 to 3600")
        if not 0.0 <= self.whole_under <= self.max_seconds:
            raise ValueError("whole_under must be from 0 to max_seconds")
        if not 0.0 <= 2 * self.padding <= self.min_silence:
            raise ValueError("padding must be from 0 to half of min_silence")
        if self.min_silence > self.max_seconds / 2:
            raise ValueError("min_silence must be at most half of max_seconds")
        if not self.margin > 0.0:
            raise ValueError("margin must be above 0")
        if not self.silence < 0.0:
            raise ValueError("silence must be below 0")


@dataclass(frozen=True)
class Segment:
    start: float                 # seconds from the beginning of the input
    end: float                   # seconds
    waveform: Waveform           # the sound between them


def segments(blocks: Iterable[Waveform], config: SegmentConfig = SegmentConfig()) -> Iterator[Segment]:
    """The speech in one recording, given as consecutive blocks of any lengths: ordered, never overlapping.

    An input not longer than `whole_under` is one segment with everything; silence is none. How the input is divided
    into blocks changes nothing. Holds about `max_seconds` + `whole_under` + 6 seconds of sound and one block.
    """
    steps = _steps(iter(blocks))
    first, n = [], 0
    for step in steps:
        first.append(step)
        n += len(step.samples)
        if n / step.rate > config.whole_under:
            break
    else:
        if any((_power(step.samples, step.rate).sum(axis=0) > 10 ** (config.silence / 10)).any() for step in first):
            whole = Waveform(np.concatenate([step.samples for step in first]), first[0].rate)
            yield Segment(0.0, whole.seconds, whole)
        return
    yield from _Segmenter(first[0].rate, config).run(chain(first, steps))


def _steps(blocks: Iterator[Waveform]) -> Iterator[Waveform]:
    """The same sound in pieces of exactly STEP frames (the last may be shorter)."""
    held, n, rate = [], 0, None
    for block in blocks:
        rate = rate or block.rate
        if block.rate != rate:
            raise ValueError(f"blocks of {rate} and of {block.rate} samples per second in one recording")
        size, samples = _frame(rate) * STEP, block.samples
        while len(samples):
            held.append(samples[:size - n])
            samples = samples[size - n:]
            n += len(held[-1])
            if n == size:
                yield Waveform(np.concatenate(held) if len(held) > 1 else held[0], rate)
                held, n = [], 0
    if n:
        yield Waveform(np.concatenate(held), rate)


def _frame(rate: int) -> int:
    return max(1, round(FRAME * rate))


def _power(samples: np.ndarray, rate: int) -> np.ndarray:
    """[bands, frames], mean squares; a rest is filled up to a frame of its own."""
    size = _frame(rate)
    if len(samples) % size:
        rest = samples[len(samples) // size * size:]
        samples = np.append(samples, np.full(size - len(rest), rest.mean(), samples.dtype))
    spectrum = np.fft.rfft(samples.reshape(-1, size))
    return _bands(rate) @ (spectrum.real ** 2 + spectrum.imag ** 2).T


@cache
def _bands(rate: int) -> np.ndarray:
    """[bands, bins of a frame's spectrum]: what each bin adds to the mean square of a band."""
    size = _frame(rate)
    hertz = np.arange(size // 2 + 1) * rate / size
    bands = [(low <= hertz) & (hertz < high) for low, high in zip(BANDS, BANDS[1:]) if low < rate / 2]
    return np.stack(bands).astype(np.float32) * np.float32(2.0 / size ** 2)


def _heard(steps: Iterable[Waveform]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The samples of each step and its power [bands, frames], each frame the mean of itself and its neighbors."""
    before, samples, power = None, None, None
    for step in chain(steps, [None]):
        after = _power(step.samples, step.rate) if step else power[:, :0]
        if power is not None:
            first = power[:, :1].repeat(SMOOTH, axis=1) if before is None else before[:, -SMOOTH:]
            last = np.concatenate([power, after[:, :SMOOTH]], axis=1)[:, -1:].repeat(SMOOTH, axis=1)
            wide = np.concatenate([first, power, after[:, :SMOOTH], last], axis=1)
            yield samples, sum(wide[:, i:i + power.shape[1]] for i in range(2 * SMOOTH + 1)) / (2 * SMOOTH + 1)
        if step:
            before, samples, power = power, step.samples, after


def _quantile(rows: np.ndarray, share: float) -> np.ndarray:
    """Of the last axis."""
    k = int(share * rows.shape[-1])
    return np.partition(rows, k, axis=-1)[..., k]


class _Segmenter:
    """Walks over the frames once. Positions are in frames from the beginning."""

    def __init__(self, rate: int, config: SegmentConfig):
        self.rate, self.config, self.frame = rate, config, _frame(rate)
        second = rate / self.frame
        self.longest = int(config.max_seconds * second)
        self.pause = max(1, round(config.min_silence * second))
        self.padding = min(int(config.padding * second), self.pause // 2)
        self.silence = 10.0 ** (config.silence / 10.0)
        self.tape: deque[np.ndarray] = deque()      # samples of the steps from `kept` on
        self.levels: deque[np.ndarray] = deque()    # of the same steps as far as handled, in dB above the onset
        self.kept = 0
        self.begin: int | None = None        # of the open segment, padding included
        self.spoken = 0                      # the end of the last speech
        self.free = 0                        # the end of the last segment
        self.loud = False                    # whether the last frame was speech

    def run(self, steps: Iterable[Waveform]) -> Iterator[Segment]:
        past: deque[np.ndarray] = deque(maxlen=PAST)     # power of steps, [bands, frames]
        ahead: deque[np.ndarray] = deque()
        position = 0
        for samples, power in _heard(steps):
            self.tape.append(samples)
            ahead.append(power)
            if len(ahead) > AHEAD:
                yield from self._step(position, past, ahead)
                position += STEP
        while ahead:
            frames = ahead[0].shape[1]
            yield from self._step(position, past, ahead)
            position += frames
        if self.begin is not None:
            yield self._cut(self.begin, min(self.spoken + self.padding, position))

    def _step(self, position: int, past: deque, ahead: deque) -> Iterator[Segment]:
        """Handles the first step of `ahead`, which begins at `position`, and moves it to `past`."""
        self.levels.append(self._level(past, ahead))
        past.append(ahead.popleft())
        for i, speech in enumerate(self._speech(), position):
            if self.begin is not None and i + 1 - self.begin > self.longest:
                yield self._split()
            if speech:
                if self.begin is None:
                    self.begin = max(self.free, i - self.padding)
                self.spoken = i + 1
            elif self.begin is not None and i + 1 - self.spoken >= self.pause:
                yield self._cut(self.begin, self.spoken + self.padding)
                self.begin = None
        self._forget(position + past[-1].shape[1])

    def _level(self, past: Iterable[np.ndarray], ahead: Iterable[np.ndarray]) -> np.ndarray:
        """Of each frame of the step: dB above the noise, less the margin of speech."""
        now, wide = ahead[0], np.concatenate([*past, *ahead], axis=1)
        every = np.ones(len(now), np.float32)        # `every @` is a sum over bands, but faster
        wide = wide[:, every @ wide > self.silence]
        if not wide.size:
            return np.full(now.shape[1], NOTHING)
        floor = _quantile(wide, QUIET) + np.float32(self.silence / len(now))
        weight = 1.0 / (len(now) * floor)
        loud = 10.0 * np.log10(_quantile(weight @ wide, LOUD))
        margin = max(self.config.margin, min(MOST_MARGIN, MARGIN_SHARE * loud))
        level = 10.0 * np.log10(weight @ now + 1e-9) - margin
        return np.where(every @ now > self.silence, level, NOTHING)

    def _speech(self) -> list[bool]:
        """For each frame of the newest step: speech begins above level 0 and goes on until HYSTERESIS below."""
        level = self.levels[-1]
        sure = np.where(level > 0.0, 1, np.where(level <= -HYSTERESIS, 0, -1))
        last = np.maximum.accumulate(np.where(sure >= 0, np.arange(len(sure)), -1))
        speech = np.where(last < 0, self.loud, sure[last] == 1)
        self.loud = bool(speech[-1])
        return speech.tolist()

    def _split(self) -> Segment:
        """Cuts the open segment, which has grown too long, at the quietest point of its last third."""
        level = np.concatenate(self.levels)
        low, high = self.begin + 2 * self.longest // 3 - self.kept, self.begin + self.longest - self.kept
        at = self.kept + low + int(np.argmin(level[low:high]))
        segment = self._cut(self.begin, at)
        self.begin = at if at < self.spoken else None
        return segment

    def _cut(self, begin: int, end: int) -> Segment:
        self.free = end
        low, high = begin * self.frame, end * self.frame
        offset, size = self.kept * self.frame, STEP * self.frame
        parts = [samples[max(0, low - at):max(0, high - at)]
                 for at, samples in zip(range(offset, high, size), self.tape)]
        samples = np.concatenate(parts)
        return Segment(low / self.rate, (low + len(samples)) / self.rate, Waveform(samples, self.rate))

    def _forget(self, now: int) -> None:
        keep = now - self.padding if self.begin is None else self.begin
        while self.levels and self.kept + STEP <= keep:
            self.tape.popleft()
            self.levels.popleft()
            self.kept += STEP
