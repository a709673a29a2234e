"""The verbs of the command `lm`. Each parses, calls one function and prints; no logic lives here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

lm_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train, describe, score and tune language models.")

Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Text = Annotated[list[str], typer.Argument(metavar="TEXT...", help="Text files, a sentence a line; .gz too; - for standard input.")]
Units = Annotated[str, typer.Option(help="Tokens: word, phone (both stand between spaces), char or piece.")]
Pieces = Annotated[Optional[Path], typer.Option(metavar="MODEL", help="The sentencepiece model, for --units piece.")]


@lm_app.command("train")
def lm_train(
    texts: Text,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new file: .arpa, .arpa.gz, or .bin if KenLM is installed.")],
    order: Annotated[int, typer.Option(help="The longest n-grams.")] = 3,
    units: Units = "word",
    pieces: Pieces = None,
    prune: Annotated[str, typer.Option(metavar='"0 0 1"', help="Drop n-grams that occur at most so often: a number for each order.")] = "",
    discount_fallback: Annotated[bool, typer.Option("--discount-fallback", help="For small texts: fixed discounts if need be.")] = False,
    limit_vocabulary: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Know only the words in this file.")] = None,
    lmplz: Annotated[bool, typer.Option("--lmplz", help="Let KenLM's lmplz do it.")] = False,
    force: Force = False,
) -> None:
    """An n-gram model of texts: modified Kneser-Ney, as KenLM's lmplz estimates it."""
    from recog.lmtool import train

    print(train(texts, output, order, units, pieces, prune, discount_fallback, limit_vocabulary, lmplz, force))


@lm_app.command("info")
def lm_info(model: Annotated[Path, typer.Argument(metavar="LM", help="An ARPA file (.gz too) or KenLM's binary.")]) -> None:
    """A language model's order, counts and words."""
    from recog.lmtool import info

    print(info(model))


@lm_app.command("tune")
def lm_tune(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, exp/RECIPE/NAME, of a model with the ctc head.")],
    lm: Annotated[Path, typer.Argument(metavar="LM", help="An ARPA or binary file of words or of the model's units, or a network's folder.")],
    split: Annotated[str, typer.Option(help="On which split: never a test list.")] = "dev",
    unit: Annotated[str, typer.Option(help="Which errors: word, char or phone.")] = "word",
    beam: Annotated[int, typer.Option(help="Width of the beam.")] = 100,
) -> None:
    """Choose a language model's weight and bonus on a run's log-probabilities, and put it into the run's model."""
    from recog.tuning import tune_run

    print(tune_run(run, lm, split, unit, beam))


@lm_app.command("score")
def lm_score(
    model: Annotated[Path, typer.Argument(metavar="LM", help="An ARPA file (.gz too) or KenLM's binary.")],
    texts: Text,
    units: Units = "word",
    pieces: Pieces = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="First show each token with its log10 probability.")] = False,
) -> None:
    """Perplexity of texts under a language model, with and without unknown words."""
    from recog.lmtool import score

    score(model, texts, units, pieces, tokens)


@lm_app.command("rescore")
def lm_rescore(
    answers: Annotated[Path, typer.Argument(metavar="ANSWERS", help="What transcribe --nbest N --format jsonl wrote.")],
    lm: Annotated[Path, typer.Argument(metavar="LM", help="A folder from recog run recipes/text; or an n-gram model of words.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The lists in their new order (.jsonl).")],
    weight: Annotated[float, typer.Option(help="What the model's nats count.")] = 0.5,
    bonus: Annotated[float, typer.Option(help="Nats for each word.")] = 0.0,
    reference: Annotated[Optional[Path], typer.Option(help="Choose both by these texts: never a test list.")] = None,
    unit: Annotated[str, typer.Option(help="Which errors: word, char or phone.")] = "word",
) -> None:
    """Put lists of answers into a new order by what another language model makes of them."""
    from recog.rescoring import rescore

    rescore(answers, lm, output, weight, bonus, reference, unit)
