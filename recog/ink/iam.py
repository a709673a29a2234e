"""IAM-OnDB's files of strokes: a `WhiteboardCaptureSession`, points with x, y and seconds."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from ..errors import DataError
from ..types import Ink
from .checks import stroke

ROOT = "WhiteboardCaptureSession"


def strokes(root: Element, path: Path) -> Ink:
    found = []
    for number, element in enumerate(root.iterfind("StrokeSet/Stroke"), 1):
        try:
            rows = [(float(p.attrib["x"]), float(p.attrib["y"]), float(p.attrib.get("time", "nan"))) for p in element.iterfind("Point")]
        except (KeyError, ValueError) as error:
            raise DataError(f"stroke {number} has a point without a number: {error}", where=path) from None
        found.append(stroke(np.array(rows, np.float64).reshape(-1, 3), number, path))
    return Ink(tuple(each for each in found if len(each)))
