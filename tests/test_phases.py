"""Two phases of training: the second starts from the best of the first, and a stop at any moment changes nothing."""

import math
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import NOISY, Stop, killed_and_ended, learned, rows, same

import recog.phases
from recog import checkpoint
from recog.config import Component, build
from recog.experiment import Experiment
from recog.files import digest
from recog.hooks.adaptive_weight_noise import AdaptiveWeightNoiseConfig
from recog.hooks.weight_noise import WeightNoiseConfig
from recog.phases import SecondConfig, phases, train_phases
from recog.stages import run_recipe
from recog.testing import FAST, spelled, tiny_model, tiny_recipe, tone_corpus
from recog.train import Training

pytestmark = pytest.mark.usefixtures("one_thread")
NOISE = "adaptive_weight_noise.safetensors"
FIRST = replace(NOISY, epochs=2, metric="loss")
SECOND = SecondConfig(epochs=2, rate=0.01, hooks=(Component("adaptive_weight_noise", AdaptiveWeightNoiseConfig(deviation=0.05)),))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return spelled(tmp_path_factory.mktemp("spelled"))


def run(corpus, folder, config=FIRST, second=SECOND, evaluate=None, said=None):
    model = tiny_model()
    ended, figures = train_phases(model, lambda phase: corpus.examples(phase.train, perturb=phase.train.perturb), evaluate or corpus.evaluate(config),
                                  phases(config, (), second), folder, (said if said is not None else []).append)
    return model, ended, figures


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, ended, figures = run(corpus, folder)
    torch.set_num_threads(threads)
    return model.state_dict(), rows(folder) + rows(folder / "second"), digest(folder / "second" / NOISE), figures


def as_undisturbed(folder, undisturbed):
    """Weights, metrics, and what the hook learned."""
    return (same(checkpoint.load(folder / "second" / "state")[0]["best"], undisturbed[0]) and not list(folder.rglob("*.partial"))
            and rows(folder) + rows(folder / "second") == undisturbed[1] and digest(folder / "second" / NOISE) == undisturbed[2])


def test_a_model_file_says_it_plainly():
    table = {"encoder": {"kind": "blstm"}, "train": {"epochs": 100, "metric": "loss", "patience": 10},
             "second": {"epochs": 40, "metric": "error", "patience": 5,
                        "hooks": [{"kind": "weight_noise", "deviation": 0.075, "per": "sequence"}]}}
    read = build(Experiment, table, where="test")
    first, second = phases(read.train, read.hooks, read.second)
    assert first.train == read.train and first.hooks == ()
    assert (second.train.epochs, second.train.metric, second.train.patience) == (40, "error", 5)
    assert second.train.optimizer == read.train.optimizer and second.hooks[0].config == WeightNoiseConfig(0.075, "sequence")
    assert second.train.seed != read.train.seed and second.train.batch == read.train.batch
    assert phases(read.train, read.hooks, replace(read.second, rate=1e-5))[1].train.optimizer.rate == 1e-5
    assert len(phases(read.train, read.hooks, None)) == 1
    for wrong in ({"epochs": 0}, {"patience": -1}, {"rate": -1.0}):
        with pytest.raises(ValueError):
            SecondConfig(**wrong)


def test_the_second_phase_starts_from_the_first_one_s_best_with_a_fresh_optimizer(corpus, tmp_path, monkeypatch):
    found, begun, said = [], [], []

    def evaluate(model, losses=iter([3.0, 1.0, 2.0, 5.0, 4.0]), errors=iter([0.3, 0.9, 0.1, 0.6, 0.5])):
        found.append({name: w.clone() for name, w in model.state_dict().items()})
        return {"loss": next(losses), "error": next(errors)}

    def watched(model, examples, evaluate, config, folder, hooks):
        begun.append({name: w.clone() for name, w in model.state_dict().items()})
        assert not Training(model, config, hooks, folder).optimizer.state
        return train(model, examples, evaluate, config, folder, hooks)

    train = recog.phases.train
    monkeypatch.setattr(recog.phases, "train", watched)
    model, ended, figures = run(corpus, tmp_path, replace(FAST, epochs=3, metric="loss"), SECOND, evaluate, said)
    assert same(begun[1], found[1]) and not same(begun[1], found[2])               # by loss, not by error and not the last
    assert same(model.state_dict(), found[4])                                      # by error
    assert (ended.epoch, ended.best_epoch, ended.best, ended.step) == (5, 5, 0.5, 60)
    assert said == ["train: 3 epochs, best: 2, at 1.0000; the second phase starts from there"]
    assert all("kl" not in row for row in rows(tmp_path)) and all(row["kl"] > 0 for row in rows(tmp_path / "second"))


def test_what_a_hook_knew_at_the_best_epoch_is_kept(corpus, tmp_path):
    def evaluate(model, errors=iter([1.0, 1.0, 0.2, 0.5, 0.6])):
        return {"loss": 1.0, "error": next(errors)}

    _, ended, figures = run(corpus, tmp_path, FIRST, replace(SECOND, epochs=3), evaluate)
    kept = [row for row in rows(tmp_path / "second") if row["epoch"] == 1][0]
    assert ended.best_epoch == 3                                                   # the first epoch of the second phase
    last = checkpoint.load(tmp_path / "second" / "state")[0]
    found = load_file(tmp_path / "second" / NOISE)
    assert same(found, last["best_hook0"]) and not same(found, last["hook0"])
    deviations = torch.cat([log.flatten().exp() for name, log in found.items() if name.startswith("deviation_log.")])
    assert deviations.mean().item() == pytest.approx(kept["deviation"], rel=1e-5) == figures["deviation"]


def stopping(monkeypatch, at, how):
    """The update number `at` of this process, counted over both phases, is stopped."""
    update, count = Training.update, iter(range(10 ** 6))

    def stopped(self, batch, done):
        if next(count) == at:
            if how is Stop:
                raise Stop
            signal.raise_signal(how)
        return update(self, batch, done)

    monkeypatch.setattr(Training, "update", stopped)


@pytest.mark.parametrize("at, how", [(5, Stop), (24, Stop), (36, Stop), (47, Stop), (23, signal.SIGINT), (29, signal.SIGINT)])
def test_stopped_at_any_step_of_either_phase_it_ends_the_same(corpus, tmp_path, undisturbed, monkeypatch, at, how):
    with monkeypatch.context() as patch:                                           # 12 batches an epoch, 2 epochs in each phase
        stopping(patch, at, how)
        with pytest.raises(Stop if how is Stop else KeyboardInterrupt):
            run(corpus, tmp_path)
    assert not (tmp_path / "second" / NOISE).exists()
    model, ended, figures = run(corpus, tmp_path)
    assert same(model.state_dict(), undisturbed[0]) and figures == undisturbed[3] and as_undisturbed(tmp_path, undisturbed)
    again, _, figures = run(corpus, tmp_path)                                      # and a finished one is finished
    assert same(again.state_dict(), undisturbed[0]) and figures == undisturbed[3]


def child(features, folder):
    run(learned(features), folder)


def test_killed_in_both_phases_it_ends_as_if_nothing_had_happened(tmp_path, tmp_path_factory, undisturbed):
    preload = ["recog.hooks.adaptive_weight_noise", "recog.phases"]
    killed_at = killed_and_ended(child, preload, tmp_path_factory.mktemp("features"), tmp_path / "run", (10, 30), 6)
    assert killed_at[0] < 48 and as_undisturbed(tmp_path / "run", undisturbed), f"killed at steps {killed_at}"


def test_initial_draws_every_weight_evenly(tmp_path):
    recipe, corpus = tiny_recipe(tmp_path / "mine"), tone_corpus(tmp_path / "corpus")
    settings = ["train.epochs=1", "train.optimizer.rate=1e-12", "train.initial=0.1", "encoder.units=40"]
    run_recipe(str(recipe), corpus, None, settings, tmp_path / "exp", None, "train", None, False)
    weights = load_file(tmp_path / "exp" / "mine" / "ctc" / "model" / "weights.safetensors")
    for name, w in weights.items():
        assert w.abs().max() <= 0.1 + 1e-6, name                                   # the forget gates' biases too
    whole = torch.cat([w.flatten() for w in weights.values()])
    assert whole.mean().item() == pytest.approx(0, abs=0.002) and whole.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.02)
