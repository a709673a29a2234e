"""What a run has decoded, for NIST's scoring tools: .trn (text and id), .stm (what was said, and when), .ctm (what was heard, and when)."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterable, Mapping

from .files import write_text
from .text import Units
from .transcripts import read_transcripts
from .types import Hypothesis, Span, Utterance

Fold = Callable[[list[str]], list[str]]


def stm(utterances: Iterable[Utterance], seconds: Mapping[str, float]) -> str:
    """One line an utterance: id, channel, speaker, start, end, text. Times count from the start of the utterance."""
    return "".join(f"{_name(u.id)} 1 {_name(u.speaker) or '-'} 0.000 {seconds[u.id]:.3f} {u.text}\n" for u in utterances)


def ctm(answers: Mapping[str, Hypothesis], units: Units, seconds: Callable[[int], float]) -> str:
    """One line a word (or phone): id, channel, start, duration, word, confidence. seconds: when a frame begins."""
    lines = []
    for id, found in answers.items():
        spans = [Span(units.symbols[unit], seconds(start), seconds(end), sure)
                 for unit, (start, end), sure in zip(found.units, found.spans, found.confidence)]
        lines += [f"{_name(id)} 1 {word.start:.3f} {word.end - word.start:.3f} {_name(word.text)} {word.confidence:.4f}\n"
                  for word in units.words(spans) if word.text.strip()]
    return "".join(lines)


def export(decoded: Path, out: Path, fold: Fold | None = None) -> None:
    """From a split's folder of decoded texts: .trn of each, and its .stm and .ctm; folded, where phones are."""
    fold = fold or list
    for path in sorted(decoded.glob("*.tsv")):
        texts = read_transcripts(path)
        write_text(out / f"{path.stem}.trn", "".join(f"{' '.join([*fold(text.split()), f'({_name(id)})'])}\n" for id, text in texts.items()))
    for path in sorted(decoded.glob("*.stm")):
        write_text(out / path.name, "".join(_folded(line, 5, None, fold) for line in path.read_text(encoding="utf-8").splitlines()))
    for path in sorted(decoded.glob("*.ctm")):
        write_text(out / path.name, "".join(_folded(line, 4, 5, fold) for line in path.read_text(encoding="utf-8").splitlines()))


def _folded(line: str, first: int, last: int | None, fold: Fold) -> str:
    """The line with its words from `first` to `last` folded; '' if none is left of a line that is about one word."""
    words = line.split()
    text = fold(words[first:last])
    return "" if last is not None and not text else " ".join([*words[:first], *text, *(words[last:] if last else [])]) + "\n"


def _name(text: str) -> str:
    return "_".join(text.split())
