"""`recog ink render`: ink as images of lines: files as PNGs, or a manifest as a tree in IAM-DB's layout."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple, Sequence

import numpy as np

from . import iamdb, ink, ledger, manifest, ranks
from .config import plain
from .errors import ConfigError, DataError, RecogError
from .files import digest, remove, write_text, writing
from .ledger import Stage, say
from .pen.layout import lines_of
from .pen.render import RenderConfig, rendered, small_letters
from .sources import STDIN, expand
from .types import Image, Ink, Utterance

VERSION = 1                              # grows when the same settings give other pixels
SINGLY = 2                               # zlib's way of packing each byte by itself: for noise the smallest and the fastest
FEW = 16                                 # jobs that are not worth another process
TALK = 10                                # times that progress is told
OURS = {"ascii", "lines", "lists", "begun.json", "done.json"}

Line = tuple[str, str, str]              # id, the file of its ink, its text


class Job(NamedTuple):
    """Lines of one hand, which are drawn to one scale, and where they go."""

    lines: Sequence[Line]
    targets: Sequence[Path]
    config: RenderConfig
    seed: int
    anew: bool = False                   # draw also what is there


class Done(NamedTuple):
    rows: list[str | None]               # of lines.txt, one for each line; None for what could not be drawn
    faults: list[str]
    drawn: int                           # that were not there


def render(sources: Sequence[str], output: Path, seed: int = 0, height: float | None = None, clean: bool = False, force: bool = False) -> int:
    """Gives the exit status: 0, or 1 if a file could not be drawn. height: of small letters in pixels; None: as RenderConfig has it."""
    try:
        config = RenderConfig(clean=clean) if height is None else RenderConfig(clean=clean, height=float(height))
    except ValueError as error:
        raise ConfigError(str(error), where="--height") from None
    if any(name.endswith(".jsonl") for name in sources):
        if len(sources) > 1:
            raise ConfigError("a manifest is rendered alone", where=" ".join(sources), hint="one command for each")
        return _tree(Path(sources[0]), output, config, seed, force)
    return _files(sources, output, config, seed, force)


def _files(names: Sequence[str], output: Path, config: RenderConfig, seed: int, force: bool) -> int:
    faults: list[str] = []
    if STDIN in names:
        raise ConfigError("ink is rendered from files", where=STDIN)
    sources = expand(names, lambda error: faults.append(str(error)), ["ink"])
    if output.suffix.lower() == ".png" and not output.is_dir():
        if len(sources) + len(faults) != 1:
            raise ConfigError(f"is the name of one image, for {len(sources)} files of ink", where=output, hint="-o names a folder")
        if output.exists() and not force:
            raise ConfigError("is there already", where=output, hint="--force writes it anew")
        targets = {source: output for source in sources}
    else:
        targets = {source: output / f"{Path(source).stem}.png" for source in sources}
    if len(set(targets.values())) < len(targets):
        twice = next(path for path in targets.values() if list(targets.values()).count(path) > 1)
        raise ConfigError(f"several files would be drawn as {twice.name}", where=output, hint="one folder for each")
    todo = [source for source in sources if force or not targets[source].exists()]
    if len(todo) < len(sources):
        say(f"render: {len(sources) - len(todo)} of {len(sources)} are there already and stay as they are (--force draws them anew)")
    jobs = [Job([(Path(source).stem, source, "")], [targets[source]], config, seed, anew=True) for source in todo]
    done = list(_all(jobs, len(todo), output))
    faults += [fault for each in done for fault in each.faults]
    for fault in faults:
        print(f"recog: {fault}", file=sys.stderr)
    say(f"render: {sum(each.drawn for each in done)} images in {output}")
    return 1 if faults else 0


def _tree(path: Path, output: Path, config: RenderConfig, seed: int, force: bool) -> int:
    if not path.is_file():
        raise DataError("no such manifest", where=path)
    stage = Stage("render", output, VERSION, {"seed": seed, **plain(config, defaults=False)}, {"manifest": digest(path)})
    records = [ledger.read_json(file) for name in ("done.json", "begun.json") if (file := output / name).exists()]
    inside = {each.name.removesuffix(".partial") for each in output.iterdir()} if output.is_dir() else {""} if output.exists() else set()
    if inside - OURS or inside and not records:
        raise ConfigError("is there already and was not rendered", where=output, hint="choose another folder")
    old = records[0].get("key", records[0]) if records else stage.key
    if (changes := ledger.differences(old, stage.key)) and not force:
        raise ConfigError(f"was rendered otherwise ({', '.join(changes)})", where=output, hint="choose another folder; --force renders it anew")
    utterances = [replace(u, id=iamdb.safe(u.id)) for u in manifest.check(manifest.read(path), {}, path)]
    if force:
        remove(output)
    ledger.run(stage, lambda folder: _corpus(utterances, folder, config, seed))
    return 0


def _corpus(utterances: Sequence[Utterance], output: Path, config: RenderConfig, seed: int) -> dict[str, int]:
    """Draws the lines, writes ascii/lines.txt and lists/SPLIT.txt, and counts. Raises DataError at the end if some could not be drawn."""
    forms: dict[str, list[Line]] = {}
    for u in utterances:
        forms.setdefault(iamdb.form(u.id), []).append((u.id, u.source, u.text))
    jobs = [Job(lines, [output / iamdb.place(id) for id, _, _ in lines], config, seed) for lines in forms.values()]
    rows, faults, drawn = {}, [], 0
    for job, done in zip(jobs, _all(jobs, len(utterances), output)):
        rows |= {id: row for (id, _, _), row in zip(job.lines, done.rows) if row is not None}
        faults += done.faults
        drawn += done.drawn
        for fault in done.faults:
            print(f"recog: {fault}", file=sys.stderr, flush=True)
    there = [u for u in utterances if u.id in rows]
    write_text(output / "ascii" / "lines.txt", iamdb.HEADER + "".join(rows[u.id] for u in there))
    for split, names in _lists(there).items():
        write_text(output / "lists" / f"{iamdb.safe(split)}.txt", "".join(f"{name}\n" for name in names))
    say(f"render: {drawn:,} images drawn, {len(there) - drawn:,} were there; {len(there):,} lines of {len(jobs):,} forms")
    if faults:
        raise DataError(f"{len(faults)} of {len(utterances)} lines could not be drawn", where=output, hint="mend them and run again")
    return {"lines": len(there)}


def _lists(utterances: Sequence[Utterance]) -> dict[str, list[str]]:
    """The forms of each split; or its lines, if a form has lines in several splits."""
    splits: dict[str, dict[str, None]] = {}
    whole = len({(iamdb.form(u.id), u.split) for u in utterances}) == len({iamdb.form(u.id) for u in utterances})
    for u in utterances:
        splits.setdefault(u.split, {})[iamdb.form(u.id) if whole else u.id] = None
    return {split: list(names) for split, names in splits.items()}


def _all(jobs: Sequence[Job], lines: int, where: Path) -> Iterator[Done]:
    """What each job gave, in order; on all cores if there are many."""
    workers = min(os.cpu_count() or 1, len(jobs) // FEW)
    if workers < 2:
        yield from _told(map(_job, jobs), lines)
        return
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=ranks.end_with_parent) as pool:
            yield from _told(pool.map(_job, jobs, chunksize=min(FEW, len(jobs) // workers // 2)), lines)
    except BrokenProcessPool:
        raise RecogError("a worker process was killed; was memory short?", where=where, hint="run again: what is finished is kept") from None


def _told(results: Iterable[Done], lines: int) -> Iterator[Done]:
    done = told = 0
    for result in results:
        done += len(result.rows)
        if done * TALK // lines > told and done < lines:
            told = done * TALK // lines
            say(f"render: {done:,} of {lines:,} lines")
        yield result


def _job(job: Job) -> Done:
    """Draws what is not there, and says of each line what lines.txt says of it."""
    missing = [job.anew or not target.exists() for target in job.targets]
    inks: dict[str, Ink] = {}
    faults, rows = [], []
    for id, source, _ in job.lines if any(missing) else ():
        try:
            inks[id] = ink.read(Path(source))
        except DataError as error:
            faults.append(str(error))
    said = {id: text for id, _, text in job.lines}
    heights = [small_letters(line) for id, each in inks.items() for line in ([each] if said[id] else _lines(each))]
    letters = float(np.median(heights)) if heights else None
    for (id, source, text), target, new in zip(job.lines, job.targets, missing):
        rows.append(None)
        if new and id not in inks:
            continue
        try:
            image = rendered(inks[id], job.config, np.random.default_rng([job.seed, *id.encode()]), letters) if new else _read(target)
            rows[-1] = iamdb.line(id, text, image.pixels) if text else ""
        except DataError as error:
            faults.append(str(error))
            continue
        if new:
            _write(image, target, noisy=not job.config.clean)
    return Done(rows, faults, sum(new and row is not None for new, row in zip(missing, rows)))


def _lines(page: Ink) -> list[Ink]:
    """Of ink whose text is not known: it may be a page."""
    return [Ink(tuple(page.strokes[i] for i in line)) for line in lines_of(list(page.strokes))]


def _write(image: Image, path: Path, noisy: bool) -> None:
    from PIL import Image as Pillow

    with writing(path) as partial:
        Pillow.fromarray(image.pixels).save(partial, format="PNG", **({"compress_level": 1, "compress_type": SINGLY} if noisy else {}))


def _read(path: Path) -> Image:
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as picture:
            return Image(np.asarray(picture.convert("L")))
    except OSError as error:
        raise DataError(f"is no whole image: {error}", where=path, hint="remove it and run again") from None
