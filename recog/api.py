"""The toolkit from Python: `recog.load(model).transcribe(files)`. The command line is a thin shell around this."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from . import pronounce, ranks, reading
from .answers import joined, transcript
from .batching import BatchConfig, ahead, pad, plan
from .components import find, section
from .config import Component
from .decode import decode, make
from .decode.phrases import read as read_phrases
from .ensemble import agreed, searching
from .errors import ConfigError, RecogError
from .lmfile import open_guide
from .modeldir import DEFAULTS, LoadedModel, load as load_folder, locate
from .nbest import once
from .reading import Area, Piece
from .segment import SegmentConfig
from .streaming import Stream
from .types import Decoder, Page, Transcript

DEFAULT_MODEL = DEFAULTS["audio"]
GROUP = 64                                   # segments or lines collected before they are sorted by length and run


@dataclass(frozen=True)
class TranscribeOptions:
    """How files are transcribed."""

    decoder: str | None = None               # greedy or beam; None: the model's own
    beam: int | None = None                  # width of the beam; None: the decoder's own
    nbest: int = 1                           # answers per file, best first
    lm: str | None = None                    # an ARPA or KenLM binary file, or a network's folder, for the beam; "none": without; None: the model's own, if its decoder asks it
    lm_weight: float | None = None           # what its nats count; None: the decoder's own
    length_bonus: float | None = None        # nats for each unit, against short answers; None: the decoder's own
    word_bonus: float | None = None          # ... and for each word, with a language model or a lexicon
    phrases: str | None = None               # a file of names and words to listen for, with the beam: one to a line
    boost: float | None = None               # nats that each of their letters (or phones) gains; None: the decoder's own
    lexicon: str | None = None               # a file of more words and how they are spoken, for a model that hears phones
    lines: bool = False                      # an image is a page of several lines, not one line
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    batch: BatchConfig = field(default_factory=lambda: BatchConfig(utterances=16, frames=20000))

    def __post_init__(self):
        if self.nbest < 1:
            raise ValueError("nbest must be at least 1")
        if self.boost is not None and self.phrases is None:
            raise ValueError("boost is for phrases: name a file of them (--phrases)")
        if self.lm == "none" and self.lm_weight is not None:
            raise ValueError("lm_weight is for a language model, and lm is none")


def options_of(values: dict[str, Any]) -> TranscribeOptions:
    """As the command line gives them. Raises ConfigError."""
    try:
        return TranscribeOptions(**values)
    except ValueError as error:
        raise ConfigError(str(error), where="transcribe") from None


@dataclass
class _File:
    """A source under way: its segments' answers, filled in as batches come back."""

    source: str
    id: str
    between: str                             # what stands between the texts of its segments
    answers: list[list[Transcript] | None] = field(default_factory=list)
    areas: list[Area | None] = field(default_factory=list)
    closed: bool = False
    error: RecogError | None = None


class Transcriber:
    """A loaded model that turns files into transcripts."""

    def __init__(self, loaded: LoadedModel, device: str = "auto"):
        self.loaded = loaded
        self.heard: Counter[str] = Counter()     # so far: seconds of sound ("audio"), points of ink ("ink"), images ("image")
        self.device = _device(device)
        for each in (loaded, *loaded.members):
            each.model.to(self.device)

    def transcribe(self, sources: str | Path | Iterable[str | Path], options: TranscribeOptions = TranscribeOptions(),
                   on_error: Callable[[RecogError], None] | None = None, decoder: Decoder | None = None) -> Iterator[Transcript]:
        """One Transcript per file, in order, each as soon as it is ready; memory does not grow with length.

        '-' reads standard input. A file that cannot be read goes to `on_error`, and the rest goes on; without
        `on_error` the error is raised. decoder: what `decoder(options)` gave, to be used again.
        """
        if options.lexicon is not None:
            yield from self.knowing(Path(options.lexicon)).transcribe(sources, replace(options, lexicon=None), on_error)
            return
        if isinstance(sources, (str, Path)):
            sources = [sources]
        decoder = decoder or self.decoder(options)
        waiting: deque[_File] = deque()
        pieces: list[tuple[_File, int, Piece]] = []
        with closing(ahead(lambda item: item, self._read(map(str, sources), options), GROUP)) as read:
            for file, found in read:
                if not waiting or waiting[-1] is not file:
                    waiting.append(file)
                if isinstance(found, Piece):
                    pieces.append((file, len(file.answers), found))
                    file.answers.append(None)
                    file.areas.append(found.area)
                    if len(pieces) == GROUP:
                        self._answer(pieces, decoder, options)
                        pieces = []
                    continue
                if found is not None:
                    file.error = found
                    pieces = [piece for piece in pieces if piece[0] is not file]
                file.closed = True
                yield from self._finished(waiting, options, on_error)
        self._answer(pieces, decoder, options)
        yield from self._finished(waiting, options, on_error)

    def _read(self, sources: Iterable[str], options: TranscribeOptions) -> Iterator[tuple[_File, Piece | RecogError | None]]:
        """The pieces of each file; then None, or what is wrong with it. In a thread of its own, ahead of the network."""
        torch.set_num_threads(1)                                 # the others are the network's
        for source in sources:
            file = _File(source, Path(source).stem if source != "-" else "stdin", reading.BETWEEN[reading.medium(self.loaded)])
            try:
                for piece in reading.pieces(self.loaded, source, options.segment, options.lines, self.heard):
                    yield file, piece
                yield file, None
            except RecogError as error:
                yield file, error

    def stream(self, options: TranscribeOptions = TranscribeOptions(), rate: int | None = None) -> Stream:
        """A transcript that grows while sound arrives, `rate` samples a second (None: the model's rate).

        Raises ConfigError when the model needs the whole recording before it can begin.
        """
        if options.lexicon is not None:
            return self.knowing(Path(options.lexicon)).stream(replace(options, lexicon=None), rate)
        return Stream(self.loaded, self.decoder(options), rate)

    def knowing(self, lexicon: Path) -> Transcriber:
        """The same with more words, from a pronunciation dictionary in the CMU format. Raises DataError, or ConfigError."""
        units = self.loaded.units.knowing(pronounce.read(lexicon), lexicon)
        return Transcriber(replace(self.loaded, units=units), self.device.type)

    def _answer(self, pieces: list[tuple[_File, int, Piece]], decoder: Decoder, options: TranscribeOptions) -> None:
        if not pieces:
            return
        for members in plan(np.array([len(piece.frames) for *_, piece in pieces]), options.batch, None):
            chosen = [pieces[i] for i in members]
            heard = [self._emissions(self.loaded, [piece.frames for *_, piece in chosen])]
            heard += [self._emissions(model, [piece.others[i] for *_, piece in chosen]) for i, model in enumerate(self.loaded.members)]
            for (file, number, piece), *rows in zip(chosen, *heard):
                box = None if piece.area is None else piece.area.box
                file.answers[number] = [transcript(self.loaded, file.id, file.source, h, piece.where, piece.until, box)
                                        for h in (agreed(decoder, rows, options.nbest) if len(rows) > 1 else decode(decoder, rows[0]))]

    def _emissions(self, loaded: LoadedModel, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """[T', E] for each of the finished frames [T, D]."""
        batch = pad(["-"] * len(frames), frames, [()] * len(frames))
        emissions, n = loaded.model.emissions(batch.x.to(self.device), batch.x_len.to(self.device))
        return [rows[:length] for rows, length in zip(emissions.cpu().numpy(), n.tolist())]

    @staticmethod
    def _finished(waiting: deque[_File], options: TranscribeOptions,
                  on_error: Callable[[RecogError], None] | None) -> Iterator[Transcript]:
        while waiting and waiting[0].closed and None not in waiting[0].answers:
            file = waiting.popleft()
            if file.error is None:
                yield _joined(file, options.nbest)
            elif on_error is None:
                raise file.error
            else:
                on_error(file.error)

    def decoder(self, options: TranscribeOptions) -> Decoder:
        """What these options ask for. Raises ConfigError, or what is wrong with a file that they name."""
        chosen = self.loaded.config.decoder
        guided = options.lm not in (None, "none") or options.lm_weight is not None
        wishes = (options.beam, options.phrases, options.length_bonus, options.word_bonus)
        searched = options.nbest > 1 or guided or any(wish is not None for wish in wishes)
        kind = options.decoder or ("beam" if searched else chosen.kind)
        if kind != chosen.kind:
            chosen = Component(kind, find(section("decoder", self.loaded.config.head.kind), kind).Config())
        wanted = {"nbest": options.nbest} if options.nbest > 1 else {}
        if options.beam is not None:
            wanted["beam"] = options.beam
        elif options.nbest > getattr(chosen.config, "beam", options.nbest):
            wanted["beam"] = options.nbest
        lm = self.loaded.lm
        if options.lm == "none":
            wanted |= {"lm": False, "word_bonus": 0.0} if getattr(chosen.config, "lm", False) else {}
        elif guided:
            wanted |= {"lm": True} | ({} if options.lm_weight is None else {"lm_weight": options.lm_weight})
            lm = lm if options.lm is None else open_guide(Path(options.lm))
        wanted |= {name: value for name in ("length_bonus", "word_bonus") if (value := getattr(options, name)) is not None}
        wanted |= {} if options.phrases is None or options.boost is None else {"boost": options.boost}
        phrases = None if options.phrases is None else read_phrases(Path(options.phrases))
        try:
            config = replace(chosen.config, **wanted)
        except TypeError:
            raise ConfigError(f"the decoder '{kind}' has no {' and no '.join(wanted)}", hint="choose --decoder beam") from None
        except ValueError as error:
            raise ConfigError(str(error), where=f"decoder '{kind}'") from None
        component = searching(Component(kind, config)) if self.loaded.members else Component(kind, config)
        return make(component, self.loaded.units, self.loaded.words, self.loaded.model.predictor(), lm, phrases)


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"there is no device '{name}'", where="--device", hint="auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device here, or torch cannot use it", where="--device", hint="recog doctor says more")
    return torch.device("cpu") if name == "cpu" else ranks.device()


def _joined(file: _File, nbest: int) -> Transcript:
    """A file's segments as one transcript; the n best of the whole are the best sums of scores, each text once."""
    best = [Transcript(file.id, file.source, "", 0.0, {"acoustic": 0.0, "lm": 0.0, "length": 0.0}, (), ())]
    for answers in file.answers:
        pairs = sorted(itertools.product(best, answers), key=lambda pair: -(pair[0].score + pair[1].score))
        best = list(itertools.islice(once(joined(head, tail, file.between) for head, tail in pairs), nbest))
    return replace(best[0], nbest=tuple(best) if nbest > 1 else (), page=_page(file))


def _page(file: _File) -> Page | None:
    if not file.areas or file.areas[0] is None:
        return None
    return Page(*file.areas[0].size, tuple((area.line, answers[0]) for area, answers in zip(file.areas, file.answers)))


def load(model: str | Path = DEFAULT_MODEL, device: str = "auto") -> Transcriber:
    """A bundled model by name, or any model folder. Raises ModelError."""
    return Transcriber(load_folder(locate(model)), device)
