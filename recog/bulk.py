"""`recog transcribe`: many files to standard output, a file or a folder, by several processes; bad ones are named, the rest goes on.

Files are worked on by portions of the list that depend on the list alone. Sounds of a portion are sorted by length and padded together, which may
change the last digit of a score: so a portion that was not finished before a kill is done anew as a whole, and ends as undisturbed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Callable, Container, Iterable, Iterator, NamedTuple, Sequence

from . import ranks
from .api import TranscribeOptions, Transcriber, load, options_of
from .errors import ConfigError, RecogError
from .files import write_text
from .formats import FORMATS, PLACED, SUFFIX, TIMED, check_sources, render, render_all
from .growing import growing
from .modeldir import DEFAULTS, WEIGHTS, described, locate
from .part import parsed
from .sources import STDIN, expand, medium_of
from .types import Decoder, Transcript
from .workers import cores, set_threads, spread

GROWN = ("text", "jsonl", "tsv", "ctm")      # what is written of one file does not depend on those before it
FEW = 8                                      # files; of more, the speed is told
LEAST, MOST = 16, 64                         # files of a portion: at most 1/32 of the list, within these
BYTES = 32_000_000                           # ... and at most as much, if it is more than one file
PLACES = {"ink": "points", "image": "pixels", "audio": "seconds"}
AMOUNTS = {"audio": "seconds of sound", "ink": "points of ink", "image": "images"}


class Portion(NamedTuple):
    """Files, of one medium, that are worked on together."""

    medium: str
    sources: list[str]

    def without(self, others: Container[str]) -> Portion:
        return Portion(self.medium, [source for source in self.sources if source not in others])


def transcribe_files(names: Sequence[str], model: str | None, format: str, options: dict[str, Any], output_dir: Path | None = None,
                     skip_existing: bool = False, force: bool = False, device: str = "auto", output: Path | None = None,
                     jobs: int | None = None, shard: str | None = None) -> int:
    """Gives the exit status: 0, or 1 if a file could not be transcribed. model: None, the bundled one for what each file holds.

    output: a file for all; killed, the same command goes on with it. jobs: processes at once; None: all cores, for many files.
    shard: "3/16", every 16th of the sorted inputs from the third on; ranks share them.
    """
    share = parsed(shard).among(ranks.rank(), ranks.size())
    if ranks.size() > 1 and output_dir is None:
        raise ConfigError("several processes write to files", where="--nproc", hint="it goes with --output-dir")
    if format not in FORMATS:
        raise ConfigError(f"there is no format '{format}'", where="--format", hint="one of " + ", ".join(FORMATS))
    options = options_of(options)
    failures: list[str] = []

    def failed(error: RecogError | str) -> None:
        failures.append(str(error))
        print(f"recog: {error}", file=sys.stderr, flush=True)

    known = None if model is None else described(locate(model)).get("medium", "audio")
    told = failed if ranks.first() else lambda error: None               # what is not there is said once
    every = [(source, known or medium_of(source) or "audio") for source in expand(names, told, list(DEFAULTS) if known is None else [known])]
    _refuse(format, options, every)
    sources = every if share.whole else share.share(sorted(every))
    outputs, skipped = _places([source for source, _ in every], [source for source, _ in sources], output_dir, output, format, skip_existing, force)
    portions = [portion for whole in _portions(sources) if (portion := whole.without(skipped)).sources]
    work = _Work(model, options, device, failed, _jobs(1 if ranks.size() > 1 else jobs, portions, device))
    if portions and output is not None:
        with growing(output, _key(model, format, options, sources), force) as file:
            for error in itertools.chain(*file.notes):
                failed(error)
            told = len(failures)
            for found in work.done(portions[len(file.notes):]):
                file.add("".join(render_all(found, format)), failures[told:])
                told = len(failures)
    elif outputs:
        for transcript in itertools.chain.from_iterable(work.done(portions)):
            write_text(outputs[transcript.source], render(transcript, format))
    elif portions:
        for piece in render_all(itertools.chain.from_iterable(work.done(portions)), format):
            sys.stdout.write(piece)
            sys.stdout.flush()
    if work.files > FEW and ranks.first():
        print(f"recog: {work.speed()}", file=sys.stderr)
    missed = int(ranks.added(len(failures)))
    if missed and ranks.first():
        print(f"recog: {missed} could not be transcribed", file=sys.stderr)
    return 1 if missed else 0


class _Models:
    """The models that are asked for, each loaded once, with its decoder."""

    def __init__(self, model: str | None, options: TranscribeOptions, device: str):
        self.model, self.options, self.device = model, replace(options, lexicon=None), device
        self.lexicon = options.lexicon
        self.loaded: dict[str, tuple[Transcriber, Decoder]] = {}

    def transcribe(self, portion: Portion, failed: Callable[[RecogError], None], heard: Counter[str]) -> Iterator[Transcript]:
        """In order. heard: how much was read is added there."""
        if self.model is None and portion.medium not in DEFAULTS:
            for source in portion.sources:
                failed(ConfigError(f"is {portion.medium}, and no model for that comes with recog", where=source, hint="name one with --model"))
            return
        if portion.medium not in self.loaded:
            transcriber = load(self.model or DEFAULTS[portion.medium], self.device)
            transcriber = transcriber.knowing(Path(self.lexicon)) if self.lexicon is not None else transcriber
            self.loaded[portion.medium] = transcriber, transcriber.decoder(self.options)
        transcriber, decoder = self.loaded[portion.medium]
        transcriber.heard = heard
        yield from transcriber.transcribe(portion.sources, self.options, failed, decoder)


class _Work:
    """Portions to transcripts, here or in other processes; and how fast."""

    def __init__(self, model: str | None, options: TranscribeOptions, device: str, failed: Callable[[RecogError], None], jobs: int):
        self.wanted, self.failed, self.jobs = (model, options, device), failed, jobs
        self.files, self.heard, self.began = 0, Counter(), time.monotonic()

    def done(self, portions: Sequence[Portion]) -> Iterator[Iterable[Transcript]]:
        """What each portion gives, in order, each to be taken before the next."""
        if self.jobs == 1:
            models = _Models(*self.wanted)
            for portion in portions:
                yield models.transcribe(portion, self.failed, self.heard)
                self.files += len(portion.sources)
            return
        share = max(1, cores() // self.jobs)
        for (found, errors, heard), portion in zip(spread(_done, portions, self.jobs, _begin, share, *self.wanted), portions):
            for error in errors:
                self.failed(error)
            self.files += len(portion.sources)
            self.heard.update(heard)
            yield found

    def speed(self) -> str:
        seconds = time.monotonic() - self.began
        amounts = ", ".join(f"{round(amount):,} {AMOUNTS[medium]}" for medium, amount in self.heard.items())
        sound = self.heard["audio"]
        times = f", {sound / seconds:.0f} times real time" if sound else ""
        return f"{self.files:,} files ({amounts}) in {seconds:.1f} seconds: {self.files / seconds:.1f} a second{times}, {self.jobs} at once"


_here: list[_Models] = []                    # in a process of its own: its models


def _begin(threads: int, *wanted: Any) -> None:
    set_threads(threads)
    _here.append(_Models(*wanted))


def _done(portion: Portion) -> tuple[list[Transcript], list[RecogError], Counter[str]]:
    errors, heard = [], Counter()
    return list(_here[0].transcribe(portion, errors.append, heard)), errors, heard


def _portions(sources: Sequence[tuple[str, str]]) -> Iterator[Portion]:
    """The list in portions, each of one medium. They depend on the list and its files alone: not on how many work, nor on what is done."""
    most = min(MOST, max(LEAST, len(sources) // 32))
    portion, size = Portion("", []), 0
    for source, medium in sources:
        more = os.path.getsize(source) if os.path.exists(source) else 0
        if portion.sources and (medium != portion.medium or len(portion.sources) == most or size + more > BYTES):
            yield portion
            portion, size = Portion("", []), 0
        portion, size = Portion(medium, [*portion.sources, source]), size + more
    if portion.sources:
        yield portion


def _jobs(jobs: int | None, portions: Sequence[Portion], device: str) -> int:
    """How many processes; those that would find less than two portions to do are not worth their start."""
    if any(STDIN in portion.sources for portion in portions):
        return 1                             # only this process has it
    if jobs is not None:
        return max(1, min(jobs, len(portions)))
    import torch

    shared = device != "cpu" and torch.cuda.is_available()               # each process keeps its own copy of the model there
    return max(1, min(4 if shared else cores(), len(portions) // 2))


def _key(model: str | None, format: str, options: TranscribeOptions, sources: Iterable[tuple[str, str]]) -> str:
    """Of all that the file of results follows from; files are known by their size and time."""
    weights = [described(locate(name))["files"][WEIGHTS]["sha256"] for name in ([model] if model is not None else sorted(DEFAULTS.values()))]
    named = [str(value) for value in asdict(options).values() if isinstance(value, str)]
    found = hashlib.sha256(json.dumps([weights, format, asdict(options)]).encode())
    for name in itertools.chain(named, (source for source, _ in sources)):
        with suppress(OSError):
            stat = os.stat(name)
            name = f"{name}\t{stat.st_size}\t{stat.st_mtime_ns}"
        found.update(os.fsencode(name) + b"\n")
    return found.hexdigest()


def _places(every: Sequence[str], sources: Sequence[str], folder: Path | None, file: Path | None, format: str, skip: bool, force: bool
            ) -> tuple[dict[str, Path], set[str]]:
    """The file for the transcript of each source, if there is one for each; and the sources that are left out, as theirs is there.

    every: those of other processes too, so that all give the same names.
    """
    if folder is None:
        check_sources(format, sources)
    if file is not None:
        if format not in GROWN:
            raise ConfigError(f"{format} cannot be gone on with after a kill", where="--output", hint="one of " + ", ".join(GROWN) + ", or --output-dir, or >")
        if file.exists() and not (skip or force):
            raise ConfigError("is there already", where=file, hint="--skip-existing keeps it, --force writes it anew")
        return {}, set(sources) if file.exists() and not force else set()
    outputs = {} if folder is None else _outputs(every, folder, format)
    there = {source for source in sources if outputs and outputs[source].exists()}
    if there and not (skip or force):
        raise ConfigError("is there already", where=outputs[min(there)], hint="--skip-existing keeps it, --force writes it anew")
    return outputs, there if skip else set()


def _refuse(format: str, options: TranscribeOptions, sources: Sequence[tuple[str, str]]) -> None:
    """Raises ConfigError for a source, with its medium, that the format or the options cannot be for."""
    for source, medium in sources:
        if format in TIMED and medium != "audio":
            raise ConfigError(f"is {medium}, and has {PLACES[medium]}, not the times of {format}", where=source, hint="--format json has them")
        if format in PLACED and medium != "image":
            raise ConfigError(f"is {medium}, and has {PLACES[medium]}, not the places in an image of {format}", where=source, hint="--format json has them")
    if options.lines and sources and all(medium != "image" for _, medium in sources):
        raise ConfigError("is for images: pages of several lines", where="--lines")


def check_options(stream: bool, rate: int | None, output_dir: Path | None, skip_existing: bool, output: Path | None = None,
                  jobs: int | None = None, shared: bool = False) -> None:
    """Raises ConfigError for an option of the command that would do nothing."""
    if rate is not None and not stream:
        raise ConfigError("only raw samples need to be told their rate", where="--rate", hint="it goes with --stream")
    if stream and (output_dir or output) is not None:
        raise ConfigError("a stream is written to standard output", where="--output" if output_dir is None else "--output-dir", hint="send it to a file with >")
    if stream and (shared or jobs is not None):
        raise ConfigError("a stream is heard by one process, as a whole", where="--stream", hint="leave out --nproc, --shard and --jobs")
    if output_dir is not None and output is not None:
        raise ConfigError("results go to one file or to a folder of files", where="--output", hint="leave out --output-dir")
    if skip_existing and output_dir is None and output is None:
        raise ConfigError("there is no folder of outputs to look into", where="--skip-existing", hint="it goes with --output-dir or --output")


def _outputs(sources: Sequence[str], folder: Path, format: str) -> dict[str, Path]:
    """A file for each source, named after it; sources of one name are told apart by a number."""
    outputs: dict[str, Path] = {}
    taken: set[str] = set()
    times: Counter[str] = Counter()
    for source in sources:
        stem = name = Path(source).stem if source != "-" else "stdin"
        while name in taken:
            times[stem] += 1
            name = f"{stem}-{times[stem] + 1}"
        taken.add(name)
        outputs[source] = folder / (name + SUFFIX[format])
    return outputs
