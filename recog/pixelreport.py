"""What a run of pixels leaves to look at: pictures beside their classes and the networks' answers, and a page about the run."""

from __future__ import annotations

import base64
import colorsys
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import svg
from .confusions import esc, note
from .files import write_text, writing
from .pixels import Pictures
from .pixelscore import Judged
from .plan import Run
from .svg import Curve, Panel, tag

if TYPE_CHECKING:
    from PIL import Image

SHOWN = 12                               # pictures of a split
SIDE, GAP, HEAD = 160, 6, 16             # pixels: the longer side of a picture on a sheet, between them, of a line of words
BACKGROUND = (233, 231, 226)
FIRST = ((42, 120, 214), (217, 88, 32), (18, 135, 92), (144, 60, 180), (230, 180, 20), (210, 60, 125), (0, 160, 170), (120, 90, 50),
         (160, 200, 60), (40, 40, 60))


def color(number: int) -> tuple[int, int, int]:
    """Of a class; 0 is the background. The first ten are told apart most easily."""
    if number <= len(FIRST):
        return FIRST[number - 1] if number else BACKGROUND
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(number * 0.618 % 1, 0.55, 0.85))


def painted(classes: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3], each pixel in the colour of its class. classes: [H, W]."""
    return np.array([color(number) for number in range(int(classes.max()) + 1)], np.uint8)[classes]


def spread(found: Judged, count: int = SHOWN) -> list[int]:
    """Numbers of pictures from the best to the worst by pixels that are wrong (or pictures, if pixels were not classified), evenly spaced."""
    errors, tokens = next(iter(found.errors.values()))
    order = np.argsort(errors / tokens, kind="stable")
    return [int(order[place]) for place in np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))]


def sheet(pictures: Pictures, numbers: list[int], found: dict[str, Judged], names: tuple[str, ...]) -> Image.Image:
    """A row for each picture: itself, its classes, what each network says; with the class of the whole picture where it has one."""
    from PIL import Image, ImageDraw

    largest = pictures.sizes[numbers].max(0)
    scale = max(1, SIDE // int(largest.max()))
    height, width = (int(side) * scale for side in largest)
    titles = ["picture", "classes", *found]
    paper = Image.new("RGB", (GAP + (width + GAP) * len(titles), HEAD + (height + GAP) * len(numbers) + HEAD), "white")
    drawing = ImageDraw.Draw(paper)
    for column, title in enumerate(titles):
        drawing.text((GAP + column * (width + GAP), 2), title, fill="black")
    for row, number in enumerate(numbers):
        shape, shown = tuple(pictures.sizes[number].tolist()), int(pictures.shown[number])
        cells = [(_in_colors(pictures.pixels(number)), 0), (painted(pictures.classes(number)), shown)]
        for one in found.values():
            answer = one.answers[number] if one.confusions is not None else one.said[number]
            cells.append((painted(np.broadcast_to(answer, shape)), int(one.said[number])))
        for column, (cell, said) in enumerate(cells):
            corner = GAP + column * (width + GAP), HEAD + row * (height + GAP)
            paper.paste(Image.fromarray(cell).resize((shape[1] * scale, shape[0] * scale), Image.Resampling.NEAREST), corner)
            if said and pictures.whole:
                ink = "black" if said == shown else "red"
                drawing.text((corner[0] + 3, corner[1] + 1), names[said - 1], fill=ink, stroke_width=1, stroke_fill="white")
    x = GAP
    for number, name in enumerate(("background", *names)):
        y = paper.height - HEAD + 2
        if x + 14 + 7 * len(name) > paper.width:
            break
        drawing.rectangle((x, y + 1, x + 9, y + 10), fill=color(number))
        drawing.text((x + 13, y), name, fill="black")
        x += 20 + int(drawing.textlength(name))
    return paper


def _in_colors(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(pixels[:, :, :1], (*pixels.shape[:2], 3)) if pixels.shape[2] != 3 else pixels)


def write(run: Run, folders: dict[str, Path], pictures: dict[str, Pictures], found: dict[str, dict[str, Judged]], table: str, out: Path) -> None:
    """Writes out/SPLIT.png for each split, and the page of the run."""
    names, sheets = run.recipe.config.classes, {}
    for split, each in found.items():
        drawn = sheet(pictures[split], spread(next(iter(each.values()))), each, names)
        with writing(out / f"{split}.png") as partial:
            drawn.save(partial, format="PNG")
        sheets[split] = drawn
    write_text(run.folder / "report.html", page(run, folders, found, table, sheets))


def page(run: Run, folders: dict[str, Path], found: dict[str, dict[str, Judged]], table: str, sheets: dict[str, Image.Image]) -> str:
    """Everything is in the text: nothing is fetched, nothing is run."""
    style = svg.STYLE + Path(__file__).with_name("runreport.css").read_text(encoding="utf-8")
    name = f"{run.recipe.name} / {run.folder.name}"
    body = tag("h1", esc(name)) + note(run.recipe.config.description) + tag("h2", "Scores") + tag("pre", esc(table))
    body += tag("h2", "Learning") + "".join(_learning(title, folder) for title, folder in folders.items())
    for split, drawn in sheets.items():
        stream = io.BytesIO()
        drawn.save(stream, format="PNG")
        picture = f'<img alt="pictures of {esc(split)}" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'
        said = (f"From the picture with the fewest errors of {next(iter(found[split]))} to that with the most, evenly spaced. "
                "Numbers or names in a corner: the class of the whole picture, red where it is wrong.")
        body += tag("h2", esc(split)) + note(said) + picture
        body += "".join(_confusions(title, one, run.recipe.config.classes) for title, one in found[split].items() if one.confusions is not None)
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{meta}{tag("title", esc(name))}{tag("style", style)}</head>\n<body>{body}</body></html>\n'


def _learning(title: str, folder: Path) -> str:
    rows = _metrics(folder / "train" / "metrics.jsonl")

    def curves(*wanted: tuple[str, str, str, float]) -> tuple[Curve, ...]:
        points = ((name, look, tuple((row["epoch"], times * row[key]) for row in rows if key in row)) for key, name, look, times in wanted)
        return tuple(Curve(name, look, found) for name, look, found in points if found)

    shown = [Panel("Loss, nats a picture", curves(("train_loss", "training", "c0", 1), ("dev_loss", "development", "c1", 1)), 160),
             Panel("Error on the development set, %", curves(("dev_error", "", "c1", 100)), 110)]
    shown = [panel for panel in shown if panel.curves]
    return tag("h3", esc(title)) + svg.panels(shown, "epoch", {}, None, "") if shown else ""


def _metrics(path: Path) -> list[dict[str, Any]]:
    rows = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(text))
        except json.JSONDecodeError:                      # cut short by a kill
            continue
    return [row for row in rows if "epoch" in row]


def _confusions(title: str, found: Judged, names: tuple[str, ...]) -> str:
    """Of each class, its share of the pixels, how many of them are wrong, and what for most are taken."""
    counts, names = found.confusions, ("background", *names)
    rows = []
    for number, name in enumerate(names):
        total, right = int(counts[number].sum()), int(counts[number, number])
        if not total:
            continue
        others = [(int(counts[number, other]), names[other]) for other in np.argsort(-counts[number], kind="stable") if other != number]
        most = f"{others[0][1]} ({100 * others[0][0] / total:.2f} %)" if others and others[0][0] else ""
        swatch = tag("span", style=f"display:inline-block;width:.8em;height:.8em;margin-right:.4em;background:rgb{color(number)}")
        rows.append(tag("tr", tag("td", swatch + esc(name), class_="l"), *(tag("td", cell) for cell in (
            f"{100 * total / counts.sum():.2f}", f"{100 * (1 - right / total):.2f}")), tag("td", esc(most), class_="l")))
    head = tag("tr", *(tag("th", cell, class_=look) for cell, look in
                       ((esc(title), "l"), ("% of pixels", "r"), ("wrong, %", "r"), ("taken most for", "l"))))
    return tag("div", tag("table", head, *rows), class_="keep")
