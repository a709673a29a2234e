"""`recog transcribe --stream -`: raw samples from standard input to lines that settle while the sound arrives."""

from __future__ import annotations

import json
import sys
from shutil import get_terminal_size
from typing import Any, BinaryIO, Iterator, TextIO

import numpy as np

from .api import DEFAULT_MODEL, load, options_of
from .audio import sniff
from .errors import ConfigError, DataError
from .formats import FORMATS, render
from .streaming import Partial

PIECE = 1 << 12                  # bytes taken at once at most: an eighth of a second at 16 kHz
DIM, PLAIN, CLEAR = "\033[2m", "\033[0m", "\r\033[K"


def transcribe_stream(names: list[str], model: str | None, format: str, options: dict[str, Any], rate: int | None = None,
                      device: str = "auto", incoming: BinaryIO | None = None, out: TextIO | None = None) -> int:
    """Reads 16-bit little-endian mono samples until their end, or Ctrl-C; gives the exit status.

    On a terminal one line is written over and over, what is not settled yet dim; elsewhere each change is a line, what
    is not settled yet in brackets (as jsonl: objects with settled, tentative and seconds). Then comes the final result.
    """
    if list(names) != ["-"]:
        raise ConfigError("a stream comes from standard input", where="--stream", hint="recog transcribe --stream - < samples.raw")
    if format not in FORMATS:
        raise ConfigError(f"there is no format '{format}'", where="--format", hint="one of " + ", ".join(FORMATS))
    stream = load(model or DEFAULT_MODEL, device).stream(options_of(options), rate)
    stream.name = "stdin"
    incoming, out = incoming or sys.stdin.buffer, out or sys.stdout
    show, before = _shower(format, out), ("", "")
    try:
        for samples in _samples(incoming):
            partial = stream.accept(samples)
            if (partial.settled, partial.tentative) != before:
                before = partial.settled, partial.tentative
                show(partial)
    except KeyboardInterrupt:                # how one stops listening: what was heard is still written
        pass
    if out.isatty() and format == "text":
        out.write(CLEAR)
    out.write(render(stream.finish(), format))
    out.flush()
    return 0


def _samples(incoming: BinaryIO) -> Iterator[np.ndarray]:
    """float32 pieces, as they come; a piece may end within a sample."""
    rest, first = b"", True
    while piece := incoming.read1(PIECE):
        rest += piece
        if first and len(rest) >= 12:
            first = False
            kind = sniff(rest[:12])
            if kind is not None and kind != "MP3":       # raw samples may look like MP3's two bytes
                raise DataError(f"this is a {kind} file, not raw samples", where="standard input",
                                hint="leave out --stream, or send it as ffmpeg -i FILE -f s16le -ac 1 -ar 16000 -")
        if first:
            continue
        whole = len(rest) - len(rest) % 2
        yield _decoded(rest[:whole])
        rest = rest[whole:]
    yield _decoded(rest[:len(rest) - len(rest) % 2])
    if len(rest) % 2:
        print("recog: standard input ended within a sample: is it 16-bit, mono?", file=sys.stderr)


def _decoded(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def _shower(format: str, out: TextIO):
    """A function that shows a Partial."""
    def line(partial: Partial) -> str:
        if format == "jsonl":
            return json.dumps({"settled": partial.settled, "tentative": partial.tentative,
                               "seconds": round(partial.seconds, 3)}, ensure_ascii=False) + "\n"
        if format != "text":
            return ""                        # other formats hold finished transcripts only
        if out.isatty():
            room = get_terminal_size().columns - 1 - len(partial.tentative)      # what does not fit is left out in front
            return f"{CLEAR}{partial.settled[-room:] if room > 0 else ''}{DIM}{partial.tentative}{PLAIN}"
        return partial.settled + (f"[{partial.tentative}]" if partial.tentative else "") + "\n"

    def show(partial: Partial) -> None:
        out.write(line(partial))
        out.flush()
    return show
