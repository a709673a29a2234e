"""Lines, words and letters of an image in their places: PAGE-XML (2019-07-15) and ALTO (version 4), as editors of transcripts read them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Iterable, Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from . import __version__
from .errors import RecogError
from .text import groups_of
from .types import Box, Page, Span, Transcript

PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
ALTO = "http://www.loc.gov/standards/alto/ns-v4#"


def page_xml(transcripts: Iterable[Transcript]) -> Iterator[str]:
    """One document for each image."""
    for transcript in transcripts:
        page, now = _page(transcript), datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        root = Element("PcGts", {"xmlns": PAGE, "pcGtsId": "page"})
        metadata = SubElement(root, "Metadata")
        for name, text in (("Creator", f"recog {__version__}"), ("Created", now), ("LastChange", now)):
            SubElement(metadata, name).text = text
        drawn = SubElement(root, "Page", {"imageFilename": _file(transcript), "imageWidth": str(page.width), "imageHeight": str(page.height)})
        if page.lines:
            region = SubElement(drawn, "TextRegion", {"id": "r1"})
            _coords(region, _around(page))
            for number, (box, line) in enumerate(page.lines, 1):
                _page_line(region, f"r1_l{number}", box, line)
            _equivalent(region, transcript.text, None)
        yield _document(root)


def _page_line(region: Element, id: str, box: Box, line: Transcript) -> None:
    element = SubElement(region, "TextLine", {"id": id})
    _coords(element, box)
    for i, (word, letters) in enumerate(_words(line), 1):
        inside = SubElement(element, "Word", {"id": f"{id}_w{i}"})
        _coords(inside, word.box)
        for j, letter in enumerate(letters, 1):
            glyph = SubElement(inside, "Glyph", {"id": f"{id}_w{i}_g{j}"})
            _coords(glyph, letter.box)
            _equivalent(glyph, letter.text, letter.confidence)
        _equivalent(inside, word.text, word.confidence)
    _equivalent(element, line.text, _sure(line))


def _coords(element: Element, box: Box) -> None:
    left, top, right, bottom = _whole(box)
    SubElement(element, "Coords", {"points": f"{left},{top} {right},{top} {right},{bottom} {left},{bottom}"})


def _equivalent(element: Element, text: str, confidence: float | None) -> None:
    equivalent = SubElement(element, "TextEquiv", {} if confidence is None else {"conf": f"{confidence:.4f}"})
    SubElement(equivalent, "Unicode").text = text


def alto_xml(transcripts: Iterable[Transcript]) -> Iterator[str]:
    """One document for each image."""
    for transcript in transcripts:
        page = _page(transcript)
        root = Element("alto", {"xmlns": ALTO, "SCHEMAVERSION": "4.2"})
        description = SubElement(root, "Description")
        SubElement(description, "MeasurementUnit").text = "pixel"
        SubElement(SubElement(description, "sourceImageInformation"), "fileName").text = _file(transcript)
        software = SubElement(SubElement(SubElement(description, "Processing", {"ID": "recog"}), "processingSoftware"), "softwareName")
        software.text = f"recog {__version__}"
        size = {"HEIGHT": str(page.height), "WIDTH": str(page.width)}
        drawn = SubElement(SubElement(root, "Layout"), "Page", {"ID": "page", "PHYSICAL_IMG_NR": "1", **size})
        space = SubElement(drawn, "PrintSpace", {"HPOS": "0", "VPOS": "0", **size})
        if page.lines:
            block = SubElement(space, "TextBlock", {"ID": "block", **_place(_around(page))})
            for number, (box, line) in enumerate(page.lines, 1):
                _alto_line(SubElement(block, "TextLine", {"ID": f"line{number}", **_place(box)}), f"line{number}", line)
        yield _document(root)


def _alto_line(element: Element, id: str, line: Transcript) -> None:
    end = None
    for i, (word, letters) in enumerate(_words(line), 1):
        left, top, right, bottom = _whole(word.box)
        if end is not None:
            SubElement(element, "SP", {"HPOS": str(end), "VPOS": str(top), "WIDTH": str(max(0, left - end))})
        end = right
        string = SubElement(element, "String", {"ID": f"{id}_w{i}", "CONTENT": word.text, "WC": f"{word.confidence:.4f}", **_place(word.box)})
        for j, letter in enumerate(letters, 1):
            SubElement(string, "Glyph", {"ID": f"{id}_w{i}_g{j}", "CONTENT": letter.text, "GC": f"{letter.confidence:.4f}", **_place(letter.box)})


def _place(box: Box) -> dict[str, str]:
    left, top, right, bottom = _whole(box)
    return {"HPOS": str(left), "VPOS": str(top), "WIDTH": str(right - left), "HEIGHT": str(bottom - top)}


def _page(transcript: Transcript) -> Page:
    if transcript.page is None:
        raise RecogError("is no image", where=transcript.source, hint="page and alto say where writing is in an image; --format json is for all")
    return transcript.page


def _words(line: Transcript) -> list[tuple[Span, list[Span]]]:
    """Each word with its letters."""
    return list(zip(line.words, ([line.units[i] for i in group] for group in groups_of([unit.text for unit in line.units]))))


def _around(page: Page) -> Box:
    return Box.around([box for box, _ in page.lines])


def _sure(line: Transcript) -> float:
    return sum(word.confidence for word in line.words) / len(line.words) if line.words else 0.0


def _whole(box: Box) -> tuple[int, int, int, int]:
    """Whole pixels, at least one wide and high."""
    left, top = max(0, int(box.left)), max(0, int(box.top))
    return left, top, max(left + 1, round(box.right)), max(top + 1, round(box.bottom))


def _file(transcript: Transcript) -> str:
    return Path(transcript.source).name.encode("utf-8", "backslashreplace").decode("utf-8")


def _document(root: Element) -> str:
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
