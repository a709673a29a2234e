"""`recog doctor`: is the installation whole? One line a check; what is wrong comes with its fix."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator

from .errors import RecogError

PYTHON = (3, 11)                 # the oldest that recog runs on
TORCH = "pip install 'torch==2.11.0' 'torchaudio==2.11.0'"     # torchaudio fits no other torch, to the last digit
REINSTALL = "install recog again, in its source folder: pip install --force-reinstall --no-deps ."
ROOM = 2.0                       # GB; the features of a small corpus and the states of its training take about one
PACKAGES = ("librosa", "soxr", "sentencepiece", "kenlm", "rapidfuzz", "safetensors", "rich", "scipy")
GIVEN_BY = {"kenlm": "ufal-kenlm"}   # modules whose package has another name
SOUND = ("WAV", "FLAC", "OGG", "MP3", "NIST")             # as libsndfile calls them

Check = Callable[[], str]        # gives what was found; raises when that is not right


class Fault(Exception):
    """Something is wrong with the installation, and this is how to mend it."""

    def __init__(self, what: str, fix: str):
        super().__init__(what)
        self.what, self.fix = what, fix


def examine(say: Callable[[str], None]) -> int:
    """Says one line for each check. Gives the exit status: 0, or 1 if something is wrong."""
    status = 0
    for name, check in _checks():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")          # libraries warn on import about what does not concern us
                line = f"ok   {name}: {check()}"
        except Fault as fault:
            line, status = f"BAD  {name}: {fault.what} -> {fault.fix}", 1
        except RecogError as error:
            where = f"{error.where}: " if error.where is not None else ""
            line, status = f"BAD  {name}: {where}{error.what} -> {error.hint or REINSTALL}", 1
        except ImportError as error:
            line, status = f"BAD  {name}: {error} -> mend the packages above first", 1
        except Exception as error:       # a broken library fails as it likes, and the other checks must still be made
            line, status = f"BAD  {name}: {type(error).__name__}: {error} -> {REINSTALL}", 1
        say(line[:5] + " ".join(line[5:].split()))       # a library's message may have many lines
    return status


def _checks() -> Iterator[tuple[str, Check]]:
    yield "Python", _python
    yield "torch", _torch
    yield "CUDA", _cuda
    yield "numpy", lambda: _version("numpy")
    yield "numba", _numba
    yield "sound files", _soundfile
    for name in PACKAGES:
        yield name, lambda name=name: _version(name)
    yield "models", _models
    yield "recipes", _recipes
    if _samples() and _bundled():
        yield "sample recordings", _transcribe
    yield "cores", _cores
    yield "disk", _disk
    yield "this folder", _folder


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON:
        raise Fault(f"{version} is too old", "make the virtual environment with Python {}.{} or newer".format(*PYTHON))
    return f"{version}, {sys.executable}"


def _import(name: str, fix: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:           # what is missing is an ImportError; what is half there fails as it likes
        raise Fault(f"{name} cannot be imported: {error}", fix) from error


def _version(name: str) -> str:
    package = GIVEN_BY.get(name, name)
    _import(name, f"pip install '{_requirement(package)}'")
    for other in (package, name):                        # kenlm itself gives the module too
        with suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(other)
    return "there"


def _requirement(name: str) -> str:
    """What recog asks of a package, as pip writes it; the bare name in a checkout that is not installed."""
    try:
        wanted = importlib.metadata.requires("recog") or []
    except importlib.metadata.PackageNotFoundError:
        wanted = []
    return next((line for line in wanted if line.startswith(name) and not line[len(name):][:1].isalnum()), name)


def _torch() -> str:
    torch = _import("torch", TORCH)
    torchaudio = _import("torchaudio", f"it works only beside its own torch; here is torch {torch.__version__}: {TORCH}")
    if _series(torch.__version__) != _series(torchaudio.__version__):
        raise Fault(f"torch {torch.__version__} and torchaudio {torchaudio.__version__} do not belong together", TORCH)
    return f"{torch.__version__}, torchaudio {torchaudio.__version__}"


def _series(version: str) -> list[str]:
    return version.split("+")[0].split(".")[:2]


def _cuda() -> str:
    torch = _import("torch", TORCH)
    if not torch.cuda.is_available():
        return "none, work is done on the CPU"
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return f"{', '.join(names)} (CUDA {torch.version.cuda})"


def _numba() -> str:
    numba = _import("numba", f"pip install '{_requirement('numba')}'")
    if numba.njit(lambda x: x + 1)(1) != 2:
        raise Fault(f"{numba.__version__} compiles wrongly: 1 + 1 is not 2", "pip install --force-reinstall numba llvmlite")
    fix = "set NUMBA_CACHE_DIR to a folder that may be written to"
    try:
        from .kernels.ctc_align import best_states

        cache = Path(best_states.stats.cache_path)
        _write_in(cache)
    except (OSError, RuntimeError) as error:             # RuntimeError: numba found no place for its cache
        raise Fault(f"compiled functions cannot be kept: {error}", fix) from error
    return f"{numba.__version__}, compiled functions are kept in {cache}"


def _write_in(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as stream:
        stream.write(b"recog")


def _soundfile() -> str:
    soundfile = _import("soundfile", f"pip install '{_requirement('soundfile')}'")
    missing = [name for name in SOUND if name not in soundfile.available_formats()]
    if missing:
        raise Fault(f"libsndfile {soundfile.__libsndfile_version__} does not read {', '.join(missing)}",
                    "pip install --force-reinstall soundfile, whose wheel brings a newer libsndfile")
    return f"soundfile {soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}, reads {', '.join(SOUND)}"


def _bundled() -> list[str]:
    try:
        from .modeldir import bundled

        return bundled()
    except Exception:                    # without torch there is no modeldir; the checks of torch and of models say so
        return []


def _models() -> str:
    from . import catalog, modeldir

    weights = [f"{name} ({catalog.show_model(name)['weights']:,} weights)" for name in modeldir.bundled()]
    return ", ".join(weights) or "none comes with this copy"


def _recipes() -> str:
    from . import recipe

    if not recipe.shipped():
        raise Fault(f"there are none in {recipe.home()}", REINSTALL)
    for name in recipe.shipped():
        found = recipe.find(name)
        for model in found.models():
            found.experiment(model)
    return ", ".join(recipe.shipped())


def _samples() -> list[Path]:
    """The recordings that come with recog: inside an installed package, in data/ of a checkout."""
    from .sources import expand

    package = Path(__file__).parent
    folder = next((f for f in (package / "samples", package.parent / "data" / "samples") if f.is_dir()), None)
    return list(map(Path, expand([str(folder)], lambda error: None, ["audio"]))) if folder else []


def _transcribe() -> str:
    from .api import load

    recordings, began = _samples(), time.perf_counter()
    words = sum(len(transcript.words) for transcript in load().transcribe(recordings))
    return f"{len(recordings)} transcribed, {words} words, in {time.perf_counter() - began:.1f} seconds"


def _cores() -> str:
    torch = _import("torch", TORCH)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    if threads > usable:
        raise Fault(f"{threads} threads for {usable} usable cores, which is slow", f"export OMP_NUM_THREADS={usable}")
    return f"{usable} usable, torch runs {threads} threads"


def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < ROOM:
        raise Fault(f"{free:.1f} GB free here", f"free some space: features and training states need {ROOM:.0f} GB or more")
    return f"{free:.0f} GB free here"


def _folder() -> str:
    try:
        _write_in(Path.cwd())
    except OSError as error:
        raise Fault(f"{Path.cwd()} may not be written to: {error.strerror}",
                    "work in another folder, or name one with --exp and --output-dir") from error
    return f"{Path.cwd()} may be written to"
