"""recipes/timit/models: each file is the network of its paper, counted in three ways; and the table in the README says so."""

import dataclasses
import re
from pathlib import Path

import pytest

from recog import recipe
from recog.components import CATALOGUE
from recog.encoders.blstm import BlstmConfig
from recog.models.recognizer import build

RECIPE = recipe.find(Path(__file__).parents[1] / "recipes" / "timit")
OUTPUTS = 62                                       # 61 phones and the blank
TABLE = {name: (int(weights.replace(",", "")), published.strip()) for name, weights, published in
         re.findall(r"^\| `(\w+)` \|[^|]*\| ([\d,]+) \|([^|]*)\|", (RECIPE.folder / "README.md").read_text(), re.MULTILINE)}
CELLS = any(field.name == "cell" for field in dataclasses.fields(BlstmConfig))
TRANSDUCER = "transducer" in CATALOGUE["head"]


def layer(inputs, units, cell="peephole"):
    """One direction: weights from the input and the layer itself, one bias a gate, three peepholes a cell."""
    if cell == "tanh":
        return units * (inputs + units + 1)
    return 4 * units * (inputs + units + 1) + 3 * units


def stack(inputs, layers, units, both=True, cell="peephole"):
    width = units * (1 + both)
    return (1 + both) * (layer(inputs, units, cell) + (layers - 1) * layer(width, units, cell)), width


def ctc(inputs, *shape, outputs=OUTPUTS, **more):
    weights, width = stack(inputs, *shape, **more)
    return weights + (width + 1) * outputs


def additive(inputs, units, phones):
    """Graves 2012: two networks, each with outputs of its own; one of the two needs no bias, as they are added."""
    return ctc(inputs, 1, units, outputs=phones + 1) + layer(phones, units) + units * (phones + 1)


def hidden(inputs, layers, units):
    """Graves 2013: a tanh layer between, fed by both."""
    weights, width = stack(inputs, layers, units)
    return weights + layer(OUTPUTS - 1, units) + (width + units + 1) * units + (units + 1) * OUTPUTS


BY_HAND = {"ctc_2008": ctc(39, 1, 128), "transducer_2012": additive(26, 128, 61), "ctc_1l_250h": ctc(123, 1, 250),
           "ctc_1l_622h": ctc(123, 1, 622), "ctc_2l_250h": ctc(123, 2, 250), "ctc_3l_250h": ctc(123, 3, 250), "ctc_5l_250h": ctc(123, 5, 250),
           "ctc_3l_421h_uni": ctc(123, 3, 421, both=False), "ctc_3l_500h_tanh": ctc(123, 3, 500, cell="tanh"),
           "trans_3l_250h": hidden(123, 3, 250), "pretrans_3l_250h": hidden(123, 3, 250)}
PUBLISHED = {"ctc_1l_250h": 0.8, "ctc_1l_622h": 3.8, "ctc_2l_250h": 2.3, "ctc_3l_250h": 3.8, "ctc_5l_250h": 6.8, "ctc_3l_421h_uni": 3.8,
             "ctc_3l_500h_tanh": 3.7, "trans_3l_250h": 4.3, "pretrans_3l_250h": 4.3}


def test_the_formula_gives_the_counts_of_older_papers():
    assert ctc(26, 1, 100) == 114_662              # Graves et al. 2006, as it is quoted: it says how cells are counted
    assert additive(26, 128, 39) + 40 == 261_328   # Graves 2012, as it is quoted: both outputs have biases, on folded phones


@pytest.mark.parametrize("name", BY_HAND)
def test_the_table_is_right(name):
    weights, published = TABLE[name]
    assert weights == BY_HAND[name]
    if name in PUBLISHED:
        assert published == f"{PUBLISHED[name]} M" and round(weights / 1e6, 1) == PUBLISHED[name]


def test_every_model_is_in_the_table():
    assert set(TABLE) == {*BY_HAND, "modern"} and set(RECIPE.models()) <= set(TABLE)


def ready(name):
    return {"modern": True}.get(name, CELLS and (TRANSDUCER or "trans" not in name))


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.skipif(not ready(name), reason="needs parts that are not here yet"))
                                  for name in TABLE])
def test_the_files_build_what_the_table_says(name):
    model = build(RECIPE.experiment(name).recognizer, OUTPUTS)
    assert sum(w.numel() for w in model.parameters()) == TABLE[name][0]


@pytest.mark.parametrize("name", RECIPE.models())
def test_the_settings_of_the_papers(name):
    experiment = RECIPE.experiment(name)
    train, features = experiment.train, experiment.features
    assert experiment.units.kind == "phone" and features.normalize == "corpus" and experiment.decoders[0].config.beam == 100
    if name == "modern":
        return
    assert (train.optimizer.kind, train.optimizer.rate, train.optimizer.momentum, train.batch.utterances) == ("sgd", 1e-4, 0.9, 1)
    old = name in ("ctc_2008", "transducer_2012")
    assert features.output_size == {"ctc_2008": 39, "transducer_2012": 26}.get(name, 123) and train.perturb.noise == (0.6 if old else 0.0)
    assert not train.clip and not train.average and features.stack == 1 and not train.optimizer.weight_decay
