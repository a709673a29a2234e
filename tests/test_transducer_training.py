"""A transducer in use: it learns, from a recipe too; its prediction network from texts, its encoder from a CTC model."""

from dataclasses import replace

import pytest
import torch

import recog
from recog import modeldir
from recog.api import TranscribeOptions
from recog.batching import BatchConfig
from recog.config import Component
from recog.encoders.blstm import BlstmConfig
from recog.errors import ModelError
from recog.heads.transducer import Transducer, TransducerConfig
from recog.models.recognizer import build
from recog.pretrain import pretrain
from recog.stages import run_recipe
from recog.testing import CONFIG, FAST, SETTINGS, spelled, tiny_recipe, tone_corpus
from recog.train import train

pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(joint, seed=1, units=5):
    torch.manual_seed(seed)
    head = Component("transducer", TransducerConfig(joint=joint, prediction_units=16, joint_units=24))
    encoder = replace(CONFIG.encoder, config=replace(CONFIG.encoder.config, units=16))
    return build(replace(CONFIG, encoder=encoder, head=head), units)


@pytest.mark.parametrize("joint, epochs", [("additive", 16), ("hidden", 12)])
def test_it_learns_to_read_digits(tmp_path, joint, epochs):
    corpus = spelled(tmp_path / "store")
    config = replace(FAST, epochs=epochs, evaluate_every=epochs, batch=BatchConfig(utterances=4))
    (tmp_path / "run").mkdir()
    ended = train(tiny(joint), corpus.examples(config), corpus.evaluate(config), config, tmp_path / "run")
    assert ended.best < 0.3                                       # of digits wrong; at random it is about 1


def test_the_prediction_network_learns_what_follows():
    texts = [[1, 2, 3, 4], [2, 3], [3, 4, 1, 2, 3], [1], [4, 1, 2]] * 8

    def trained(seed, epochs):
        torch.manual_seed(0)
        head, said = Transducer(TransducerConfig(prediction_units=12, pretrain_epochs=epochs), 3, 5), []
        others = {name: w.clone() for name, w in head.state_dict().items() if not name.startswith("prediction")}
        pretrain(head, texts, seed, said.append)
        assert all(torch.equal(w, head.state_dict()[name]) for name, w in others.items())
        return head.state_dict(), [float(line.split()[-4]) for line in said]

    (weights, _), (again, _), (other, _), (_, losses) = trained(1, 3), trained(1, 3), trained(2, 3), trained(1, 60)
    assert len(losses) == 60 and losses[0] > 1.5 and losses[-1] < 1.2       # the entropy of a first unit and of an end remains
    assert all(torch.equal(w, again[name]) for name, w in weights.items())
    assert not torch.equal(weights["prediction.forwards.weight_hh_l0"], other["prediction.forwards.weight_hh_l0"])


def test_an_encoder_starts_from_a_ctc_model(tmp_path):
    corpus, model = spelled(tmp_path / "store", 4, 2), tiny("hidden", seed=2)
    config = replace(CONFIG, encoder=Component("blstm", BlstmConfig(layers=1, units=16)))
    ctc = build(config, 5)
    facts = {"medium": "audio", "data_licence": "none", "provenance": {}, "scores": {}}
    modeldir.save(tmp_path / "ctc", "ctc", config, ctc, corpus.units, None, facts)
    head = {name: w.clone() for name, w in model.head.state_dict().items()}
    modeldir.start_from(model, corpus.units, str(tmp_path / "ctc"))
    for name, w in ctc.encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], w)
    for name, w in head.items():
        assert torch.equal(model.head.state_dict()[name], w)


def test_a_recipe_from_sound_to_text(tmp_path):
    more = '\n[head]\nkind = "transducer"\nprediction_units = 8\njoint_units = 8\npretrain_epochs = 1\n' \
           '\n[[decoders]]\nkind = "greedy"\n[[decoders]]\nkind = "beam"\nbeam = 4\n'
    recipe, corpus = tiny_recipe(tmp_path / "mine", SETTINGS + more), tone_corpus(tmp_path / "corpus")
    table = run_recipe(str(recipe), corpus, None, [], tmp_path / "exp", None, "score", None, False)
    assert "greedy" in table and "beam" in table
    folder = tmp_path / "exp" / "mine" / "ctc"
    assert not (folder / "decode" / "test" / "log_probs").exists()
    loaded = recog.load(folder / "model")
    answers = {kind: list(loaded.transcribe(corpus / "train0.wav", TranscribeOptions(decoder=kind)))[0] for kind in (None, "greedy", "beam")}
    assert answers[None] == answers["greedy"] and answers["beam"].score >= answers["greedy"].score - 1e-3
    best = list(loaded.transcribe(corpus / "train0.wav", TranscribeOptions(nbest=3)))[0]
    assert len(best.nbest) == 3 and best.nbest[0].score >= best.nbest[1].score
    with pytest.raises(ModelError, match="is a transducer"):
        loaded.loaded.model.log_probs(torch.zeros(1, 3, 12), torch.tensor([3]))
    assert "depends on what it has written" in (folder / "report.html").read_text(encoding="utf-8")
