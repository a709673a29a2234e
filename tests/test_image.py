"""Picture files: every kind that scanners and telephones make, in grey; and one clear line for every one that cannot be read."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inks import written
from PIL import Image as pillow

from recog import image, ink
from recog.errors import DataError, DiskError
from recog.types import Image

rng = np.random.default_rng(0)
GRAY = rng.integers(0, 256, (37, 90), dtype=np.uint8)
COLORED = rng.integers(0, 256, (37, 90, 3), dtype=np.uint8)
LUMA = COLORED @ np.array([0.299, 0.587, 0.114])


@pytest.fixture(autouse=True)
def nothing_is_said(capfd):
    """No warning of Pillow's, no line of libtiff's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert capfd.readouterr() == ("", "")


def saved(path, pixels, format, mode=None, **how):
    picture = pillow.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, format=format, **how)
    return path


def refused(path, message):
    with pytest.raises(DataError, match=message) as error:
        image.read(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 300


# --- what is read ---


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "PPM", "WEBP"])
def test_gray_stays_as_it_is(tmp_path, format):
    path = saved(tmp_path / "line", GRAY, format, **({"lossless": True} if format == "WEBP" else {}))
    assert image.is_image(path)
    found = image.read(path).pixels
    assert found.dtype == np.uint8 and np.array_equal(found, GRAY)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_colors_become_their_brightness(tmp_path, format):
    assert abs(image.read(saved(tmp_path / "line", COLORED, format)).pixels - LUMA).max() <= 1


@pytest.mark.parametrize("mode, far", [("L", 3), ("RGB", 12), ("CMYK", 12)])
def test_jpeg(tmp_path, mode, far):
    soft = np.add.outer(np.arange(40) * 2, np.arange(90)).astype(np.uint8)[..., None].repeat(3, 2)
    path = saved(tmp_path / "line.jpg", soft, "JPEG", mode, quality=95)
    assert abs(image.read(path).pixels.astype(int) - soft[..., 0]).max() <= far


def test_palettes(tmp_path):
    picture = pillow.fromarray(COLORED).quantize(16)
    picture.save(tmp_path / "line.png")
    expected = np.asarray(picture.convert("RGB")) @ np.array([0.299, 0.587, 0.114])
    assert abs(image.read(tmp_path / "line.png").pixels - expected).max() <= 1


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_what_is_transparent_is_white_paper(tmp_path, format):
    alpha = rng.integers(0, 256, GRAY.shape, dtype=np.uint8)
    share = alpha / 255
    found = image.read(saved(tmp_path / "color", np.dstack([COLORED, alpha]), format)).pixels
    assert abs(found - (LUMA * share + 255 * (1 - share))).max() <= 2
    found = image.read(saved(tmp_path / "gray", np.dstack([GRAY, alpha]), format)).pixels
    assert abs(found - (GRAY * share + 255 * (1 - share))).max() <= 2


def test_a_palette_may_have_a_transparent_color(tmp_path):
    picture = pillow.new("P", (2, 2))
    picture.putdata([0, 1, 2, 1])
    picture.putpalette([0, 0, 0, 40, 40, 40, 90, 90, 90])
    picture.save(tmp_path / "line.png", transparency=1)
    assert image.read(tmp_path / "line.png").pixels.tolist() == [[0, 255], [90, 255]]
    picture.save(tmp_path / "line.gif", transparency=0)
    assert image.read(tmp_path / "line.gif").pixels.tolist() == [[255, 40], [90, 40]]


@pytest.mark.parametrize("format, how", [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "group4"}), ("BMP", {}), ("PPM", {})])
def test_one_bit(tmp_path, format, how):
    assert np.array_equal(image.read(saved(tmp_path / "line", GRAY > 100, format, **how)).pixels, np.where(GRAY > 100, 255, 0))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bits(tmp_path, format):
    deep = rng.integers(0, 65536, GRAY.shape, dtype=np.uint16)
    assert abs(image.read(saved(tmp_path / "line", deep, format)).pixels - deep / 257).max() <= 0.5 + 1e-3


def tiff(values, bits, white_is_0=False, order="<", kind=1):
    """An uncompressed TIFF of one strip, from its definition: rows of numbers, packed to `bits` each."""
    H, W = values.shape
    if bits == 16:
        data = values.astype(order + "u2").tobytes()
    elif bits == 32:
        data = values.astype(order + ("f4" if kind == 3 else "i4")).tobytes()
    else:
        data = b"".join(np.packbits(np.array([[int(c) for c in f"{v:0{bits}b}"] for v in row])).tobytes() for row in values)
    tags = [(256, 3, W), (257, 3, H), (258, 3, bits), (259, 3, 1), (262, 3, 0 if white_is_0 else 1), (273, 4, 8), (277, 3, 1), (278, 3, H),
            (279, 4, len(data)), (339, 3, kind)]
    forms = {3: "HHIHxx", 4: "HHII"}
    entries = b"".join(struct.pack(order + forms[type], tag, type, 1, value) for tag, type, value in tags)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data) + len(data) % 2)
    return head + data + b"\0" * (len(data) % 2) + struct.pack(order + "H", len(tags)) + entries + b"\0" * 4


@pytest.mark.parametrize("bits, order, white_is_0", [(16, "<", False), (16, ">", False), (16, "<", True), (12, "<", False)])
def test_tiff_has_depths_of_its_own(tmp_path, bits, order, white_is_0):
    most = (1 << bits) - 1
    values = rng.integers(0, most + 1, (20, 34))
    (tmp_path / "line.tif").write_bytes(tiff(values, bits, white_is_0, order))
    expected = values * 255 / most
    assert abs(image.read(tmp_path / "line.tif").pixels - (255 - expected if white_is_0 else expected)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("kind, message", [(3, "floating-point"), (2, "32 bits")])
def test_pixels_that_could_mean_anything_are_refused(tmp_path, kind, message):
    (tmp_path / "line.tif").write_bytes(tiff(np.ones((20, 34)), 32, kind=kind))
    refused(tmp_path / "line.tif", message)


TURNS = {1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1], 5: lambda x: x.T,
         6: lambda x: np.rot90(x, -1), 7: lambda x: x[::-1, ::-1].T, 8: lambda x: np.rot90(x)}


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", TURNS)
def test_pictures_are_turned_as_the_camera_was_held(tmp_path, format, orientation):
    soft = np.add.outer(np.arange(40) * 4, np.arange(90)).astype(np.uint8)
    exif = pillow.Exif()
    exif[0x0112] = orientation
    found = image.read(saved(tmp_path / "line", soft, format, exif=exif)).pixels
    expected = TURNS[orientation](soft)
    assert found.shape == expected.shape and abs(found.astype(int) - expected).max() <= 3


def test_pages(tmp_path):
    first, second = pillow.fromarray(GRAY), pillow.fromarray(GRAY[:, ::-1])
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second, first])
    assert image.pages(tmp_path / "pages.tif") == 3
    assert np.array_equal(image.read(tmp_path / "pages.tif").pixels, GRAY)
    assert np.array_equal(image.read(tmp_path / "pages.tif", page=1).pixels, GRAY[:, ::-1])
    with pytest.raises(DataError, match="has no page 4"):
        image.read(tmp_path / "pages.tif", page=3)
    first.save(tmp_path / "film.gif", save_all=True, append_images=[second])
    assert image.pages(tmp_path / "film.gif") == 1 and np.array_equal(image.read(tmp_path / "film.gif").pixels, GRAY)


# --- what is an image ---


def test_what_is_no_image_is_not_claimed(tmp_path):
    ink.write(written("nov"), tmp_path / "line.svg")
    other = {"a.txt": b"BMW and Porsche, in one text", "b.txt": b"P5 is a format", "c.wav": b"RIFF\0\0\0\0WAVEfmt ", "d.json": b"[[1, 2]]",
             "e.png": b"", "f.svg": b"\xef\xbb\xbf<svg>", "g.txt": b"II have", "h.pdf": b"%PDF-1.4"}
    for name, data in other.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.png").mkdir()
    for name in [*other, "line.svg", "folder.png", "missing.png"]:
        assert not image.is_image(tmp_path / name), name
    (tmp_path / "line.pgm").write_bytes(b"P2\n# a comment\n2 1 7\n0 7\n")
    assert image.is_image(tmp_path / "line.pgm") and image.read(tmp_path / "line.pgm").pixels.tolist() == [[0, 255]]


def test_whether_it_is_an_image_is_told_without_decoding(tmp_path):
    (tmp_path / "line.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing of the rest")
    assert image.is_image(tmp_path / "line.png")
    refused(tmp_path / "line.png", "damaged or cut short")


# --- bad input ---


def test_what_is_not_there_is_no_picture_or_is_empty(tmp_path):
    refused(tmp_path / "missing.png", "no such file")
    refused(tmp_path, "is a folder")
    (tmp_path / "empty.png").write_bytes(b"")
    refused(tmp_path / "empty.png", "is empty")
    (tmp_path / "line.png").write_bytes(b"hello")
    refused(tmp_path / "line.png", "not a picture .*PNG, JPEG")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "neither a file nor a folder")


def encoded(format, pixels=COLORED, **how):
    stream = io.BytesIO()
    pillow.fromarray(pixels).save(stream, format, **how)
    return stream.getvalue()


FILES = {"png": encoded("PNG"), "jpeg": encoded("JPEG"), "progressive": encoded("JPEG", progressive=True), "tiff": encoded("TIFF"),
         "lzw": encoded("TIFF", compression="tiff_lzw"), "fax": encoded("TIFF", GRAY > 100, compression="group4"), "gif": encoded("GIF", GRAY),
         "bmp": encoded("BMP"), "webp": encoded("WEBP"), "pgm": encoded("PPM", GRAY)}


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_refused_or_whole(tmp_path, name):
    path, data = tmp_path / "line", FILES[name]
    path.write_bytes(data)
    whole, refusals = image.read(path).pixels, 0
    for end in range(1, len(data), len(data) // 25):
        path.write_bytes(data[:end])
        try:
            assert np.array_equal(image.read(path).pixels, whole)            # what was cut off is not part of the picture
        except DataError as error:
            refusals += 1
            assert str(error).startswith(f"{path}: is ")
    assert refusals >= 20


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_damage_is_one_line_or_another_picture(tmp_path_factory, name, changes):
    path, data = tmp_path_factory.getbasetemp() / "damaged", bytearray(FILES[name])
    for at, value in changes:
        data[at % min(len(data), 600)] = value
    path.write_bytes(data)
    for of_file in (image.read, image.pages):
        try:
            of_file(path)
        except DataError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    image.is_image(path)


def test_what_libtiff_says_is_not_repeated(tmp_path):
    """`nothing_is_said` looks at standard error itself, where libtiff writes."""
    refusals = 0
    for seed in range(30):
        data = bytearray(FILES["lzw"])
        for at in np.random.default_rng(seed).integers(8, 200, 5):
            data[at] ^= 0xff
        (tmp_path / "line.tif").write_bytes(data)
        try:
            image.read(tmp_path / "line.tif")
        except DataError:
            refusals += 1
    assert refusals > 10


def png(width, height, data=b""):
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)


@pytest.mark.parametrize("width, height", [(50_000, 50_000), (10_000, 9_000), (80_000_001, 1), (2 ** 31 - 1, 2 ** 31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, width, height, monkeypatch):
    from PIL.ImageFile import ImageFile

    monkeypatch.setattr(ImageFile, "load", lambda self: pytest.fail("decoded"))
    (tmp_path / "bomb.png").write_bytes(png(width, height, zlib.compress(b"\0" * 1000)))
    refused(tmp_path / "bomb.png", "too many pixels: .*more than 80 million")


def test_a_picture_without_pixels(tmp_path):
    (tmp_path / "line.pgm").write_bytes(b"P5 0 5 255\n")
    refused(tmp_path / "line.pgm", "damaged|no pixels")


@pytest.mark.parametrize("shape", [(100, 30_000), (1, 1), (3000, 1)])
def test_any_shape_is_written_and_read(tmp_path, shape):
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    image.write(Image(pixels), tmp_path / "line.png")
    assert np.array_equal(image.read(tmp_path / "line.png").pixels, pixels)


# --- written ---


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "line.png"
    image.write(Image(GRAY), path)
    before = path.read_bytes()

    def full(self, partial, **how):
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pillow.Image, "save", full)
    with pytest.raises(DiskError, match="the disk is full"):
        image.write(Image(255 - GRAY), path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == ["line.png"]
    with pytest.raises(DataError, match="is a folder"):
        image.write(Image(GRAY), tmp_path)
