"""`recog align`: occupancies and borders against all paths and torch's gradient; texts, files, formats, .phn scores."""

import json
import re
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decode import kinds, random_log_probs, run_spans, scored_paths, seeds
from test_streaming import bursts, saved

import recog
from recog import alignment, aligntool, audio, manifest, modeldir, phn
from recog.alignment import align
from recog.aligntool import align_files
from recog.decode.align import best_path
from recog.decode.posterior import edges, occupancies, path_durations
from recog.errors import DataError, RecogError
from recog.kernels.ctc_occupancy import occupancies as kernel
from recog.textgrid import covering, textgrid
from recog.text import BLANK, Units
from recog.types import Span, Utterance, Waveform


# -- occupancies and borders ----------------------------------------------------------------------------

@settings(max_examples=40)
@given(seeds, st.tuples(st.integers(1, 6), st.integers(2, 4)), kinds)
def test_occupancies_and_borders_are_means_over_all_paths(seed, shape, kind):
    """Brute force: the frames of each unit, and its borders in the middle of the blanks, path by path."""
    log_probs, by_labels = random_log_probs(seed, *shape, kind), {}
    for path, labels, score in scored_paths(log_probs):
        if labels and score > -np.inf:
            by_labels.setdefault(labels, []).append((path, np.exp(score)))
    for labels, paths in list(by_labels.items())[:12]:
        total = sum(weight for _, weight in paths)
        units, borders = np.zeros((shape[0], len(labels))), np.zeros(len(labels) + 1)
        for path, weight in paths:
            spans = run_spans(path)
            for u, (start, end) in enumerate(spans):
                units[start:end, u] += weight / total
            inner = [(a[1] + b[0]) / 2 for a, b in zip(spans, spans[1:])]
            borders += np.array([spans[0][0], *inner, spans[-1][1]]) * weight / total
        found = occupancies(log_probs, labels)
        assert found.score == pytest.approx(np.log(total), abs=1e-9)
        np.testing.assert_allclose(found.states.sum(1), 1, atol=1e-9)
        np.testing.assert_allclose(found.units(), units, atol=1e-9)
        np.testing.assert_allclose(edges(found.durations()), borders, atol=1e-9)
        spans = best_path(log_probs, labels).spans
        best = edges(path_durations(spans, shape[0]))
        assert best.tolist() == [spans[0][0], *((a[1] + b[0]) / 2 for a, b in zip(spans, spans[1:])), spans[-1][1]]


@pytest.mark.parametrize("seed", range(4))
def test_occupancies_are_the_gradient_of_torchs_ctc_loss(seed):
    """d loss / d logits = softmax - the summed occupancy of each symbol (Graves et al. 2006, equation 16)."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 2, (60, 7))).requires_grad_()
    labels = rng.integers(1, 7, 15)
    log_probs = logits.log_softmax(1)
    torch.nn.functional.ctc_loss(log_probs[:, None], torch.from_numpy(labels)[None], [60], [15], reduction="sum").backward()
    found = occupancies(log_probs.detach().numpy(), labels)
    by_symbol = np.zeros((60, 7))
    np.add.at(by_symbol.T, labels, found.units().T)
    by_symbol[:, 0] = 1 - by_symbol.sum(1)
    np.testing.assert_allclose(by_symbol, log_probs.exp().detach().numpy() - logits.grad.numpy(), atol=1e-8)


def test_the_band_of_a_long_text_loses_next_to_nothing():
    rng = np.random.default_rng(1)
    labels = rng.integers(1, 20, 300)
    logits = rng.normal(0, 1.0, (1200, 20))
    logits[:, 0] += 3
    logits[np.arange(300) * 4 + rng.integers(0, 3, 300), labels] += 5
    log_probs = torch.from_numpy(logits).log_softmax(1).numpy()
    found = occupancies(log_probs, labels)
    whole, score = kernel(log_probs, labels, np.zeros(1200, np.int64), np.full(1200, 600, np.int64))
    assert score - 1e-6 <= found.score <= score + 1e-9
    np.testing.assert_allclose(edges(found.durations()), edges(whole.sum(0)), atol=1e-3)


def test_five_minutes_take_seconds():
    labels = np.random.default_rng(1).integers(1, 40, 3000)
    log_probs = np.log(np.full((15000, 41), 1e-3))
    log_probs[np.arange(3000) * 5 + 2, labels] = np.log(0.9)
    log_probs[:, 0] = np.log(0.96)
    log_probs -= np.log(np.exp(log_probs).sum(1, keepdims=True))
    began = time.process_time()
    found = edges(occupancies(log_probs, labels).durations())
    assert time.process_time() - began < 20
    np.testing.assert_allclose(found[1:-1], np.arange(1, 3000) * 5, atol=1.0)


# -- a model --------------------------------------------------------------------------------------------

def phone_model(folder, lexicon=None, kind="phone", symbols=("a", "b", "h#", "sh")):
    saved(folder, {"encoder": {"kind": "blstm", "layers": 1, "units": 8}, "features": {"mels": 12, "normalize": "utterance"}})
    loaded = modeldir.load(folder)
    units = Units(kind, [BLANK, *symbols], lexicon=lexicon)
    torch.manual_seed(1)
    from recog.models.recognizer import build
    model = build(loaded.config, len(units))
    modeldir.save(folder, "phones", loaded.config, model, units, None, {"medium": "audio", "data_licence": "none"})
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A model of phones, and two sounds with .phn files, as TIMIT has them."""
    folder = tmp_path_factory.mktemp("timit")
    phone_model(folder / "phones")
    rng = np.random.default_rng(0)
    for name in ("x/sa1", "y/sa1"):
        audio.write(folder / "data" / f"{name}.wav", Waveform(rng.normal(0, 0.1, 16000).astype(np.float32), 16000))
        (folder / "data" / f"{name}.phn").write_text("0 3200 h#\n3200 6400 sh\n6400 9600 a\n9600 12800 b\n12800 16000 h#\n")
    return folder


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("letters") / "letters",
                 {"encoder": {"kind": "blstm", "layers": 1, "units": 8, "subsample": [2]}, "features": {"mels": 12}})


@settings(max_examples=20)
@given(st.floats(0.3, 1.5), st.sampled_from(["A", "AB", "A B", "BAD CAB", "AA BB AA"]), st.integers(0, 9))
def test_units_follow_each_other_within_the_sound(letters, seconds, text, seed):
    wave = Waveform(bursts(seconds, seed).astype(np.float32) / 32768, 16000)
    for name, found in align(recog.load(letters).loaded, wave, text, start=2.0).items():
        units = found.units
        assert found.text == text and "".join(u.text for u in units) == text and [w.text for w in found.words] == text.split()
        assert all(a.end == b.start for a, b in zip(units, units[1:])) and all(u.end - u.start > 0.005 for u in units)
        assert 2.0 <= units[0].start and units[-1].end <= 2.0 + wave.seconds + 1e-9


def test_a_border_between_frames_lies_between_the_middles_of_their_windows(letters, monkeypatch):
    """Features of 25 ms every 10 ms, two joined: output frame 3 stands for 67.5 to 87.5 ms."""
    rows = np.full((10, 9), 1e-9)
    rows[:4, 2], rows[4:, 3] = 1.0, 1.0
    monkeypatch.setattr(alignment, "log_probs_of", lambda loaded, frames: np.log(rows / rows.sum(1, keepdims=True)))
    for found in align(recog.load(letters).loaded, Waveform(np.zeros(3440, np.float32), 16000), "AB").values():
        assert [(u.text, pytest.approx(u.start, abs=1e-6), pytest.approx(u.end, abs=1e-6)) for u in found.units] \
            == [("A", 0.0, 0.0875), ("B", 0.0875, 0.215)]


def test_words_of_phones_and_pieces(tmp_path):
    folder = phone_model(tmp_path / "words", {"SHAB": (("sh", "a", "b"),), "BA": (("b", "a"),)}, symbols=(" ", "a", "b", "sh"))
    wave = Waveform(bursts(0.5).astype(np.float32) / 32768, 16000)
    for found in align(recog.load(folder).loaded, wave, "SHAB  BA").values():
        assert [u.text for u in found.units] == ["sh", "a", "b", " ", "b", "a"] and [w.text for w in found.words] == ["SHAB", "BA"]
        assert found.words[0].end == found.units[3].start and found.words[1].start == found.units[3].end
    with pytest.raises(DataError, match="u1: not in the model's lexicon: 'CAB', 'NO'"):
        align(recog.load(folder).loaded, wave, "NO CAB", "u1")
    with pytest.raises(DataError, match="lexicon.*capitals"):
        align(recog.load(folder).loaded, wave, "shab", "u1")


@pytest.mark.parametrize(("text", "seconds", "message"), [
    ("", 1.0, "u1: there is no text"), (" \n", 1.0, "u1: there is no text"), ("ABX!", 1.0, "u1: '!', 'X' are not among"),
    ("cab", 1.0, "u1: 'a', 'b', 'c' are not among .*capitals"),
    ("ABABABABAB", 0.1, "u1: the text cannot be aligned: 4 frames are too few for 10 units .*at least 10")])
def test_texts_that_do_not_fit(letters, text, seconds, message):
    with pytest.raises(DataError, match=message) as caught:
        align(recog.load(letters).loaded, Waveform(np.ones(int(16000 * seconds), np.float32), 16000), text, "u1")
    assert "\n" not in str(caught.value)


# -- files ----------------------------------------------------------------------------------------------

def read_textgrid(text):
    """{tier: [(start, end, text)]} of Praat's long format, and its length; strict about the order of lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert lines[:2] == ['File type = "ooTextFile"', 'Object class = "TextGrid"'] and lines[2] == "xmin = 0"
    seconds, count = float(lines[3].removeprefix("xmax = ")), int(lines[5].removeprefix("size = "))
    assert lines[4] == "tiers? <exists>" and lines[6] == "item []:"
    at, tiers = 7, {}
    for number in range(1, count + 1):
        assert lines[at] == f"item [{number}]:" and lines[at + 1] == 'class = "IntervalTier"'
        name = re.fullmatch(r'name = "(.*)"', lines[at + 2])[1]
        assert lines[at + 3] == "xmin = 0" and float(lines[at + 4].removeprefix("xmax = ")) == seconds
        size, at, tiers[name] = int(lines[at + 5].removeprefix("intervals: size = ")), at + 6, []
        for i in range(1, size + 1):
            assert lines[at] == f"intervals [{i}]:"
            tiers[name].append((float(lines[at + 1].removeprefix("xmin = ")), float(lines[at + 2].removeprefix("xmax = ")),
                                re.fullmatch(r'text = "(.*)"', lines[at + 3])[1].replace('""', '"')))
            at += 4
    assert at == len(lines)
    return tiers, seconds


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3), st.sampled_from(["a", 'say "b"', "c d"])), max_size=6), st.floats(0.01, 3))
def test_a_textgrid_covers_the_sound(times, seconds):
    bounds = sorted(t for a, b, _ in times for t in (a, b))
    spans = [Span(text, bounds[2 * i], bounds[2 * i + 1], 1.0) for i, (*_, text) in enumerate(times)]
    tiers, length = read_textgrid(textgrid({"words": spans}, seconds))
    found = tiers["words"]
    assert found[0][0] == 0 and found[-1][1] == length == pytest.approx(seconds, abs=1e-6)
    assert all(a < b for a, b, _ in found) and all(a[1] == b[0] for a, b in zip(found, found[1:]))
    assert [t for *_, t in found if t] == [t for *_, t in covering(spans, seconds) if t]
    inside = [s.text for s in spans if round(s.start, 6) < round(min(s.end, seconds), 6)]
    assert [t for *_, t in found if t] == inside


def test_formats_of_one_sound(letters, tmp_path, capsys):
    audio.write(tmp_path / "s.wav", Waveform(bursts(1.0).astype(np.float32) / 32768, 16000))
    (tmp_path / "s.txt").write_text("BAD\n CAB\n")
    shown = {}
    for format in aligntool.FORMATS:
        assert align_files(str(tmp_path / "s.wav"), str(tmp_path / "s.txt"), str(letters), format) == 0
        shown[format] = capsys.readouterr().out
    (row,) = json.loads(shown["json"])
    tiers, seconds = read_textgrid(shown["textgrid"])
    assert seconds == 1.0 and [t for *_, t in tiers["words"] if t] == ["BAD", "CAB"]
    assert [u["text"] for u in row["units"]] == list("BAD CAB")
    assert [line.split()[4] for line in shown["ctm"].splitlines()] == ["BAD", "CAB"]
    rows = [line.split("\t") for line in shown["tsv"].splitlines()]
    assert [r[4] for r in rows if r[1] == "word"] == ["BAD", "CAB"] and len(rows) == 9
    for line, word in zip(shown["ctm"].splitlines(), row["words"]):
        assert float(line.split()[2]) == pytest.approx(word["start"], abs=1e-3)
    assert align_files(str(tmp_path / "s.wav"), "BAD CAB", str(letters), "json", output=tmp_path / "o.json") == 0
    assert json.loads((tmp_path / "o.json").read_text())[0]["words"] == row["words"]
    with pytest.raises(RecogError, match="is there already"):
        align_files(str(tmp_path / "s.wav"), "BAD CAB", str(letters), "json", output=tmp_path / "o.json")
    align_files(str(tmp_path / "s.wav"), "BAD CAB", str(letters), "json", "best", tmp_path / "o.json", force=True)
    assert json.loads((tmp_path / "o.json").read_text())[0]["words"] != row["words"]


def test_folders_and_manifests(letters, tmp_path, capsys):
    for i, name in enumerate(("a", "b", "c")):
        audio.write(tmp_path / "in" / f"{name}.wav", Waveform(bursts(1.0, i).astype(np.float32) / 32768, 16000))
    (tmp_path / "t.tsv").write_text("a\tBAD\nb\tCAB X\n")
    assert align_files(str(tmp_path / "in"), str(tmp_path / "t.tsv"), str(letters), "textgrid", output=tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.TextGrid"]
    assert "b: 'X' is not among" in said and "c: there is no text" in said and "2 could not be aligned" in said
    manifest.write(tmp_path / "m.jsonl", [Utterance("u1", "test", "in/a.wav", "BAD", start=0.5)])
    assert align_files(str(tmp_path / "m.jsonl"), None, str(letters), "json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["id"] == "u1" and row["units"][0]["start"] >= 0.5 and row["units"][-1]["end"] <= 1.0


@pytest.mark.parametrize(("sound", "text", "options", "message"), [
    ("data", "a b", {}, "several sounds need a text each"), ("data/x/sa1.wav", None, {}, "sa1: has no text"),
    ("data/x/sa1.wav", "none.txt", {}, "none.txt: cannot be read"), ("nowhere.wav", "a", {}, "nowhere.wav: no such file"),
    ("data/x/sa1.wav", "a", {"format": "pdf"}, "there is no 'pdf'"), ("data/x/sa1.wav", "a", {"method": "bst"}, "did you mean 'best'"),
    ("data/x/sa1.wav", "a b", {"score": "data"}, "not the phones of the .phn"), ("data/x/sa1.wav", "a", {"score": "phones"}, "has no .phn file")])
def test_what_cannot_be_aligned_is_said(home, capsys, sound, text, options, message):
    options = {**options, "score": home / options["score"]} if "score" in options else options
    try:
        assert align_files(str(home / sound) if "nowhere" not in sound else sound, text, str(home / "phones"), **options) == 1
        said = capsys.readouterr().err
    except RecogError as error:
        said = str(error)
    assert message in said and "Traceback" not in said


# -- against .phn files ---------------------------------------------------------------------------------

def test_a_known_alignment_has_known_errors(home, monkeypatch, capsys):
    """Peaks in the middle of four phones, each border found exactly; then all 18 ms late."""
    def rows(late):
        probs = np.full((98, 5), 1e-12)
        at = np.arange(98) * 0.010 + 0.0125 - late
        probs[np.arange(98), np.array([3, 4, 1, 2, 3])[np.clip(at // 0.2, 0, 4).astype(int)]] = 1.0
        return np.log(probs / probs.sum(1, keepdims=True))

    for late, shares in ((0.0, ("100.0", "100.0", "100.0")), (0.018, ("0.0", "100.0", "100.0"))):
        monkeypatch.setattr(alignment, "log_probs_of", lambda loaded, frames: rows(late))
        assert align_files(str(home / "data"), None, str(home / "phones"), score=home / "data") == 0
        head, posterior, best, last = capsys.readouterr().out.splitlines()
        assert head.split()[:6] == ["10", "ms", "20", "ms", "25", "ms"] and last.startswith("8 boundaries in 2 files")
        for line, name in ((posterior, "posterior"), (best, "best")):
            words = line.split()
            assert words[0] == name and tuple(words[1:7:2]) == shares
            assert float(words[7]) == pytest.approx(1000 * late, abs=2.6) and float(words[9]) == pytest.approx(1000 * late, abs=2.6)


def test_the_phones_are_found_beside_the_sound_or_at_its_place_elsewhere(home, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "sa1.PHN").write_text("0 100 h#\n")
    (tmp_path / "one.phn").write_text("0 100 h#\n")
    item = aligntool.items(str(home / "data"), None, print)[0]
    assert item.id == "x-sa1" and aligntool._phn_of(item, home / "data") == home / "data" / "x" / "sa1.phn"
    assert aligntool._phn_of(item, tmp_path) == tmp_path / "x" / "sa1.PHN"
    assert aligntool._phn_of(item, tmp_path / "one.phn") == tmp_path / "one.phn"


@pytest.mark.parametrize(("text", "message"), [("0 10 a\n10 x b\n", ":2: is not 'start end phone'"), ("", "holds no phones"),
                                               ("0 10 a\n5 20 b\n", ":2: does not follow"), ("5 5 a\n", "no stretch of time")])
def test_phn_files_that_are_wrong(tmp_path, text, message):
    (tmp_path / "w.phn").write_text(text)
    with pytest.raises(DataError, match=message):
        phn.read(tmp_path / "w.phn")


def test_a_phn_file_longer_than_its_sound_is_named(home, tmp_path, capsys):
    (tmp_path / "sa1.phn").write_text("0 16000 h#\n16000 32000 a\n")
    assert align_files(str(home / "data" / "x" / "sa1.wav"), None, str(home / "phones"), score=tmp_path / "sa1.phn") == 1
    assert "sa1: the .phn file goes to 2.00 s, the sound to 1.00 s" in capsys.readouterr().err
