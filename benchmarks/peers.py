"""Other CTC decoders, as they are called: each takes log-probabilities [T, V] and gives a text. Missing ones say why."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Callable

import numpy as np

from .heard import SYMBOLS

Contestant = Callable[[list[np.ndarray]], list[str]]
LN10 = float(np.log(10))
PYCTCDECODE = "PYCTCDECODE_PYTHON"               # a Python that has pyctcdecode, which wants another numpy


def flashlight(beam: int, arpa: Path | None = None, words: list[str] | None = None, weight: float = 0.0, bonus: float = 0.0) -> Contestant:
    """With a language model it writes only words of its lexicon."""
    from flashlight.lib.text.decoder import (CriterionType, LexiconDecoder, LexiconDecoderOptions, LexiconFreeDecoder,
                                             LexiconFreeDecoderOptions, SmearingMode, Trie, ZeroLM)

    space, blank, tokens = SYMBOLS.index(" "), 0, len(SYMBOLS)
    if arpa is None:
        options = LexiconFreeDecoderOptions(beam, tokens, 1e9, 0.0, 0.0, True, CriterionType.CTC)
        decoder, listed = LexiconFreeDecoder(options, ZeroLM(), space, blank, []), []
    else:
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import create_word_dict

        listed = sorted(words)
        dictionary = create_word_dict({word: [[*word]] for word in [*listed, "<unk>"]})
        lm, trie = KenLM(str(arpa), dictionary), Trie(tokens, space)
        start = lm.start(False)
        for word in listed:
            number = dictionary.get_index(word)
            _, score = lm.score(start, number)
            trie.insert([*map(SYMBOLS.index, word), space], number, score)
        trie.smear(SmearingMode.MAX)
        options = LexiconDecoderOptions(beam, tokens, 1e9, weight * LN10, bonus, -float("inf"), 0.0, True, CriterionType.CTC)
        decoder = LexiconDecoder(options, trie, lm, space, blank, dictionary.get_index("<unk>"), [], False)

    def decode(log_probs: list[np.ndarray]) -> list[str]:
        texts = []
        for rows in log_probs:
            if arpa is not None:                         # its words end with a space
                last = np.full((1, tokens), -1e3, np.float32)
                last[0, space] = 0.0
                rows = np.concatenate([rows, last])
            rows = np.ascontiguousarray(rows)
            path = decoder.decode(rows.ctypes.data, *rows.shape)[0].tokens
            units = [unit for unit, before in zip(path, [-1, *path]) if unit != before and unit != blank]
            texts.append("".join(SYMBOLS[unit] for unit in units).strip())
        return texts

    return decode


def fast_ctc_decode(beam: int) -> Contestant:
    from fast_ctc_decode import beam_search

    alphabet = "".join(["\u00b7", *("_" if s == " " else s for s in SYMBOLS[1:])])             # one character for the blank
    return lambda log_probs: [beam_search(np.exp(rows), alphabet, beam_size=beam, beam_cut_threshold=0.0)[0].replace("_", " ").strip()
                              for rows in log_probs]


def ctc_beam_decoder(beam: int, arpa: Path | None = None, words: list[str] | None = None, weight: float = 0.0, bonus: float = 0.0) -> Contestant:
    from ctc_beam_decoder import build_ctcdecoder

    decoder = build_ctcdecoder(["", *SYMBOLS[1:]], str(arpa) if arpa else None, words, alpha=weight, beta=bonus)
    return lambda log_probs: [decoder.decode(rows, beam_width=beam, beam_prune_logp=-1e9, token_min_logp=-1e9) for rows in log_probs]


def pyctcdecode(beam: int, arpa: Path | None = None, words: list[str] | None = None, weight: float = 0.0, bonus: float = 0.0) -> Contestant:
    """In an environment of its own. Raises ImportError when none is named. `decode.seconds`: what decoding alone took."""
    python = os.environ.get(PYCTCDECODE)
    if not python:
        raise ImportError(f"set {PYCTCDECODE} to a Python that has pyctcdecode and numpy < 2")

    def decode(log_probs: list[np.ndarray]) -> list[str]:
        with tempfile.TemporaryDirectory() as name:
            np.savez(Path(name) / "rows.npz", *log_probs)
            asked = {"labels": ["", *SYMBOLS[1:]], "arpa": str(arpa) if arpa else None, "words": words, "beam": beam, "weight": weight,
                     "bonus": bonus, "rows": str(Path(name) / "rows.npz")}
            said = subprocess.run([python, "-c", _PYCTCDECODE, json.dumps(asked)], capture_output=True, text=True, check=True).stdout
            found = json.loads(said.splitlines()[-1])
        decode.seconds = found["seconds"]
        return found["texts"]

    return decode


_PYCTCDECODE = """
import json, sys, time, logging
logging.disable(logging.CRITICAL)
import numpy as np
from pyctcdecode import build_ctcdecoder
asked = json.loads(sys.argv[1])
decoder = build_ctcdecoder(asked["labels"], asked["arpa"], asked["words"], alpha=asked["weight"], beta=asked["bonus"])
rows = np.load(asked["rows"])
rows = [rows[name] for name in rows.files]
began = time.perf_counter()
texts = [decoder.decode(each, beam_width=asked["beam"], beam_prune_logp=-1e9, token_min_logp=-1e9) for each in rows]
print(json.dumps({"texts": texts, "seconds": time.perf_counter() - began}))
"""
