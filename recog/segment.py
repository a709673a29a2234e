"""Long sound into pieces that a recognizer can take: speech between pauses, as a stream, in bounded memory.

The loudness of each short frame is compared with a noise floor that follows the recording. Every frame that stands out
above it is inside some segment; when in doubt, a segment holds too much rather than too little.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import Iterable, Iterator

import numpy as np

from .types import Waveform

FRAME = 0.02                     # seconds; longer than a pitch period, shorter than a phone
STEP = 50                        # frames handled at once, about a second; block sizes therefore change nothing
PAST, AHEAD = 30, 5              # steps seen when the noise floor is set; the future lets it fall at once
QUIET, LOUD = 0.10, 0.95         # the shares of frames below the noise floor, and below loud speech
MARGIN_SHARE, MOST_MARGIN = 0.2, 8.0   # of the range in dB: a clean recording can afford a margin above `margin`


@dataclass(frozen=True)
class SegmentConfig:
    max_seconds: float = 30.0    # no segment is longer; speech without pauses is cut at its quietest point
    whole_under: float = 20.0    # seconds; an input not longer than this stays whole
    min_silence: float = 0.5     # seconds; shorter pauses do not end a segment
    padding: float = 0.2         # seconds kept before and after speech, for soft beginnings and ends
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
    end: float
    waveform: Waveform           # the sound between them


def segments(blocks: Iterable[Waveform], config: SegmentConfig = SegmentConfig()) -> Iterator[Segment]:
    """The speech in one recording, given as consecutive blocks of any lengths: ordered, never overlapping.

    An input not longer than `whole_under` is one segment with everything; silence is none. How the input is divided
    into blocks changes nothing. Holds about `max_seconds` + 6 seconds of sound and one block, not the recording.
    """
    steps = _steps(iter(blocks))
    first, n = [], 0
    for step in steps:
        first.append(step)
        n += len(step.samples)
        if n / step.rate > config.whole_under:
            break
    else:
        if any((_loudness(step.samples, step.rate) > config.silence).any() for step in first):
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


def _loudness(samples: np.ndarray, rate: int) -> np.ndarray:
    """dB to full scale of each frame, without its mean (recordings have offsets); a rest is a frame of its own."""
    size = _frame(rate)
    whole = len(samples) // size * size
    power = samples[:whole].reshape(-1, size).var(axis=1)
    if whole < len(samples):
        power = np.append(power, samples[whole:].var())
    return 10.0 * np.log10(power + 1e-12)


class _Segmenter:
    """Walks over the frames once. Positions are in frames from the beginning."""

    def __init__(self, rate: int, config: SegmentConfig):
        self.rate, self.config, self.frame = rate, config, _frame(rate)
        second = rate / self.frame
        self.longest = int(config.max_seconds * second)
        self.pause = max(1, round(config.min_silence * second))
        self.padding = int(config.padding * second)
        self.tape: deque[tuple[int, np.ndarray, np.ndarray]] = deque()   # position, samples, loudness
        self.begin: int | None = None        # of the open segment, padding included
        self.spoken = 0                      # the end of the last speech
        self.free = 0                        # the end of the last segment
        self.loud = False                    # whether the last frame was speech

    def run(self, steps: Iterable[Waveform]) -> Iterator[Segment]:
        past: deque[np.ndarray] = deque(maxlen=PAST)
        ahead: deque[tuple[int, np.ndarray]] = deque()
        position = 0
        for step in steps:
            loudness = _loudness(step.samples, self.rate)
            self.tape.append((position, step.samples, loudness))
            ahead.append((position, loudness))
            position += len(loudness)
            if len(ahead) > AHEAD:
                yield from self._step(past, ahead)
        while ahead:
            yield from self._step(past, ahead)
        if self.begin is not None:
            yield self._cut(self.begin, min(self.spoken + self.padding, position))

    def _step(self, past: deque, ahead: deque) -> Iterator[Segment]:
        """Takes the first step of `ahead`."""
        begins, ends = self._thresholds(past, [loudness for _, loudness in ahead])
        position, loudness = ahead.popleft()
        past.append(loudness)
        for i, speech in enumerate(self._speech(loudness, begins, ends), position):
            if self.begin is not None and i + 1 - self.begin > self.longest:
                yield self._split()
            if speech:
                if self.begin is None:
                    self.begin = max(self.free, i - self.padding)
                self.spoken = i + 1
            elif self.begin is not None and i + 1 - self.spoken >= self.pause:
                yield self._cut(self.begin, self.spoken + self.padding)
                self.begin = None
        self._forget(position + len(loudness))

    def _thresholds(self, past: Iterable[np.ndarray], ahead: list[np.ndarray]) -> tuple[float, float]:
        """The dB at which speech begins, and below which it ends."""
        silence = self.config.silence
        near = np.sort(np.concatenate(ahead))
        near = near[np.searchsorted(near, silence, "right"):]
        wide = np.sort(np.concatenate([*past, near]))
        wide = wide[np.searchsorted(wide, silence, "right"):]
        if not len(wide):
            return silence, silence
        floor = min(row[int(QUIET * len(row))] for row in (near, wide) if len(row))
        margin = max(self.config.margin, min(MOST_MARGIN, MARGIN_SHARE * (wide[int(LOUD * len(wide))] - floor)))
        return max(floor + margin, silence), max(floor + margin / 2, silence)

    def _speech(self, loudness: np.ndarray, begins: float, ends: float) -> list[bool]:
        """Speech goes on until it falls below `ends`."""
        sure = np.where(loudness > begins, 1, np.where(loudness <= ends, 0, -1))
        last = np.maximum.accumulate(np.where(sure >= 0, np.arange(len(sure)), -1))
        speech = np.where(last < 0, self.loud, sure[last] == 1)
        self.loud = bool(speech[-1])
        return speech.tolist()

    def _split(self) -> Segment:
        """Cuts the open segment, which has grown too long, at the quietest tenth of a second of its last third."""
        low, high = self.begin + 2 * self.longest // 3, self.begin + self.longest
        loudness = np.concatenate([row for at, _, row in self.tape if at < high and at + len(row) > low])
        offset = next(at for at, _, row in self.tape if at + len(row) > low)
        power = 10.0 ** (loudness[low - offset:high - offset] / 10.0)
        at = low + int(np.argmin(np.convolve(power, np.ones(5), "valid"))) + 2 if len(power) > 5 else high
        segment = self._cut(self.begin, at)
        self.begin = at if at < self.spoken else None
        return segment

    def _cut(self, begin: int, end: int) -> Segment:
        self.free = end
        low, high = begin * self.frame, end * self.frame
        parts = [samples[max(0, low - at * self.frame):high - at * self.frame] for at, samples, _ in self.tape
                 if at * self.frame < high and (at + STEP) * self.frame > low]
        samples = np.concatenate(parts)
        return Segment(low / self.rate, (low + len(samples)) / self.rate, Waveform(samples, self.rate))

    def _forget(self, now: int) -> None:
        keep = self.begin if self.begin is not None else now - self.padding
        while self.tape and self.tape[0][0] + STEP <= keep:
            self.tape.popleft()
