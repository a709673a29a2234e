"""The records that flow through recog, and the six protocols that its parts satisfy.

    corpus --prepare--> Utterance --features--> Batch --encoder--> Encoded --head--> emissions | Loss
    emissions --decoder--> Hypothesis --units, times--> Transcript --score--> Report

Shapes: B utterances in a batch, T frames, D features, U labels, V units (the blank is unit 0).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Sequence

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor, nn


@dataclass(frozen=True)
class Utterance:
    """One recording (or a part of one) and what it says: one line of a manifest."""

    id: str
    split: str                                # train, dev, test, ...
    source: str                               # the file that holds it
    text: str
    speaker: str = ""
    start: float = 0.0                        # seconds into the file
    end: float | None = None                  # seconds; None: to the end of the file
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Waveform:
    """Sound: mono, float32 in [-1, 1]."""

    samples: ndarray                          # [N]
    rate: int                                 # samples per second

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class Ink:
    """What a pen wrote, in strokes from pen-down to pen-up, none without a point."""

    strokes: tuple[ndarray, ...]              # float64 [N, 3]: x to the right, y downwards, seconds (NaN: not known)

    @property
    def points(self) -> ndarray:
        """All points, one after the other [N, 3]."""
        from numpy import concatenate

        return concatenate(self.strokes)


@dataclass(frozen=True)
class Image:
    """A picture of writing, in grey."""

    pixels: ndarray                           # uint8 [H, W], rows from the top down: 0 black to 255 white


@dataclass(frozen=True)
class Batch:
    """Utterances of about one length, padded with zeros to the longest."""

    ids: tuple[str, ...]
    x: Tensor                                 # [B, T, D]
    x_len: Tensor                             # [B], true lengths in frames
    y: Tensor                                 # [B, U], unit numbers, padded with 0
    y_len: Tensor                             # [B], true lengths in labels


@dataclass(frozen=True)
class Encoded:
    """What an encoder makes of a batch. `penalties` is the one door for extra loss terms."""

    h: Tensor                                 # [B, T, D]
    n: Tensor                                 # [B], true lengths in frames
    penalties: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Loss:
    """Summed over the batch, in nats, so that batches and machines can be added exactly."""

    total: Tensor                             # scalar, differentiable
    parts: dict[str, float]                   # detached sums, by name
    count: int                                # utterances


@dataclass(frozen=True)
class Hypothesis:
    """One answer of a decoder, in unit numbers and frames. `parts` sum to `score`."""

    units: tuple[int, ...]
    score: float                              # natural log
    parts: dict[str, float]                   # acoustic, lm, length
    spans: tuple[tuple[int, int], ...]        # [start, end) in frames, one per unit
    confidence: tuple[float, ...]             # 0 to 1, one per unit


class Box(NamedTuple):
    """A rectangle in an image, in pixels from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @staticmethod
    def around(boxes: Sequence[Box]) -> Box:
        """The smallest that holds them all, at least one."""
        lefts, tops, rights, bottoms = zip(*boxes)
        return Box(min(lefts), min(tops), max(rights), max(bottoms))


@dataclass(frozen=True)
class Span:
    """A unit or a word in its place: seconds for sound, point numbers for ink, pixel columns for images."""

    text: str
    start: float
    end: float
    confidence: float
    box: Box | None = None                    # of an image


@dataclass(frozen=True)
class Transcript:
    """What a file says, as shown to people. `nbest` holds the best answers, this one first."""

    id: str
    source: str
    text: str
    score: float
    parts: dict[str, float]
    words: tuple[Span, ...]
    units: tuple[Span, ...]
    nbest: tuple[Transcript, ...] = ()
    page: Page | None = None                  # of an image


@dataclass(frozen=True)
class Page:
    """An image of writing: its size in pixels, and its lines from the top down."""

    width: int
    height: int
    lines: tuple[tuple[Box, Transcript], ...]


class Trainable(Protocol):
    """All that the trainer knows of a model."""

    def loss(self, batch: Batch) -> Loss: ...


class Encoder(Protocol):
    """x [B, T, D] and true lengths [B] in, `Encoded` out; `output_size` is the width of h."""

    output_size: int

    def __call__(self, x: Tensor, x_len: Tensor) -> Encoded: ...


class Head(Protocol):
    """Turns `Encoded` into a loss for training and into emissions for its decoders.

    CTC's emissions are log-probabilities. A transducer's are what the frames contribute; its decoders also get
    `predictor()`, an array copy of what the labels contribute and of how the two are joined.
    """

    def loss(self, encoded: Encoded, batch: Batch) -> Loss: ...

    def emissions(self, encoded: Encoded) -> Tensor: ...          # [B, T, E]

    def unfit(self, frames: int, labels: Sequence[int]) -> str: ...   # why an utterance cannot be learned, or ""


class LanguageModel(Protocol):
    """Scores sentences of numbered tokens, in natural log. Compiled searches read an n-gram model's arrays, and `follow` a network's steps."""

    unk: int                             # what tokens that it does not know are; -1: there are none
    eos: int                             # the end of a sentence

    def id(self, token: str) -> int: ...

    def knows(self, token: str) -> bool: ...

    def total(self, numbers: Sequence[int]) -> float: ...      # of a sentence with its end


class Decoder(Protocol):
    """Search over arrays. Offline is `begin`, one `step`, `finish`; streaming is many steps."""

    def begin(self) -> Any: ...

    def step(self, state: Any, emissions: ndarray) -> Any: ...     # [T, E]; for CTC: natural log, rows sum to one

    def finish(self, state: Any) -> Sequence[Hypothesis]: ...      # best first, at least one

    def live(self, state: Any) -> tuple[tuple[int, ...], tuple[int, ...]]: ...   # units that are settled; the best so far


class Hook(Protocol):
    """Something that happens around each training step: noise, averaging, an extra penalty.

    A step is one pass through the network and back for its whole batch; or, if any hook wishes it, one for each sequence.
    Made from its Config, the model, and the number of sequences in the training set.
    """

    per_sequence: bool                        # a pass of its own for each sequence of a batch

    def before_pass(self, model: nn.Module, step: int) -> None: ...

    def extra_loss(self, model: nn.Module) -> Tensor | None: ...

    def after_pass(self, model: nn.Module, count: int) -> None: ...     # w.grad: what the pass adds to the mean over `count` sequences

    def weights(self) -> Sequence[Tensor]: ...   # its own, in whose .grad after_pass adds up: of passes on several ranks, the sum is put there

    def before_update(self, model: nn.Module) -> None: ...              # w.grad: of all passes; the optimizer has not moved yet

    def after_step(self, model: nn.Module, step: int) -> None: ...

    def report(self) -> dict[str, float]: ...                           # figures for the epoch's line

    def state(self) -> dict[str, Tensor]: ...

    def restore(self, state: dict[str, Tensor]) -> None: ...
