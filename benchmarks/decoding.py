"""CTC decoders side by side: on made-up speech with errors (benchmarks/heard.py), without and with a model of words; and ours
on sure (peaky) and on unsure (noisy) log-probabilities of 30 units. Peers are the extra "bench"; a missing one is left out, and says so.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np

from recog.config import Component
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.greedy import Greedy
from recog.lm.arpa import write
from recog.lm.kneser_ney import KneserNeyConfig, train
from recog.lm.ngram import Ngram
from recog.score import error_rate
from recog.text import Units

from . import peers
from .heard import SYMBOLS, Heard, heard
from .table import Row, at_least, median, peak, ratio, side_by_side

UNITS = 30
BEAMS = (10, 100)
WEIGHT, BONUS, UNKNOWN = 0.7, 1.5, 10.0              # of the model of words, for all; nats of a word that it does not know, for ours
PEERS = {"flashlight": peers.flashlight, "fast-ctc-decode": peers.fast_ctc_decode, "ctc-beam-decoder": peers.ctc_beam_decoder,
         "pyctcdecode": peers.pyctcdecode}
WITHOUT_LM = ("fast-ctc-decode",)                    # has none


def rows(quick: bool = False) -> Iterator[Row]:
    """One row for each contestant at each setting; contestants of one setting take turns."""
    with tempfile.TemporaryDirectory() as name:
        yield from contest(Path(name), quick)
    yield from alone(quick)


def contest(folder: Path, quick: bool) -> Iterator[Row]:
    """Error, time and memory of all, with the same log-probabilities."""
    made = heard(3, 100) if quick else heard(200)
    write(train("\n".join(made.training), KneserNeyConfig(4, discount_fallback=True)), folder / "lm.arpa")
    words = sorted({word for text in made.training for word in text.split()})
    yield Row(f"{len(made.texts)} sentences of {len(words)} words: frames", made.frames, "")
    for beam in BEAMS[:1] if quick else BEAMS:
        for lm in ("", "4-gram, its words only", "4-gram, any words"):
            options = {"arpa": folder / "lm.arpa", "words": words, "weight": WEIGHT, "bonus": BONUS} if lm else {}
            yield from _compare(f"beam {beam}{', ' * bool(lm)}{lm}", made, beam, options, lm, quick)


def _compare(setting: str, made: Heard, beam: int, options: dict[str, Any], lm: str, quick: bool) -> Iterator[Row]:
    """flashlight only writes known words, the others with a language model write any."""
    contestants: dict[str, peers.Contestant] = {"recog": ours(beam, closed="only" in lm, **options)}
    for name, peer in PEERS.items():
        if lm and (name in WITHOUT_LM or (name == "flashlight") != ("only" in lm)) or (name == "pyctcdecode" and beam > 10):
            continue                                     # the last takes minutes
        try:
            contestants[name] = peer(beam, **options)
        except ImportError as error:
            print(f"{setting}: without {name}: {error}", file=sys.stderr)
    texts = {name: run(made.log_probs) for name, run in contestants.items()}
    times = side_by_side([partial(run, made.log_probs) for run in contestants.values()], 1 if quick or beam > 10 else 3)
    times = [tuple(getattr(run, "seconds", t) for run, t in zip(contestants.values(), row)) for row in times]
    errors = {name: 100 * error_rate(made.texts, found, "word") for name, found in texts.items()}
    others = [name for name in contestants if name != "recog"]
    best = min((errors[name] for name in others), default=np.inf)
    for number, name in enumerate(contestants):
        bar = (f"<= {best:.3g}", errors[name] <= best) if name == "recog" and others and not quick else ("", None)
        yield Row(f"{setting}: {name}, word errors", errors[name], "%", *bar)
        yield Row(f"    {setting}: {name}, time", 1000 * median(times, number) / made.frames, "ms/frame")
        if name != "pyctcdecode":                        # it is in a process of its own
            yield Row(f"    {setting}: {name}, memory", memory(name, beam, options, "only" in lm, made), "MB")
    if quick:
        return                                           # a few sentences rank nobody
    rivals = [k for k, name in enumerate(contestants) if name != "recog" and errors[name] <= errors["recog"]] or range(1, len(contestants))
    if others:
        fastest = min(rivals, key=lambda k: median(times, k))
        yield at_least(f"    {setting}: time of {list(contestants)[fastest]} over recog's", ratio(times, fastest, 0), "x", 1)
    if "pyctcdecode" in contestants:
        yield at_least(f"    {setting}: time of pyctcdecode over recog's", ratio(times, list(contestants).index("pyctcdecode"), 0), "x", 10)


def ours(beam: int, arpa: Path | None = None, words: list[str] | None = None, weight: float = 1.0, bonus: float = 0.0,
         closed: bool = False) -> peers.Contestant:
    units, lm = Units("char", SYMBOLS), Ngram.read(arpa) if arpa else None
    guided = {"lm": True, "lm_weight": weight, "word_bonus": bonus, "lexicon": closed, "unknown": UNKNOWN} if lm else {}
    decoder = make(Component("beam", CtcBeamConfig(beam=beam, **guided)), units, words or (), lm=lm)
    return lambda log_probs: [units.decode(decode(decoder, rows)[0].units).strip() for rows in log_probs]


def memory(name: str, beam: int, options: dict[str, Any], closed: bool, made: Heard) -> float:
    """Megabytes by which the peak of a fresh process grows by making the decoder and decoding all."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (name, beam, options, closed, made))


def _grown(name: str, beam: int, options: dict[str, Any], closed: bool, made: Heard) -> float:
    before = peak()
    run = ours(beam, closed=closed, **options) if name == "recog" else PEERS[name](beam, **options)
    run(made.log_probs)
    return peak() - before


def alone(quick: bool) -> Iterator[Row]:
    frames, repeats = (20, 1) if quick else (1000, 5)
    for kind, log_probs in (("peaky", peaky(frames)), ("noisy", noisy(frames))):
        for setting, contestants in _settings():
            calls = [partial(run, log_probs) for run in contestants.values()]
            for call in calls:
                call()                                  # compiles
            times = side_by_side(calls, repeats)
            for number, who in enumerate(contestants):
                yield Row(f"{kind}, {setting}: {who}", 1000 * median(times, number) / frames, "ms/frame")


def _settings() -> Iterator[tuple[str, dict[str, Callable[[np.ndarray], object]]]]:
    """Name of a setting, and who decodes at it: each takes log-probabilities [T, V]."""
    yield "greedy", {"recog": lambda log_probs: decode(Greedy(), log_probs)}
    for beam in BEAMS:
        yield f"beam {beam}", {"recog": lambda log_probs, beam=beam: decode(CtcBeam(CtcBeamConfig(beam=beam)), log_probs)}


def peaky(frames: int) -> np.ndarray:
    """As a trained network gives them: blanks, and now and then a unit, each nearly certain. [T, V]."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((frames, UNITS))
    best = np.where(rng.random(frames) < 0.2, rng.integers(1, UNITS, frames), 0)
    logits[np.arange(frames), best] += 10
    return _log_softmax(logits)


def noisy(frames: int) -> np.ndarray:
    """As an untrained network gives them: no unit stands out. [T, V]."""
    return _log_softmax(np.random.default_rng(0).standard_normal((frames, UNITS)))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
