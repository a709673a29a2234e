"""Lists of the best answers: how good the best of each is, and another order by another language model."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence, TypeVar

from .errors import DataError
from .files import write_text
from .score import Fold, distance, error_rate, tokenize
from .transcripts import check_same_ids, read_transcripts
from .types import Transcript

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0)      # of another model's nats
BONUSES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)                      # nats for each word


@dataclass(frozen=True)
class Answer:
    text: str
    score: float                              # natural log, the sum of the parts
    parts: Mapping[str, float]


Answers = dict[str, list[Answer]]             # by id, best first
T = TypeVar("T", Answer, Transcript)


def once(answers: Iterable[T]) -> Iterator[T]:
    """Each text once, as the first answer has it: a word may be spelled, or cut in pieces, in several ways."""
    seen: set[str] = set()
    for answer in answers:
        if answer.text not in seen:
            seen.add(answer.text)
            yield answer


def read(path: Path) -> Answers | None:
    """From a .jsonl file of `recog transcribe --nbest` or `recog run`; None where no row holds more than one answer. Raises DataError."""
    if path.suffix.lower() != ".jsonl":
        return None
    found: Answers = {id: [] for id in read_transcripts(path)}         # raises for what is no such file
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            row: dict[str, Any] = json.loads(line)
            found[row["id"].strip()] = _answers(row, path, number)
    return found if any(len(answers) > 1 for answers in found.values()) else None


def _answers(row: dict[str, Any], path: Path, number: int) -> list[Answer]:
    """Those of one row, each text once; where it has no list, its own."""
    answers = []
    for listed in row.get("nbest") or [{"score": 0.0, "parts": {}, **row}]:
        try:
            text, parts = listed["text"], {str(name): float(part) for name, part in listed["parts"].items()}
            answer = Answer(text, float(listed["score"]), parts)
            text.encode("utf-8")
            if not all(map(math.isfinite, [answer.score, *parts.values()])):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise DataError(f"line {number}: an answer has no text, score and parts", where=path) from None
        answers.append(answer)
    return list(once(answers))


def write(path: Path, answers: Mapping[str, Sequence[Answer]]) -> None:
    def plain(answer: Answer) -> dict[str, Any]:
        return {"text": answer.text, "score": round(answer.score, 4), "parts": {name: round(part, 4) for name, part in answer.parts.items()}}

    rows = ({"id": id, **plain(found[0]), "nbest": [plain(answer) for answer in found]} for id, found in answers.items())
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def oracle(references: Mapping[str, str], answers: Mapping[str, Sequence[Answer]], unit: str, fold: Fold | None = None) -> dict[str, Any]:
    """The error rate if of each list the best answer were chosen, by one who knows; and how many answers the longest list has."""
    check_same_ids(references, answers)

    def tokens(text: str) -> list[str]:
        return fold(tokenize(text, unit)) if fold else tokenize(text, unit)

    errors = total = 0
    for id, reference in references.items():
        wanted = tokens(reference)
        errors += min(distance(wanted, tokens(answer.text)) for answer in answers[id])
        total += len(wanted)
    return {"error_rate": errors / total if total else 0.0, "errors": errors, "answers": max(map(len, answers.values()))}


def rescored(answers: Answers, totals: Mapping[str, float], weight: float, bonus: float) -> Answers:
    """In a new order: to each score is added `weight` times the text's total, nats, and `bonus` for each of its words."""
    def again(answer: Answer) -> Answer:
        gain = weight * totals[answer.text] + bonus * len(answer.text.split())
        return replace(answer, score=answer.score + gain, parts={**answer.parts, "rescored": answer.parts.get("rescored", 0.0) + gain})

    return {id: sorted(map(again, found), key=lambda answer: -answer.score) for id, found in answers.items()}


def tune(answers: Answers, totals: Mapping[str, float], references: Mapping[str, str], unit: str, fold: Fold | None = None) -> tuple[float, float, float]:
    """The weight and bonus by which the first answers err least, and that error; of equal ones the smallest."""
    ids = list(references)

    def error(pair: tuple[float, float]) -> float:
        chosen = rescored(answers, totals, *pair)
        return error_rate([references[id] for id in ids], [chosen[id][0].text for id in ids], unit, fold)

    best = min(itertools.product(WEIGHTS, BONUSES), key=lambda pair: (error(pair), pair[0], abs(pair[1])))
    return (*best, error(best))
