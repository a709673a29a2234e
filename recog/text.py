"""Units: how text becomes numbers and numbers become text. Number 0 is always the blank."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Literal, Sequence

from .errors import ConfigError, DataError, ModelError
from .files import read_json, write_json
from .types import Span

BLANK = "<blank>"
_SPACE = "\u2581"                    # sentencepiece's mark for the start of a word


@dataclass(frozen=True)
class UnitsConfig:
    """What the model writes, learned from the training transcripts."""

    kind: Literal["char", "phone", "word", "piece"] = "char"
    size: int = 500                  # how many pieces to learn (kind = "piece" only)

    def __post_init__(self):
        if self.size < 2:
            raise ValueError("size must be at least 2")


class Units:
    """An inventory of symbols. `symbols[0]` is the blank."""

    def __init__(self, kind: str, symbols: Sequence[str], pieces: bytes | None = None):
        self.kind, self.symbols = kind, tuple(symbols)
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
        if self.kind == "char":
            return "".join(symbols)
        if self.kind == "piece":
            return "".join(symbols).replace(_SPACE, " ").strip()
        return " ".join(symbols)

    def words(self, units: Sequence[Span]) -> tuple[Span, ...]:
        """Units in their places, joined to words. A word is as sure as the mean of its units."""
        if self.kind in ("phone", "word"):
            return tuple(units)
        groups: list[list[tuple[str, Span]]] = [[]]
        for span in units:
            if span.text[:1] in (" ", _SPACE):
                groups.append([])
            text = span.text.strip(" " + _SPACE)
            if text:
                groups[-1].append((text, span))
        return tuple(Span("".join(text for text, _ in group), group[0][1].start, group[-1][1].end,
                          sum(span.confidence for _, span in group) / len(group))
                     for group in groups if group)

    def save(self, path: Path) -> None:
        write_json(path, {"kind": self.kind, "symbols": list(self.symbols),
                          **({"pieces": base64.b64encode(self._pieces).decode()} if self._pieces is not None else {})})

    @classmethod
    def load(cls, path: Path) -> Units:
        """Raises ModelError when the file is not an inventory."""
        row: Any = read_json(path)
        try:
            pieces = base64.b64decode(row["pieces"], validate=True) if "pieces" in row else None
            if row["kind"] not in ("char", "phone", "word", "piece") or not all(isinstance(symbol, str) for symbol in row["symbols"]):
                raise ValueError("the kind is unknown or a symbol is no text")
            return cls(row["kind"], row["symbols"], pieces)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"is not a list of units: {error}", where=path, hint="was it edited?") from None


def learn(config: UnitsConfig, texts: Iterable[str]) -> Units:
    """The inventory of these training texts, in code-point order."""
    texts = list(texts)
    if config.kind == "piece":
        return _learn_pieces(config.size, texts)
    symbols = sorted({symbol for text in texts for symbol in _split(text, config.kind)})
    if BLANK in symbols:
        raise DataError(f"a transcript holds '{BLANK}', which is the name of the blank")
    return Units(config.kind, [BLANK, *symbols])


def _split(text: str, kind: str) -> list[str]:
    return list(" ".join(text.split())) if kind == "char" else text.split()


def _learn_pieces(size: int, texts: list[str]) -> Units:
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=model, vocab_size=size + 1, bos_id=-1, eos_id=-1, unk_id=0,
            character_coverage=1.0, normalization_rule_name="identity", num_threads=1, minloglevel=2)
    except RuntimeError as error:
        raise ConfigError(f"cannot learn {size} pieces from these texts: {str(error).rsplit('] ', 1)[-1]}",
                          where="units.size", hint="choose fewer pieces") from None
    splitter = _splitter(model.getvalue())
    symbols = [splitter.id_to_piece(i) for i in range(1, splitter.get_piece_size())]
    return Units("piece", [BLANK, *symbols], model.getvalue())


def _splitter(model: bytes) -> Any:
    import sentencepiece

    splitter = sentencepiece.SentencePieceProcessor()
    splitter.LoadFromSerializedProto(model)
    return splitter
