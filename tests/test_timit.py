"""recipes/timit: the corpus in every layout, its split, what is wrong with it said in one line. All sounds are made here."""

import re
import shutil
import struct
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_ldc_tree import ldc_tree, pcm, sphere

from recog import recipe
from recog.errors import DataError

RECIPE = recipe.find(Path(__file__).parents[1] / "recipes" / "timit")
PREPARE = RECIPE.prepare()
MODULE = sys.modules[PREPARE.__module__]
SAMPLE, FULL = MODULE.sample_split(), MODULE.full_split()
PHONES = [(0, 400, "h#"), (400, 700, "sh"), (700, 1000, "ix"), (1000, 1200, "h#")]
REGIONS = {speaker: f"dr{1 + i // 2}" for i, speaker in enumerate(
    "fvmh0 mcpm0 faem0 marc0 falk0 madc0 falr0 maeb0 ftlg0 mbgt0 fapb0 mbma1 fblv0 madd0 fbcg1 mbcg0".split())}


def tone(samples=1200, seed=0):
    """Smooth, loud, and with every value of a byte: 16-bit samples as bytes."""
    rng = np.random.default_rng(seed)
    wave = 6000 * np.sin(2 * np.pi * np.arange(samples) * rng.uniform(0.01, 0.03)) + rng.normal(0, 20, samples)
    return wave.astype("<i2").tobytes()


def riff(samples):
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data",
                       len(samples)) + samples


def phn(rows=PHONES):
    return "".join(f"{start} {end} {name}\n" for start, end, name in rows)


SENTENCES = ("sa1", "sa2", "si100", "si200", "si300", "sx1", "sx2", "sx3", "sx4", "sx5")


def write(folder, name, sound, text, case=str.lower):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / case(f"{name}.wav")).write_bytes(sound)
    (folder / case(f"{name}.phn")).write_text(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sample in NLTK's layout: 16 speakers, 10 sentences each."""
    folder = tmp_path_factory.mktemp("made") / "timit"
    for number, (speaker, region) in enumerate(REGIONS.items()):
        for i, name in enumerate(SENTENCES):
            write(folder / f"{region}-{speaker}", name, riff(tone(seed=10 * number + i)), phn())
    return folder


@pytest.fixture
def sample(made, tmp_path):
    shutil.copytree(made, tmp_path / "timit")
    return tmp_path / "timit"


def prepared(corpus):
    return list(PREPARE(corpus))


def without_paths(utterances):
    return [replace(u, source="") for u in utterances]


def refused(corpus):
    with pytest.raises(DataError) as caught:
        prepared(corpus)
    line = str(caught.value)
    assert "\n" not in line and caught.value.hint
    return line


def test_the_lists_are_the_official_split():
    counts = Counter(FULL.values())
    assert counts == {"train": 462, "dev": 50, "test": 24} and len(FULL) == 536
    assert {split: 8 * n for split, n in counts.items()} == RECIPE.config.expect
    assert Counter(s[0] for s, split in FULL.items() if split == "test") == {"m": 16, "f": 8}      # two men and a woman a region
    assert Counter(s[0] for s, split in FULL.items() if split == "train") == {"m": 326, "f": 136}
    assert all(MODULE.SPEAKER.fullmatch(speaker) for speaker in FULL)
    assert SAMPLE.keys() == REGIONS.keys() and all(FULL[speaker] == "train" for speaker in SAMPLE)
    assert Counter((split, s[0]) for s, split in SAMPLE.items()) == {(s, sex): n for s, n in (("train", 5), ("dev", 1), ("test", 2)) for sex in "fm"}


def test_the_sample_without_sa(sample):
    assert RECIPE.variant(sample) == "nltk_sample"
    found = prepared(sample)
    assert len(found) == 128 and Counter(u.split for u in found) == {"train": 80, "dev": 16, "test": 32}
    assert {u.split for u in found if u.speaker == "maeb0"} == {"test"} and not [u for u in found if "-sa" in u.id]
    first = found[0]
    assert first.id == "faem0-si100" and first.text == "h# sh ix h#" and first.source == str(sample / "dr2-faem0" / "si100.wav")
    assert first.extra == {"phones": [[0, 400], [400, 700], [700, 1000], [1000, 1200]]}


def lower(corpus, out):
    for path in corpus.rglob("*.*"):
        target = out / path.relative_to(corpus).as_posix().lower()
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def repacked(corpus, out):
    """As some archives have it: SX9.WAV in SPHERE and SX9.WAV.wav in RIFF, side by side."""
    shutil.copytree(corpus, out)
    for path in list(out.rglob("*.WAV")):
        path.with_name(path.name + ".wav").write_bytes(riff(path.read_bytes()[1024:]))


def mixed(corpus, out):
    for i, path in enumerate(sorted(corpus.rglob("*.*"))):
        target = out / "Timit" / "train" / path.parent.parent.name.lower() / path.parent.name.title()
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / (path.name.lower() if i % 2 else path.name))


@pytest.mark.parametrize("layout", [lower, repacked, mixed])
def test_layouts_and_cases_give_one_manifest(sample, tmp_path, layout):
    expected = without_paths(prepared(sample))
    assert ldc_tree(sample, tmp_path / "ldc") == 160
    sound = tmp_path / "ldc" / "TIMIT" / "TRAIN" / "DR1" / "FVMH0" / "SX1.WAV"
    assert sound.read_bytes().startswith(b"NIST_1A\n") and RECIPE.variant(tmp_path / "ldc") == "nltk_sample"
    assert without_paths(prepared(tmp_path / "ldc")) == expected
    layout(tmp_path / "ldc", tmp_path / "other")
    found = prepared(tmp_path / "other")
    assert without_paths(found) == expected
    assert layout is not repacked or all(u.source.endswith(".WAV.wav") for u in found)


def test_both_packings_hold_the_same_samples(sample):
    content = (sample / "dr1-fvmh0" / "sx1.wav").read_bytes()
    assert pcm(content) == content[44:] == tone(seed=5) == sphere(pcm(content))[1024:]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All 536 speakers and two more of the folder TEST, 8 sentences each, as short as can be."""
    folder = tmp_path_factory.mktemp("whole")
    sound = sphere(tone(200))
    for number, (speaker, split) in enumerate({**FULL, "mxyz0": "test", "fxyz1": "test"}.items()):
        place = folder / "TIMIT" / ("TRAIN" if split == "train" else "TEST") / f"DR{number % 8 + 1}" / speaker.upper()
        for name in SENTENCES[2:]:
            write(place, name, sound, phn([(0, 200, "h#")]), str.upper)
    return folder


def test_the_whole_corpus_has_the_official_counts(whole):
    assert RECIPE.variant(whole) is None
    found = prepared(whole)
    assert Counter(u.split for u in found) == RECIPE.config.expect
    assert {u.speaker for u in found} == set(FULL)
    assert len({u.id for u in found}) == len(found) == 4288


def test_a_corpus_that_is_half_there(whole, tmp_path):
    (tmp_path / "TRAIN").symlink_to(whole / "TIMIT" / "TRAIN")
    line = refused(tmp_path)
    assert "74 of 536 speakers are missing: fadg0 (dev), faks0 (dev), fcal1 (dev), fcmh0 (dev), fdac1 (dev) and 69 more" in line
    shutil.copytree(whole / "TIMIT" / "TEST", tmp_path / "TEST")
    next(tmp_path.glob("TEST/*/MDAB0/SX3.WAV")).unlink()
    assert "1 speakers have not their 8 sentences without SA: mdab0 has 7 (copy the corpus again" in refused(tmp_path)


def test_a_sample_that_is_half_there(sample):
    shutil.rmtree(sample / "dr4-maeb0")
    (sample / "dr1-fvmh0" / "sx1.wav").unlink()
    line = refused(sample)
    assert "1 of 16 speakers are missing: maeb0 (test)" in line and "fvmh0 has 7" in line


def test_no_corpus_at_all(tmp_path):
    (tmp_path / "fvmh0").mkdir()
    assert "holds no TIMIT utterances" in refused(tmp_path)


def test_the_same_utterance_twice(sample):
    shutil.copytree(sample / "dr1-fvmh0", sample / "DR1" / "FVMH0")
    assert re.search(r"utterance fvmh0-s\w+ is there twice, also as \S+", refused(sample))


PLACE = Path("dr1-fvmh0")


@pytest.mark.parametrize("text, what", [
    (phn([(0, 400, "h#"), (400, 2000, "sh")]), "sx1.phn: ends at sample 2000, but the sound has only 1200"),
    (phn([(0, 400, "h#"), (450, 700, "sh")]), "sx1.phn:2: a gap: 'sh' starts at 450, but what is before it ends at 400"),
    (phn([(0, 400, "h#"), (350, 700, "sh")]), "sx1.phn:2: an overlap: 'sh' starts at 350, but what is before it ends at 400"),
    (phn([(100, 400, "h#")]), "sx1.phn:1: a gap: 'h#' starts at 100, but what is before it ends at 0"),
    (phn([(0, 400, "h#"), (400, 400, "sh")]), "sx1.phn:2: 'sh' ends at 400, not after its start at 400"),
    (phn([(0, 400, "h#"), (400, 700, "schwa")]), "sx1.phn:2: 'schwa' is none of TIMIT's 61 phones"),
    ("0 400 h#\nfour hundred\n", "sx1.phn:2: is not of the form START END PHONE: 'four hundred'"),
    ("", "sx1.phn: is empty")])
def test_a_phn_that_does_not_fit(sample, text, what):
    (sample / PLACE / "sx1.phn").write_text(text)
    assert what in refused(sample)


def test_a_phn_may_pass_the_end_by_a_frame_and_names_any_case(sample):
    (sample / PLACE / "sx1.phn").write_text(phn([*PHONES[:-1], (1000, 1360, "H#")]).replace("\n", "\r\n"))
    assert next(u for u in prepared(sample) if u.id == "fvmh0-sx1").text == "h# sh ix h#"


def test_a_known_fault_can_be_accepted(sample, tmp_path):
    (sample / PLACE / "sx1.phn").write_text(phn([(0, 400, "h#"), (450, 700, "sh")]))
    folder = tmp_path / "own"
    shutil.copytree(RECIPE.folder, folder)
    with open(folder / "accepted.txt", "a") as stream:
        stream.write("fvmh0-sx1\n")
    found = {u.id: u for u in recipe.find(folder).prepare()(sample)}
    assert found["fvmh0-sx1"].text == "h# sh" and len(found) == 128


def test_a_missing_phn(sample):
    (sample / PLACE / "sx1.phn").unlink()
    line = refused(sample)
    assert "sx1.wav: there is no SX1.PHN beside it" in line and "copy the .PHN files too" in line


def test_a_compressed_sphere_file(sample):
    (sample / PLACE / "sx1.wav").write_bytes(sphere(tone(), "pcm,embedded-shorten-v2.00"))
    line = refused(sample)
    assert "sx1.wav: is a SPHERE file compressed with shorten-v2.00" in line and "sph2pipe" in line


def test_a_sound_that_is_cut_short_or_at_another_rate(sample):
    (sample / PLACE / "sx1.wav").write_bytes(riff(tone())[:-1000])
    assert "sx1.wav: is cut short" in refused(sample)
    (sample / PLACE / "sx1.wav").write_bytes(riff(tone()).replace(struct.pack("<I", 16000), struct.pack("<I", 8000), 1))
    assert "has 8000 samples a second instead of 16000" in refused(sample)


def test_several_faults_are_counted_and_the_first_named(sample):
    for name in ("sx1", "sx2", "sx3", "sx4"):
        (sample / PLACE / f"{name}.phn").write_text("")
    assert "4 utterances are wrong: fvmh0-sx1: is empty; fvmh0-sx2: is empty; fvmh0-sx3: is empty; ..." in refused(sample)


def as_text(samples, count=1):
    """What a transfer in text mode leaves: a byte is lost where CR LF stood. Header and length are made anew, as found."""
    data = bytearray(samples)
    for at in [len(data) // 4 * 2 - 1, len(data) // 3 * 2 + 1][:count]:
        data[at:at + 2] = b"\r\n"
    data = bytes(data).replace(b"\r\n", b"\n")
    return riff(data[:len(data) // 2 * 2])


@pytest.mark.parametrize("count", [1, 2])
def test_a_damaged_sound_is_left_out_of_the_sample_and_said(sample, capsys, count):
    (sample / PLACE / "sx1.wav").write_bytes(as_text(tone(seed=5), count))
    found = prepared(sample)
    assert len(found) == 127 and "fvmh0-sx1" not in {u.id for u in found}
    assert "1 of 128 sounds are damaged and left out: fvmh0-sx1\n" in capsys.readouterr().err


def test_a_damaged_sound_of_the_whole_corpus_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(MODULE, "full_split", lambda: {"fcjf0": "train", "mdab0": "test"})
    for speaker in ("FCJF0", "MDAB0"):
        for name in SENTENCES[2:]:
            write(tmp_path / speaker, name, sphere(tone()), phn(), str.upper)
    assert len(prepared(tmp_path)) == 16
    path = tmp_path / "MDAB0" / "SX3.WAV"
    path.write_bytes(as_text(tone(seed=3)))
    line = refused(tmp_path)
    assert f"{path}: is damaged: bytes were lost" in line and "binary mode" in line


def test_silence_clicks_and_noise_are_not_taken_for_damage():
    shifted = sys.modules[MODULE.__name__ + ".checks"].shifted
    rng = np.random.default_rng(1)
    click = np.zeros(1600)
    click[800] = 0.9
    for sound in (np.zeros(1600), np.full(1600, 0.25), click, np.sign(rng.normal(size=1600)) / 32768, rng.normal(0, 0.01, 1600),
                  np.round(rng.normal(0, 0.1, 1600) * 32768) / 32768):
        assert not shifted(sound.astype(np.float32))
    assert shifted(np.frombuffer(tone()[1:-1], "<i2").astype(np.float32) / 32768)
