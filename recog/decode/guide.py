"""What guides a search besides the network: bonuses, a lexicon, a language model, phrases to listen for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterable, Mapping, Sequence

import numpy as np

from ..errors import ConfigError
from ..kernels.roles import INSIDE, OPENS
from ..lm.tokens import SPACE
from ..text import Units
from . import phrases as listening
from .lexicon import Alphabet, Lexicon, Spelling, build
from .phrases import Phrases

if TYPE_CHECKING:
    from ..kernels.fusion import Fusion
    from ..lm.binary import Binary
    from ..lm.ngram import Ngram
    from ..lm.rnn import Rnn


MOST = 100_000               # prefixes in a beam
HUGE = 1e6                   # nats: beyond it sums lose what they are of


@dataclass(frozen=True)
class GuideConfig:
    """The settings that all beam searches share."""

    beam: int = 16                            # prefixes kept after each frame
    nbest: int = 1                            # hypotheses returned, at most
    length_bonus: float = 0.0                 # nats per unit, against short answers
    lexicon: bool = False                     # write only words that the model was trained on
    word_bonus: float = 0.0                   # nats per word; below 0: rather few long words than many short
    lm: bool = False                          # ask the model's language model
    lm_weight: float = 1.0                    # what its nats count
    unknown: float = 0.0                      # nats that a word which it does not know costs beside its probability
    boost: float = 1.5                        # nats for each letter of the phrases that it is told to listen for

    def __post_init__(self):
        if not 1 <= self.beam <= MOST:
            raise ValueError(f"beam must be at least 1, and at most {MOST:,}")
        if not 1 <= self.nbest <= self.beam:
            raise ValueError(f"nbest must be from 1 to beam ({self.beam})")
        for name in ("length_bonus", "word_bonus", "boost", "lm_weight", "unknown"):
            if not abs(getattr(self, name)) <= HUGE:
                raise ValueError(f"{name} must be finite, and from {-HUGE:g} to {HUGE:g}")
        if self.word_bonus and not (self.lexicon or self.lm):
            raise ValueError("word_bonus needs lexicon = true or lm = true")
        if min(self.lm_weight, self.unknown) < 0:
            raise ValueError("lm_weight and unknown must be at least 0")


@dataclass(frozen=True, eq=False)
class Language:
    """A language model, and what its words are in terms of a search."""

    model: Ngram | Rnn | Binary               # a network reads units
    numbers: np.ndarray                       # int32: of each unit [V], or of the word that each state of the lexicon spells [S]
    reads_units: bool

    @property
    def asked(self) -> bool:
        """Whether compiled code cannot read the model itself."""
        return not hasattr(self.model, "automaton")

    def ahead(self, lexicon: Lexicon, weight: float, unknown: float) -> np.ndarray:
        """What the likeliest word that may come of each state costs by itself, [S] nats: look-ahead in the trie, as smearing.

        A prefix is charged for it at once, and gets it back when the word is known: so it is not until words end that a narrow
        beam learns what they cost. In the end it changes no score.
        """
        single, other = weight * self.model.alone.astype(np.float64), self.model.unk
        costs = np.full(len(lexicon.next), -np.inf if lexicon.closed else single[other] - unknown)
        ends = np.fromiter(lexicon.ends.values(), int)
        words = self.numbers[ends]
        costs[ends] = np.maximum(costs[ends], single[words] - unknown * (words == other))
        for states in reversed(lexicon.levels()):
            np.maximum.at(costs, lexicon.parents[states], costs[states])
        begun = np.flatnonzero(lexicon.parents[:2] < 0)                           # no word yet
        costs[begun], costs[np.isneginf(costs)] = 0.0, 0.0
        return costs


@dataclass(frozen=True, eq=False)
class Guide:
    """Without any of the three, only bonuses are given. A language model of words needs a lexicon."""

    config: GuideConfig
    alphabet: Alphabet
    lexicon: Lexicon | None = None
    language: Language | None = None
    phrases: Phrases | None = None

    def fusion(self) -> Fusion:
        """The same for compiled code."""
        from ..kernels import fusion

        config, language, phrases, V = self.config, self.language, self.phrases, len(self.alphabet.roles)
        none, nothing = np.zeros(1), np.zeros((1, V), np.int32)
        ahead, inside, between = none, 0.0, 0.0                  # ... and what a unit in a word, and one between words, can gain at most
        if phrases is not None:
            whole = self.alphabet.roles != INSIDE
            gains = phrases.hopes[phrases.next] - phrases.hopes[:, None] + np.where(whole, phrases.kept[:, None], 0.0)
            inside, between = (max(0.0, float(gains[:, columns].max(initial=0.0))) for columns in (~whole, whole))
        if language is not None and not language.reads_units:
            ahead = language.ahead(self.lexicon, config.lm_weight, config.unknown)
            ends = self.lexicon.final
            between += max(0.0, float((-config.unknown * (language.numbers == language.model.unk) - ahead)[ends].max(initial=0.0)))
            within = np.flatnonzero(self.alphabet.roles == INSIDE)
            after = self.lexicon.next[:, within]
            inside += max(0.0, float(np.where(after >= 0, ahead[after] - ahead[:, None], 0.0).max(initial=0.0)))
        most = config.length_bonus + max(config.word_bonus, 0.0) + max(inside, between)
        model, kind = (None, fusion.NONE) if language is None else (language.model, fusion.WORDS)
        words, end = np.zeros(1, np.int32), -1
        if language is not None:
            kind = {(True, False): fusion.UNITS, (True, True): fusion.ROWS, (False, True): fusion.ENDS}.get((language.reads_units, language.asked), kind)
            words, end = language.numbers, model.eos
            if kind == fusion.ROWS and not hasattr(model, "follow"):             # rows in the order of the network's own units
                words, end = np.arange(V, dtype=np.int32), V
        return fusion.Fusion(
            self.alphabet.roles, most, inside, float(config.length_bonus), float(config.word_bonus),
            nothing if self.lexicon is None else self.lexicon.next, kind, float(config.lm_weight), float(config.unknown),
            words, ahead, -1 if model is None else model.unk, end,
            fusion.no_model() if model is None or language.asked else model.automaton, np.zeros((0, 0), np.float32),
            *((nothing, none, none) if phrases is None else (phrases.next, phrases.hopes, phrases.kept)))

    def start(self) -> int:
        """The language model's state before the first unit."""
        return 0 if self.language is None or self.language.asked else self.language.model.start()

    def parts(self, units: Sequence[int]) -> dict[str, float]:
        """The parts of a whole answer's score that are not acoustic, nats; length: the bonuses of units and words."""
        earned = {"lm": self._said(units), "length": self.config.length_bonus * len(units) + self.config.word_bonus * self._words(units)}
        return earned if self.phrases is None else {**earned, "phrases": self.phrases.gain(units, self.alphabet.roles)}

    def cut(self, units: np.ndarray) -> np.ndarray:
        """Without the word at the end that is none: all that is left to a beam too narrow for a whole one."""
        final = self.lexicon.final[self.lexicon.states(units)]
        return units[:max(np.flatnonzero(final), default=0)]

    def wholes(self, units: Sequence[int]) -> list[int]:
        """How many units the beginnings have after which a word is whole; with a lexicon, more may then follow."""
        roles = self.alphabet.roles
        return [n for n in range(len(units) + 1)
                if n == 0 or (roles[units[n - 1]] not in (INSIDE, OPENS)) or (n < len(units) and roles[units[n]] == OPENS)]

    def _words(self, units: Sequence[int]) -> int:
        roles, before = self.alphabet.roles, [0, *units]
        return sum(roles[unit] == OPENS or (roles[unit] == INSIDE and roles[last] not in (INSIDE, OPENS))
                   for last, unit in zip(before, units))

    def _said(self, units: Sequence[int]) -> float:
        """What the language model gives to each of the words (or units), and to the end."""
        if self.language is None:
            return 0.0
        model, numbers, roles = self.language.model, self.language.numbers, self.alphabet.roles
        if self.language.reads_units:
            said = [int(numbers[unit]) for unit in units]
        else:
            spelled = self.lexicon.states(units)
            ends = [n for n, unit in enumerate(units) if roles[unit] != INSIDE] + [len(units)]
            said = [int(numbers[spelled[n]]) for n in ends if spelled[n] != 0]
        unknown = 0.0 if self.language.reads_units else self.config.unknown * said.count(model.unk)
        return self.config.lm_weight * model.total(said) - unknown


def guide(config: GuideConfig, units: Units, words: Sequence[str] = (), lm: Ngram | Rnn | Binary | None = None,
          phrases: Mapping[str, float] | None = None) -> Guide | None:
    """What these settings ask for; None when that is nothing. Raises ConfigError when the model has not what is asked for, or
    it does not fit.

    A language model that knows all units reads units; any other reads words, as the lexicon spells them. Without a lexicon
    these are the words that it knows, and any other sequence of units between spaces is an unknown word.
    words: the model's lexicon. phrases: what to listen for, and the factor of `boost` that each gains; a lexicon learns their words.
    """
    if config.lm and lm is None:
        raise ConfigError("this model has no language model", where="decoder.lm", hint="give one with --lm, or decode without it")
    if not (config.lexicon or config.lm or phrases):
        return None
    alphabet, lexicon, language, automaton = Alphabet.of(units), None, None, None
    tokens = [SPACE if symbol == " " else symbol for symbol in units.symbols]
    unknown = [token for token in tokens[1:] if config.lm and not lm.knows(token)]
    reads_units = config.lm and not unknown
    if config.lm and unknown and lm.knows(SPACE):
        raise ConfigError(f"the language model reads characters, and does not know {', '.join(unknown[:5])}, which this model writes",
                          where="decoder.lm", hint="train it on a text that has them all")
    if config.lexicon or (config.lm and not reads_units):
        spellings = _spellings(units, words, phrases or ()) if config.lexicon else _spelled(units, lm.words)
        lexicon = build(spellings, alphabet, closed=config.lexicon)
    if reads_units:
        language = Language(lm, np.array([lm.id(token) for token in tokens], np.int32), True)
    elif config.lm:
        language = _of_words(lm, lexicon, spellings, units)
    if phrases:
        automaton = listening.build({way: config.boost * factor for phrase, factor in phrases.items()
                                     for way in listening.spell(phrase, units)}, alphabet)
    return Guide(config, alphabet, lexicon, language, automaton)


def _of_words(lm: Ngram, lexicon: Lexicon, spellings: Mapping[Spelling, str], units: Units) -> Language:
    numbers = np.full(len(lexicon.next), lm.unk, np.int32)
    for spelling, state in lexicon.ends.items():
        numbers[state] = lm.id(spellings[spelling])
    if (numbers == lm.unk).all():
        raise ConfigError(f"the language model knows neither these {units.kind} units nor a word that they spell", where="decoder.lm",
                          hint="was it trained on other units (recog lm train --units)?")
    return Language(lm, numbers, False)


def _spellings(units: Units, words: Sequence[str], phrases: Iterable[str]) -> dict[Spelling, str]:
    """How the words of the model's lexicon are spelled, and those of the phrases; the word that is then written for it."""
    if not units.lexicon and (units.kind not in ("char", "piece") or not words):
        raise ConfigError("this model has no lexicon", where="decoder.lexicon", hint="decode without it")
    return _spelled(units, [*words, *(word for phrase in phrases for word in phrase.split())])


def _spelled(units: Units, words: Iterable[str]) -> dict[Spelling, str]:
    if units.kind in ("char", "piece"):
        return {tuple(word): word for word in words}
    found: dict[Spelling, str] = {}
    for word, ways in (units.lexicon or {}).items():
        for way in ways:
            found.setdefault(way, word)
    return found
