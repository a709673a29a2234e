"""Streams end where the recorded sound would: networks, decoders, whole streams, and the command."""

import io
import json
import subprocess
import sys
from os.path import commonprefix

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decode import random_log_probs, seeds

import recog
from recog import audio, modeldir
from recog.api import TranscribeOptions
from recog.config import Component
from recog.config import build as build_config
from recog.decode import make
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.greedy import Greedy
from recog.decode.prefix import PrefixConfig, PrefixSearch
from recog.encoders.blstm import Blstm, BlstmConfig
from recog.errors import RecogError
from recog.features import Normalizer
from recog.live import transcribe_stream
from recog.models.recognizer import RecognizerConfig, build
from recog.text import BLANK, Units
from recog.types import Waveform

RATE = 16000


def saved(folder, settings, seed=3):
    """A model folder whose weights are random but large, so that it writes something."""
    torch.manual_seed(seed)
    config = build_config(RecognizerConfig, settings, "test")
    units = Units("char", [BLANK, " ", *"ABCDEFG"])
    network = build(config, len(units))
    for w in network.parameters():
        w.data.mul_(4)
    width = config.features.width
    normalizer = Normalizer(np.full(width, -5, np.float32), np.full(width, 2, np.float32))
    modeldir.save(folder, folder.name, config, network, units, normalizer if config.features.normalize == "corpus" else None,
                  {"medium": "audio", "data_licence": "none"})
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("models") / "forwards",
                 {"encoder": {"kind": "blstm", "layers": 2, "units": 16, "subsample": [2, 1], "bidirectional": False},
                  "features": {"mels": 20, "deltas": 1, "stack": 2}})


def bursts(seconds, seed=0, rate=RATE):
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    envelope = (np.sin(2 * np.pi * 3 * np.arange(n) / rate) > 0.2) * rng.uniform(0.05, 0.5)
    return np.round((envelope * rng.standard_normal(n) * 0.3 + rng.standard_normal(n) * 1e-3) * 32768).clip(-32768, 32767).astype("<i2")


def recorded(model, pcm, folder, options, rate=RATE):
    samples = pcm.astype(np.float32) / 32768
    audio.write(folder / "whole.wav", Waveform(samples, rate))
    return next(iter(recog.load(model).transcribe(folder / "whole.wav", options)))


def pieces(samples, cuts):
    return np.split(samples, sorted(cut % (len(samples) + 1) for cut in cuts))


def same(streamed, whole):
    assert streamed.text == whole.text
    assert [(u.text, u.start, u.end) for u in streamed.units] == [(u.text, u.start, u.end) for u in whole.units]
    assert [w.text for w in streamed.words] == [w.text for w in whole.words]
    assert streamed.score == pytest.approx(whole.score, abs=1e-2)


# -- the network --------------------------------------------------------------------------------------

@settings(max_examples=30)
@given(st.integers(0, 40), st.lists(st.integers(0, 40), max_size=6), st.sampled_from([(), (1, 2), (3, 2), (2, 3)]), st.integers(1, 2))
def test_steps_of_a_network_are_the_whole(frames, cuts, subsample, batch):
    torch.manual_seed(0)
    network = Blstm(BlstmConfig(layers=2, units=5, bidirectional=False, subsample=subsample), 3).eval()
    x = torch.randn(batch, frames, 3)
    with torch.no_grad():
        found, state = [], None
        for piece in torch.tensor_split(x, sorted(cut % (frames + 1) for cut in cuts), dim=1):
            h, state = network.step(piece, state)
            found.append(h)
        found.append(network.step(x[:, :0], state, last=True)[0])
        whole = network(x, torch.full((batch,), frames)).h if frames else torch.zeros(batch, 0, network.output_size)
    torch.testing.assert_close(torch.cat(found, dim=1), whole, atol=1e-5, rtol=0)


# -- the decoders: what is settled stays ---------------------------------------------------------------

SPELLED = make(Component("beam", CtcBeamConfig(beam=8, lexicon=True)), Units("char", [BLANK, " ", "a", "b", "c"]), ["ab", "abc", "cab", "b"])


@pytest.mark.parametrize("decoder", [Greedy(), CtcBeam(CtcBeamConfig(beam=8)), PrefixSearch(PrefixConfig(0.9)),
                                     SPELLED],
                         ids=["greedy", "beam", "prefix", "beam with a lexicon"])
@settings(max_examples=25)
@given(seed=seeds, kind=st.sampled_from(["noisy", "peaky"]))
def test_what_is_settled_stays(decoder, seed, kind):
    proven = not isinstance(decoder, CtcBeam)      # a beam goes by a margin, and may change its mind over noise
    log_probs, state, before = random_log_probs(seed, 60, 5, kind), decoder.begin(), ()
    for row in log_probs:
        state = decoder.step(state, row[None])
        settled, best = decoder.live(state)
        assert best[:len(settled)] == settled and (settled[:len(before)] == before or not proven)
        before = settled if proven else ()
    assert decoder.finish(state)[0].units[:len(before)] == before


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_settles_what_its_prefixes_share_and_soon(seed):
    logits = np.random.default_rng(seed).normal(0, 1.5, (300, 20))
    logits[:, 0] += 14
    logits[np.arange(60) * 5 + 2, 1 + np.arange(60) % 7] += 28
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    decoder = CtcBeam(CtcBeamConfig(beam=16, nbest=16))
    state, behind = decoder.begin(), []
    for row in log_probs:
        state = decoder.step(state, row[None])
        settled, best = decoder.live(state)
        answers = [answer.units for answer in decoder.finish(state)] if len(behind) % 50 == 0 else [best]
        shared = commonprefix(answers)
        assert best == answers[0] and (settled[:len(shared)] == shared or len(answers) == 1)
        behind.append(len(best) - len(settled))
    assert np.mean(behind) < 3 and len(best) > 30


# -- the whole stream ----------------------------------------------------------------------------------

@settings(max_examples=12)
@given(st.integers(0, 20), st.lists(st.integers(0, 20000), max_size=10), st.sampled_from(["greedy", "beam", "prefix"]))
def test_a_stream_ends_with_the_recordings_transcript(model, tmp_path_factory, seed, cuts, decoder):
    pcm, options = bursts(1.2, seed), TranscribeOptions(decoder=decoder)
    stream, before = recog.load(model).stream(options), ""
    for piece in pieces(pcm, cuts):
        partial = stream.accept(piece.astype(np.float32) / 32768)
        assert partial.settled.startswith(before)
        before = partial.settled
    found = stream.finish()
    assert found.text.startswith(before) and found.text
    same(found, recorded(model, pcm, tmp_path_factory.mktemp("sound"), options))


def test_one_sample_at_a_time_and_nbest(model, tmp_path):
    pcm, options = bursts(0.3, 5), TranscribeOptions(nbest=3)
    stream = recog.load(model).stream(options)
    for sample in pcm.astype(np.float32) / 32768:
        stream.accept(sample[None])
    found, whole = stream.finish(), recorded(model, pcm, tmp_path, options)
    same(found, whole)
    assert [t.text for t in found.nbest] == [t.text for t in whole.nbest] and 1 < len(found.nbest) <= 3


@pytest.mark.parametrize("rate", [8000, 44100])
def test_another_rate_is_resampled(model, tmp_path, rate):
    pcm, options = bursts(1.0, 1, rate), TranscribeOptions(decoder="greedy")
    stream = recog.load(model).stream(options, rate)
    heard = [stream.accept(piece.astype(np.float32) / 32768) for piece in pieces(pcm, range(0, len(pcm), 331))]
    assert heard[-1].seconds == pytest.approx(1.0)
    same(stream.finish(), recorded(model, pcm, tmp_path, options, rate))


def test_resampling_in_pieces_is_resampling():
    samples = np.random.default_rng(0).normal(0, 0.1, 9000).astype(np.float32)
    stream = soxr.ResampleStream(8000, 16000, 1, dtype="float32", quality="HQ")
    found = [stream.resample_chunk(piece) for piece in pieces(samples, range(0, 9000, 7))]
    found = np.concatenate([*found, stream.resample_chunk(np.zeros(0, np.float32), last=True)])
    np.testing.assert_allclose(found, soxr.resample(samples, 8000, 16000, quality="HQ"), atol=1e-5)


def test_no_sound_says_nothing(model):
    stream = recog.load(model).stream()
    assert stream.accept(np.zeros(0, np.float32)).settled == ""
    assert stream.finish().text == ""


@pytest.mark.parametrize(("settings", "message"), [
    ({"encoder": {"kind": "blstm", "layers": 1, "units": 4}}, "reads backwards.*encoder.bidirectional = false"),
    ({"encoder": {"kind": "blstm", "layers": 1, "units": 4, "bidirectional": False}, "features": {"normalize": "utterance"}},
     "normalize = 'utterance' needs the whole recording")])
def test_models_that_need_the_whole_recording_are_refused(tmp_path, settings, message):
    with pytest.raises(RecogError, match=message) as caught:
        recog.load(saved(tmp_path / "m", settings)).stream()
    assert "\n" not in str(caught.value)


# -- the command ---------------------------------------------------------------------------------------

class Trickle(io.BytesIO):
    """Gives an odd number of bytes at a time, as a pipe may."""

    def read1(self, size=-1):
        return super().read1(min(size, 2001))


def test_the_command_shows_what_settles_and_ends_with_the_text(model, tmp_path, monkeypatch):
    pcm = bursts(1.5, 2)
    options = {"nbest": 1, "decoder": "beam", "beam": None}
    out = io.StringIO()
    assert transcribe_stream(["-"], str(model), "text", options, incoming=Trickle(pcm.tobytes()), out=out) == 0
    *lines, last = out.getvalue().splitlines()
    assert last == recorded(model, pcm, tmp_path, TranscribeOptions(decoder="beam")).text
    assert len(lines) > 3 and len(set(lines)) == len(lines)
    settled = [line.partition("[")[0] for line in lines]
    assert all(b.startswith(a) for a, b in zip(settled, settled[1:])) and last.startswith(settled[-1])
    out = io.StringIO()
    transcribe_stream(["-"], str(model), "jsonl", options, incoming=Trickle(pcm.tobytes()), out=out)
    *rows, final = map(json.loads, out.getvalue().splitlines())
    assert [row["settled"] for row in rows] == settled and final["text"] == last and final["id"] == "stdin"


def test_a_terminal_has_one_line_written_over(model, monkeypatch):
    out = io.StringIO()
    out.isatty = lambda: True
    transcribe_stream(["-"], str(model), "text", {"decoder": "beam"}, incoming=io.BytesIO(bursts(1.0, 2).tobytes()), out=out)
    assert out.getvalue().count("\n") == 1 and "\033[2m" in out.getvalue()


def test_ctrl_c_still_writes_what_was_heard(model):
    class Stopped(io.BytesIO):
        def read1(self, size=-1):
            if self.tell() > 20000:
                raise KeyboardInterrupt
            return super().read1(size)

    out = io.StringIO()
    assert transcribe_stream(["-"], str(model), "text", {}, incoming=Stopped(bursts(1.0, 2).tobytes()), out=out) == 0
    assert out.getvalue().splitlines()[-1]


def test_what_is_no_stream_is_refused(model, capsys):
    for names, incoming, options, message in [
            (["a.wav"], b"", {}, "standard input"), (["-"], b"RIFF\x24\0\0\0WAVEfmt ", {}, "is a WAV file"),
            (["-"], b"", {"format": "pdf"}, "no format"), (["-"], b"", {"rate": 3}, "3 samples a second")]:
        options = {"format": "text", **options}
        with pytest.raises(RecogError, match=message):
            transcribe_stream(names, str(model), options.pop("format"), {}, incoming=io.BytesIO(incoming), **options)
    out = io.StringIO()
    assert transcribe_stream(["-"], str(model), "text", {}, incoming=io.BytesIO(b"\0"), out=out) == 0
    assert out.getvalue() == "\n" and "within a sample" in capsys.readouterr().err


def test_through_a_pipe(model, tmp_path):
    pcm = bursts(0.8, 4)
    done = subprocess.run([sys.executable, "-m", "recog", "transcribe", "--stream", "-", "-m", str(model), "--rate", "16000"],
                          input=pcm.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines()[-1] == recorded(model, pcm, tmp_path, TranscribeOptions()).text
