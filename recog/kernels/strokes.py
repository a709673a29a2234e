"""What a pen leaves on a grid of pixels, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def covered(points, joined, radius, dark, height, width):
    """Ink on each pixel, float32 [height, width], 0 to 1: `dark` under the pen, less over the one pixel at its edge.

    points [N, 2]: x, y in pixels from the upper left corner, where pixel 0 has its center at 0.5; joined [N]: whether the pen goes on to the
    next point, the last of all excepted; radius, dark [N]: half the width of the pen in pixels and how much ink it gives, which change evenly
    from point to point. Where the pen comes again, what is darker stays.
    """
    ink = np.zeros((height, width), np.float32)
    for i in range(len(points)):
        j = i + 1 if joined[i] else i
        x, y = points[i, 0], points[i, 1]
        dx, dy = points[j, 0] - x, points[j, 1] - y
        length = dx * dx + dy * dy
        reach = max(radius[i], radius[j]) + 0.5
        first, last = max(0, int(np.floor(min(x, x + dx) - reach))), min(width, int(np.ceil(max(x, x + dx) + reach)))
        top, bottom = max(0, int(np.floor(min(y, y + dy) - reach))), min(height, int(np.ceil(max(y, y + dy) + reach)))
        for row in range(top, bottom):
            for column in range(first, last):
                px, py = column + 0.5 - x, row + 0.5 - y
                part = min(max((px * dx + py * dy) / length, 0.0), 1.0) if length > 0 else 0.0
                px, py = px - part * dx, py - part * dy
                inside = radius[i] + part * (radius[j] - radius[i]) + 0.5 - np.sqrt(px * px + py * py)
                if inside > 0:
                    ink[row, column] = max(ink[row, column], min(inside, 1.0) * (dark[i] + part * (dark[j] - dark[i])))
    return ink


@njit(cache=True, nogil=True)
def scanned(ink, noise, light, spacing, dark, grain, lens, amount):
    """Grey pixels, uint8 [H, W], 0 black to 255 white, of ink [H, W] on paper.

    noise [H + 1, W + 1]: independent, of deviation 1; light [rows, columns]: the paper's grey at places `spacing` pixels apart; dark: the ink's
    grey; grain: deviation of the ink, as a share; lens [3]: what a pixel has of itself, of the next and of the one after it, each way; amount:
    deviation of a pixel's grey. Noise is shared by neighbours, as in a scan: half of a pixel's own comes from each side.
    """
    height, width = ink.shape
    half = np.float32(0.5)
    rough = np.empty((height, width), np.float32)
    padded = np.empty((height + 4, width + 4), np.float32)
    for row in range(height):
        for column in range(width):
            rough[row, column] = half * (noise[row, column] + noise[row, column + 1] + noise[row + 1, column] + noise[row + 1, column + 1])
    for row in range(height):
        for column in range(width):
            # the paper's roughness under the ink is that of another place, so that it does not follow the noise
            padded[row + 2, column + 2] = ink[row, column] * (1 - grain * abs(rough[height - 1 - row, width - 1 - column]))
    padded[:2], padded[height + 2:] = padded[2], padded[height + 1]
    for column in range(2):
        padded[:, column], padded[:, width + 2 + column] = padded[:, 2], padded[:, width + 1]
    down = np.empty((height, width + 4), np.float32)
    for row in range(height):
        for column in range(width + 4):
            down[row, column] = (lens[0] * padded[row + 2, column] + lens[1] * (padded[row + 1, column] + padded[row + 3, column])
                                 + lens[2] * (padded[row, column] + padded[row + 4, column]))
    pixels = np.empty((height, width), np.uint8)
    for row in range(height):
        above = int(row / spacing)
        low = np.float32(row / spacing - above)
        for column in range(width):
            left = int(column / spacing)
            right = np.float32(column / spacing - left)
            paper = ((light[above, left] * (1 - right) + light[above, left + 1] * right) * (1 - low)
                     + (light[above + 1, left] * (1 - right) + light[above + 1, left + 1] * right) * low)
            cover = (lens[0] * down[row, column + 2] + lens[1] * (down[row, column + 1] + down[row, column + 3])
                     + lens[2] * (down[row, column] + down[row, column + 4]))
            grey = paper + cover * (dark - paper) + amount * rough[row, column]
            pixels[row, column] = np.uint8(min(max(np.rint(grey), 0), 255))
    return pixels
