"""Text to handwriting, from Python and from the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import numpy as np

from . import ink as inks
from . import modeldir, writingmodel
from .alignment import log_probs_of
from .api import load
from .decode import decode
from .decode.greedy import Greedy
from .errors import ConfigError, DataError
from .files import write_text
from .lm.tokens import read_text
from .reading import line_of_ink, medium
from .types import Ink
from .writing import gcode, gif, page, styles, svg
from .writing.writer import Page, Reader, WriteOptions, write, write_freely
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


def synthesize_files(text: str | None, output: Path, model: str, style: str | None, samples: int, check: bool, reader: str, options: dict[str, Any],
                     nib: bool, animate: bool, free: int | None, force: bool) -> int:
    """`recog synthesize`: gives the exit status. Nothing is written when something is wrong. free: points of a line without a text."""
    save = _writer_of(output, nib, animate)
    if (text is None) == (free is None):
        raise ConfigError("says nothing of what to write" if free is None else "takes no text", where="synthesize" if free is None else "--free",
                          hint="give a text, a .txt file or -" if free is None else "")
    if output.exists() and not force:
        raise ConfigError("is there already", where=output, hint="--force writes it anew")
    if not output.parent.is_dir():
        raise ConfigError("there is no such folder", where=output.parent)
    if not 1 <= samples <= 100:
        raise ConfigError("must be from 1 to 100", where="--samples")
    chosen = options_of(options)
    writer = writingmodel.load(modeldir.locate(model))
    if free is not None:
        pages = [write_freely(writer, replace(chosen, seed=chosen.seed + number), free) for number in range(samples)]
        save(sheet(pages, writer), pages)
        return 0
    followed = styles.find(style) if style is not None else None
    text = read_text("-") if text == "-" else read_text(text) if Path(text).suffix == ".txt" and Path(text).is_file() else text
    read = reading(reader) if check else None
    pages = [write(writer, text, replace(chosen, seed=chosen.seed + number), followed, read) for number in range(samples)]
    save(sheet(pages, writer), pages)
    for line in (line for each in pages for line in each.lines):
        if line.error > max(POOR, chosen.errors):
            print(f"recog: '{line.text}' was read as '{line.read}'" if line.read is not None else f"recog: '{line.text}' was not written to its end",
                  file=sys.stderr)
    return 0


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
    strokes = [{name: [round(value, 3) for value in column] for name, column in zip("xyt", stroke.T.tolist())} for stroke in ink.strokes]
    write_text(output, json.dumps({"lines": lines, "strokes": strokes}, ensure_ascii=False) + "\n")


# -- styles ---------------------------------------------------------------------------------------------


def add_style(source: Path, text: str, name: str | None, model: str, force: bool) -> tuple[str, int]:
    """`recog style add`: what is said of it, and the exit status: 0 also where the network did not follow, which is then said."""
    writer = writingmodel.load(modeldir.locate(model))
    target, (well, at, letters) = styles.add(source, text, name, force, writer)
    said = f"{target.stem}: in {target}; the window came to character {at} of {letters}"
    return said + ("" if well else ": the model did not follow. Does the text say what is written, all of it?"), 0


def list_styles() -> str:
    rows = [f"{name:16} {'comes with recog' if path.parent == styles.SHIPPED else path}" for name, path in sorted(styles.available().items())]
    return "\n".join(rows) if rows else "no styles yet: recog style add FILE --text \"...\" keeps one"


def show_style(name: str, output: Path | None, force: bool) -> str:
    style = styles.find(name)
    if output is not None:
        if output.exists() and not force:
            raise ConfigError("is there already", where=output, hint="--force writes it anew")
        inks.write(style.ink, output)
    return f"{style.name}: {style.text}\n{len(style.ink.strokes)} strokes, {len(style.ink.points)} points"


def compare_style(name: str, text: str, output: Path, model: str, options: dict[str, Any], force: bool) -> None:
    """A picture of a style's own ink, and below it the text in that style."""
    save, style = _writer_of(output, False, False), styles.find(name)
    if output.exists() and not force:
        raise ConfigError("is there already", where=output, hint="--force writes it anew")
    writer = writingmodel.load(modeldir.locate(model))
    points = styles.offsets(style.ink, writer)
    own = page.timed(points * (*writer.model.scale.tolist(), 1.0))
    drawn = write(writer, text, options_of(options), style)
    above = Page((), page.together([own], writer.height, np.random.default_rng(0)))
    save(sheet([above, drawn], writer), [drawn])
