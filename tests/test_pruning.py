"""Pruning: which weights stay, that the model comes back whole, and the command on a real run."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import cli
from recog import modeldir
from recog.errors import ConfigError, DataError
from recog.files import digest, read_json
from recog.pruning import Pruned, curve, prune, prune_run
from recog.stages import run_recipe
from recog.testing import SETTINGS, tiny_recipe, tone_corpus

pytestmark = pytest.mark.usefixtures("one_thread")
SECOND = """
[second]
epochs = 2
hooks = [{ kind = "adaptive_weight_noise", deviation = 0.05 }]
"""


def test_the_weights_that_stand_out_of_their_noise_are_kept_over_all_tensors():
    torch.manual_seed(0)
    model, seen = nn.Linear(7, 5), []
    clean = {name: w.detach().clone() for name, w in model.named_parameters()}
    ranks = {name: torch.rand_like(w) for name, w in clean.items()}

    def evaluate(model):
        seen.append(torch.cat([w.detach().flatten() for w in model.parameters()]).tolist())
        return {"error": len(seen), "loss": 2.0 * len(seen)}

    found = prune(model, ranks, [100, 50, 12.5, 0.001], evaluate)
    flat, values = (torch.cat([t[name].flatten() for name in clean]).tolist() for t in (ranks, clean))
    for p, left, count in zip(found, seen, (40, 20, 5, 1)):
        least = sorted(flat, reverse=True)[count - 1]
        assert left == [value if rank >= least else 0.0 for rank, value in zip(flat, values)]
        assert (p.weights, p.threshold) == (count, pytest.approx(least))
    assert [(p.error, p.loss) for p in found] == [(1, 2.0), (2, 4.0), (3, 6.0), (4, 8.0)]
    assert all(torch.equal(w, clean[name]) for name, w in model.named_parameters())


def test_exactly_so_many_are_kept_when_ranks_are_equal_and_a_failure_leaves_the_model_whole():
    model = nn.Linear(9, 1)
    clean = model.weight.detach().clone()
    kept = []
    prune(model, {name: torch.ones_like(w) for name, w in model.named_parameters()}, [30],
          lambda model: kept.append(sum(int((w != 0).sum()) for w in model.parameters())) or {"error": 0, "loss": 0})
    assert kept == [3]

    def fails(model):
        raise KeyError

    with pytest.raises(KeyError):
        prune(model, {name: w.abs() for name, w in model.named_parameters()}, [10], fails)
    assert torch.equal(model.weight, clean)


def test_the_curve_is_an_svg_file_of_its_own():
    found = [Pruned(keep, 10, 1.0, error, 3.0) for keep, error in ((100, 0.1), (10, 0.2), (1, 1.3))]
    root = ElementTree.fromstring(curve(found, "PER on test, %"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and len(root.findall(".//{*}circle")) == 3
    x, y = ([float(c.get(name)) for c in root.findall(".//{*}circle")] for name in ("cx", "cy"))
    assert x == sorted(x) and y == sorted(y, reverse=True) and x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)     # logarithmic
    curve([Pruned(100.0, 10, 1.0, 0.0, 3.0)], "one point without errors")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    recipe, corpus = tiny_recipe(folder / "mine", SETTINGS + SECOND), tone_corpus(folder / "corpus")
    run_recipe(str(recipe), corpus, None, [], folder / "exp", None, "train", None, False)
    run_recipe(str(recipe), corpus, None, ["second.hooks=[]"], folder / "exp", "plain", "train", None, False)
    return folder / "exp" / "mine"


def test_the_command_prints_a_table_and_leaves_it_with_a_curve(trained, capsys):
    run = trained / "ctc"
    before = digest(run / "model" / "weights.safetensors")
    assert cli.app(["models", "prune", str(run), "--keep", "100,10,0.5", "--split", "test"], standalone_mode=False) is None
    said = capsys.readouterr().out
    head, names, *lines = said.splitlines()
    loaded = modeldir.load(run / "model")
    weights = loaded.info["weights"]
    assert "test" in head and "CER %" in names and len(lines) == 3
    assert [line.split()[:2] for line in lines] == [["100", f"{weights:,}"], ["10", f"{round(weights / 10):,}"], ["0.5", f"{round(weights / 200):,}"]]
    posterior = load_file(run / "train" / "second" / "adaptive_weight_noise.safetensors")
    ratios = torch.cat([(w.detach().abs() / posterior[f"deviation_log.{name}"].exp()).flatten() for name, w in loaded.model.named_parameters()])
    assert [float(line.split()[2]) for line in lines] == pytest.approx(
        [ratios.topk(count).values[-1].item() for count in (weights, round(weights / 10), round(weights / 200))], rel=1e-2)
    assert (run / "pruning" / "test.noise.txt").read_text() == said
    ElementTree.fromstring((run / "pruning" / "test.noise.svg").read_text())
    assert digest(run / "model" / "weights.safetensors") == before


def test_with_all_weights_the_error_is_the_one_that_training_found(trained):
    table = prune_run(trained / "plain", "100", None, "size")
    best = read_json(trained / "plain" / "train" / "done.json")["result"]["best"]
    assert float(table.splitlines()[-1].split()[3]) == pytest.approx(100 * best, abs=0.005)


@pytest.mark.parametrize("arguments, words", [
    (("ctc", "0,50"), "--keep"), (("ctc", "all"), "'all'"), (("ctc", "50", "tst"), "did you mean 'test'"), (("ctc", "50", None, "sise"), "'size'"),
    (("plain", "50"), "adaptive_weight_noise.*--by size"), (("none", "50"), "not the folder of a finished training")])
def test_what_cannot_be_is_one_line(trained, arguments, words):
    name, *rest = arguments
    with pytest.raises((ConfigError, DataError), match=words):
        prune_run(trained / name, *rest, *([None] if len(rest) == 1 else []))


def test_the_run_says_the_nats_in_its_model_and_metrics(trained):
    made = modeldir.load(trained / "ctc" / "model").info["provenance"]
    assert made["kl"] > 0 and made["epochs"] == 4 and 3 <= made["best_epoch"] <= 4
    run_recipe(str(trained.parent.parent / "mine"), trained.parent.parent / "corpus", None, [], trained.parent, None, "score", None, False)
    page = (trained / "ctc" / "report.html").read_text()
    assert f"best: epoch {made['best_epoch']}" in page and "KL of the weights" in page
    assert '"kl"' not in (trained / "ctc" / "train" / "metrics.jsonl").read_text()
    assert len(re.findall('"kl"', (trained / "ctc" / "train" / "second" / "metrics.jsonl").read_text())) == 2
