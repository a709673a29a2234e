"""Pictures of regions that differ in texture alone: written as PNG, with their classes in a second PNG beside each."""

from pathlib import Path
from typing import Callable, Iterator

import numpy as np

from recog.types import Utterance

SPLITS = {"train": 500, "dev": 55, "test": 150}
HEIGHT, WIDTH = 60, 80
REGIONS = (4, 9)                               # in a picture: from the first, below the second
NOISE = 0.06                                   # deviation, of each pixel; white is 1

Plane = np.ndarray                             # float64 [H, W]


def prepare(corpus: Path) -> Iterator[Utterance]:
    names = list(TEXTURES)
    for number, split in enumerate(SPLITS):
        for at in range(SPLITS[split]):
            pixels, classes = drawn(np.random.default_rng([2007, number, at]))
            path = corpus / f"{split}{at:04}.png"
            corpus.mkdir(parents=True, exist_ok=True)
            saved(pixels, path, palette=False)
            saved(classes, path.with_suffix(".classes.png"), palette=True)
            seen = " ".join(names[number - 1] for number in np.unique(classes) if number)
            yield Utterance(path.stem, split, str(path), seen or "plain", extra={"classes": str(path.with_suffix(".classes.png"))})


def saved(values: np.ndarray, path: Path, palette: bool) -> None:
    from PIL import Image

    from recog.pixelreport import color

    picture = Image.fromarray(values)
    if palette:
        picture.putpalette([part for number in range(len(TEXTURES) + 1) for part in color(number)])
    picture.save(path)


def drawn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture and the classes of its pixels, uint8 [H, W] each. Grey levels, contrast and light tell nothing of the class."""
    y, x = np.indices((HEIGHT, WIDTH), float)
    count = int(rng.integers(*REGIONS))
    sites = rng.uniform((0, 0), (HEIGHT, WIDTH), (count, 2))
    bent = y + 3 * np.sin(x / rng.uniform(6, 12) + rng.uniform(0, 7)), x + 3 * np.sin(y / rng.uniform(6, 12) + rng.uniform(0, 7))
    region = np.argmin([(bent[0] - top) ** 2 + (bent[1] - left) ** 2 for top, left in sites], 0)
    picture, classes = np.zeros((HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, kind in enumerate(rng.integers(len(TEXTURES) + 1, size=count)):
        inside = region == number
        level, contrast = rng.uniform(0.35, 0.65), rng.uniform(0.15, 0.3)
        plane = level + contrast * list(TEXTURES.values())[kind - 1](y, x, rng) if kind else np.full((HEIGHT, WIDTH), level)
        picture[inside], classes[inside] = plane[inside], kind
    light = 1 + 0.25 * (rng.uniform(-1, 1) * (y / HEIGHT - 0.5) + rng.uniform(-1, 1) * (x / WIDTH - 0.5))
    noisy = picture * light + rng.normal(0, NOISE, picture.shape)
    return (255 * noisy.clip(0, 1)).round().astype(np.uint8), classes


def turned(y: Plane, x: Plane, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """The same grid, turned and moved at random."""
    angle, (down, right) = rng.uniform(0, np.pi), rng.uniform(0, 20, 2)
    return y * np.cos(angle) + x * np.sin(angle) + down, x * np.cos(angle) - y * np.sin(angle) + right


def stripes(wide: float) -> Callable[[Plane, Plane, np.random.Generator], Plane]:
    return lambda y, x, rng: np.sin(2 * np.pi * turned(y, x, rng)[0] / wide)


def checks(y: Plane, x: Plane, rng: np.random.Generator) -> Plane:
    y, x = turned(y, x, rng)
    return np.sign(np.sin(np.pi * y / 4) * np.sin(np.pi * x / 4))


def dots(y: Plane, x: Plane, rng: np.random.Generator) -> Plane:
    y, x = turned(y, x, rng)
    return 2 * (np.hypot((y + 3) % 6 - 3, (x + 3) % 6 - 3) < 1.8) - 1.0


def bricks(y: Plane, x: Plane, rng: np.random.Generator) -> Plane:
    y, x = turned(y, x, rng)
    mortar = (y % 5 < 1.2) | ((x + 4 * (y // 5 % 2)) % 8 < 1.2)
    return 1 - 2.0 * mortar


def teeth(y: Plane, x: Plane, rng: np.random.Generator) -> Plane:
    """Stripes that rise slowly and fall at once."""
    return turned(y, x, rng)[0] / 7 % 1 * 2 - 1


def grain(deviation: float) -> Callable[[Plane, Plane, np.random.Generator], Plane]:
    """Noise of which specks of this size are left."""
    def plane(y: Plane, x: Plane, rng: np.random.Generator) -> Plane:
        from scipy.ndimage import gaussian_filter

        smooth = gaussian_filter(rng.normal(size=y.shape), deviation)
        return (smooth / smooth.std() / 1.5).clip(-1, 1)
    return plane


TEXTURES: dict[str, Callable[[Plane, Plane, np.random.Generator], Plane]] = {
    "fine_stripes": stripes(3.5), "stripes": stripes(7.0), "teeth": teeth, "checks": checks, "dots": dots, "bricks": bricks,
    "grain": grain(0.8), "clouds": grain(2.0)}
