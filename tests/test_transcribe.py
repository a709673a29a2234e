"""`recog transcribe` and `recog.load(...).transcribe(...)`, with an untrained model: plumbing, order, times, failures."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from test_command import called

import recog
from recog import audio, modeldir, textmodel
from recog.api import GROUP, TranscribeOptions
from recog.bulk import transcribe_files
from recog.config import build as build_config
from recog.errors import DataError, ModelError, RecogError
from recog.features import Normalizer
from recog.lm.rnn import CharRnn, RnnConfig
from recog.models.recognizer import RecognizerConfig, build
from recog.segment import SegmentConfig
from recog.sources import expand
from recog.text import BLANK, Units
from recog.types import Waveform

RATE = 16000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder whose weights are random but large, so that it writes something."""
    torch.manual_seed(3)
    config = build_config(RecognizerConfig, {"encoder": {"kind": "blstm", "layers": 2, "units": 16, "subsample": [2, 1]},
                                             "features": {"mels": 20}}, "test")
    units = Units("char", [BLANK, " ", *"ABCDEFG"])
    network = build(config, len(units))
    for w in network.parameters():
        w.data.mul_(4)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    modeldir.save(folder, "tiny", config, network, units, Normalizer(np.full(20, -5, np.float32), np.full(20, 2, np.float32)),
                  {"medium": "audio", "data_licence": "none"})
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Five files of bursts of noise, 1 to 3 seconds."""
    folder = tmp_path_factory.mktemp("sounds")
    for i in range(5):
        audio.write(folder / f"s{i}.flac", bursts(1 + i / 2, seed=i))
    return sorted(folder.iterdir())


def bursts(seconds, seed=0):
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    envelope = (np.sin(2 * np.pi * 3 * np.arange(n) / RATE) > 0.2) * rng.uniform(0.05, 0.5)
    return Waveform((envelope * rng.standard_normal(n) * 0.3 + rng.standard_normal(n) * 1e-3).astype(np.float32), RATE)


def test_order_is_kept_and_grouping_changes_nothing(model, sounds):
    transcriber = recog.load(model)
    together = list(transcriber.transcribe(sounds))
    assert [t.source for t in together] == [str(p) for p in sounds]
    alone = [next(iter(transcriber.transcribe(p))) for p in sounds]
    assert [t.text for t in together] == [t.text for t in alone]
    assert any(t.text for t in together)
    for a, b in zip(together, alone):
        assert a.score == pytest.approx(b.score, abs=1e-3)


def test_times_lie_in_the_sound_in_order_and_parts_sum(model, sounds):
    for transcript, path in zip(recog.load(model).transcribe(sounds, TranscribeOptions(nbest=3)), sounds):
        assert transcript.score == pytest.approx(sum(transcript.parts.values()))
        assert transcript.nbest[0].text == transcript.text and len(transcript.nbest) <= 3
        scores = [t.score for t in transcript.nbest]
        assert scores == sorted(scores, reverse=True)
        edges = [t for span in transcript.units for t in (span.start, span.end)]
        assert edges == sorted(edges) and (not edges or edges[-1] <= audio.duration(path) + 0.02)
        assert " ".join(w.text for w in transcript.words).split() == transcript.text.split()


def test_a_long_file_is_cut_and_its_pieces_joined(model, tmp_path):
    quiet = np.zeros(2 * RATE, np.float32)
    parts = [bursts(4, seed) for seed in range(4)]
    audio.write(tmp_path / "long.wav", Waveform(np.concatenate([s for p in parts for s in (p.samples, quiet)]), RATE))
    options = TranscribeOptions(segment=SegmentConfig(max_seconds=8, whole_under=6), nbest=2)
    (long,) = recog.load(model).transcribe(tmp_path / "long.wav", options)
    assert len(long.text) > 0 and long.units[-1].start > 18
    assert long.score == pytest.approx(sum(long.parts.values()), abs=1e-6)
    assert len(long.nbest) == 2 and long.nbest[0].score >= long.nbest[1].score


def test_more_files_than_a_group_all_come_back(model, tmp_path):
    for i in range(GROUP + 3):
        audio.write(tmp_path / f"{i:03d}.wav", bursts(0.3, i))
    found = list(recog.load(model).transcribe(sorted(tmp_path.iterdir())))
    assert [t.id for t in found] == [f"{i:03d}" for i in range(GROUP + 3)]


def test_silence_gives_an_empty_text(model, tmp_path):
    audio.write(tmp_path / "silence.wav", Waveform(np.zeros(RATE, np.float32), RATE))
    (transcript,) = recog.load(model).transcribe(tmp_path / "silence.wav")
    assert transcript.text == "" and transcript.words == () and transcript.score == 0


def test_an_error_is_raised_without_a_handler_and_handed_over_with_one(model, sounds, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    transcriber = recog.load(model)
    with pytest.raises(DataError, match="bad.wav"):
        list(transcriber.transcribe([sounds[0], bad]))
    errors = []
    found = list(transcriber.transcribe([bad, sounds[0], tmp_path / "none.wav", sounds[1]], on_error=errors.append))
    assert [t.source for t in found] == [str(sounds[0]), str(sounds[1])]
    assert len(errors) == 2 and "bad.wav" in str(errors[0])


def test_output_folder_skip_and_force(model, sounds, tmp_path, capsys):
    out, again = tmp_path / "out", [str(p) for p in sounds]
    assert transcribe_files(again[:2], str(model), "jsonl", {}, out) == 0
    assert sorted(p.name for p in out.iterdir()) == ["s0.jsonl", "s1.jsonl"]
    assert json.loads((out / "s0.jsonl").read_text())["source"] == again[0]
    with pytest.raises(RecogError, match="is there already"):
        transcribe_files(again, str(model), "jsonl", {}, out)
    before = (out / "s0.jsonl").stat().st_mtime_ns
    assert transcribe_files(again, str(model), "jsonl", {}, out, skip_existing=True) == 0
    assert len(list(out.iterdir())) == 5 and (out / "s0.jsonl").stat().st_mtime_ns == before
    assert transcribe_files(again[:1], str(model), "jsonl", {}, out, force=True) == 0
    assert (out / "s0.jsonl").stat().st_mtime_ns > before
    capsys.readouterr()


def test_names_from_two_folders_do_not_collide(model, sounds, tmp_path):
    for name in ("a", "b"):
        audio.write(tmp_path / name / "x.wav", bursts(0.5))
    assert transcribe_files([str(tmp_path / "a"), str(tmp_path / "b")], str(model), "text", {}, tmp_path / "out") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["x-2.txt", "x.txt"]


def test_folders_patterns_and_what_is_not_there(sounds, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "sound-without-suffix").write_bytes(sounds[0].read_bytes())
    errors = []
    found = expand([str(tmp_path), str(sounds[0].parent / "s*.flac"), "nowhere/*.wav", str(sounds[0])], errors.append)
    assert found == [str(tmp_path / "empty.wav"), str(tmp_path / "sound-without-suffix"), *map(str, sounds)]
    assert [str(e) for e in errors] == ["nowhere/*.wav: no such file or folder"]


def test_the_command_goes_on_after_bad_files_and_says_so(model, sounds, tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    done = subprocess.run([sys.executable, "-m", "recog", "transcribe", "-m", str(model), "-f", "tsv", str(sounds[0]),
                           str(tmp_path / "empty.wav"), str(sounds[1])], capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["s0", "s1"]
    assert "empty.wav" in done.stderr and "Traceback" not in done.stderr


def test_standard_input(model, sounds, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sounds[2].read_bytes())))
    assert transcribe_files(["-"], str(model), "json", {}) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["id"] == "stdin"


def test_each_text_is_listed_once(sounds, tmp_path):
    """Of words that may be said in two ways, one answer: from files and from a stream."""
    torch.manual_seed(3)
    config = build_config(RecognizerConfig, {"encoder": {"kind": "blstm", "layers": 1, "units": 16, "bidirectional": False},
                                             "features": {"mels": 20}}, "test")
    units = Units("phone", [BLANK, " ", "a", "b"], lexicon={"ONE": (("a",), ("a", "b"), ("b", "a")), "TWO": (("b",),)})
    modeldir.save(tmp_path / "two", "two", config, build(config, len(units)), units,
                  Normalizer(np.full(20, -5, np.float32), np.full(20, 2, np.float32)), {"medium": "audio", "data_licence": "none"})
    transcriber, options = recog.load(tmp_path / "two"), TranscribeOptions(nbest=30, segment=SegmentConfig(max_seconds=1, whole_under=0.5))
    stream = transcriber.stream(options)
    stream.accept(bursts(1).samples)
    for found in (*transcriber.transcribe(sounds[:3], options), stream.finish()):
        texts = [answer.text for answer in found.nbest]
        assert len(texts) > 3 and len(set(texts)) == len(texts) and texts[0] == found.text


def test_options_that_would_do_nothing_are_refused(sounds, monkeypatch, capsys, tmp_path):
    for arguments, message in (([sounds[0], "--rate", 8000], "--rate: only raw samples"),
                               ([sounds[0], "--skip-existing"], "--skip-existing: there is no folder"),
                               (["-", "--stream", "-o", tmp_path / "out"], "--output-dir: a stream is written to standard output")):
        status, out, err = called(monkeypatch, capsys, "transcribe", *arguments)
        assert (status, out, err.count("\n")) == (1, "", 1) and message in err


def test_a_model_of_texts_says_what_it_is_for(tmp_path):
    config = RnnConfig(layers=1, units=4)
    units = Units("char", [BLANK, "A", "\n"])
    textmodel.save(tmp_path / "text", "text", CharRnn(config, len(units)), units, {"data_licence": "none"})
    with pytest.raises(ModelError, match="is a language model of characters, and recognizes nothing .it is for --lm"):
        recog.load(tmp_path / "text")


@pytest.mark.parametrize(("options", "format", "message"), [
    ({"nbest": 0}, "text", "nbest must be at least 1"),
    ({"decoder": "greedy", "beam": 5}, "text", "has no beam"),
    ({"decoder": "beem"}, "text", "did you mean 'beam'"),
    ({"beam": 2, "nbest": 5}, "text", "nbest"),
    ({"boost": 2.0}, "text", "boost is for phrases"),
    ({"lm": "none", "lm_weight": 2.0}, "text", "lm_weight is for a language model, and lm is none"),
    ({"phrases": "no_such_file.txt"}, "text", "no_such_file.txt: no such file"),
    ({}, "pdf", "no format 'pdf'"),
    ({}, "srt", "--output-dir"),
])
def test_options_that_cannot_be(model, sounds, options, format, message):
    with pytest.raises(RecogError, match=message):
        transcribe_files([str(p) for p in sounds], str(model), format, options)
