"""PAGE-XML and ALTO: what an image says, in its place, and in the order that the schemas demand."""

from xml.etree import ElementTree

import pytest

from recog.errors import RecogError
from recog.formats import check_sources, render
from recog.pages import ALTO, PAGE
from recog.text import Units
from recog.types import Box, Page, Span, Transcript

UNITS = Units("char", ["<blank>", *" abcdeé<&"])


def line(text, left, top):
    """Letters ten pixels wide, twenty high."""
    units = tuple(Span(letter, left + 10 * i, left + 10 * i + 10, 0.5 + i / 100, Box(left + 10 * i, top, left + 10 * i + 10, top + 20))
                  for i, letter in enumerate(text))
    return Transcript("scan", "folder/scan.png", text, -1.0, {}, UNITS.words(units), units)


def page(*texts):
    lines = [(Box(3, 40 * i, 3 + 10 * len(text), 40 * i + 30), line(text, 3, 40 * i)) for i, text in enumerate(texts)]
    whole = Transcript("scan", "folder/scan.png", "\n".join(texts), -2.0, {}, sum((l.words for _, l in lines), ()),
                       sum((l.units for _, l in lines), ()))
    return Transcript(**{**whole.__dict__, "page": Page(500, 300, tuple(lines))})


TEXTS = ("ab c<", "dé & e")


def tags(element):
    return [child.tag.rpartition("}")[2] for child in element]


def test_page_xml_holds_lines_words_and_letters_in_their_places():
    root = ElementTree.fromstring(render(page(*TEXTS), "page"))
    name = f"{{{PAGE}}}"
    assert root.tag == name + "PcGts" and tags(root) == ["Metadata", "Page"]
    drawn = root.find(name + "Page")
    assert drawn.attrib == {"imageFilename": "scan.png", "imageWidth": "500", "imageHeight": "300"}
    region = drawn.find(name + "TextRegion")
    assert tags(region) == ["Coords", "TextLine", "TextLine", "TextEquiv"]
    assert region.find(name + "Coords").get("points") == "3,0 63,0 63,70 3,70"
    for element, text in zip(region.iter(name + "TextLine"), TEXTS):
        assert element.find(f"{name}TextEquiv/{name}Unicode").text == text
        words = element.findall(name + "Word")
        assert tags(element) == ["Coords", *["Word"] * len(words), "TextEquiv"]
        assert [word.find(f"{name}TextEquiv/{name}Unicode").text for word in words] == text.split()
        for word in words:
            glyphs = word.findall(name + "Glyph")
            assert tags(word) == ["Coords", *["Glyph"] * len(glyphs), "TextEquiv"]
            assert "".join(g.find(f"{name}TextEquiv/{name}Unicode").text for g in glyphs) == word.find(f"{name}TextEquiv/{name}Unicode").text
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids) == 1 + 2 + 2 + 3 + 4 + 4
    word = region.findall(f"{name}TextLine/{name}Word")[1]
    assert word.find(name + "Coords").get("points") == "33,0 53,0 53,20 33,20" and word.find(name + "TextEquiv").get("conf") == "0.5350"


def test_alto_holds_the_same():
    root = ElementTree.fromstring(render(page(*TEXTS), "alto"))
    name = f"{{{ALTO}}}"
    assert root.tag == name + "alto" and tags(root) == ["Description", "Layout"]
    assert root.find(f"{name}Description/{name}MeasurementUnit").text == "pixel"
    assert root.find(f"{name}Description/{name}sourceImageInformation/{name}fileName").text == "scan.png"
    lines = list(root.iter(name + "TextLine"))
    assert [[s.get("CONTENT") for s in each.findall(name + "String")] for each in lines] == [text.split() for text in TEXTS]
    assert tags(lines[0]) == ["String", "SP", "String"]
    second = lines[0].findall(name + "String")[1]
    assert [second.get(key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT", "WC")] == ["33", "0", "20", "20", "0.5350"]
    space = lines[0].find(name + "SP")
    assert (space.get("HPOS"), space.get("WIDTH")) == ("23", "10")
    assert ["".join(g.get("CONTENT") for g in s) for s in root.iter(name + "String")] == " ".join(TEXTS).split()


@pytest.mark.parametrize("format", ["page", "alto"])
def test_an_image_without_writing_is_a_page_without_lines(format):
    root = ElementTree.fromstring(render(Transcript("a", "a.png", "", 0.0, {}, (), (), page=Page(9, 9, ())), format))
    assert not [element for element in root.iter() if element.tag.endswith(("TextLine", "TextRegion", "TextBlock"))]


@pytest.mark.parametrize("format", ["page", "alto"])
def test_what_is_no_image_and_what_is_several_is_refused(format):
    with pytest.raises(RecogError, match="no image"):
        render(Transcript("a", "a.wav", "hello", 0.0, {}, (), ()), format)
    with pytest.raises(RecogError, match="one image.*several"):
        check_sources(format, ["a.png", "b.png"])


def test_json_has_the_boxes():
    assert '"box": [33.0, 0.0, 53.0, 20.0]' in render(page(*TEXTS), "jsonl")
