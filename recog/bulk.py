"""`recog transcribe`: many files to standard output or to a folder; bad ones are named, the rest goes on."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

from . import ranks
from .api import TranscribeOptions, Transcriber, load, options_of
from .errors import ConfigError, RecogError
from .files import write_text
from .formats import FORMATS, PLACED, SUFFIX, TIMED, check_sources, render, render_all
from .modeldir import DEFAULTS, described, locate
from .part import parsed
from .sources import expand, medium_of
from .types import Transcript


def transcribe_files(names: Sequence[str], model: str | None, format: str, options: dict[str, Any], output_dir: Path | None = None,
                     skip_existing: bool = False, force: bool = False, device: str = "auto", shard: str | None = None) -> int:
    """Gives the exit status: 0, or 1 if a file could not be transcribed. model: None, the bundled one for what each file holds.

    shard: "3/16", every 16th of the sorted inputs from the third on; ranks share them.
    """
    part = parsed(shard).among(ranks.rank(), ranks.size())
    if ranks.size() > 1 and output_dir is None:
        raise ConfigError("several processes write to files", where="--nproc", hint="it goes with --output-dir")
    if format not in FORMATS:
        raise ConfigError(f"there is no format '{format}'", where="--format", hint="one of " + ", ".join(FORMATS))
    options = options_of(options)
    failures: list[RecogError] = []

    def failed(error: RecogError) -> None:
        failures.append(error)
        print(f"recog: {error}", file=sys.stderr, flush=True)

    media = list(DEFAULTS) if model is None else [described(locate(model)).get("medium", "audio")]
    sources = expand(names, failed if ranks.first() else lambda error: None, media)      # what is not there is said once
    _refuse(format, options, [(source, media[0] if model is not None else medium_of(source) or "audio") for source in sources])
    outputs = _outputs(sources, output_dir, format) if output_dir is not None else {}
    sources = sources if part.whole else part.share(sorted(sources))
    if output_dir is not None:
        there = {source for source in sources if outputs[source].exists()}
        if there and not (skip_existing or force):
            raise ConfigError("is there already", where=outputs[min(there)], hint="--skip-existing keeps it, --force writes it anew")
        sources = [source for source in sources if not (skip_existing and source in there)]
    else:
        check_sources(format, sources)
    if sources:
        transcripts = _transcripts(sources, model, options, failed, device)
        if outputs:
            for transcript in transcripts:
                write_text(outputs[transcript.source], render(transcript, format))
        else:
            for piece in render_all(transcripts, format):
                sys.stdout.write(piece)
                sys.stdout.flush()
    missed = int(ranks.added(len(failures)))
    if missed and ranks.first():
        print(f"recog: {missed} could not be transcribed", file=sys.stderr)
    return 1 if missed else 0


PLACES = {"ink": "points", "image": "pixels", "audio": "seconds"}


def _refuse(format: str, options: TranscribeOptions, sources: Sequence[tuple[str, str]]) -> None:
    """Raises ConfigError for a source, with its medium, that the format or the options cannot be for."""
    for source, medium in sources:
        if format in TIMED and medium != "audio":
            raise ConfigError(f"is {medium}, and has {PLACES[medium]}, not the times of {format}", where=source, hint="--format json has them")
        if format in PLACED and medium != "image":
            raise ConfigError(f"is {medium}, and has {PLACES[medium]}, not the places in an image of {format}", where=source, hint="--format json has them")
    if options.lines and sources and all(medium != "image" for _, medium in sources):
        raise ConfigError("is for images: pages of several lines", where="--lines")


def _transcripts(sources: Sequence[str], model: str | None, options: TranscribeOptions, failed: Callable[[RecogError], None],
                 device: str) -> Iterator[Transcript]:
    """In order; of several media, by one model each."""
    loaded: dict[str, Transcriber] = {}
    for medium, group in itertools.groupby(sources, lambda source: "" if model is not None else medium_of(source) or "audio"):
        if model is None and medium not in DEFAULTS:
            for source in group:
                failed(ConfigError(f"is {medium}, and no model for that comes with recog", where=source, hint="name one with --model"))
            continue
        if medium not in loaded:
            loaded[medium] = load(model or DEFAULTS[medium], device)
        yield from loaded[medium].transcribe(group, options, failed)


def check_options(stream: bool, rate: int | None, output_dir: Path | None, skip_existing: bool, shared: bool = False) -> None:
    """Raises ConfigError for an option of the command that would do nothing."""
    if rate is not None and not stream:
        raise ConfigError("only raw samples need to be told their rate", where="--rate", hint="it goes with --stream")
    if output_dir is not None and stream:
        raise ConfigError("a stream is written to standard output", where="--output-dir", hint="send it to a file with >")
    if stream and shared:
        raise ConfigError("a stream is heard by one process, as a whole", where="--stream", hint="leave out --nproc and --shard")
    if skip_existing and output_dir is None:
        raise ConfigError("there is no folder of outputs to look into", where="--skip-existing", hint="it goes with --output-dir")


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
