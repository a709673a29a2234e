"""Units: how text becomes numbers and numbers become text. Number 0 is always the blank."""

from __future__ import annotations

import base64
import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Literal, Sequence

from . import pronounce
from .errors import ConfigError, DataError, ModelError
from .files import read_json, write_json
from .pronounce import Pronunciations
from .types import Box, Span

BLANK = "<blank>"
STARTS = "\u2581"                    # sentencepiece's mark for the start of a word


@dataclass(frozen=True)
class UnitsConfig:
    """What the model writes, learned from the training transcripts."""

    kind: Literal["char", "phone", "word", "piece"] = "char"
    size: int = 500                  # how many pieces to learn (kind = "piece" only)
    pieces: Literal["unigram", "bpe"] = "unigram"      # how: the likeliest set, or by joining the commonest pairs
    also: str = ""                   # characters that are among them even if the training texts lack them (kind = "char" only)
    lexicon: str | None = None       # a pronunciation dictionary beside recipe.toml: texts are words, units their phones

    def __post_init__(self):
        if self.size < 2:
            raise ValueError("size must be at least 2")
        if self.also and self.kind != "char":
            raise ValueError('also needs kind = "char"')
        if self.lexicon is not None and self.kind != "phone":
            raise ValueError('lexicon needs kind = "phone"')


class Units:
    """An inventory of symbols. `symbols[0]` is the blank.

    With a lexicon, texts are words and units are phones, with a space between words. A word is encoded as it is
    usually said, and decoded from any way to say it; of words that sound alike, the lexicon's first is written.
    """

    def __init__(self, kind: str, symbols: Sequence[str], pieces: bytes | None = None, lexicon: Pronunciations | None = None):
        self.kind, self.symbols, self.lexicon = kind, tuple(symbols), lexicon
        self._word: dict[tuple[str, ...], str] = {}
        for word, ways in (lexicon or {}).items():
            for phones in ways:
                self._word.setdefault(phones, word)
        self._number = {symbol: i for i, symbol in enumerate(self.symbols)}
        if self.symbols[:1] != (BLANK,) or len(self._number) != len(self.symbols):
            raise ValueError("symbols must start with the blank and be distinct")
        self._pieces, self._splitter = pieces, _splitter(pieces) if pieces is not None else None

    def __len__(self) -> int:
        return len(self.symbols)

    def split(self, text: str) -> list[str]:
        """A text's symbols, known or not."""
        if self.kind == "piece":
            return self._splitter.encode(text, out_type=str)
        if self.lexicon is not None:
            said = [self.lexicon.get(word, ((word,),))[0] for word in text.split()]
            return [phone for i, phones in enumerate(said) for phone in ((" ", *phones) if i else phones)]
        return _split(text, self.kind)

    def encode(self, text: str, where: object = None) -> list[int]:
        """Unit numbers. Raises DataError naming the symbols that the inventory lacks."""
        symbols = self.split(text)
        unknown = sorted({symbol for symbol in symbols if symbol not in self._number or symbol == BLANK})
        if unknown:
            raise DataError(f"{', '.join(map(repr, unknown[:5]))} {'is' if len(unknown) == 1 else 'are'} not among the "
                            f"model's {len(self) - 1} {self.kind} units", where=where)
        return [self._number[symbol] for symbol in symbols]

    def decode(self, numbers: Iterable[int]) -> str:
        symbols = [self.symbols[number] for number in numbers]
        if self.lexicon is not None:
            words = itertools.groupby(symbols, lambda symbol: symbol == " ")
            return " ".join(self._joined(list(word)) for space, word in words if not space)
        if self.kind == "char":
            return "".join(symbols)
        if self.kind == "piece":
            return "".join(symbols).replace(STARTS, " ").strip()
        return " ".join(symbols)

    def knowing(self, more: Pronunciations, where: object = None) -> Units:
        """The same with more words, or more ways to say a word; digits of stress count only if the model's phones have some.

        Raises ConfigError for units that are no phones of words, DataError for a phone that the model lacks.
        """
        if self.lexicon is None:
            raise ConfigError(f"this model writes {self.kind} units, and needs no lexicon to write a new word", where=where)
        if not any(symbol[-1:].isdigit() for symbol in self.symbols):
            more = pronounce.unstressed(more)
        for word, ways in more.items():
            wrong = {phone for way in ways for phone in way} - set(self.symbols[1:])
            if wrong:
                raise DataError(f"the phone '{min(wrong)}' of '{word}' is none of the model's: {' '.join(self.symbols[2:])}", where=where)
        ways = {word: (*self.lexicon.get(word, ()), *more.get(word, ())) for word in (*self.lexicon, *more)}
        return Units(self.kind, self.symbols, lexicon=ways)

    def words(self, units: Sequence[Span]) -> tuple[Span, ...]:
        """Units in their places, joined to words. A word is as sure as the mean of its units."""
        if self.kind in ("phone", "word") and self.lexicon is None:
            return tuple(units)
        spans = [[units[i] for i in group] for group in groups_of([span.text for span in units])]
        return tuple(Span(self._joined([span.text.strip(STARTS) for span in word]), word[0].start, word[-1].end,
                          sum(span.confidence for span in word) / len(word),
                          None if word[0].box is None else Box.around([span.box for span in word])) for word in spans)

    def groups(self, numbers: Sequence[int]) -> list[list[int]]:
        """Which of these units are which word's. Of a space, and of a mark alone that a word starts: no word's."""
        if self.kind in ("phone", "word") and self.lexicon is None:
            return [[i] for i in range(len(numbers))]
        return groups_of([self.symbols[number] for number in numbers])

    def _joined(self, symbols: list[str]) -> str:
        """The word of these units; of phones that are no word in the lexicon, the phones themselves."""
        return "".join(symbols) if self.lexicon is None else self._word.get(tuple(symbols), "-".join(symbols))

    def save(self, path: Path) -> None:
        more: dict[str, Any] = {}
        if self._pieces is not None:
            more["pieces"] = base64.b64encode(self._pieces).decode()
        if self.lexicon is not None:
            more["lexicon"] = {word: [" ".join(phones) for phones in ways] for word, ways in self.lexicon.items()}
        write_json(path, {"kind": self.kind, "symbols": list(self.symbols), **more})

    @classmethod
    def load(cls, path: Path) -> Units:
        """Raises ModelError when the file is not an inventory."""
        row: Any = read_json(path)
        try:
            pieces = base64.b64decode(row["pieces"], validate=True) if "pieces" in row else None
            if row["kind"] not in ("char", "phone", "word", "piece") or not all(isinstance(symbol, str) for symbol in row["symbols"]):
                raise ValueError("the kind is unknown or a symbol is no text")
            lexicon = {word: tuple(tuple(phones.split()) for phones in ways)
                       for word, ways in row["lexicon"].items()} if "lexicon" in row else None
            return cls(row["kind"], row["symbols"], pieces, lexicon)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelError(f"is not a list of units: {error}", where=path, hint="was it edited?") from None


def learn(config: UnitsConfig, texts: Iterable[str], folder: Path = Path()) -> Units:
    """The inventory of these training texts, in code-point order; or of the lexicon, a file in the folder."""
    if config.lexicon is not None:
        lexicon = pronounce.read(folder / config.lexicon)
        phones = {phone for ways in lexicon.values() for way in ways for phone in way}
        return Units(config.kind, [BLANK, " ", *sorted(phones)], lexicon=lexicon)
    if config.kind == "piece":
        return _learn_pieces(config, list(texts))
    symbols = sorted({symbol for text in texts for symbol in _split(text, config.kind)} | set(config.also))
    if BLANK in symbols:
        raise DataError(f"a transcript holds '{BLANK}', which is the name of the blank")
    return Units(config.kind, [BLANK, *symbols])


def groups_of(symbols: Sequence[str]) -> list[list[int]]:
    """The places of each word's units, of symbols with spaces between words or marks at their starts."""
    groups: list[list[int]] = [[]]
    for i, symbol in enumerate(symbols):
        if symbol[:1] in (" ", STARTS):
            groups.append([])
        if symbol.strip(" " + STARTS):
            groups[-1].append(i)
    return [group for group in groups if group]


def _split(text: str, kind: str) -> list[str]:
    return list(" ".join(text.split())) if kind == "char" else text.split()


def _learn_pieces(config: UnitsConfig, texts: list[str]) -> Units:
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=model, vocab_size=config.size + 1, model_type=config.pieces,
            bos_id=-1, eos_id=-1, unk_id=0, character_coverage=1.0, normalization_rule_name="identity", num_threads=1, minloglevel=2)
    except RuntimeError as error:
        raise ConfigError(f"cannot learn {config.size} pieces from these texts: {str(error).rsplit('] ', 1)[-1]}",
                          where="units.size", hint="choose fewer pieces") from None
    splitter = _splitter(model.getvalue())
    symbols = [splitter.id_to_piece(i) for i in range(1, splitter.get_piece_size())]
    return Units("piece", [BLANK, *symbols], model.getvalue())


def _splitter(model: bytes) -> Any:
    import sentencepiece

    splitter = sentencepiece.SentencePieceProcessor()
    splitter.LoadFromSerializedProto(model)
    return splitter
