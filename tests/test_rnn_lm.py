"""The character network against loops in float64; windows; bits a character; the recipe of texts from end to end."""

import json
import math

import numpy as np
import pytest
import torch
from oracles import close

from recog import recipe, textmodel
from recog.catalog import show_model
from recog.errors import ConfigError, DataError, ModelError
from recog.files import read_json
from recog.inspection import describe
from recog.lm.bits import STRETCHES, bits, dynamic_bits
from recog.lm.rnn import BREAK, CharRnn, Rnn, RnnConfig
from recog.lm.windows import WindowConfig, Windows, numbers
from recog.stages import run_recipe
from recog.text import BLANK, Units

UNITS = Units("char", [BLANK, " ", "A", "B", "C"])
TEXTS = ["AB CA", "C", "", "BB A CAB", "A A"]

pytestmark = pytest.mark.usefixtures("one_thread")


def network(seed=0, **settings):
    torch.manual_seed(seed)
    model = CharRnn(RnnConfig(**{"layers": 2, "units": 7, **settings}), len(UNITS)).eval()
    for w in model.parameters():
        torch.nn.init.normal_(w, std=0.6)
    return model


def by_loops(model, sequence, rate=0.0):
    """Log-probability of each number after the first, in float64, gate by gate."""
    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    weights = {name: w.double().tolist() for name, w in model.state_dict().items()}
    H, V, layers = model.config.units, model.size, model.config.layers
    h, c = ([[0.0] * H for _ in range(layers)] for _ in range(2))
    found = []
    for number, following in zip(sequence, sequence[1:]):
        seen, below = [float(v == number) for v in range(V)], []
        for layer in range(layers):
            x, name = seen + below, f"layers.{layer}."
            gates = [sum(w * v for w, v in zip(weights[name + "weight_ih_l0"][r], x)) + sum(w * v for w, v in zip(weights[name + "weight_hh_l0"][r], h[layer]))
                     + weights[name + "bias_ih_l0"][r] + weights[name + "bias_hh_l0"][r] for r in range(4 * H)]
            for k in range(H):
                i, f, g, o = (gates[k + part * H] for part in range(4))
                c[layer][k] = sigmoid(f) * c[layer][k] + sigmoid(i) * math.tanh(g)
            h[layer] = [sigmoid(gates[k + 3 * H]) * math.tanh(c[layer][k]) for k in range(H)]
            below = h[layer]
        out = [v for layer in h for v in layer]
        logits = [sum(w * v for w, v in zip(weights["output.weight"][r], out)) + weights["output.bias"][r] for r in range(V)]
        most = max(logits)
        found.append(logits[following] - most - math.log(sum(math.exp(v - most) for v in logits)))
    return found


@pytest.mark.parametrize("layers", [1, 3])
def test_sentences_cost_what_loops_say_step_by_step_and_in_any_batch(layers):
    lm = Rnn(network(layers=layers), UNITS)
    expected = [sum(by_loops(lm.model, [BREAK, *UNITS.encode(text), BREAK])) for text in TEXTS]
    close("character network: a sentence", lm.totals(TEXTS), expected, 1e-5)
    close("character network: in another order", lm.totals(TEXTS[::-1])[::-1], expected, 1e-5)
    for text, total in zip(TEXTS, expected):
        rows, states = lm.follow(None, np.array([BREAK]))
        score = 0.0
        for unit in UNITS.encode(text):
            score += rows[0, unit]
            rows, states = lm.follow(states, np.array([unit]))
        close("character network: step by step", score + rows[0, BREAK], total, 1e-5)
        close("character network: one sentence", lm.total(UNITS.encode(text)), total, 1e-5)
    one, two = (lm.follow(lm.follow(None, np.zeros(n, int))[1], np.array([3, 2])[-n:])[0] for n in (1, 2))
    close("character network: two at once", two[1:], one, 1e-5)


def test_characters_that_it_does_not_know_are_named():
    with pytest.raises(DataError, match="'Z' is not among"):
        Rnn(network(), UNITS).totals(["AZ"])


def test_windows_are_the_text_and_what_follows_it():
    text = np.random.default_rng(0).integers(0, 5, 1013)
    windows = Windows(text, WindowConfig(length=20, batch=8), seed=3)
    seen = []
    for batch in windows.epoch(1):
        for id, x, y in zip(batch.ids, batch.x[:, :, 0].tolist(), batch.y.tolist()):
            begin = int(id.split()[-1])
            assert x == text[begin:begin + 20].tolist() and y == text[begin + 1:begin + 21].tolist()
            seen += range(begin, begin + 20)
    assert len(seen) == len(set(seen)) == 1000 and windows.batches_in(1) == 7
    later = [batch.ids for batch in windows.epoch(1, start=4)]
    assert later == [batch.ids for batch in windows.epoch(1)][4:] and later != [batch.ids for batch in windows.epoch(2, start=4)]
    short = Windows(text[:9], WindowConfig(length=20), seed=0)
    assert [batch.x.shape for batch in short.epoch(0)] == [(1, 8, 1)]
    assert numbers(UNITS, ["A", "BC"]).tolist() == [BREAK, 2, BREAK, 3, 4, BREAK]


def test_bits_are_those_of_each_stretch_by_itself():
    model, text = network(1), np.random.default_rng(1).integers(0, 5, 200)
    length = math.ceil(199 / STRETCHES)
    nats = sum(-sum(by_loops(model, text[begin:begin + length + 1].tolist())) for begin in range(0, 199, length))
    close("character network: bits", bits(model, text), nats / math.log(2) / 199, 1e-5)


def test_dynamic_evaluation_learns_from_what_it_has_read_and_only_then():
    model, text = network(2), np.tile([2, 3, 2, 4, 1, 0], 60)
    still = dynamic_bits(model, text, 0.0, 7)
    close("character network: dynamic at rate 0", still, -sum(by_loops(model, text.tolist())) / math.log(2) / (len(text) - 1), 1e-5)
    assert dynamic_bits(model, text, 0.3, 7) < 0.7 * still
    before = {name: w.clone() for name, w in model.state_dict().items()}
    first = dynamic_bits(model, text[:8], 100.0, 7)                # one stretch: paid for before it is learned
    close("character network: the first stretch", first, dynamic_bits(model, text[:8], 0.0, 7), 1e-6)
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())


def test_a_folder_holds_all_of_it(tmp_path):
    textmodel.save(tmp_path / "lm", "small", network(3), UNITS, {"data_licence": "none", "provenance": {}, "scores": {}})
    again = textmodel.load(tmp_path / "lm")
    assert again.totals(TEXTS) == Rnn(network(3), UNITS).totals(TEXTS)
    info = read_json(tmp_path / "lm" / "model.json")
    (tmp_path / "lm" / "model.json").write_text(json.dumps({**info, "medium": "audio"}))
    with pytest.raises(ModelError, match="is not a language model of characters"):
        textmodel.load(tmp_path / "lm")


def test_the_recipe_of_texts_from_books_to_bits(tmp_path, capsys):
    books = tmp_path / "books"
    books.mkdir()
    rng, words = np.random.default_rng(0), ["MOON", "SUN", "THE", "DON'T", "RISES", "AND"]
    for name in "abc":
        said = [" ".join(rng.choice(words, 6)).lower() + rng.choice([".", "!", "?\n\n"]) for _ in range(700)]
        (books / f"{name}.txt").write_text(" ".join(said))
    quick = ["train.epochs=2", "network.units=24", "train.optimizer.rate=0.02", "windows.length=40", "orders=[2,3]", "dynamic.rates=[0.1]", "dynamic.tuned_on=200"]
    mine = str(recipe.copy("text", tmp_path / "mine"))
    table = run_recipe(mine, books, "lstm_1l_256", quick, tmp_path / "exp", "quick", "score", None, True)
    assert "3-gram" in table and "LSTM, dynamic" in table
    scores = read_json(tmp_path / "exp" / "mine" / "quick" / "score" / "done.json")["result"]["scores"]["test"]
    assert scores["3-gram"] < scores["2-gram"] and scores["LSTM, dynamic"] < scores["LSTM"] < math.log2(14)
    assert table in run_recipe(mine, books, "lstm_1l_256", quick, tmp_path / "exp", "quick", "score", None, False)
    assert "bits a character" in (tmp_path / "mine" / "RESULTS.md").read_text()
    assert "score: skip, unchanged" in capsys.readouterr().err
    shown = describe(tmp_path / "exp" / "mine" / "quick" / "model"), describe(tmp_path / "exp" / "mine" / "quick")
    assert "test, LSTM: " in shown[0] and "bits a character" in shown[0] and "decode" not in shown[1] and "LSTM, dynamic" in shown[1]
    assert show_model(str(tmp_path / "exp" / "mine" / "quick" / "model"))["medium"] == "text"
    with pytest.raises(ConfigError, match="train.batch plays no part"):
        run_recipe(mine, books, "lstm_1l_256", ["train.batch.utterances=3"], tmp_path / "exp", "other", "score", None, False)
