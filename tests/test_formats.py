import json
import re

import pytest
from hypothesis import given, settings, strategies as st

from recog.errors import RecogError
from recog.formats import FORMATS, PLACED, SUFFIX, check_sources, render, render_all
from recog.types import Span, Transcript


def transcript(text="hello big world", *, id="a", source="a.wav", start=0.0, step=0.5, words=None, nbest=()):
    spans = words
    if spans is None:
        spans = [Span(word, start + i * step, start + i * step + 0.4 * step, 0.91234567)
                 for i, word in enumerate(text.split())]
    units = tuple(Span(letter, 0.12345, 0.2, 0.5) for letter in text[:2])
    return Transcript(id, source, text, -12.345678, {"acoustic": -10.0, "lm": -2.345678}, tuple(spans), units, nbest)


def seconds(clock):
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def cues(text):
    """(start, end, text) of subtitles in SRT or WebVTT, by a parser of our own."""
    found = []
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        times = [i for i, line in enumerate(lines) if "-->" in line]
        if times:
            start, end = lines[times[0]].split(" --> ")
            found.append((seconds(start), seconds(end), "\n".join(lines[times[0] + 1:])))
    return found


def long_talk(n=200, source="talk.wav"):
    words = [Span(f"w{i}", i * 0.45 + (2.0 if i >= 100 else 0.0), i * 0.45 + 0.4 + (2.0 if i >= 100 else 0.0), 0.9)
             for i in range(n)]
    return transcript(" ".join(word.text for word in words), source=source, words=words)


def test_every_format_has_a_suffix():
    assert list(FORMATS) == ["text", "json", "jsonl", "tsv", "srt", "vtt", "ctm", "page", "alto"]
    assert SUFFIX == {"text": ".txt", "json": ".json", "jsonl": ".jsonl", "tsv": ".tsv", "srt": ".srt",
                      "vtt": ".vtt", "ctm": ".ctm", "page": ".page.xml", "alto": ".alto.xml"}


def test_text():
    assert "".join(render_all([transcript("one"), transcript("")], "text")) == "one\n\n"


def test_jsonl_has_the_promised_keys_in_order_and_rounds():
    other = transcript("hello pig world")
    line = render(transcript(nbest=(transcript(), other)), "jsonl")
    assert line.endswith("}\n") and line.count("\n") == 1
    value = json.loads(line)
    assert list(value) == ["id", "source", "text", "score", "parts", "words", "units", "nbest"]
    assert value["score"] == -12.3457 and value["parts"] == {"acoustic": -10.0, "lm": -2.3457}
    assert value["words"][1] == {"text": "big", "start": 0.5, "end": 0.7, "confidence": 0.9123}
    assert list(value["words"][0]) == ["text", "start", "end", "confidence"]
    assert value["units"][0] == {"text": "h", "start": 0.123, "end": 0.2, "confidence": 0.5}
    assert [list(one) for one in value["nbest"]] == [["text", "score", "parts"]] * 2
    assert value["nbest"][1]["text"] == "hello pig world"


@pytest.mark.parametrize("n", [0, 1, 3])
def test_json_is_one_array_of_the_same_objects(n):
    many = [transcript(id=str(i), source=f"{i}.wav") for i in range(n)]
    array = json.loads("".join(render_all(many, "json")))
    assert array == [json.loads(line) for line in "".join(render_all(many, "jsonl")).splitlines()]


def test_json_stays_json_for_infinity_and_odd_file_names():
    odd = Transcript("caf\udce9", "caf\udce9.wav", "Grüße, 你好", float("-inf"), {"lm": float("nan")}, (), ())
    text = render(odd, "jsonl")
    text.encode("utf-8")
    value = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert value["score"] is None and value["parts"]["lm"] is None
    assert value["id"] == "caf\udce9" and "Grüße, 你好" in text


def test_tsv_is_one_line_whatever_the_text():
    text = render(transcript("a\tb\r\nc\u2028d\x0be\x85f", id="i\td", words=()), "tsv")
    assert text == "i d\ta b c d e f\n"
    assert len(text.splitlines()) == 1


def test_ctm():
    lines = render(transcript(id="my talk", start=1.0), "ctm").splitlines()
    assert lines[0] == "my_talk 1 1.000 0.200 hello 0.9123"
    for line, word in zip(lines, transcript(start=1.0).words, strict=True):
        name, channel, start, length, text, confidence = line.split(" ")
        assert float(start) == pytest.approx(word.start, abs=5e-4)
        assert float(start) + float(length) == pytest.approx(word.end, abs=2e-3)
        assert text == word.text and 0 <= float(confidence) <= 1


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_hold_all_words_in_cues_that_can_be_read(format):
    talk = long_talk()
    text = render(talk, format)
    found = cues(text)
    assert " ".join(cue[2] for cue in found) == talk.text
    for start, end, cue in found:
        assert 0 < end - start <= 7.0005 and len(cue) <= 80
    assert all(one[1] <= other[0] for one, other in zip(found, found[1:]))
    assert any(cue.startswith("w100 ") for _, _, cue in found)         # a pause ends a cue
    assert len(found) < 25


def test_srt_numbers_go_on_and_vtt_has_one_header():
    parts = [transcript(id=f"a-{i}", start=10.0 * i) for i in range(3)]
    srt = "".join(render_all(parts, "srt"))
    assert re.findall(r"^\d+$", srt, re.M) == ["1", "2", "3"]
    assert "00:00:20,000 --> 00:00:21,200\nhello big world\n" in srt
    vtt = "".join(render_all(parts, "vtt"))
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> ") and vtt.count("WEBVTT") == 1
    assert "".join(render_all([], "vtt")) == "WEBVTT\n\n"


def test_subtitle_times_carry_and_marks_are_escaped():
    words = [Span("a<b>&c-->", 3599.9996, 3600.5, 1.0), Span("nothing", 360000.0, 360000.0, 1.0)]
    one = transcript("x", words=words)
    assert cues(render(one, "srt"))[0][:2] == (3600.0, 3600.5)
    assert "100:00:00,000 --> 100:00:00,001" in render(one, "srt")
    assert "a&lt;b&gt;&amp;c-&gt;\n" in render(one, "vtt")


def test_long_words_fill_a_cue_sooner():
    words = [Span("abcdefghij" * 3, 0.3 * i, 0.3 * i + 0.3, 1.0) for i in range(9)]
    assert [len(cue[2]) for cue in cues(render(transcript("x", words=words), "srt"))] == [61, 61, 61, 61, 30]


def test_a_word_longer_than_a_cue_stands_alone():
    words = [Span("x" * 100, 0.0, 1.0, 1.0), Span("y", 1.0, 20.0, 1.0), Span(" ", 20.0, 20.1, 1.0)]
    assert [cue[2] for cue in cues(render(transcript("x y", words=words), "srt"))] == ["x" * 100, "y"]


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_of_two_recordings_are_refused(format):
    with pytest.raises(RecogError, match="--output-dir"):
        list(render_all([transcript(), transcript(source="b.wav")], format))
    with pytest.raises(RecogError, match="--output-dir"):
        check_sources(format, ["a.wav", "b.wav"])
    check_sources(format, ["a.wav", "a.wav"])
    check_sources("json", ["a.wav", "b.wav"])


def test_text_without_times_makes_no_subtitles():
    for format in ("srt", "vtt", "ctm"):
        with pytest.raises(RecogError, match="^a: the words have no times"):
            render(transcript(words=()), format)
        assert cues(render(transcript("", words=()), format)) == []


def test_an_unknown_format_is_refused_at_once():
    with pytest.raises(RecogError, match="no format 'xml'.*text, json"):
        render_all([], "xml")


@pytest.mark.parametrize("format", [format for format in FORMATS if format not in PLACED])
def test_results_stream(format):
    asked = 0

    def slow():
        nonlocal asked
        for i in range(3):
            asked += 1
            yield transcript(f"word{i}", id=str(i), start=10.0 * i)

    seen = ""
    for piece in render_all(slow(), format):
        seen += piece
        assert asked == 0 or f"word{asked - 1}" in seen      # out before the next is asked for


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=30), st.floats(0, 3), st.floats(0, 9)), max_size=30))
def test_any_words_come_back(items):
    words, at = [], 0.0
    for text, gap, length in items:
        words.append(Span(text, at + gap, at + gap + length, 0.5))
        at += gap + length
    one = transcript("x" if words else "", words=words)
    kept = [" ".join(word.text.split()) for word in words if word.text.strip()]
    assert " ".join(cue[2] for cue in cues(render(one, "srt"))) == " ".join(kept).replace("-->", "->")
    assert len(render(one, "ctm").splitlines()) >= len(kept)
    assert [span["text"] for span in json.loads(render(one, "jsonl"))["words"]] == [word.text for word in words]
