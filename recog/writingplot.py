"""A picture of how a network that writes follows ink: where it expects the pen, and what of the text it looks at (Graves 2013, figures 10, 13)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from .errors import ConfigError, DataError
from .files import writing
from .layers import mixture
from .pen.layout import lines_of
from .types import Ink
from .writing import styles
from .writing.sampler import Wanted, sample
from .writingmodel import LoadedWriter

if TYPE_CHECKING:
    from PIL import Image

WIDTH, MARGIN, LETTER, MOST_LETTERS = 1400, 20, 16, 60       # pixels; characters beside the window's map have so many each
FINE = 2                                                     # ink is drawn so much larger, then made smaller
TALL, FAR = 300, 4.0                                         # pixels of the map of densities, at most; deviations that are drawn around a mean
DARK = np.array([[255, 255, 255], [253, 212, 158], [239, 101, 72], [127, 0, 0], [30, 0, 0]], float)      # colours from nothing to much


def texts_of(path: Path, text: str | None, lines: int) -> list[str]:
    """What each line of a file of ink says: as given, or as the file has it (a style, or what `recog synthesize` wrote). Raises DataError."""
    if text is None:
        table = styles.said(path)
        listed = table.get("lines") if isinstance(table.get("lines"), list) else []
        text = table.get("text") or "\n".join(str(line["text"]) for line in listed if isinstance(line, dict) and line.get("text"))
    found = [line for line in str(text or "").split("\n") if line.strip()]
    if len(found) != lines:
        raise DataError(f"has {lines} lines of ink, and {len(found)} of text" if found else "does not say what is written", where=path,
                        hint='--text "what it says", with a line end between lines')
    return found


def plot(writer: LoadedWriter, page: Ink, path: Path, text: str | None, out: Path) -> None:
    """Writes a PNG. Raises ConfigError or DataError when the text is not there, or holds what the network cannot write."""
    from PIL import Image

    lines = [Ink(tuple(page.strokes[i] for i in members)) for members in lines_of(list(page.strokes))]
    reads = writer.model.config.gaussians > 0
    if text is not None and not reads:
        raise ConfigError("reads no text", where=writer.name, hint="leave --text out")
    texts = texts_of(path, text, len(lines)) if reads else [""] * len(lines)
    parts = [part for line, said in zip(lines, texts) for part in _line(writer, line, said if reads else None)]
    whole = Image.new("RGB", (WIDTH, sum(part.height for part in parts) + MARGIN * (len(parts) + 1)), "white")
    top = MARGIN
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height + MARGIN
    with writing(out) as partial:
        whole.save(partial, format="PNG")


def _line(writer: LoadedWriter, line: Ink, text: str | None) -> list[Image.Image]:
    """The maps of a line. text None: the network reads none."""
    points = styles.offsets(line, writer)
    units = () if text is None else tuple(writer.units.encode(text, where="--text"))
    seen = sample(writer.model, [Wanted(units, (0,), prime=points, most=len(points))], rows=True)[0]
    maps = [_densities(seen.rows, points * (*writer.model.scale.tolist(), 1.0), writer)]
    return maps if text is None else [*maps, _window(seen.looked[:, :-1], text)]


def _densities(rows: np.ndarray, points: np.ndarray, writer: LoadedWriter) -> Image.Image:
    """The densities of all points on the paper, each where the pen then was, under the ink. rows [T, 6M + 1]; points [T, 3], the ink's units."""
    from PIL import Image, ImageDraw

    places = np.cumsum(points[:, :2], axis=0)
    low, high = places.min(0) - writer.height / 2, places.max(0) + writer.height / 2
    scale = min((WIDTH - 2 * MARGIN) / (high - low)[0], TALL / (high - low)[1])
    size = np.ceil((high - low) * scale).astype(int)
    x, y = (np.arange(n) / scale + first for n, first in zip(size, low))
    found = density_map(rows[:-1], places[:-1], writer.model.scale.numpy(), x, y)
    picture = _coloured(np.log1p(found / max(np.percentile(found[found > 0], 50), 1e-12)) if (found > 0).any() else found)
    whole = Image.new("RGB", (WIDTH * FINE, int(size[1]) * FINE), "white")
    whole.paste(picture.resize((int(size[0]) * FINE, int(size[1]) * FINE)), (MARGIN * FINE, 0))
    drawing = ImageDraw.Draw(whole)
    for stroke in np.split(places, np.flatnonzero(points[:, 2] > 0.5) + 1):
        if len(stroke):
            drawing.line([tuple(p) for p in ((stroke - low) * scale + (MARGIN, 0)) * FINE], fill="#1a2a5e", width=FINE)
    return whole.reduce(FINE)


def density_map(rows: np.ndarray, places: np.ndarray, unit: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The sum over all points of how likely each place of a grid was to be the next [len(y), len(x)], per scaled area.

    rows [T, 6M + 1]: what is said when the pen is at places [T, 2]; unit [2]: a scaled offset of 1, in the ink's units, as are x and y.
    """
    found, given = np.zeros((len(y), len(x))), torch.from_numpy(rows)
    parts, middle = mixture.split(given), mixture.mean(given)
    middles = places + middle.numpy() * unit
    spread = torch.hypot(parts.deviations.exp().amax(2), (parts.means - middle[..., None]).abs().amax(2)).numpy()
    fine = [np.abs(np.diff(axis)).max() for axis in (x, y)]
    for place, middle, far, row in zip(places, middles, np.maximum(FAR * spread * unit, fine), given):
        columns, lines = (np.flatnonzero(np.abs(axis - at) < reach) for axis, at, reach in zip((x, y), middle, far))
        if not len(columns) or not len(lines):
            continue
        offsets = (np.stack(np.meshgrid(x[columns], y[lines]), -1) - place) / unit
        at = torch.from_numpy(offsets.astype(np.float32))
        found[np.ix_(lines, columns)] += mixture.log_density(row.expand(*at.shape[:2], -1), at).exp().numpy()
    return found


def _window(looked: np.ndarray, text: str) -> Image.Image:
    """How much each character is looked at (upwards) after each point (to the right). looked [T, U]."""
    from PIL import Image, ImageDraw, ImageFont

    each = LETTER if len(text) <= MOST_LETTERS else max(2, LETTER * MOST_LETTERS // len(text))
    height, left = each * len(text), 2 * LETTER + MARGIN
    picture = _coloured(np.minimum(looked.T[::-1], np.percentile(looked.max(1), 95)))
    whole = Image.new("RGB", (WIDTH, height), "white")
    whole.paste(picture.resize((WIDTH - MARGIN - left, height), Image.Resampling.BILINEAR), (left, 0))
    drawing, font = ImageDraw.Draw(whole), ImageFont.load_default(size=min(each, 14))
    for number, character in enumerate(text):
        drawing.text((left - LETTER, height - each * (number + 0.5)), character.replace(" ", "_"), fill="black", font=font, anchor="mm")
    return whole


def _coloured(values: np.ndarray) -> Image.Image:
    """A picture of values [H, W] from 0 up."""
    from PIL import Image

    share = values / max(float(values.max()), 1e-12) * (len(DARK) - 1)
    below = np.minimum(share.astype(int), len(DARK) - 2)
    part = (share - below)[..., None]
    return Image.fromarray((DARK[below] * (1 - part) + DARK[below + 1] * part).astype(np.uint8), "RGB")
