"""Styles: ink in a hand that is to be followed, and what it says. A network that has just written it goes on in the same hand.

A style is a file of ink as JSON (recog/ink/json.py) with a further key, "text". Those that come with recog lie in recog/styles, one's own
in a folder of the user's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import ink as inks
from ..components import nearest
from ..errors import ConfigError, DataError
from ..files import read_json, write_text
from ..ink.json import written
from ..pen import normalize
from ..pen.resample import resampled
from ..types import Ink
from ..writingmodel import LoadedWriter
from .alphabet import checked
from .sampler import Wanted, sample

SHIPPED = Path(__file__).parent.parent / "styles"
HOME = "RECOG_STYLES"                        # an environment variable that names the folder of one's own styles
LEFT = 2                                     # characters before the end of its text, where the window must be when the ink of a style ends
FEWEST = 20                                  # points of a style


@dataclass(frozen=True)
class Prime:
    """The beginning of a line, given: scaled offsets [P, 3], and what they say."""

    text: str
    points: np.ndarray


@dataclass(frozen=True)
class Style:
    name: str
    text: str
    ink: Ink

    def prime(self, writer: LoadedWriter, strength: float = 1.0) -> Prime:
        """As the network reads it; with a strength below 1 so much of it, in whole words. Raises ConfigError for a text that it cannot write,
        DataError for too little ink."""
        text = checked(self.text, writer.units.symbols[1:], where="the style's text").replace("\n", " ")
        points = offsets(self.ink, writer)
        if len(points) < FEWEST:
            raise DataError("holds too little ink for a style", where="the style", hint="a line of ten words or so is best")
        words = text.split(" ")
        kept = max(1, round(strength * len(words)))
        if kept == len(words):
            return Prime(text, points)
        short = " ".join(words[:kept])
        at = window(writer, text, points)
        passed = np.flatnonzero((at >= len(short)) & (np.roll(points[:, 2], 1) > 0.5))      # a stroke ended, and what follows is the next word
        return Prime(short, points[:passed[0]]) if len(passed) and passed[0] >= FEWEST else Prime(text, points)


def offsets(ink: Ink, writer: LoadedWriter) -> np.ndarray:
    """Ink at the size and in the steps that the network knows, as scaled offsets [P, 3]: steps of time, where the ink says when its points were made."""
    strokes = normalize.without_slope([np.array(s) for s in ink.strokes])
    top, base = normalize.lines(strokes)
    size = writer.height / max(base - top, 1e-9)
    strokes = [np.column_stack([s[:, :2] * size, s[:, 2:]]) for s in strokes]
    timed = writer.by == "time" and all(np.isfinite(s[:, 2]).all() and (np.diff(s[:, 2]) >= 0).all() for s in strokes) \
        and any(s[-1, 2] > s[0, 2] for s in strokes)
    strokes = resampled(strokes, *((writer.seconds, "time") if timed else (writer.step, "length")))
    places = np.concatenate([s[:, :2] for s in strokes])
    ends = np.zeros(len(places))
    ends[np.cumsum([len(s) for s in strokes]) - 1] = 1
    steps = np.diff(places, axis=0, prepend=places[:1]) / writer.model.scale.numpy()
    return np.column_stack([steps, ends]).astype(np.float32)


def window(writer: LoadedWriter, text: str, points: np.ndarray) -> np.ndarray:
    """Which character is looked at most when the network has seen each point [P]; the text's length: the place after it."""
    units = tuple(writer.units.encode(text, where="the style"))
    return sample(writer.model, [Wanted(units, (0,), prime=points, most=len(points))])[0].looked.argmax(1)


def follows(style: Style, writer: LoadedWriter) -> tuple[bool, int, int]:
    """Whether the window is at the end of the text when the ink ends; the character where it is, and how many there are.

    If not, ink and text do not belong together, or the hand is too unlike those that the network knows.
    """
    prime = style.prime(writer)
    at = int(window(writer, prime.text, prime.points)[-1])
    return at >= max(1, len(prime.text) - LEFT), at, len(prime.text)


def home() -> Path:
    """The folder of one's own styles."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(os.environ[HOME]) if os.environ.get(HOME) else data / "recog" / "styles"


def available() -> dict[str, Path]:
    """All styles by name; one's own go before those that come with recog."""
    return {path.stem: path for folder in (SHIPPED, home()) for path in sorted(folder.glob("*.json"))}


def find(name: str) -> Style:
    """A style by its name, or from a file. Raises ConfigError, or DataError naming the file."""
    known = available()
    path = Path(name) if name not in known else known[name]
    if not path.is_file():
        raise ConfigError(f"there is no style '{name}'{nearest(name, list(known))}", where="--style", hint="recog style list shows them")
    ink = inks.read(path)
    text = said(path).get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataError("does not say what is written", where=path, hint='recog style add FILE --text "..." makes a style of it')
    return Style(path.stem, " ".join(text.split()), ink)


def said(path: Path) -> dict[str, Any]:
    """What a file of ink as JSON holds beside its strokes; of other files, nothing."""
    table = read_json(path) if path.suffix.lower() == ".json" else None
    return table if isinstance(table, dict) else {}


def add(source: Path, text: str, name: str | None, force: bool, writer: LoadedWriter) -> tuple[Path, tuple[bool, int, int]]:
    """Keeps ink as one's own style; gives its file, and whether the network follows it. Raises ConfigError or DataError, and keeps nothing."""
    name = name or source.stem
    if Path(name).name != name or name.startswith("."):
        raise ConfigError(f"a style cannot be named '{name}'", where="--name")
    target = home() / f"{name}.json"
    if target.exists() and not force:
        raise ConfigError("is there already", where=target, hint="--force writes it anew, --name gives another name")
    style = Style(name, " ".join(text.split()), inks.read(source))
    if not style.text:
        raise ConfigError("a style needs what is written", where="--text")
    found = follows(style, writer)
    target.parent.mkdir(parents=True, exist_ok=True)
    save(style, target)
    return target, found


def save(style: Style, path: Path) -> None:
    write_text(path, written(style.ink, text=style.text))
