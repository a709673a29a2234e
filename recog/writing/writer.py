"""Writing that is checked: each line is read back, and drawn again where it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Sequence

import numpy as np

from ..errors import ConfigError
from ..score import distance
from ..types import Ink
from ..writingmodel import LoadedWriter
from . import page, svg
from .alphabet import checked
from .sampler import Wanted, Written, sample
from .styles import Style

CLEARER = 0.25                               # added to the bias with each new try
LONGEST = 400                                # characters in a line
MOST = 100_000                               # characters in a text
POINTS, MOST_POINTS = 700, 20_000            # of a line that nobody dictates: usually, and at most
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
    found: list[Line | None] = [Line("", None, None, 0.0, 0, options.bias) if not line else None for line in lines]
    for attempt in range(options.tries):
        open_ = [n for n, line in enumerate(found) if line is None or line.error > options.errors]
        if not open_:
            break
        bias = options.bias + attempt * CLEARER
        wanted = [_wanted(writer, lines[n], (options.seed, n, attempt), bias, style, options.strength) for n in open_]
        for n, each, drawn in zip(open_, wanted, sample(writer.model, wanted, threads=_threads())):
            line = _judged(lines[n], each, drawn, reader, attempt + 1, bias)
            if found[n] is None or line.error < found[n].error:
                found[n] = line
            found[n] = replace(found[n], tries=attempt + 1)
    rng = np.random.default_rng((options.seed, len(lines)))
    return Page(tuple(found), page.together([line.ink for line in found], writer.height, rng))


def write_freely(writer: LoadedWriter, options: WriteOptions = WriteOptions(), points: int = POINTS) -> Page:
    """A line of so many points that says what the network likes: unconditional prediction (section 4). Raises ConfigError if it reads texts."""
    if writer.model.config.gaussians:
        raise ConfigError("writes texts", where=writer.name, hint="--free is for networks of prediction, such as recipes/handwriting has")
    if not 2 <= points <= MOST_POINTS:
        raise ConfigError(f"must be from 2 to {MOST_POINTS:,}", where="--points")
    drawn = sample(writer.model, [Wanted((), (options.seed,), options.bias, most=points)])[0]
    ink = page.timed(drawn.points)
    return Page((Line("", ink, None, 0.0, 1, options.bias),), page.together([ink], writer.height, np.random.default_rng(options.seed)))


def _wanted(writer: LoadedWriter, text: str, seed: tuple[int, ...], bias: float, style: Style | None, strength: float) -> Wanted:
    if style is None:
        return Wanted(tuple(writer.units.encode(text, where="the text")), seed, bias)
    prime = style.prime(writer, strength)
    return Wanted(tuple(writer.units.encode(f"{prime.text} {text}", where="the text")), seed, bias, prime.points)


def _judged(text: str, wanted: Wanted, drawn: Written, reader: Reader | None, tries: int, bias: float) -> Line:
    given = 0 if wanted.prime is None else len(wanted.prime)
    points = drawn.points[given:]
    if not len(points):
        return Line(text, None, "" if reader else None, 1.0, tries, bias)
    ink = page.timed(points)
    if reader is None:
        reached = int(drawn.looked[-1, :-1].argmax()) + 1
        return Line(text, ink, None, 0.0 if drawn.ended else 1 - reached / (len(wanted.units) + 1), tries, bias)
    read = reader(ink)
    return Line(text, ink, read, min(1.0, distance(list(text), list(read)) / len(text)), tries, bias)


def _threads() -> int:
    import torch

    return torch.get_num_threads()
