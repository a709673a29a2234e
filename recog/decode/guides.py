"""What guides a search, of what its settings ask for and its model has: a lexicon, a language model, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from ..errors import ConfigError
from ..lm.tokens import SPACE
from ..text import Units
from .language import Language
from .lexicon import build

if TYPE_CHECKING:
    from ..lm.ngram import Ngram
    from .ctc_beam import CtcBeamConfig


def guides(config: CtcBeamConfig, units: Units, words: Sequence[str], lm: Ngram | None) -> dict[str, Any]:
    """The arguments of a beam search. Raises ConfigError when the model has not what is asked for, or it does not fit.

    A language model that knows all units reads units; any other reads words, as the lexicon spells them. Without a lexicon
    these are the words that it knows, and any other sequence of units between spaces is an unknown word.
    """
    if config.lm and lm is None:
        raise ConfigError("this model has no language model", where="decoder.lm", hint="give one with --lm, or decode without it")
    tokens = [SPACE if symbol == " " else symbol for symbol in units.symbols]
    reads_units = config.lm and not any(lm.id(token) == lm.unk for token in tokens[1:])
    known = _spellings(units, words if config.lexicon else [] if lm is None else lm.words, config.lexicon)
    lexicon = None
    if config.lexicon or (config.lm and not reads_units):
        lexicon = build(known, units.symbols, closed=config.lexicon)
    if not config.lm:
        return {"lexicon": lexicon}
    if reads_units:
        return {"lexicon": lexicon, "language": Language.of_units(lm, tokens)}
    number = {symbol: i for i, symbol in enumerate(units.symbols)}
    meant = {tuple(number[symbol] for symbol in spelling): word for spelling, word in known.items()}
    if all(lm.id(word) == lm.unk for word in meant.values()):
        raise ConfigError(f"the language model knows neither these {units.kind} units nor a word that they spell", where="decoder.lm",
                          hint="was it trained on other units (recog lm train --units)?")
    return {"lexicon": lexicon, "language": Language.of_words(lm, lexicon, meant)}


def _spellings(units: Units, words: Sequence[str], needed: bool) -> dict[tuple[str, ...], str]:
    """How words are written in units, and the word that is then written for it. `needed`: refuse what has no spelling."""
    if units.lexicon:
        found: dict[tuple[str, ...], str] = {}
        for word, ways in units.lexicon.items():
            for way in ways:
                found.setdefault(way, word)
        return found
    if units.kind == "char" and (words or not needed):
        symbols = set(units.symbols[1:]) - {" "}
        return {tuple(word): word for word in words if needed or set(word) <= symbols}
    if needed:
        raise ConfigError("this model has no lexicon", where="decoder.lexicon", hint="decode without it")
    return {}
