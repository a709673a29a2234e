"""Characters that a model can write, and what stands for those that it cannot."""

from __future__ import annotations

import unicodedata
from typing import Sequence

from ..errors import ConfigError

INSTEAD = {"\u2018": "'", "\u2019": "'", "`": "'", "\u00b4": "'", "\u201c": '"', "\u201d": '"', "\u00ab": '"', "\u00bb": '"', "\u2013": "-", "\u2014": "-",
           "\u2212": "-", "_": "-", "~": "-", "\u2026": "...", "\u00d7": "x", "\u20ac": "EUR ", "$": "USD ", "\u00a3": "GBP ", "@": " at ", "=": " is ",
           "\u00df": "ss", "\u00e6": "ae", "\u00c6": "Ae", "\u0153": "oe", "\u0152": "Oe", "\u00f8": "o", "\u00d8": "O", "\u0142": "l", "\u0141": "L",
           "\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue", "\u00c4": "Ae", "\u00d6": "Oe", "\u00dc": "Ue", "{": "(", "}": ")", "<": "(", ">": ")", "|": "/",
           "\\": "/", "^": "'", "\u00b0": " degrees", "\u00bd": "1/2", "\u00bc": "1/4", "\u00be": "3/4", "\u00a7": "section ", "\t": " ", "\u00a0": " "}


def checked(text: str, symbols: Sequence[str], transliterate: bool | None = None, where: str = "the text") -> str:
    """The text in characters that the model knows, lines kept apart. Raises ConfigError naming the others and what could stand for them.

    transliterate: write these instead; None: that is no choice here.
    """
    known, written, unknown = {*symbols, "\n"}, [], {}
    text = unicodedata.normalize("NFC", text)                        # an accent that stands alone belongs to the letter before it
    for character in text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "):
        if character in known:
            written.append(character)
            continue
        if unicodedata.category(character) == "Cf":                  # invisible: it says where words may be broken or joined
            continue
        other = replacement(character, known)
        if other is None or not transliterate:
            unknown.setdefault(character, other)
        else:
            written.append(other)
    if unknown:
        named = ", ".join(f"{_name(c)}" + (f" (as '{other.strip()}')" if other else "") for c, other in list(unknown.items())[:5])
        instead = "--transliterate writes others in their place" if transliterate is not None and all(unknown.values()) else "leave it out"
        raise ConfigError(f"holds what this model cannot write: {named}", where=where, hint=instead)
    return "\n".join(" ".join(line.split()) for line in "".join(written).split("\n"))


def replacement(character: str, known: set[str]) -> str | None:
    """What could stand for it: the letter without its accent, or a word; None if nothing could."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    for other in (INSTEAD.get(character), plain, INSTEAD.get(plain)):
        if other and set(other) <= known:
            return other
    return None


def _name(character: str) -> str:
    return f"'{character}'" if character.isprintable() else f"U+{ord(character):04X}"
