"""How much a language model counts: its weight and the bonus of each word, chosen on the development set.

The network has run already: its log-probabilities are decoded again for each pair, on a grid, then for finer weights.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Mapping, Sequence

import numpy as np
import torch

from . import phones, svg
from .config import Component
from .decode import decode, guided
from .decode.ctc_beam import CtcBeamConfig
from .decode.guide import guide
from .errors import ConfigError, DataError
from .files import write_text
from .lm.binary import is_binary
from .lmfile import open_guide
from .modeldir import LoadedModel, equip, load
from .score import UNITS, Fold, distance, tokenize
from .store import Store
from .transcripts import read_transcripts

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)      # what the model's nats count
BONUSES = (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0)                # nats for each word, or each unit where the model reads units
FINER = 0.125                                             # step between weights around the best, in a second look


@dataclass(frozen=True)
class Trial:
    """One pair, and its error on the development set."""

    lm_weight: float
    bonus: float
    error: float                         # errors per reference token


def tune(loaded: LoadedModel, component: Component, emissions: Mapping[str, np.ndarray], texts: Mapping[str, str], unit: str,
         fold: Fold | None, picture: Path, say: Callable[[str], None] = print) -> dict[str, float]:
    """The settings by which the decoder errs least: lm_weight, and the bonus of words, or of units where it knows no words.

    A development set is small, and its one best pair is often luck. So what counts is the mean error of a pair and its neighbours;
    and of the bonuses that are no worse than the best by more than one standard error, the smallest is taken (Breiman et al.
    1984, section 3.4.3). emissions [T, E] and texts: of each utterance of the development set. `picture`: where the surface is drawn.
    """
    guides = guide(component.config, loaded.units, loaded.words, loaded.lm)
    bonus = "length_bonus" if guides.lexicon is None or guides.language.reads_units else "word_bonus"
    found: dict[tuple[float, float], np.ndarray] = {}
    predictor = loaded.model.predictor()

    def tokens(text: str) -> list[str]:
        return fold(tokenize(text, unit)) if fold else tokenize(text, unit)

    references = {id: tokens(text) for id, text in texts.items()}
    total = max(1, sum(map(len, references.values())))

    def errors(pair: tuple[float, float]) -> np.ndarray:
        """Of each utterance, over the reference tokens of all."""
        if pair not in found:
            config = replace(component.config, **dict(zip(("lm_weight", bonus), pair)))
            decoder = guided(Component(component.kind, config), guides, predictor)

            def wrong(id: str) -> int:
                return distance(references[id], tokens(loaded.units.decode(decode(decoder, emissions[id])[0].units)))

            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                found[pair] = np.fromiter(pool.map(wrong, references), float, len(references)) / total
        return found[pair]

    def around(pair: tuple[float, float], axes: Sequence[Sequence[float]]) -> np.ndarray:
        """Mean errors of a pair and its neighbours."""
        places = [axis.index(value) for axis, value in zip(axes, pair)]
        near = [axis[max(0, i - 1):i + 2] for axis, i in zip(axes, places)]
        return np.mean([errors(each) for each in itertools.product(*near)], axis=0)

    grid = {pair: around(pair, (WEIGHTS, BONUSES)) for pair in itertools.product(WEIGHTS, BONUSES)}
    best = min(grid, key=lambda pair: (grid[pair].sum(), pair[0], abs(pair[1])))
    alike = [pair for pair in grid if _no_worse(grid[pair] - grid[best])]
    at = min(alike, key=lambda pair: (abs(pair[1]), grid[pair].sum(), pair[0]))
    finer = [weight for weight in (at[0] + i * FINER for i in range(-2, 3)) if weight >= 0]
    at = min(((weight, at[1]) for weight in finer if abs(weight - at[0]) < 1.5 * FINER),
             key=lambda pair: (around(pair, (finer, (at[1],))).sum(), pair[0]))
    rates = {pair: float(each.sum()) for pair, each in found.items()}
    say(f"tune: lm_weight {at[0]:g}, {bonus} {at[1]:g}: {100 * rates[at]:.2f} % {unit} errors on the development set, "
        f"{100 * min(rates.values()):.2f} % at best of {len(rates)}")
    surface([Trial(*pair, value) for pair, value in sorted(rates.items())], at, bonus, picture)
    return dict(zip(("lm_weight", bonus), at))


def _no_worse(differences: np.ndarray) -> bool:
    """Whether a sum of differences, one of each utterance, is at most one standard error above zero."""
    return bool(differences.sum() <= differences.std() * np.sqrt(len(differences)))


def surface(trials: Sequence[Trial], chosen: tuple[float, float], name: str, path: Path) -> None:
    """A picture: error by weight (across) and bonus (down), the chosen pair framed."""
    weights, bonuses = sorted({t.lm_weight for t in trials}), sorted({t.bonus for t in trials})
    low, high = min(t.error for t in trials), max(t.error for t in trials)
    cells = []
    for t in trials:
        x, y = 80 + 56 * weights.index(t.lm_weight), 40 + 24 * bonuses.index(t.bonus)
        share = (t.error - low) / (high - low) if high > low else 0.0
        frame = {"stroke": "var(--ink)", "stroke_width": 2} if (t.lm_weight, t.bonus) == chosen else {}
        cells.append(svg.tag("rect", svg.hint(f"lm_weight {t.lm_weight:g}, {name} {t.bonus:g}: {100 * t.error:.2f} %"), x=x, y=y, width=54,
                             height=22, class_="heat", fill_opacity=round(0.9 - 0.8 * share, 2), **frame))
        cells.append(svg.text(x + 27, y + 15, f"{100 * t.error:.2f}", "middle", class_="tick"))
    marks = [svg.text(80 + 56 * i + 27, 32, f"{w:g}", "middle") for i, w in enumerate(weights)]
    marks += [svg.text(72, 40 + 24 * i + 15, f"{b:g}", "end") for i, b in enumerate(bonuses)]
    marks += [svg.text(80, 14, "lm_weight across, error in percent"), svg.text(4, 32, name)]
    drawn = svg.drawing(90 + 56 * len(weights), 50 + 24 * len(bonuses), f"error by lm_weight and {name}", *cells, *marks)
    write_text(path, drawn.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1).replace(">", f"><style>{svg.STYLE}</style>", 1))


def tune_run(run: Path, lm: Path, split: str = "dev", unit: str = "word", beam: int = 100) -> str:
    """Puts a language model, tuned on what `recog run` has heard, into the run's model; gives what was said of it.

    run: exp/RECIPE/NAME. Phones are folded as the run's were when it was scored. The model's decoder, if it is a beam, keeps its
    other settings. Raises DataError when the split's log-probabilities are not there.
    """
    if unit not in UNITS:
        raise ConfigError(f"there is no unit '{unit}'", where="--unit", hint=", ".join(UNITS))
    heard, lines = run / "decode" / split / "log_probs", []
    if not heard.is_dir():
        raise DataError(f"holds no log-probabilities of '{split}'", where=run, hint="recog run leaves them for models with the ctc head")
    loaded = replace(load(run / "model"), lm=open_guide(lm))
    chosen = loaded.config.decoder.config if loaded.config.decoder.kind == "beam" else CtcBeamConfig()
    try:
        component = Component("beam", replace(chosen, beam=beam, lm=True, length_bonus=0.0, word_bonus=0.0))
    except ValueError as error:
        raise ConfigError(str(error), where="--beam") from None
    store, texts = Store(heard), read_transcripts(run / "decode" / split / "reference.tsv")
    if missing := [id for id in texts if id not in store]:
        raise DataError(f"holds no log-probabilities of '{missing[0]}', which reference.tsv lists", where=heard,
                        hint="recog run --from decode makes both anew")
    table = run / "score" / phones.FOLD
    fold = phones.read(table) if table.is_file() else None
    if fold and unit != "phone":
        raise ConfigError("this run's phones are folded before they are scored", where="--unit", hint="add --unit phone")
    found = tune(loaded, component, {id: store.frames(id) for id in texts}, texts, unit, fold, run / "tune.svg", lines.append)
    if lm.is_dir() or is_binary(lm):                            # a model folder holds ARPA files only
        wanted = " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in found.items())
        return "\n".join([*lines, f"recog transcribe --model {run / 'model'} --beam {beam} --lm {lm} {wanted}", f"the surface: {run / 'tune.svg'}"])
    equip(run / "model", lm, replace(component, config=replace(component.config, **found)))
    return "\n".join([*lines, f"in {run / 'model'}; the surface: {run / 'tune.svg'}"])
