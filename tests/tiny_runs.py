"""What the tests of training share: short runs of a tiny model, and ways to stop them."""

import json
import multiprocessing
import random
import signal
import time
from dataclasses import replace

import torch

from recog.hooks.weight_noise import WeightNoise, WeightNoiseConfig
from recog.perturb import PerturbConfig
from recog.store import Store
from recog.testing import DIGITS, FAST, Spelled, spelled, tiny_model
from recog.text import BLANK, Units
from recog.train import train

NOISY = replace(FAST, epochs=3, average=0.9, checkpoint_seconds=0.0, perturb=PerturbConfig(noise=0.2, frequency_masks=1))
TIMES = ("seconds", "frames_per_second")


def run(corpus, config, folder, evaluate=None, hooks=()):
    """Trains (or goes on training) a tiny model in `folder`; gives the model and where it ended."""
    folder.mkdir(exist_ok=True)
    model = tiny_model()
    examples = corpus.examples(config, perturb=config.perturb)
    ended = train(model, examples, evaluate or corpus.evaluate(config), config, folder, hooks)
    return model, ended


def rows(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in found]


def same(a, b):
    return all(torch.equal(x, b[name]) for name, x in a.items())


def steps_done(folder):
    """Updates in the newest saved states, of both phases."""
    return sum(max([int(p.name[5:14]) for p in (folder / phase).glob("state/step-*[0-9]")], default=0) for phase in (".", "second"))


def killed_and_ended(child, preload, features, folder, earliest, spread):
    """Runs child(features, folder) in processes, killed within `spread` steps after each of `earliest`, and once to its end.

    Gives the steps that were saved when it was killed.
    """
    (features / "texts.json").write_text(json.dumps(spelled(features).texts))
    context, draw, killed_at = multiprocessing.get_context("forkserver"), random.Random(), []
    context.set_forkserver_preload(["recog.testing", *preload])
    for first in (*earliest, None):
        process = context.Process(target=child, args=(features, folder))
        process.start()
        if first is not None:
            target = first + draw.randrange(spread)
            while process.is_alive() and steps_done(folder) < target:
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.02))
            process.kill()
            killed_at.append(steps_done(folder))
        process.join()
    assert process.exitcode == 0, f"killed at steps {killed_at}"
    return killed_at


def learned(features):
    """The corpus that `spelled` left in a folder, for a process of its own."""
    torch.set_num_threads(1)
    return Spelled(Store(features), json.loads((features / "texts.json").read_text()), Units("char", [BLANK, *DIGITS]))


def noise():
    return [WeightNoise(WeightNoiseConfig(0.01))]


class Stop(Exception):
    """Stands for anything that ends a run: it must be able to go on."""


class StopAt:
    """A hook that raises at one step, or asks for a stop as Ctrl-C does."""

    def __init__(self, step, kind):
        self.step, self.kind = step, kind

    per_sequence = False

    def before_pass(self, model, step):
        if step == self.step and self.kind is Stop:
            raise Stop
        if step == self.step:
            signal.raise_signal(self.kind)

    extra_loss = after_pass = before_update = after_step = lambda self, *_: None

    def report(self):
        return {}

    state = weights = report

    def restore(self, state):
        pass
