"""What a neural language model in the beam costs: a character network asked once a frame, for all new prefixes together or one by one."""

from __future__ import annotations

from functools import partial
from typing import Iterator

import numpy as np
import torch

from recog.config import Component
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeamConfig
from recog.lm.rnn import CharRnn, Rnn, RnnConfig, States
from recog.text import Units

from .heard import SYMBOLS, heard
from .table import Row, median, ratio, side_by_side

BEAMS = (10, 100)


class OneByOne(Rnn):
    """The same, asked about each prefix by itself."""

    def follow(self, states: States | None, numbers: np.ndarray) -> tuple[np.ndarray, States]:
        alone = [super(OneByOne, self).follow(states and tuple((h[:, k:k + 1], c[:, k:k + 1]) for h, c in states), numbers[k:k + 1])
                 for k in range(len(numbers))]
        after = tuple(tuple(torch.cat([found[layer][part] for _, found in alone], 1) for part in (0, 1))
                      for layer in range(len(alone[0][1])))
        return np.concatenate([rows for rows, _ in alone]), after


def rows(quick: bool = False) -> Iterator[Row]:
    made, units = heard(2 if quick else 5, 100), Units("char", SYMBOLS)
    torch.manual_seed(0)
    network = CharRnn(RnnConfig(layers=2, units=16 if quick else 256), len(units))
    for beam in BEAMS[:1] if quick else BEAMS:
        config = CtcBeamConfig(beam=beam, lm=True, lm_weight=0.3)
        decoders = {"without": make(Component("beam", CtcBeamConfig(beam=beam)), units, ())}
        decoders["network, all at once"] = make(Component("beam", config), units, (), lm=Rnn(network, units))
        if beam == BEAMS[0]:
            decoders["network, one by one"] = make(Component("beam", config), units, (), lm=OneByOne(network, units))
        calls = [partial(_all, decoder, made.log_probs) for decoder in decoders.values()]
        calls[0](), calls[1]()                           # compiles
        times = side_by_side(calls, 1 if quick else 3)
        for number, name in enumerate(decoders):
            yield Row(f"beam {beam}: {name}", 1000 * median(times, number) / made.frames, "ms/frame")
        if len(decoders) > 2:
            yield Row(f"    beam {beam}: time one by one over all at once", ratio(times, 2, 1), "x")


def _all(decoder, log_probs: list[np.ndarray]) -> None:
    for each in log_probs:
        decode(decoder, each)
