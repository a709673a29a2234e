"""InkML: its notation of points against values worked out by hand, and formats wherever a document may put them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ink_files import DOT, UNKNOWN, read, same, says

from recog import ink
from recog.ink import trace
from recog.types import Ink

NAN = UNKNOWN


def document(traces, channels="", around="{}"):
    form = f"<traceFormat>{channels}</traceFormat>" if channels else ""
    return f'<ink xmlns="http://www.w3.org/2003/InkML">{form}{around.format(traces)}</ink>'


def channel(name, **attributes):
    return f'<channel name="{name}" ' + " ".join(f'{key}="{value}"' for key, value in attributes.items()) + "/>"


XY, XYT = channel("X") + channel("Y"), channel("X") + channel("Y") + channel("T")


def points(text, channels=2, regular=None):
    return trace.values(text, channels if regular is None else regular, channels, {place: NAN for place in range(channels)}).tolist()


def test_the_changes_of_changes_of_the_recommendation():
    """Its example of a trace, whose table of values was worked out again: sums of sums."""
    text = """1125 18432,'23'43,"7"-8,3-5,7 -3,6 2,6 8,3 6,2 4,3 6,3-6"""
    x, y = [1125, 1148], [18432, 18475]
    for of, steps in ((x, [7, 3, 7, 6, 6, 3, 2, 3, 3]), (y, [-8, -5, -3, 2, 8, 6, 4, 6, -6])):
        for step in steps:
            of.append(of[-1] + (of[-1] - of[-2]) + step)
    assert points(text) == [list(pair) for pair in zip(x, y)] and x[-1] == 1584 and y[-1] == 18823


@pytest.mark.parametrize("text, expected", [
    ("1 2, 3 4", [[1, 2], [3, 4]]),
    ("1 2,3 4,", [[1, 2], [3, 4]]),
    ("\n 1\t2 ,\r\n 3 4 \n", [[1, 2], [3, 4]]),
    ("", []),
    ("1-2, -3 - 4", [[1, -2], [-3, -4]]),
    ("1.5.5, .25 1., 1e2 2.5E-1", [[1.5, 0.5], [0.25, 1], [100, 0.25]]),
    ("#1F #ff, -#A #0", [[31, 255], [-10, 0]]),
    ("10 20, '1 '-2, 1 -2", [[10, 20], [11, 18], [12, 16]]),
    ("10 20, '1 '-2, !5 -2, 6 0", [[10, 20], [11, 18], [5, 16], [6, 16]]),
    ("10 20, ' 1 ' - 2", [[10, 20], [11, 18]]),
    ("10 20, '3 0, \"1 0, -2 0, '0 0", [[10, 20], [13, 0], [17, 0], [19, 0], [19, 0]]),
    ("10 0, \"1 0, 1 0", [[10, 0], [11, 0], [13, 0]]),                          # no change before the first: 0
    ("10 0, 15 0, \"1 0", [[10, 0], [15, 0], [21, 0]]),                         # the change between values as they are: 5
    ("10 20, * 21, * *", [[10, 20], [10, 21], [10, 21]]),                       # the value stays,
    ("10 20, '1 '2, * *, * *", [[10, 20], [11, 22], [12, 24], [13, 26]]),      # the change goes on,
    ("10 20, '1 '2, \"1 \"0, * *, * *", [[10, 20], [11, 22], [13, 24], [16, 26], [20, 28]]),     # and the change of the change
    ("10 20, ? 21, 12 ?", [[10, 20], [NAN, 21], [12, NAN]]),
    ("10 20, '1 '1, ? ?, 1 1", [[10, 20], [11, 21], [NAN, NAN], [12, 22]]),
    ("* 5, 1 *, * ?", [[NAN, 5], [1, 5], [1, NAN]])])
def test_the_notation_of_points(text, expected):
    np.testing.assert_array_equal(np.reshape(points(text), (-1, 2)), np.reshape(expected, (-1, 2)))


@given(st.lists(st.lists(st.integers(-1000, 1000), min_size=3, max_size=3), min_size=1, max_size=8), st.data())
def test_any_marks_mean_the_same_points(rows, data):
    """Written with marks drawn at random by another hand, values come out as they were."""
    text, marks = [], ["!"] * 3
    for n, row in enumerate(rows):
        written = []
        for place, value in enumerate(row):
            mark = data.draw(st.sampled_from("!'\"" if n else "!"))
            before = rows[n - 1][place] if n else 0
            change = before - rows[n - 2][place] if n > 1 else 0
            number = value - {"!": 0, "'": before, '"': before + change}[mark]
            digits = data.draw(st.sampled_from([str(number), f"{'-' * (number < 0)}#{abs(number):x}"]))
            written.append(("" if mark == marks[place] and data.draw(st.booleans()) else mark) + digits)
            marks[place] = mark
        text.append(" ".join(written))
    assert points(",".join(text), 3) == rows


@pytest.mark.parametrize("text, message", [
    ("1 2, 3", "point 2 has 1 values for 2 channels"),
    ("1 2, 3 4 5", "point 2 has 3 values for 2 channels"),
    ("1 2,, 3 4", "point 2 has 0 values for 2 channels"),
    ("'1 2", "point 1 gives a change, and there is no value before it"),
    ("1 2, ? ?, \"1 x", "point 3 has 'x' where a value should be"),
    ("1 T", "point 1 has 'T' where a number should be"),
    ("1 '*", "point 1 has ''*' where a value should be"),
    ("nan 1", "point 1 has 'nan 1' where a value should be"),
    ("1 2 " + " " * 50_000 + "x", "point 1 has ")])
def test_points_that_cannot_be_read(tmp_path, text, message):
    path = tmp_path / "page"
    path.write_text(document(f"<trace>0 0</trace><trace>{text}</trace>"))
    says(path, f"trace 2: {message}")


def test_numbers_without_bounds(tmp_path):
    path = tmp_path / "page"
    path.write_text(document("<trace>1 1e308</trace>", channel("X", units="mm") + channel("Y", units="m")))
    says(path, "stroke 1 has a coordinate that is no number")
    assert points("#" + "F" * 5000 + " -1e999") == [[float("inf"), -float("inf")]]


@pytest.mark.parametrize("channels, text, expected", [
    (channel("T", units="s") + channel("Y") + channel("X"), "1 2 3, 4 5 6", [(3, 2, 1), (6, 5, 4)]),
    (XYT, "1 2 3, 4 5 6", [(1, 2, 0.003), (4, 5, 0.006)]),                                       # milliseconds, if nothing is said
    (channel("X") + channel("Y") + channel("T", units="ms"), "1 2 3", [(1, 2, 0.003)]),
    (channel("X") + channel("Y") + channel("T", units="dev"), "1 2 3", [(1, 2)]),                 # who knows
    (channel("F") + XY, "900 1 2, 901 3 4", [(1, 2), (3, 4)]),
    (channel("B", type="boolean") + XY, "T 1 2, F 3 4, * 5 6", [(1, 2), (3, 4), (5, 6)]),
    (channel("X", units="cm") + channel("Y", units="mm"), "1 20", [(1, 2)]),
    (channel("X", units="in") + channel("Y", units="pt"), "1 72", [(1, 1)]),
    (channel("X", units="mm") + channel("Y"), "1 20", [(1, 20)]),
    (channel("X", units="dev") + channel("Y", units="dev", orientation="-ve"), "1 2", [(1, -2)]),
    (channel("X") + channel("Y") + channel("T", units="s", default="7"), "1 2 ?", [(1, 2, 7)]),
    (XYT, "1 2 ?, 3 4 5", [(1, 2), (3, 4)]),
    (XY, "1 2, ? 3, 5 6", [(1, 2), (5, 6)]),                                                      # no place, no point
    (XY + f"<intermittentChannels>{channel('P')}{channel('B')}</intermittentChannels>", "1 2, 3 4 5, 6 7 8 T", [(1, 2), (3, 4), (6, 7)]),
    (XY + f"<intermittentChannels>{channel('T', default=9)}</intermittentChannels>", "1 2, 3 4 8, 6 7 10", [(1, 2), (3, 4), (6, 7)]),
    (XY + f"<intermittentChannels>{channel('T', default=9)}</intermittentChannels>", "1 2, 3 4 10", [(1, 2, 0.009), (3, 4, 0.01)])])
def test_channels_in_any_order_and_unit(tmp_path, channels, text, expected):
    same(read(tmp_path, document(f"<trace>{text}</trace>", channels)), [expected], 1e-12)


def test_when_a_trace_begins(tmp_path):
    traces = '<trace timeOffset="500">1 2 0, 3 4 10</trace><trace>5 6 7</trace>'
    same(read(tmp_path, document(traces, XYT)), [[(1, 2, 0.5), (3, 4, 0.51)], [(5, 6, 0.007)]], 1e-12)
    absolute = channel("X") + channel("Y") + channel("T", respectTo="#start")
    same(read(tmp_path, document(traces, absolute)), [[(1, 2, 0), (3, 4, 0.01)], [(5, 6, 0.007)]], 1e-12)
    same(read(tmp_path, document(traces.replace(" 0,", ",").replace(" 10<", "<").replace(" 7<", "<"))), [[(1, 2), (3, 4)], [(5, 6)]])


def test_a_lifted_pen_writes_nothing(tmp_path):
    traces = '<trace type="penDown">1 2</trace><trace type="penUp">3 4</trace><trace type="indeterminate">5 6</trace>'
    same(read(tmp_path, document(traces)), [[(1, 2)], [(5, 6)]])


def test_traces_that_are_continued(tmp_path):
    traces = ('<trace xml:id="a" continuation="begin">1 2</trace><trace xml:id="other">9 9</trace>'
              '<trace xml:id="b" continuation="middle" priorRef="#a">3 4</trace><trace continuation="end" priorRef="#b">5 6</trace>')
    same(read(tmp_path, document(traces)), [[(1, 2), (3, 4), (5, 6)], [(9, 9)]])


def test_formats_by_name(tmp_path):
    """A trace's own context, then its group's, then the last given; by way of ink sources; else x and y."""
    definitions = f"""<definitions>
        <traceFormat xml:id="yx">{channel("Y")}{channel("X")}</traceFormat>
        <inkSource xml:id="pen"><traceFormat xml:id="yxf">{channel("Y")}{channel("X")}{channel("F")}</traceFormat></inkSource>
        <context xml:id="plain" traceFormatRef="#yx"/><context xml:id="pressed" inkSourceRef="#pen"/>
        <context xml:id="same" contextRef="#pressed" brushRef="#red"/>
        <context xml:id="held"><inkSource><traceFormat>{channel("F")}{channel("X")}{channel("Y")}</traceFormat></inkSource></context>
        <brush xml:id="red"><brushProperty name="color" value="#FF0000"/><brushProperty name="width" value="2" units="mm"/></brush>
        <trace>99 99</trace></definitions>"""
    traces = """<trace>1 2</trace><trace contextRef="#plain">2 1</trace><trace contextRef="#pressed" brushRef="#red">2 1 9</trace>
        <trace contextRef="#same">2 1 9</trace><trace contextRef="#held">9 1 2</trace>
        <trace contextRef="#DefaultContext" brushRef="#nowhere">1 2</trace>
        <traceGroup contextRef="#pressed"><annotation type="truth">a</annotation><trace>2 1 9</trace>
            <traceGroup><trace>2 1 9</trace><trace contextRef="#held">9 1 2</trace></traceGroup></traceGroup>
        <context contextRef="#plain"/><trace>2 1</trace><traceView traceDataRef="#x"/><traceGroup><trace>2 1</trace></traceGroup>
        <traceFormat><channel name="X"/><channel name="Y"/></traceFormat><trace>1 2</trace>"""
    same(read(tmp_path, document(definitions + traces)), [[(1, 2)]] * 12)


def test_without_a_namespace_or_with_a_prefix(tmp_path):
    same(read(tmp_path, f"<ink><traceFormat>{channel('Y')}{channel('X')}</traceFormat><trace>2 1</trace></ink>"), [[(1, 2)]])
    prefixed = ('<i:ink xmlns:i="http://www.w3.org/2003/InkML" xmlns:o="urn:other"><o:trace>7 7</o:trace>'
                '<i:traceFormat><i:channel name="Y"/><i:channel name="X"/></i:traceFormat><i:trace>2 1</i:trace></i:ink>')
    same(read(tmp_path, prefixed), [[(1, 2)]])


@pytest.mark.parametrize("content, parts", [
    ('<ink xmlns="urn:other"><trace>1 2</trace></ink>', ["is ink of the namespace 'urn:other'", "InkML's is http://www.w3.org/2003/InkML"]),
    (document("<trace>1 2</trace>", channel("X") + channel("F")), ["a traceFormat has no channel Y"]),
    (document("<trace>1 2</trace>", channel("Y") + "<channel/>"), ["a traceFormat has no channel X"]),
    (document("<trace>1 2</trace>", channel("X", units="mm") + channel("Y", units="dev")), ["has X in 'mm' and Y in 'dev'"]),
    (document("<trace>1 2</trace>", channel("X", default="no") + channel("Y")), ["a traceFormat has the default 'no', which is no number"]),
    (document('<trace timeOffset="soon">1 2 3</trace>', XYT), ["trace 1: has the timeOffset 'soon', which is no number"]),
    (document('<trace contextRef="#lost">1 2</trace>'), ["contextRef names '#lost', which is not in the file"]),
    (document('<context xml:id="a" contextRef="#a"/><trace contextRef="#a">1 2 3</trace>'), ["trace 1: point 1 has 3 values for 2"])])
def test_documents_that_cannot_be_read(tmp_path, content, parts):
    path = tmp_path / "page"
    path.write_text(content)
    says(path, *parts)


def test_what_is_written(tmp_path):
    path = tmp_path / "page.inkml"
    ink.write(Ink((np.array([[1.0, -2.5, 0.0], [3.0, 4.0, 0.0125]]), DOT.strokes[0])), path)
    assert path.read_text().split("\n") == [
        '<?xml version="1.0" encoding="UTF-8"?>', '<ink xmlns="http://www.w3.org/2003/InkML">', "  <traceFormat>",
        '    <channel name="X" type="decimal" units="dev"/>', '    <channel name="Y" type="decimal" units="dev"/>',
        '    <channel name="T" type="decimal" units="s"/>', "  </traceFormat>",
        "  <trace>1.0 -2.5 0.0, 3.0 4.0 0.0125</trace>", "  <trace>1.0 2.0 ?</trace>", "</ink>", ""]
    ink.write(DOT, path)
    assert '"T"' not in path.read_text() and "<trace>1.0 2.0</trace>" in path.read_text()
