import importlib
import os
import sys
import types

import pytest

from recog import doctor, modeldir
from recog.errors import ModelError


def lines():
    said = []
    status = doctor.examine(said.append)
    return status, said


def line(name):
    status, said = lines()
    found = [row for row in said if row[5:].startswith(f"{name}: ")]
    assert len(found) == 1, said
    return status, found[0]


@pytest.fixture(autouse=True)
def no_transcription(monkeypatch):
    """Loading and running a real model is one test's business, not every test's."""
    monkeypatch.setattr(doctor, "_samples", lambda: [])


@pytest.fixture
def broken(monkeypatch):
    """Makes the import of some modules fail with an error."""
    failing = {}
    real = importlib.import_module

    def fake(name, *rest):
        if name in failing:
            raise failing[name]
        return real(name, *rest)

    monkeypatch.setattr(doctor.importlib, "import_module", fake)
    return failing


def test_a_whole_installation_has_no_fault():
    said = [row for row in lines()[1] if row[5:].split(":")[0] not in ("cores", "disk")]     # the machine's, not recog's
    assert all(row.startswith("ok   ") and ": " in row and "\n" not in row for row in said), said
    for name in ("Python", "torch", "CUDA", "numba", "sound files", "kenlm", "models", "recipes", "this folder"):
        assert any(row.startswith(f"ok   {name}: ") for row in said), name


def test_old_python(monkeypatch):
    monkeypatch.setattr(doctor, "PYTHON", (3, 99))
    status, row = line("Python")
    assert status == 1 and row.startswith("BAD  Python: ") and "-> make the virtual environment with Python 3.99" in row


@pytest.mark.parametrize("error", [ImportError("libc10_cuda.so: cannot open shared object file"),
                                   OSError("undefined symbol: x\nin y"),
                                   RuntimeError("PyTorch has CUDA version 13.2 whereas TorchAudio has 13.0")])
def test_torchaudio_beside_a_strange_torch(broken, error):
    broken["torchaudio"] = error
    status, row = line("torch")
    assert status == 1 and row.startswith("BAD  torch: torchaudio cannot be imported: ") and "\n" not in row
    assert "-> it works only beside its own torch" in row and "pip install 'torch==2.11.0' 'torchaudio==2.11.0'" in row


def test_torchaudio_of_another_series(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", types.SimpleNamespace(__version__="2.10.1+cu130"))
    status, row = line("torch")
    assert status == 1 and "torchaudio 2.10.1+cu130 do not belong together -> pip install" in row


@pytest.mark.parametrize("name", ["kenlm", "sentencepiece", "soxr", "rapidfuzz"])
def test_a_missing_package_is_named_with_its_command(broken, name):
    broken[name] = ModuleNotFoundError(f"No module named '{name}'")
    status, row = line(name)
    assert status == 1 and f"BAD  {name}: {name} cannot be imported" in row
    assert f"-> pip install '{'ufal-kenlm' if name == 'kenlm' else name}" in row


def test_without_torch_every_check_is_still_made(monkeypatch, broken):
    broken["torch"] = ModuleNotFoundError("No module named 'torch'")
    monkeypatch.setattr(modeldir, "bundled", lambda: (_ for _ in ()).throw(ModuleNotFoundError("No module named 'torch'")))
    status, said = lines()
    assert status == 1
    bad = {row[5:].split(":")[0] for row in said if row.startswith("BAD")}
    assert bad == {"torch", "CUDA", "cores", "models"}
    assert any("No module named 'torch' -> mend the packages above first" in row for row in said)


def test_a_check_may_fail_in_any_way(monkeypatch):
    def checks():
        yield "one", lambda: 1 / 0
        yield "two", lambda: "fine"

    monkeypatch.setattr(doctor, "_checks", checks)
    assert lines() == (1, [f"BAD  one: ZeroDivisionError: division by zero -> {doctor.REINSTALL}", "ok   two: fine"])


def test_libsndfile_without_mp3(monkeypatch):
    import soundfile

    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "", "FLAC": "", "OGG": "", "NIST": ""})
    status, row = line("sound files")
    assert status == 1 and "does not read MP3 -> pip install" in row


def test_numba_without_a_place_for_its_cache(monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(doctor, "_write_in", refuse)
    status, said = lines()
    assert status == 1
    assert any(row.startswith("BAD  numba: compiled functions cannot be kept") and "NUMBA_CACHE_DIR" in row for row in said)
    assert any(row.startswith("BAD  this folder: ") and "--output-dir" in row for row in said)


def test_an_altered_model_is_named(monkeypatch):
    def altered(folder):
        raise ModelError("was altered: its digest is not the one in model.json", where="weights.safetensors",
                         hint="copy it again")

    monkeypatch.setattr(modeldir, "bundled", lambda: ["m"])
    monkeypatch.setattr("recog.catalog.show_model", altered)
    status, row = line("models")
    assert status == 1
    assert row == "BAD  models: weights.safetensors: was altered: its digest is not the one in model.json -> copy it again"


def test_a_full_disk(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=5e8))
    status, row = line("disk")
    assert status == 1 and "0.5 GB free here -> free some space" in row


def test_more_threads_than_cores(monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    status, row = line("cores")
    assert status == 1 and "4096 threads" in row and "OMP_NUM_THREADS=" in row


def test_the_samples_are_transcribed_when_a_model_is_bundled(monkeypatch):
    from recog import api

    class Fake:
        def transcribe(self, files):
            return iter([types.SimpleNamespace(words=("A", "B")) for _ in files])

    monkeypatch.setattr(doctor, "_samples", lambda: ["a.wav", "b.wav"])
    monkeypatch.setattr(doctor, "_bundled", lambda: ["english_small"])
    monkeypatch.setattr(api, "load", Fake)
    status, row = line("sample recordings")
    assert status == 0 and row.startswith("ok   sample recordings: 2 transcribed, 4 words")
    monkeypatch.setattr(doctor, "_bundled", lambda: [])
    assert not any("sample recordings" in row for row in lines()[1])


def test_the_verb_gives_the_status(monkeypatch, capsys):
    import cli

    monkeypatch.setattr(doctor, "_checks", lambda: iter([("one", lambda: "fine")]))
    assert cli.app(["doctor"], standalone_mode=False) == 0
    assert capsys.readouterr().out == "ok   one: fine" + os.linesep
    monkeypatch.setattr(doctor, "_checks", lambda: iter([("one", lambda: 1 / 0)]))
    assert cli.app(["doctor"], standalone_mode=False) == 1
