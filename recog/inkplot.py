"""A picture of how a model reads ink: each line coloured by character, and under it what the network says where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import ink, writingmodel, writingplot
from .alignment import log_probs_of
from .decode import decode
from .decode.greedy import Greedy
from .errors import ConfigError
from .files import writing
from .modeldir import DEFAULTS, LoadedModel, described, load, locate
from .pen.layout import lines_of
from .reading import Piece, lines_of_ink, medium
from .types import Hypothesis, Ink

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, INK, GAP, BARS, MARGIN = 1400, 150, 30, 90, 20        # pixels: of the picture, and the heights of the parts of a line
FINE = 2                                                     # drawn so much larger, then made smaller, for smooth edges
COLOURS = ("#c1121f", "#1d4ed8", "#15803d", "#b45309", "#7e22ce", "#0e7490")
NOBODYS = "#9a9a9a"
FAINT = 0.05                                                 # probabilities below are not drawn
SHOWN_SPACE = "_"
MOST_LINES = 60
NEAR = 100                                                   # points between two answers that are shared by them; more are somebody else's


def picture(path: Path, out: Path | None, model: str | None, text: str | None, force: bool) -> None:
    """`recog inspect --plot`: how a model reads ink, or how one that writes follows it. Raises ConfigError."""
    if out is None:
        raise ConfigError("--model and --text go with --plot", where="inspect", hint="--plot out.png")
    if out.exists() and not force:
        raise ConfigError("is there already", where=out, hint="--force writes it anew")
    if out.suffix.lower() != ".png":
        raise ConfigError("a plot is a PNG", where=out, hint="end its name in .png")
    folder = locate(model or DEFAULTS["ink"])
    if described(folder).get("medium") == writingmodel.MEDIUM:
        writingplot.plot(writingmodel.load(folder), ink.read(path), path, text, out)
        return
    if text is not None:
        raise ConfigError("is for a model that writes", where="--text", hint="--model names one")
    loaded = load(folder)
    if medium(loaded) != "ink":
        raise ConfigError(f"reads {medium(loaded)}, and only ink is plotted", where=model)
    plot(loaded, ink.read(path), out)


def plot(loaded: LoadedModel, page: Ink, out: Path) -> None:
    """Writes a PNG. Bars stand where the pen was in the middle of a frame, as high as the probability of the unit above them."""
    from PIL import Image, ImageDraw

    lines = lines_of(list(page.strokes))
    if len(lines) > MOST_LINES:
        raise ConfigError(f"has {len(lines)} lines of ink, and at most {MOST_LINES} are plotted", where="--plot")
    height = INK + GAP + BARS + 2 * MARGIN
    picture = Image.new("RGB", (WIDTH, height * len(lines)), "white")
    for number, (piece, members) in enumerate(zip(lines_of_ink(loaded, page), lines)):
        line = Image.new("RGB", (WIDTH * FINE, height * FINE), "white")
        log_probs = log_probs_of(loaded, piece.frames)
        _line(ImageDraw.Draw(line), loaded, page, piece, members, log_probs, decode(Greedy(), log_probs)[0])
        picture.paste(line.reduce(FINE), (0, number * height))
    with writing(out) as partial:
        picture.save(partial, format="PNG")


def _line(drawing: ImageDraw, loaded: LoadedModel, page: Ink, piece: Piece, members: list[int], log_probs: np.ndarray, found: Hypothesis) -> None:
    points, firsts = page.points[:, :2], np.cumsum([0, *map(len, page.strokes)])
    own = np.concatenate([points[firsts[i]:firsts[i + 1]] for i in members])
    low, extent = own.min(0), np.maximum(np.ptp(own, axis=0), 1e-9)
    scale = min((WIDTH - 2 * MARGIN) / extent[0], INK / extent[1])
    spans = [(piece.where(a), piece.until(b)) for a, b in found.spans]

    def on_paper(xy: np.ndarray) -> np.ndarray:
        return ((xy - low) * scale + (MARGIN, MARGIN)) * FINE

    owners = _owners(len(points), spans)
    for i in members:
        for at in range(firsts[i], firsts[i + 1]):
            a, b = on_paper(points[max(at - 1, firsts[i])]), on_paper(points[at])
            drawing.line([tuple(a), tuple(b)], fill=_colour(owners[at]), width=2 * FINE)
            drawing.ellipse([*(b - FINE), *(b + FINE)], fill=_colour(owners[at]))
    base = (MARGIN + INK + GAP + BARS) * FINE
    drawing.line([(MARGIN * FINE, base), ((WIDTH - MARGIN) * FINE, base)], fill=NOBODYS, width=FINE)
    best = log_probs[:, 1:].argmax(1) + 1
    for row, unit in enumerate(best):
        chance = float(np.exp(log_probs[row, unit]))
        if chance >= FAINT:
            x = on_paper(points[int(min(piece.where(row + 0.5), len(points) - 1))])[0]
            owner = next((k for k, (a, b) in enumerate(found.spans) if a <= row < b), -1)
            drawing.line([(x, base), (x, base - chance * BARS * FINE)], fill=_colour(owner), width=2 * FINE)
    _letters(drawing, loaded, found, spans, points, on_paper, base)


def _letters(drawing: ImageDraw, loaded: LoadedModel, found: Hypothesis, spans: list[tuple[float, float]], points: np.ndarray, on_paper, base: float) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(size=15 * FINE)
    for number, (unit, (start, end)) in enumerate(zip(found.units, spans)):
        x = on_paper(points[int(min((start + end) / 2, len(points) - 1))])[0]
        text = loaded.units.symbols[unit].replace(" ", SHOWN_SPACE)
        drawing.text((x, base - (BARS + 3) * FINE), text, fill=_colour(number), font=font, anchor="ms")


def _owners(points: int, spans: list[tuple[float, float]]) -> np.ndarray:
    """Of each point, which answer it belongs to, -1 for none: up to half of what lies between two goes to each, if that is little."""
    owners = np.full(points, -1)
    for number, (start, end) in enumerate(spans):
        before, after = start - spans[number - 1][1] if number else 0, spans[number + 1][0] - end if number + 1 < len(spans) else 0
        begin, finish = start - (before / 2 if 0 < before < NEAR else 0), end + (after / 2 if 0 < after < NEAR else 0)
        owners[int(begin):max(int(begin) + 1, int(np.ceil(finish)))] = number
    return owners


def _colour(owner: int) -> str:
    return NOBODYS if owner < 0 else COLOURS[owner % len(COLOURS)]
