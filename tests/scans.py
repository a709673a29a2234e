"""Made-up handwriting as a scanner sees it."""

import numpy as np
from PIL import Image as pillow
from PIL import ImageDraw


def drawn(ink, pen=3.0, room=20, frame=None):
    """A picture of ink as it lies: one pixel to a unit; black on white; uint8. Also where (0, 0) is in it. frame: ink that decides on its size."""
    points = (frame or ink).points[:, :2]
    low, high = points.min(0), points.max(0)
    size = np.ceil(high - low + 2 * room).astype(int)
    picture = pillow.new("L", tuple(4 * size), 255)
    drawing = ImageDraw.Draw(picture)
    for stroke in ink.strokes:
        points = ((stroke[:, :2] - low + room) * 4).tolist()
        drawing.line([tuple(p) for p in points], fill=0, width=round(4 * pen))
        for x, y in points:
            drawing.ellipse((x - 2 * pen, y - 2 * pen, x + 2 * pen, y + 2 * pen), fill=0)
    return np.asarray(picture.reduce(4)), room - low
