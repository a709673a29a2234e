"""The prediction and synthesis networks: their likelihood against loops in float64, and a run from ink to a table."""

import json
import math

import numpy as np
import pytest
import torch
from inks import written
from test_mixture import by_hand

from oracles import close
from recog import ink, recipe, writingmodel
from recog.catalog import export_model, show_model
from recog.errors import ConfigError, ModelError
from recog.inspection import describe
from recog.models.handwriting import Handwriting, HandwritingConfig
from recog.stages import run_recipe
from recog.types import Batch
from recog.writingrun import deviations

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = HandwritingConfig(layers=3, units=6, components=2, gaussians=3)


def model(config=SMALL, symbols=5, seed=0):
    torch.manual_seed(seed)
    made = Handwriting(config, symbols)
    made.scale.copy_(torch.tensor([2.0, 0.5]))
    if config.gaussians:
        made.layers[0].bias_window.data[2 * config.gaussians:] += 2.0        # the window moves
    return made


def batch(lengths=(9, 5, 2), seed=1):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(len(lengths), max(lengths), 3, generator=rng)
    x[..., 2] = (x[..., 2] > 0.5).float()
    for row, n in zip(x, lengths):
        row[n:] = 0
    y = torch.tensor([[1, 2, 4], [3, 3, 0], [4, 0, 0]])[:len(lengths)]
    return Batch(tuple("abc")[:len(lengths)], x, torch.tensor(lengths), y, torch.tensor([3, 2, 1])[:len(lengths)])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def line_by_hand(made, x, text):
    """Nats of one line [T, 3], from the equations: every weight taken out of the model, in float64."""
    get = {name: w.detach().double().numpy() for name, w in made.state_dict().items()}
    points = np.concatenate([x[:, :2] / get["scale"], x[:, 2:]], 1)
    points[0, :2] = 0
    config, H, V = made.config, made.config.units, get["layers.0.weight_wh"].shape[1] if made.config.gaussians else 0
    hs, cs = [[np.zeros(H) for _ in range(config.layers)] for _ in range(2)]
    w, kappa, total = np.zeros(V), np.zeros(config.gaussians), 0.0
    for t in range(len(points) - 1):
        for n in range(config.layers):
            p = f"layers.{n}."
            seen = [points[t]] if n == 0 else [points[t], w, hs[n - 1]]
            z = get[p + "weight_ih"] @ np.concatenate(seen) + get[p + "weight_hh"] @ hs[n] + get[p + "bias"]
            if n == 0 and V:
                z += get[p + "weight_wh"] @ w
            i, f, g, o = np.split(z, 4)
            pi, pf, po = get[p + "peepholes"]
            c = sigmoid(f + pf * cs[n]) * cs[n] + sigmoid(i + pi * cs[n]) * np.tanh(g)
            cs[n], hs[n] = c, sigmoid(o + po * c) * np.tanh(c)
            if n == 0 and V:
                a, b, k = np.split(np.exp(get[p + "weight_window"] @ hs[0] + get[p + "bias_window"]), 3)
                kappa, w = kappa + k, np.zeros(V)
                for u, unit in enumerate(text, 1):
                    w[unit] += sum(a[j] * math.exp(-b[j] * (kappa[j] - u) ** 2) for j in range(config.gaussians))
        row = get["output.weight"] @ np.concatenate(hs) + get["output.bias"]
        total -= by_hand(row.tolist(), points[t + 1].tolist(), config.components)
    return total


@pytest.mark.parametrize("config", [SMALL, HandwritingConfig(layers=2, units=5, components=3, gaussians=0)])
def test_the_loss_is_what_the_equations_say(config):
    made, given = model(config), batch()
    loss = made.loss(given)
    wanted = [line_by_hand(made, given.x[b, :n].double().numpy(), given.y[b, :u].tolist())
              for b, (n, u) in enumerate(zip(given.x_len.tolist(), given.y_len.tolist()))]
    close("handwriting, nats: equations in float64 loops", loss.total, np.array(sum(wanted)), 2e-6)
    assert loss.parts["points"] == 13 and loss.count == 3 and loss.parts["nats"] == pytest.approx(loss.total.item())


def test_a_line_costs_the_same_alone_and_in_a_batch():
    made, given = model(), batch()
    total, squares = made.loss(given).total.item(), made.loss(given).parts["squares"]
    ones = [Batch((id,), given.x[b:b + 1, :n], given.x_len[b:b + 1], given.y[b:b + 1, :u], given.y_len[b:b + 1])
            for b, (id, n, u) in enumerate(zip(given.ids, given.x_len.tolist(), given.y_len.tolist()))]
    assert sum(made.loss(one).total.item() for one in ones) == pytest.approx(total, rel=1e-6)
    assert sum(made.loss(one).parts["squares"] for one in ones) == pytest.approx(squares, rel=1e-5)


def test_a_line_of_one_point_costs_nothing():
    made, given = model(), batch()
    one = Batch(("a",), given.x[:1, :1], torch.tensor([1]), given.y[:1], given.y_len[:1])
    loss = made.loss(one)
    assert loss.total.item() == 0 and loss.parts["points"] == 0


def test_where_a_line_begins_is_not_read():
    made, given = model(), batch()
    moved = given.x.clone()
    moved[:, 0, :2] += 100
    assert made.loss(Batch(given.ids, moved, *(given.x_len, given.y, given.y_len))).total == made.loss(given).total


def test_no_output_gets_a_larger_gradient_than_the_limit():
    made, seen = model(HandwritingConfig(layers=1, units=4, components=2, gaussians=0, output_clip=0.25)), []
    made.output.register_full_backward_hook(lambda module, inputs, outputs: seen.append(outputs[0]))
    made.loss(batch()).total.backward()
    assert seen[0].abs().max().item() == pytest.approx(0.25 / 3)                 # the mean of three lines


def test_deviations_leave_out_the_first_point():
    lines = [np.array([[900, 900, 0], [1, 2, 0], [3, 2, 1]], np.float32), np.array([[-900, 0, 0], [5, 5, 1]], np.float32)]
    np.testing.assert_allclose(deviations(lines), [np.std([1, 3, 5]), np.std([2, 2, 5])], rtol=1e-6)


PREPARE = '''\
import json
from pathlib import Path

from recog.types import Utterance


def prepare(corpus):
    for number, line in enumerate((corpus / "list.tsv").read_text().splitlines()):
        split, text = line.split("\\t")
        yield Utterance(f"line{number}", split, str(corpus / f"{number}.json"), text)
'''
MODEL = """
[network]
layers = 2
units = 8
components = 2
gaussians = 2

[train]
epochs = 2
metric = "loss"
batch.utterances = 2

[train.optimizer]
kind = "rmsprop"
rate = 1e-3
"""


@pytest.fixture
def mine(tmp_path):
    corpus, folder = tmp_path / "corpus", tmp_path / "hand"
    corpus.mkdir()
    rows = [("train", "nvo"), ("train", "pin"), ("train", "lot nip"), ("dev", "tvn"), ("dev", "lip")]
    (corpus / "list.tsv").write_text("".join(f"{split}\t{text}\n" for split, text in rows))
    for number, (_, text) in enumerate(rows):
        ink.write(written(text, seed=number), corpus / f"{number}.json")
    (folder / "models").mkdir(parents=True)
    (folder / "recipe.toml").write_text('description = "d"\ndata_licence = "Apache-2.0"\nmedium = "writing"\nmodel = "small"\ntest = ["dev"]\n')
    (folder / "prepare.py").write_text(PREPARE)
    (folder / "models" / "small.toml").write_text(MODEL)
    return folder, corpus


def run(mine, exp, overrides=(), name=None, record=False, again=None):
    return run_recipe(str(mine[0]), mine[1], None, list(overrides), exp, name, "score", again, record)


def test_a_run_leaves_a_table_and_a_model_and_a_second_run_does_nothing(tmp_path, mine, capsys):
    table = run(mine, tmp_path / "exp", record=True)
    assert table.splitlines()[1].split() == ["split", "nats", "a", "line", "SSE", "a", "point", "lines"] and table.splitlines()[2].split()[0] == "dev"
    folder = tmp_path / "exp" / "hand" / "small" / "model"
    loaded = writingmodel.load(folder)
    scores = loaded.info["scores"]["dev"]["network"]
    assert f"{scores['nats']:.1f}" in table and loaded.info["medium"] == "writing" and loaded.info["data_licence"] == "Apache-2.0"
    assert (loaded.model.scale != 1).all() and "nats a line" in (mine[0] / "RESULTS.md").read_text()
    said = capsys.readouterr().err
    assert "3 lines, 2 batches an epoch" in said
    assert run(mine, tmp_path / "exp") == table and capsys.readouterr().err.count("skip, unchanged") == 5


def test_killed_and_started_again_it_ends_with_the_same_weights(tmp_path, mine, monkeypatch):
    from recog import train

    run(mine, tmp_path / "whole")
    plain, calls = train.Training.update, []

    def update(self, batch, done):
        calls.append(batch)
        if len(calls) == 3:
            self.save()
            raise KeyboardInterrupt
        return plain(self, batch, done)

    monkeypatch.setattr(train.Training, "update", update)
    with pytest.raises(KeyboardInterrupt):
        run(mine, tmp_path / "cut")
    run(mine, tmp_path / "cut")
    one, two = (tmp_path / exp / "hand" / "small" / "model" / "weights.safetensors" for exp in ("whole", "cut"))
    assert one.read_bytes() == two.read_bytes()


def test_a_model_that_writes_is_shown_and_exported(tmp_path, mine):
    run(mine, tmp_path / "exp")
    folder = tmp_path / "exp" / "hand" / "small" / "model"
    assert "(writing)" in describe(folder) and "nats a line" in describe(folder) and show_model(str(folder))["medium"] == "writing"
    export_model(str(folder), tmp_path / "copy", True, "mine", False)
    one, two = writingmodel.load(folder), writingmodel.load(tmp_path / "copy")
    assert (two.name, two.height, two.step) == ("mine", one.height, one.step) and one.info["scores"] == two.info["scores"]
    for name, w in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], w, rtol=1e-3, atol=1e-5)


def test_a_second_phase_and_a_start_from_other_weights(tmp_path, mine):
    run(mine, tmp_path / "exp")
    other = tmp_path / "exp" / "hand" / "small" / "model"
    run(mine, tmp_path / "exp", [f"train.start={json.dumps(str(other))}", "train.epochs=1",
                                 'second={epochs=1, hooks=[{kind="adaptive_weight_noise", deviation=0.01}]}'], "noisy")
    info = json.loads((tmp_path / "exp" / "hand" / "noisy" / "model" / "model.json").read_text())
    assert info["provenance"]["epochs"] == 2 and info["provenance"]["started_from"]


def test_settings_that_the_network_could_not_write_with(tmp_path, mine):
    with pytest.raises(ConfigError, match="the network predicts them"):
        run(mine, tmp_path / "exp", ["features.stack=2"])
    with pytest.raises(ConfigError, match="gaussians"):
        run(mine, tmp_path / "exp", ["network.gaussians=-1"])


def test_other_models_are_refused(tmp_path, mine):
    from recog import modeldir

    run(mine, tmp_path / "exp")
    with pytest.raises(ModelError, match="writes, and recognizes nothing"):
        modeldir.load(tmp_path / "exp" / "hand" / "small" / "model")
    with pytest.raises(ModelError, match="no model that writes"):
        writingmodel.load(modeldir.locate("english_small"))


def test_the_paper_s_networks_have_the_paper_s_shape():
    found = recipe.find("handwriting")
    sizes = {}
    for name in found.models():
        network = found.experiment(name).network
        sizes[name] = sum(w.numel() for w in Handwriting(network, 83).parameters())
    assert {"prediction_1x900", "prediction_3x400", "prediction_3x400_awn", "synthesis_3x400", "synthesis_3x400_awn", "synthesis_small"} == set(sizes)
    assert Handwriting(found.experiment("prediction_3x400").network, 83).output.out_features == 121
    assert sizes["synthesis_3x400"] == sizes["synthesis_3x400_awn"] and 3.6e6 < sizes["synthesis_3x400"] < 3.9e6
