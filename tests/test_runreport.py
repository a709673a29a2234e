"""The page about a run: whole, self-contained, escaped, the same each time, and there even when much is missing."""

import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest

from recog import manifest, svg
from recog.files import remove, write_json, write_text
from recog.recipe import Recipe, RecipeConfig
from recog.report import as_json
from recog.runreport import write_report
from recog.score import ScoreConfig, score_files
from recog.store import write_shard
from recog.text import BLANK, Units
from recog.types import Utterance

TEXTS = {"dev": {"d<1>": ("ab ba", "ab ba"), "d2": ("abc", "aac"), "d3": ("cab", "cb"), "d4": ("&<b", "&bbb<")},
         "test": {"t1": ("abc", "b"), "t2": ("aa", "aa"), "t3": ("b", "bb")}}
UNITS = Units("char", [BLANK, " ", "&", "<", "a", "b", "c"])


class Page(HTMLParser):
    """Reads a page, holds its text and references, and fails where a tag is left open or closed twice."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.tags, self.references, self.seen = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []
        self.text = " ".join(self.seen)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.seen.append(data.strip())


def log_probs(text: str, frames: int) -> np.ndarray:
    """Sure of each unit of `text` in its turn, with blanks between."""
    rows = np.full((frames, len(UNITS)), 0.01)
    path = np.zeros(frames, dtype=int)
    path[1:2 * len(text):2] = UNITS.encode(text)
    rows[np.arange(frames), path] = 1.0
    return np.log(rows / rows.sum(1, keepdims=True)).astype("f4")


def make(home, texts=TEXTS, epochs=4, frames=24):
    """A run folder as the stages leave it, and its recipe."""
    config = RecipeConfig("Letters & <signs>.", "CC0 <none>", score=("char", "word"))
    recipe, folder = Recipe("letters", home / "letters", config), home / "letters" / "ctc"
    manifest.write(folder.parent / "prepare" / "manifest.jsonl",
                   [Utterance(id, split, "x.wav", said, "s<1>") for split, rows in texts.items() for id, (said, _) in rows.items()])
    for split, rows in texts.items():
        out = folder / "decode" / split
        out.mkdir(parents=True)
        write_shard(out / "log_probs", 0, [(id, 0, log_probs(heard, frames)) for id, (_, heard) in rows.items()])
        write_text(out / "reference.tsv", "".join(f"{id}\t{said}\n" for id, (said, _) in rows.items()))
        for decoder in ("beam", "greedy"):
            write_text(out / f"{decoder}.tsv", "".join(f"{id}\t{heard}\n" for id, (_, heard) in rows.items()))
            for unit in config.score:
                report = score_files(out / "reference.tsv", out / f"{decoder}.tsv", ScoreConfig(unit=unit))
                write_json(folder / "score" / f"{split}.{decoder}.{unit}.json", as_json(report))
    factors = {split: {"beam": 0.0123, "greedy": 0.0045} for split in texts}
    write_json(folder / "decode" / "done.json", {"result": {"real_time_factors": factors}})
    rows = [{"step": 5 * e, "epoch": e, "train_loss": 9 / e, "dev_loss": 8 / e, "dev_error": 1 / e, "rate": 1e-3, "seconds": e}
            for e in range(1, epochs + 1)]
    write_text(folder / "train" / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write_json(folder / "train" / "done.json", {"key": {"settings": {"encoder": {"kind": "blstm", "layers": 7}}}})
    write_json(folder / "model" / "model.json", {
        "weights": 12345, "medium": "audio", "data_licence": "CC0 <none>", "config": {
            "decoder": {"kind": "greedy"}, "encoder": {"subsample": [2]}, "features": {"step_ms": 10.0, "stack": 3}},
        "provenance": {"date": "2026-01-02", "epochs": epochs, "best_epoch": epochs, "steps": 20, "minutes": 0.5, "device": "cpu",
                       "machine": "a<b>", "recog": "0.1", "recipe_digest": "abc"}})
    UNITS.save(folder / "model" / "units.json")
    return folder, recipe


def page_of(folder, recipe) -> tuple[str, Page]:
    write_report(folder, recipe, folder / "report.html")
    page = (folder / "report.html").read_text(encoding="utf-8")
    return page, Page(page)


def test_it_is_whole_and_needs_nothing_else(tmp_path):
    text, page = page_of(*make(tmp_path))
    assert "http" not in text and "url(" not in text and "@import" not in text
    assert all(reference.startswith("#") for reference in page.references)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert len(text) < 1_000_000


def test_it_shows_what_the_run_wrote(tmp_path):
    folder, recipe = make(tmp_path)
    _, page = page_of(folder, recipe)
    for file in (folder / "score").glob("*.json"):
        report = json.loads(file.read_text())
        assert f"{100 * report['error_rate']:.2f}" in page.seen
        assert "[{:.2f}, {:.2f}]".format(*(100 * end for end in report["interval"])) in page.seen
        assert str(report["errors"]) in page.seen and str(report["tokens"]) in page.seen
    for words in ("0.01230", "0.00450", "12,345", "2026-01-02", "CC0 <none>", "a<b>", "encoder.layers = 7", "4 of 4", "linear scale",
                  "best: epoch 4, CER 25.00 %", "4 utterances, 1 speaker", "upper quartile"):
        assert words in page.text


def test_all_that_comes_from_a_corpus_is_escaped(tmp_path):
    text, page = page_of(*make(tmp_path))
    assert "best: d<1>" in page.seen and "best: d&lt;1&gt;" in text and "d<1>" not in text and "<signs>" not in text
    assert "&amp;" in text


def test_the_same_run_gives_the_same_bytes(tmp_path):
    first, _ = page_of(*make(tmp_path / "a"))
    again, _ = page_of(*make(tmp_path / "b"))
    assert first == again and str(tmp_path) not in first


def test_time_counts_step_stack_and_subsampling(tmp_path):
    _, page = page_of(*make(tmp_path))
    assert "1.44 s" in page.text                                   # 24 frames of 10 ms x 3 x 2
    assert page.seen.count("seconds") == 4


def test_the_models_own_decoder_comes_first_and_is_the_one_examined(tmp_path):
    _, page = page_of(*make(tmp_path))
    assert page.text.index("greedy") < page.text.index("beam")
    assert "dev, greedy, characters" in page.seen and "dev, beam, characters" not in page.seen


def test_errors_are_named_in_text_and_not_by_colour_alone(tmp_path):
    wrong = {"t": ("ab", "cb"), "u": ("ab", "a"), "v": ("a", "ab")}
    text, page = page_of(*make(tmp_path, {"dev": {"d": ("abc", "abc")}, "test": wrong}))
    assert text.count('class="e"') == 3
    assert [page.seen.count(kind) for kind in "SDI"] == [1, 1, 1]
    assert 'title="a → c"' in text and 'title="b deleted"' in text and 'title="b inserted"' in text


@pytest.mark.parametrize("gone", ["train", "train/done.json", "model", "model/units.json", "score", "decode", "decode/done.json",
                                  "decode/dev/log_probs", "decode/dev/reference.tsv", "decode/test", "../prepare"])
def test_what_is_missing_is_left_out(tmp_path, gone):
    folder, recipe = make(tmp_path)
    remove((folder / gone).resolve())
    _, page = page_of(folder, recipe)
    assert "letters / ctc" in page.seen


def test_an_empty_folder_has_a_page(tmp_path):
    _, recipe = make(tmp_path)
    (tmp_path / "none").mkdir()
    _, page = page_of(tmp_path / "none", recipe)
    assert "Letters & <signs>." in page.text and "svg" not in page.tags


@pytest.mark.parametrize("change", [{"epochs": 1}, {"frames": 0}, {"epochs": 200},
                                    {"texts": {split: {"x": ("ab", "ab")} for split in TEXTS}}])
def test_extremes(tmp_path, change):
    texts = change.get("texts", TEXTS if change.get("frames") != 0 else {s: {"x": ("ab", "")} for s in TEXTS})
    _, page = page_of(*make(tmp_path, **{**change, "texts": texts}))
    assert ("log scale" in page.text) == (change.get("epochs") == 200)
    if "texts" in change:
        assert "No errors on 'test' (CER, greedy)." in page.seen


def test_metrics_may_be_cut_short_or_not_finite(tmp_path):
    folder, recipe = make(tmp_path)
    with open(folder / "train" / "metrics.jsonl", "a") as stream:
        stream.write(json.dumps({"epoch": 5, "step": 25, "train_loss": math.nan, "dev_loss": math.inf}) + '\n{"epoch": 6, "tr')
    text, _ = page_of(folder, recipe)
    assert "nan" not in text and "inf," not in text


def test_one_utterance_without_frames_and_one_that_is_too_short_for_its_text(tmp_path):
    folder, recipe = make(tmp_path)
    items = [(id, 0, log_probs("ab", 24)[:n]) for id, n in (("d<1>", 0), ("d2", 2), ("d3", 24), ("d4", 24))]
    write_shard(folder / "decode" / "dev" / "log_probs", 0, items)
    _, page = page_of(folder, recipe)
    assert "It has no frames." in page.seen
    assert "The reference has no place here: 2 frames are too few for 3 units." in page.text


@pytest.mark.parametrize("low, high, most, wanted", [(0, 1, 6, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.5, 12.5, 16, list(range(1, 13))),
                                                     (0, 0.0108, 3, [0, 0.005, 0.01])])
def test_ticks_are_round_and_few(low, high, most, wanted):
    assert svg.Scale(low, high, 0, 1).ticks(most, whole=high > 12) == pytest.approx(wanted)


def test_ticks_of_a_log_scale():
    assert svg.Scale(1.4, 80, 0, 1, log=True).ticks(7) == pytest.approx([2, 5, 10, 20, 50])
    assert len(svg.Scale(1e-9, 1e3, 0, 1, log=True).ticks(6)) > 1


def test_labels_do_not_cover_each_other():
    placed = svg._stacked([(float(x), 0.0, "ab", "unit") for x in range(0, 60, 4)], 13, 26)
    assert 2 < len(placed) < 15
    for n, (x, y, label, _) in enumerate(placed):
        assert all(abs(x - px) >= svg.label_width(label) or abs(y - py) >= 13 for px, py, _, _ in placed[:n])
