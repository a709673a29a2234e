"""Networks that write, which nobody trained."""

import math

import torch

from recog import writingmodel
from recog.models.handwriting import Handwriting, HandwritingConfig
from recog.text import Units

UNITS = Units("char", ["<blank>", *" '-.0123456789abcdefghijklmnopqrstuvwxyzABCDE"])


def untrained(folder, reads=True):
    """Its window goes a third of a character a point, and its pen to the right; one that reads nothing has no window."""
    torch.manual_seed(0)
    made = Handwriting(HandwritingConfig(layers=2, units=8, components=2, gaussians=3 if reads else 0), len(UNITS))
    with torch.no_grad():
        made.scale.copy_(torch.tensor([4.0, 6.0]))
        if reads:
            made.layers[0].weight_window.zero_()
            made.layers[0].bias_window.copy_(torch.tensor([0.0] * 3 + [2.0] * 3 + [math.log(1 / 3)] * 3))
        made.output.bias[0], made.output.bias[3:5] = 1.0, 0.5
    facts = {"data_licence": "none", "provenance": {}, "scores": {}, "ink": {"height": 20.0, "step": 5.0}}
    writingmodel.save(folder, folder.name, made, UNITS, facts)
    return folder
