"""Transcripts as text, JSON, tables, subtitles, CTM, PAGE-XML and ALTO: pieces of text, as results come."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Callable, Iterable, Iterator

from .errors import RecogError
from .pages import alto_xml, page_xml
from .types import Span, Transcript

CUE_SECONDS = 7.0                # a subtitle stays no longer than can be read at ease,
CUE_LETTERS = 80                 # fits on two lines,
CUE_GAP = 0.8                    # and ends where the speaker pauses

TIMED = ("srt", "vtt", "ctm")    # hold seconds
PLACED = ("page", "alto")        # hold places in an image
SINGLE = {"srt": "the subtitles of one recording", "vtt": "the subtitles of one recording", "page": "one image", "alto": "one image"}
_BREAKS = re.compile(r"[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


def render(transcript: Transcript, format: str) -> str:
    """One transcript as a whole file in `format`."""
    return "".join(render_all([transcript], format))


def render_all(transcripts: Iterable[Transcript], format: str) -> Iterator[str]:
    """Pieces of text that together are one file in `format`, each given as soon as its transcript is there.

    A recording may come as several transcripts in order of time. Raises RecogError for an unknown format, for
    subtitles of more than one recording, and for subtitles or CTM of text without times.
    """
    if format not in FORMATS:
        raise RecogError(f"there is no format '{format}'", hint="choose one of " + ", ".join(FORMATS))
    return FORMATS[format](_checked(transcripts, format))


def check_sources(format: str, sources: Iterable[str]) -> None:
    """Raises RecogError if `format` cannot hold what these sources say in one stream."""
    if format in SINGLE and len(set(sources)) > 1:
        raise RecogError(f"{format} holds {SINGLE[format]}, and there are several", hint="use --output-dir, which writes a file for each")


def _checked(transcripts: Iterable[Transcript], format: str) -> Iterator[Transcript]:
    source = None
    for transcript in transcripts:
        source = transcript.source if source is None else source
        check_sources(format, [source, transcript.source])
        yield transcript


def _text(transcripts: Iterable[Transcript]) -> Iterator[str]:
    for transcript in transcripts:
        yield transcript.text + "\n"


def _jsonl(transcripts: Iterable[Transcript]) -> Iterator[str]:
    for transcript in transcripts:
        yield _object(transcript) + "\n"


def _json(transcripts: Iterable[Transcript]) -> Iterator[str]:
    before = "[\n"
    for transcript in transcripts:
        yield before + _object(transcript)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _object(transcript: Transcript) -> str:
    value = {"id": transcript.id, "source": transcript.source, **_answer(transcript),
             "words": [_span(word) for word in transcript.words],
             "units": [_span(unit) for unit in transcript.units],
             "nbest": [_answer(other) for other in transcript.nbest]}
    return _readable(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _readable(text: str) -> str:
    """File names need not be Unicode, but what is written is."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cell(text: str) -> str:
    """As it stands in a table: on one line, without tabs."""
    return _readable(_BREAKS.sub(" ", text))


def _answer(transcript: Transcript) -> dict[str, Any]:
    return {"text": transcript.text, "score": _rounded(transcript.score, 4),
            "parts": {name: _rounded(part, 4) for name, part in transcript.parts.items()}}


def _span(span: Span) -> dict[str, Any]:
    return {"text": span.text, "start": _rounded(span.start, 3), "end": _rounded(span.end, 3),
            "confidence": _rounded(span.confidence, 4)} | ({} if span.box is None else {"box": [_rounded(edge, 1) for edge in span.box]})


def _rounded(value: float, places: int) -> float | None:
    """None, JSON's null, for what is no finite number."""
    return round(float(value), places) if math.isfinite(value) else None


def _tsv(transcripts: Iterable[Transcript]) -> Iterator[str]:
    for transcript in transcripts:
        yield f"{cell(transcript.id)}\t{cell(transcript.text)}\n"


def _ctm(transcripts: Iterable[Transcript]) -> Iterator[str]:
    for transcript in transcripts:
        name = _readable("_".join(transcript.id.split())) or "-"
        for word in _timed(transcript):
            text = "_".join(word.text.split())
            yield f"{name} 1 {word.start:.3f} {max(0.0, word.end - word.start):.3f} {text} {word.confidence:.4f}\n"


def _srt(transcripts: Iterable[Transcript]) -> Iterator[str]:
    for number, (start, end, text) in enumerate(_cues(transcripts), 1):
        yield f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"


def _vtt(transcripts: Iterable[Transcript]) -> Iterator[str]:
    yield "WEBVTT\n\n"
    for start, end, text in _cues(transcripts):
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n"


def _cues(transcripts: Iterable[Transcript]) -> Iterator[tuple[float, float, str]]:
    """Start and end in seconds, and the text, of each subtitle."""
    for transcript in transcripts:
        cue: list[Span] = []
        for word in _timed(transcript):
            if cue and not _fits(cue, word):
                yield _cue(cue)
                cue = []
            cue.append(word)
        if cue:
            yield _cue(cue)


def _fits(cue: list[Span], word: Span) -> bool:
    letters = sum(len(other.text) + 1 for other in cue) + len(word.text)
    return (letters <= CUE_LETTERS and word.end - cue[0].start <= CUE_SECONDS
            and word.start - cue[-1].end <= CUE_GAP)


def _cue(cue: list[Span]) -> tuple[float, float, str]:
    text = " ".join(" ".join(word.text.split()) for word in cue).replace("-->", "->")
    return cue[0].start, max(cue[-1].end, cue[0].start + 0.001), text


def _timed(transcript: Transcript) -> Iterator[Span]:
    if transcript.text.strip() and not transcript.words:
        raise RecogError("the words have no times", where=transcript.id, hint="use --format text or jsonl")
    return (word for word in transcript.words if word.text.strip())


def _clock(seconds: float, point: str) -> str:
    total = max(0, round(seconds * 1000))
    return f"{total // 3600000:02}:{total // 60000 % 60:02}:{total // 1000 % 60:02}{point}{total % 1000:03}"


FORMATS: dict[str, Callable[[Iterable[Transcript]], Iterator[str]]] = {
    "text": _text, "json": _json, "jsonl": _jsonl, "tsv": _tsv, "srt": _srt, "vtt": _vtt, "ctm": _ctm, "page": page_xml, "alto": alto_xml}
SUFFIX = {name: f".{name}" for name in FORMATS} | {"text": ".txt", "page": ".page.xml", "alto": ".alto.xml"}      # for --output-dir
