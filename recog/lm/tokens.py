"""Text to the numbered tokens that an n-gram model is trained on: each line is a sentence."""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from pathlib import Path
from typing import Iterable, Iterator, Sequence

import numpy as np

from ..components import nearest
from ..errors import ConfigError, DataError

UNITS = ("word", "char", "phone", "piece")
UNK, BOS, EOS = 0, 1, 2                       # numbers of the three tokens that every model has
SPECIAL = ("<unk>", "<s>", "</s>")
SPACE = "<space>"                             # how characters write the gap between words


def read_bytes(source: str | Path) -> bytes:
    """The content of a file, of one compressed by gzip, or of standard input ('-'). Raises DataError."""
    try:
        raw = sys.stdin.buffer.read() if str(source) == "-" else Path(source).read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except FileNotFoundError:
        raise DataError("no such file", where=source) from None
    except IsADirectoryError:
        raise DataError("is a folder, not a text file", where=source) from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError("is not readable gzip", where=source, hint="was it cut short?") from None


def read_text(source: str | Path) -> str:
    """A text in UTF-8. Raises DataError that names the line of the first other byte."""
    raw = read_bytes(source)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError("is not UTF-8", where=f"{source}: line {line}", hint="convert it, such as by iconv -t UTF-8") from None


def tokenized(text: str, units: str, pieces: Path | None = None) -> str:
    """The same lines, in which spaces separate tokens: words or phones as they stand, characters, or sentence pieces."""
    if units not in UNITS:
        raise ConfigError(f"unknown units '{units}'{nearest(units, UNITS)}", where="--units")
    if (units == "piece") != (pieces is not None):
        raise ConfigError("--units piece and --pieces MODEL go together")
    if units == "char":
        return "\n".join(" ".join(SPACE if c == " " else c for c in " ".join(line.split())) for line in text.split("\n"))
    if units == "piece":
        return "\n".join(_in_pieces(text.split("\n"), pieces))
    return text


def _in_pieces(lines: Iterable[str], pieces: Path) -> Iterator[str]:
    import sentencepiece

    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    except (OSError, RuntimeError):
        raise DataError("is not a readable sentencepiece model", where=pieces) from None
    for line in lines:
        yield " ".join(model.encode(line, out_type=str))


def sentences(sources: Sequence[str | Path], units: str, pieces: Path | None = None) -> str:
    """All texts one after another; tokens are separated by spaces, sentences end with a newline."""
    return "".join(_ended(tokenized(read_text(source), units, pieces)) for source in sources)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def split(line: str) -> list[str]:
    """The tokens of a line. ASCII white space parts them and no other, as in `numbered`."""
    return re.findall(r"[^\0\t-\r ]+", line)


def numbered(text: str) -> tuple[np.ndarray, list[str]]:
    """Tokens as numbers, each sentence between BOS and EOS [M] int32; and the vocabulary, in order of first appearance.

    An empty line is an empty sentence, as for lmplz. Raises DataError when the text says <unk>, <s> or </s> itself.
    """
    from ..kernels.words import number_words

    head = (" ".join(SPECIAL) + "\n").encode()
    raw = np.frombuffer(head + text.encode(), np.uint8)
    stream, starts, ends, bad = number_words(raw, len(head))
    if bad >= 0:
        line = int(np.count_nonzero(raw[len(head):bad] == 10)) + 1
        raise DataError("the text says <unk>, <s> or </s>, which only a model may", where=f"line {line}",
                        hint="remove these words: each line is a sentence already")
    if not len(stream):
        raise DataError("there is no text to learn from")
    whole = raw.tobytes()
    return stream, [whole[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist())]
