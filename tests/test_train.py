"""Training on frames that spell digits: it learns, it keeps the best, and it says what is wrong."""

from dataclasses import replace

import pytest
import torch
from tiny_runs import StopAt, rows, run, same

from recog import checkpoint
from recog.errors import TrainError
from recog.optim import OptimizerConfig
from recog.testing import FAST, spelled

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return spelled(tmp_path_factory.mktemp("spelled"))


def test_learns_to_zero_errors_in_seconds(corpus, tmp_path):
    model, ended = run(corpus, FAST, tmp_path)
    assert ended.best == 0 and corpus.evaluate(FAST)(model)["error"] == 0
    assert [row["epoch"] for row in rows(tmp_path)] == list(range(1, FAST.epochs + 1))
    assert rows(tmp_path)[-1]["train_loss"] < rows(tmp_path)[0]["train_loss"] / 5


@pytest.mark.parametrize("kind, rate", [("sgd", 0.01), ("adamw", 0.03), ("rmsprop", 0.002)])
def test_every_optimizer_lowers_the_loss(corpus, tmp_path, kind, rate):
    run(corpus, replace(FAST, epochs=3, optimizer=OptimizerConfig(kind=kind, rate=rate)), tmp_path)
    losses = [row["train_loss"] for row in rows(tmp_path)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_loss_that_is_no_number_names_its_batch(corpus, tmp_path):
    class Poison(StopAt):
        def before_pass(self, model, step):
            if step == self.step:
                with torch.no_grad():
                    next(model.parameters()).fill_(float("nan"))

    with pytest.raises(TrainError) as caught:
        run(corpus, FAST, tmp_path, hooks=[Poison(3, None)])
    batch = list(corpus.examples(FAST).epoch(0))[3]
    assert "step 3" in str(caught.value) and ", ".join(batch.ids) in str(caught.value)


def scripted(values):
    """An evaluation that gives these errors, one after another."""
    values = iter(values)
    return lambda model: {"error": next(values), "loss": 1.0}


def test_early_stopping_counts_evaluations_without_progress_and_keeps_the_best(corpus, tmp_path):
    model, ended = run(corpus, replace(FAST, patience=2), tmp_path, scripted([0.5, 0.4, 0.4, 0.6, 0.1]))
    assert (ended.epoch, ended.best, ended.best_epoch) == (4, 0.4, 2)
    twice, _ = run(corpus, replace(FAST, epochs=12, patience=2), tmp_path / "again", scripted([0.5, 0.4, 0.4, 0.6]))
    two_epochs = {}

    def evaluate(model, errors=scripted([0.5, 0.4, 0.4, 0.6])):
        two_epochs[len(two_epochs) + 1] = {name: w.clone() for name, w in model.state_dict().items()}
        return errors(model)

    run(corpus, replace(FAST, patience=2), tmp_path / "watched", evaluate)
    assert same(model.state_dict(), two_epochs[2]) and same(twice.state_dict(), two_epochs[2])


def test_a_plateau_halves_the_rate(corpus, tmp_path):
    optimizer = OptimizerConfig(rate=0.01, schedule="plateau", plateau_patience=2)
    config = replace(FAST, epochs=8, optimizer=optimizer)
    run(corpus, config, tmp_path, scripted([0.5, 0.4, 0.4, 0.4, 0.4, 0.3, 0.3, 0.3]))
    rates = [row["rate"] for row in rows(tmp_path)]
    assert rates == [0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.005]


def test_evaluate_every_leaves_out_evaluations_but_not_the_last(corpus, tmp_path):
    run(corpus, replace(FAST, epochs=5, evaluate_every=2), tmp_path)
    assert [row["epoch"] for row in rows(tmp_path) if "dev_error" in row] == [2, 4, 5]


def test_the_metric_decides_what_is_best(corpus, tmp_path):
    losses = iter([3.0, 1.0, 2.0])
    _, ended = run(corpus, replace(FAST, epochs=3, metric="loss"), tmp_path, lambda model: {"error": 0.0, "loss": next(losses)})
    assert (ended.best, ended.best_epoch) == (1.0, 2)


def test_the_last_is_kept_when_that_is_asked_for(corpus, tmp_path):
    model, ended = run(corpus, replace(FAST, epochs=3, metric="last", patience=1), tmp_path, scripted([0.1, 0.5, 0.4]))
    assert (ended.best, ended.best_epoch) == (0.4, 3)
    assert same(model.state_dict(), checkpoint.load(tmp_path / "state")[0]["model"])


def test_the_average_is_what_is_judged_and_kept(corpus, tmp_path):
    seen = []

    def evaluate(model):
        seen.append({name: w.clone() for name, w in model.state_dict().items()})
        return {"error": 1 / len(seen), "loss": 0.0}

    config = replace(FAST, epochs=2)
    plain, _ = run(corpus, config, tmp_path / "plain")
    averaged, _ = run(corpus, replace(config, average=0.99), tmp_path / "averaged", evaluate)
    assert same(averaged.state_dict(), seen[-1])
    assert not same(averaged.state_dict(), plain.state_dict())
    states = {name: checkpoint.load(tmp_path / name / "state")[0] for name in ("plain", "averaged")}
    assert same(states["averaged"]["model"], states["plain"]["model"])      # averaging does not change the course
    assert same(states["averaged"]["average"], averaged.state_dict())


def test_the_gradient_is_cut_to_clip(corpus, tmp_path):
    class Norm(StopAt):
        norms = []

        def after_step(self, model, step):
            self.norms.append(torch.stack([w.grad.norm() for w in model.parameters()]).norm().item())

    run(corpus, replace(FAST, epochs=1, clip=0.5), tmp_path, hooks=[Norm(-1, None)])
    assert max(Norm.norms) == pytest.approx(0.5, rel=1e-4) and min(Norm.norms) > 0


def test_extra_losses_of_hooks_are_learned(corpus, tmp_path):
    class Decay(StopAt):
        def extra_loss(self, model):
            return 10 * sum((w * w).sum() for w in model.parameters())

    with_decay, _ = run(corpus, replace(FAST, epochs=3), tmp_path / "a", hooks=[Decay(-1, None)])
    without, _ = run(corpus, replace(FAST, epochs=3), tmp_path / "b")
    size = lambda model: sum(w.norm().item() for w in model.parameters())
    assert size(with_decay) < size(without) / 2
