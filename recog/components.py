"""The catalogue: what can be chosen by name in a model file. A new part is one new file and one line here."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import Any

from .errors import ConfigError

CATALOGUE: dict[str, dict[str, str]] = {
    "encoder": {"blstm": "recog.encoders.blstm:Blstm",
                "conv_blstm": "recog.encoders.conv_blstm:ConvBlstm",
                "mdrnn": "recog.encoders.mdrnn:Mdrnn",
                "conv_mdrnn": "recog.encoders.conv_mdrnn:ConvMdrnn",
                "crnn": "recog.encoders.crnn:Crnn"},
    "head": {"ctc": "recog.heads.ctc:Ctc",
             "transducer": "recog.heads.transducer:Transducer"},
    "decoder": {"greedy": "recog.decode.greedy:Greedy",
                "beam": "recog.decode.ctc_beam:CtcBeam",
                "prefix": "recog.decode.prefix:PrefixSearch"},
    "transducer decoder": {"greedy": "recog.decode.transducer_greedy:TransducerGreedy",
                           "beam": "recog.decode.transducer:TransducerBeam"},
    "pixels": {"mdlstm": "recog.models.segmenter:PixelMdLstm",
               "conv": "recog.models.segmenter:PixelConv",
               "simard": "recog.models.segmenter:Simard"},
    "hook": {"weight_noise": "recog.hooks.weight_noise:WeightNoise",
             "adaptive_weight_noise": "recog.hooks.adaptive_weight_noise:AdaptiveWeightNoise"},
}


def find(kind: str, name: str) -> Any:
    """The class that stands in the catalogue under this kind and name. Raises ConfigError with the nearest name."""
    names = CATALOGUE[kind]
    if name not in names:
        raise ConfigError(f"unknown {kind} '{name}'{nearest(name, names)}")
    module, _, attribute = names[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def section(kind: str, head: str) -> str:
    """Where in the catalogue the parts of this kind stand that go with a head; CTC's decoders have no mark."""
    return f"{head} {kind}" if f"{head} {kind}" in CATALOGUE else kind


def nearest(word: str, choices) -> str:
    """' (did you mean ...)', or the whole list when nothing is near."""
    choices = [str(choice) for choice in choices]
    close = get_close_matches(str(word), choices, n=1, cutoff=0.5)
    others = f" (one of: {', '.join(choices)})" if choices else ""
    return f" (did you mean '{close[0]}'?)" if close else others
