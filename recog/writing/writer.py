"""Writing that is checked: each line is read back, and drawn again where it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable

import numpy as np

from ..errors import ConfigError
from ..score import distance
from ..types import Ink
from ..writingmodel import LoadedWriter
from . import page, svg
from .alphabet import checked
from .sampler import Wanted, Written, sample
from .styles import Prime, Style

CLEARER = 0.25                               # added to the bias with each new try
LONGEST = 400                                # characters in a line
MOST = 100_000                               # characters in a text
POINTS, MOST_POINTS = 700, 20_000            # of a line that nobody dictates: usually, and at most
TOGETHER = 64                                # lines that are drawn at once
Reader = Callable[[Ink], str]


@dataclass(frozen=True)
class WriteOptions:
    """How a text is written."""

    bias: float = 0.75                       # 0: as people write, 5: the neatest that it can
    seed: int = 1                            # all that is random follows from it
    width: int = 60                          # characters in a line, at most
    tries: int = 5                           # times that a line which cannot be read is drawn, at most
    errors: float = 0.1                      # share of a line's characters that may be read wrongly
    strength: float = 1.0                    # share of a style's ink that is followed, from its beginning
    transliterate: bool = False              # replace characters that the model cannot write, rather than refuse them

    def __post_init__(self):
        if not 0 <= self.bias <= 100:
            raise ValueError("bias must be from 0 to 100")
        if not 1 <= self.width <= LONGEST or not 1 <= self.tries <= 100:
            raise ValueError(f"width must be from 1 to {LONGEST}, tries from 1 to 100")
        if self.seed < 0:
            raise ValueError("seed must be at least 0")
        if not 0 <= self.errors <= 1 or not 0 < self.strength <= 1:
            raise ValueError("errors must be from 0 to 1, strength above 0 and at most 1")


@dataclass(frozen=True)
class Line:
    """A line of the page as it stands."""

    text: str
    ink: Ink | None                          # None: an empty line
    read: str | None                         # what the reader made of it; None: nobody read it
    error: float                             # characters read wrongly, over those of the text; the share of the text that was left out, if nobody read it
    tries: int
    bias: float                              # with which it was drawn


@dataclass(frozen=True)
class Page:
    lines: tuple[Line, ...]
    ink: Ink

    def svg(self, nib: bool = False, animated: bool = False) -> str:
        """As in recog/writing/svg.py."""
        return svg.drawn(self.ink, nib, animated)

    def _repr_svg_(self) -> str:
        """A notebook shows this."""
        return self.svg()


def write(writer: LoadedWriter, text: str, options: WriteOptions = WriteOptions(), style: Style | None = None, reader: Reader | None = None) -> Page:
    """A text in lines on a page. Raises ConfigError for a text that cannot be written.

    reader: what a line of ink says; without one, lines are only drawn again when their window did not come to the end of the text.
    """
    if not writer.model.config.gaussians:
        raise ConfigError("reads no text: it goes on as it likes", where=writer.name, hint="--free has it write")
    if len(text) > MOST:
        raise ConfigError(f"has {len(text):,} characters", where="the text", hint=f"at most {MOST:,}")
    lines = page.wrapped(checked(text, writer.units.symbols[1:], options.transliterate), options.width)
    prime = None if style is None else style.prime(writer, options.strength)
    found: list[Line | None] = [Line("", None, None, 0.0, 0, options.bias) if not line else None for line in lines]
    for attempt in range(options.tries):
        bias = options.bias + attempt * CLEARER
        open_ = [n for n, line in enumerate(found) if line is None or line.error > options.errors]
        for part in (open_[i:i + TOGETHER] for i in range(0, len(open_), TOGETHER)):
            wanted = [_wanted(writer, lines[n], (options.seed, n, attempt), bias, prime) for n in part]
            for n, each, drawn in zip(part, wanted, sample(writer.model, wanted, threads=_threads())):
                line = _judged(lines[n], each, drawn, writer, reader, attempt + 1, bias)
                best = line if found[n] is None or line.error < found[n].error else found[n]
                found[n] = replace(best, tries=attempt + 1)
    if all(line.ink is None for line in found):
        raise ConfigError("nothing is written: the network takes the text for written already", where=writer.name if style is None else f"style {style.name}",
                          hint="" if style is None else "does its text say all of its ink? --strength 0.5 follows half of it")
    rng = np.random.default_rng((options.seed, len(lines)))
    return Page(tuple(found), page.together([line.ink for line in found], writer.height, rng))


def write_freely(writer: LoadedWriter, options: WriteOptions = WriteOptions(), points: int = POINTS) -> Page:
    """A line of so many points that says what the network likes: unconditional prediction (section 4). Raises ConfigError if it reads texts."""
    if writer.model.config.gaussians:
        raise ConfigError("writes texts", where=writer.name, hint="--free is for networks of prediction, such as recipes/handwriting has")
    if not 2 <= points <= MOST_POINTS:
        raise ConfigError(f"must be from 2 to {MOST_POINTS:,}", where="--points")
    drawn = sample(writer.model, [Wanted((), (options.seed,), options.bias, most=points)])[0]
    ink = page.timed(drawn.points, writer.height, writer.seconds)
    return Page((Line("", ink, None, 0.0, 1, options.bias),), page.together([ink], writer.height, np.random.default_rng(options.seed)))


def _wanted(writer: LoadedWriter, text: str, seed: tuple[int, ...], bias: float, prime: Prime | None) -> Wanted:
    if prime is None:
        return Wanted(tuple(writer.units.encode(text, where="the text")), seed, bias)
    return Wanted(tuple(writer.units.encode(f"{prime.text} {text}", where="the text")), seed, bias, prime.points)


def _judged(text: str, wanted: Wanted, drawn: Written, writer: LoadedWriter, reader: Reader | None, tries: int, bias: float) -> Line:
    points = drawn.points if wanted.prime is None else drawn.points[len(wanted.prime):]
    if len(points) <= (wanted.prime is None):
        return Line(text, None, "" if reader else None, 1.0, tries, bias)
    ink = page.timed(points, writer.height, writer.seconds)
    if reader is None:
        come = int(drawn.looked[-1].argmax()) + 1 - (len(wanted.units) - len(text))          # so many of the line's own characters
        return Line(text, ink, None, 0.0 if drawn.ended else 1 - max(0, come) / (len(text) + 1), tries, bias)
    read = reader(ink)
    return Line(text, ink, read, min(1.0, distance(list(text), list(read)) / len(text)), tries, bias)


def _threads() -> int:
    import torch

    return torch.get_num_threads()
