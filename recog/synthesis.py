"""Text to handwriting, from Python and from the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import numpy as np

from . import ink as inks
from . import modeldir, writingmodel
from .alignment import log_probs_of
from .api import load
from .decode import decode
from .decode.greedy import Greedy
from .errors import ConfigError
from .files import write_text
from .ink.frame import around
from .ink.json import written
from .lm.tokens import read_text
from .reading import line_of_ink, medium
from .types import Ink
from .writing import gcode, gif, page, styles, svg
from .writing.writer import POINTS, Page, Reader, WriteOptions, write, write_freely
from .writingmodel import LoadedWriter

HAND, READER = "hand", modeldir.DEFAULTS["ink"]
GCODE = (".gcode", ".nc", ".ngc")
SUFFIXES = (".svg", ".gif", ".png", ".inkml", ".json", *GCODE)
BETWEEN = 2.0                                # lines left empty between the samples of a sheet
POOR = 0.3                                   # of a line's characters read wrongly: it is named


def synthesize(text: str, model: str | Path = HAND, style: str | None = None, check: bool = True, reader: str = READER, **options: Any) -> Page:
    """Handwriting of a text. options: those of `WriteOptions`. Raises ConfigError, DataError or ModelError.

    style: a name of `recog style list`, or a file. check: lines are read back by the recognizer `reader`, and drawn again where they cannot be read.
    """
    writer = writingmodel.load(modeldir.locate(str(model)))
    followed = styles.find(style) if style is not None else None
    return write(writer, text, options_of(options), followed, reading(reader) if check else None)


def options_of(values: dict[str, Any]) -> WriteOptions:
    try:
        return WriteOptions(**values)
    except ValueError as error:
        raise ConfigError(str(error), where="synthesize") from None


def reading(name: str) -> Reader:
    """What a recognizer makes of a line of ink, character by character: no language model helps it."""
    loaded = load(name).loaded
    if medium(loaded) != "ink":
        raise ConfigError("does not read ink", where=name, hint="--reader names a model that does")

    def read(line: Ink) -> str:
        return loaded.units.decode(decode(Greedy(), log_probs_of(loaded, line_of_ink(loaded, line).frames))[0].units)

    return read


@dataclass(frozen=True)
class Order:
    """What `recog synthesize` was asked for. None: an option that was not given."""

    text: str | None
    output: Path
    model: str = HAND
    samples: int = 1
    style: str | None = None
    reader: str | None = None
    check: bool = True
    points: int | None = None                # of a line without a text
    free: bool = False
    nib: bool = False
    animate: bool = False
    force: bool = False

    def checked(self, options: dict[str, Any]) -> WriteOptions:
        """Refuses what is not there, and options that would do nothing."""
        if (self.text is None) != self.free:
            raise ConfigError("takes no text" if self.free else "says nothing of what to write", where="--free" if self.free else "synthesize",
                              hint="" if self.free else "give a text, a .txt file or -")
        idle = {"--points": self.points is not None and not self.free, "--strength": "strength" in options and self.style is None,
                "--reader": self.reader is not None and not self.check}
        if self.free:
            idle |= {"--style": self.style is not None, "--reader": self.reader is not None}
            idle |= {f"--{name}": name in options for name in ("strength", "transliterate", "width", "tries")}
        if unused := [name for name, given in idle.items() if given]:
            raise ConfigError("would do nothing here", where=unused[0], hint="leave it out")
        if not 1 <= self.samples <= 100:
            raise ConfigError("must be from 1 to 100", where="--samples")
        _free_to_write(self.output, self.force)
        return options_of(options)


def synthesize_files(order: Order, options: dict[str, Any]) -> int:
    """`recog synthesize`: gives the exit status. Nothing is written when something is wrong. options: those of `WriteOptions` that were given."""
    save = _writer_of(order.output, order.nib, order.animate)
    chosen = order.checked(options)
    writer = writingmodel.load(modeldir.locate(order.model))
    if order.free:
        pages = [write_freely(writer, each, POINTS if order.points is None else order.points) for each in _seeds(chosen, order.samples)]
    else:
        followed = styles.find(order.style) if order.style is not None else None
        text, read = _text(order.text), reading(order.reader or READER) if order.check else None
        pages = [write(writer, text, each, followed, read) for each in _seeds(chosen, order.samples)]
    save(sheet(pages, writer), pages)
    for line in (line for each in pages for line in each.lines):
        if line.error > max(POOR, chosen.errors):
            print(f"recog: '{line.text}' was read as '{line.read}'" if line.read is not None else f"recog: '{line.text}' was not written to its end",
                  file=sys.stderr)
    return 0


def _seeds(options: WriteOptions, samples: int) -> list[WriteOptions]:
    return [replace(options, seed=options.seed + number) for number in range(samples)]


def _text(given: str) -> str:
    """A text, or that of a .txt file, or what comes on standard input. Raises ConfigError for a file that is not there."""
    if given == "-":
        return read_text("-")
    if Path(given).suffix != ".txt":
        return given
    if Path(given).is_file():
        return read_text(given)
    if len(given.split()) == 1:
        raise ConfigError("there is no such file", where=given)
    return given


def _free_to_write(output: Path, force: bool) -> None:
    if output.exists() and not force:
        raise ConfigError("is there already", where=output, hint="--force writes it anew")
    if not output.parent.is_dir():
        raise ConfigError("there is no such folder", where=output.parent)


def sheet(pages: list[Page], writer: LoadedWriter) -> Ink:
    """Pages one below the other."""
    strokes: list[np.ndarray] = []
    for each in pages:
        down, clock = 0.0, 0.0
        if strokes:
            down = max(s[:, 1].max() for s in strokes) - min(s[:, 1].min() for s in each.ink.strokes) + BETWEEN * writer.height
            clock = strokes[-1][-1, 2] + page.NEWLINE - each.ink.strokes[0][0, 2]
        strokes += [s + (0.0, down, clock) for s in each.ink.strokes]
    return Ink(tuple(strokes))


def _writer_of(output: Path, nib: bool, animate: bool) -> Callable[[Ink, list[Page]], None]:
    """What writes such a file. Raises ConfigError for a suffix that nothing is written as, and for options that would do nothing."""
    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"handwriting is not written as '{suffix}'" if suffix else "has no suffix that says how to write", where=output,
                          hint="end the name in " + ", ".join(SUFFIXES))
    if (nib or animate) and suffix != ".svg":
        raise ConfigError("is for SVG", where="--nib" if nib else "--animate", hint="a GIF moves without it" if suffix == ".gif" else "")
    if suffix == ".svg":
        return lambda ink, pages: svg.write(ink, output, nib, animate)
    if suffix == ".json":
        return lambda ink, pages: _write_json(ink, pages, output)
    writers = {".gif": gif.write} | dict.fromkeys(GCODE, gcode.write)
    return lambda ink, pages: writers.get(suffix, inks.write)(ink, output)


def _write_json(ink: Ink, pages: list[Page], output: Path) -> None:
    """Ink as recog reads it, and beside it what each line should say, how it was read, and how often it was drawn."""
    lines = [{"text": line.text, "read": line.read, "error": round(line.error, 4), "tries": line.tries, "bias": line.bias}
             for each in pages for line in each.lines]
    places = svg.digits(around(ink))
    rounded = tuple(np.column_stack([np.round(stroke[:, :2], places), np.round(stroke[:, 2], 3)]) for stroke in ink.strokes)
    write_text(output, written(Ink(rounded), lines=lines))


# -- styles ---------------------------------------------------------------------------------------------


def add_style(source: Path, text: str, name: str | None, model: str, force: bool) -> str:
    """`recog style add`. A style that the network does not follow is kept too, and that is said."""
    writer = writingmodel.load(modeldir.locate(model))
    target, (well, at, letters) = styles.add(source, text, name, force, writer)
    said = f"{target.stem}: in {target}; the window came to character {at} of {letters}"
    return said + ("" if well else ": the model did not follow. Does the text say what is written, all of it?")


def list_styles() -> str:
    rows = [f"{name:16} {'comes with recog' if path.parent == styles.SHIPPED else path}" for name, path in sorted(styles.available().items())]
    return "\n".join(rows) if rows else "no styles yet: recog style add FILE --text \"...\" keeps one"


def show_style(name: str, output: Path | None, force: bool) -> str:
    style = styles.find(name)
    if output is not None:
        _free_to_write(output, force)
        inks.write(style.ink, output)
    return f"{style.name}: {style.text}\n{len(style.ink.strokes)} strokes, {len(style.ink.points)} points"


def compare_style(name: str, text: str, output: Path, model: str, options: dict[str, Any], force: bool) -> None:
    """A picture of a style's own ink, and below it the text in that style."""
    save, style = _writer_of(output, False, False), styles.find(name)
    _free_to_write(output, force)
    writer = writingmodel.load(modeldir.locate(model))
    points = styles.offsets(style.ink, writer)
    own = page.timed(points * (*writer.model.scale.tolist(), 1.0), writer.height, writer.seconds)
    drawn = write(writer, text, options_of(options), style)
    above = Page((), page.together([own], writer.height, np.random.default_rng(0)))
    save(sheet([above, drawn], writer), [drawn])
