"""`recog lm rescore`: lists of answers in a new order, by what another language model makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterable

from . import textmodel
from .errors import ConfigError, DataError
from .lmfile import open_scorer
from .nbest import oracle, read, rescored, tune, write
from .score import UNITS
from .transcripts import read_transcripts

HUGE = 1e6                                    # nats


def rescore(path: Path, lm: Path, output: Path, weight: float, bonus: float, reference: Path | None, unit: str,
            say: Callable[[str], None] = print) -> None:
    """`recog lm rescore`. reference: weight and bonus are chosen by it, and the given ones left out. Raises DataError."""
    if unit not in UNITS:
        raise ConfigError(f"there is no unit '{unit}'", where="--unit", hint=", ".join(UNITS))
    if not all(abs(value) <= HUGE for value in (weight, bonus)):
        raise ConfigError(f"must be finite, and at most {HUGE:g}", where="--weight and --bonus")
    if output.suffix != ".jsonl" or output.exists():
        raise ConfigError("is there already" if output.exists() else "must end in .jsonl", where=output, hint="choose another name")
    answers = read(path)
    if answers is None:
        raise DataError("holds no lists of answers", where=path, hint="recog transcribe --nbest 20 --format jsonl writes them")
    totals = _totals(lm, {answer.text for found in answers.values() for answer in found})
    if reference is not None:
        texts = read_transcripts(reference)
        before, first = oracle(texts, answers, unit), {id: found[:1] for id, found in answers.items()}
        weight, bonus, after = tune(answers, totals, texts, unit)
        say(f"{unit} errors: first answers {100 * oracle(texts, first, unit)['error_rate']:.2f} %, rescored {100 * after:.2f} %, "
            f"best of {before['answers']} {100 * before['error_rate']:.2f} %")
        say(f"chosen on {reference}: --weight {weight:g} --bonus {bonus:g}")
    write(output, rescored(answers, totals, weight, bonus))
    say(f"{output}: {len(answers)} lists")


def _totals(lm: Path, texts: Iterable[str]) -> dict[str, float]:
    """Natural log of each text's probability by a network's folder, or by an n-gram model of words."""
    wanted = sorted(texts)
    if lm.is_dir():
        return dict(zip(wanted, textmodel.load(lm).totals(wanted)))
    model = open_scorer(lm)
    return {text: float(model.scores(text.split()).sum()) for text in wanted}
