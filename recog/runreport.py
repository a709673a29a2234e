"""One page about a finished run: what was trained, how it scored, how it learned, what it hears and what it confuses.

Everything is in the file: nothing is fetched, nothing is run. What a run folder lacks is left out of the page.
"""

from __future__ import annotations

import html
import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Sequence

import numpy as np

from . import manifest, svg
from .decode.align import align as align_units
from .errors import RecogError
from .files import read_json, write_text
from .recipe import Recipe
from .report import METRIC
from .score import Pair, align, tokenize
from .store import Store
from .svg import Curve, Panel, Tick, tag
from .text import Units
from .transcripts import read_transcripts
from .types import Utterance

WORST, KINDS, MATRIX = 10, 10, 30             # utterances, confusions of each kind, units in a matrix
_MANY = {"word": "words", "char": "characters", "phone": "phones"}
_FACTS = ("recipe", "model", "date", "epochs", "best_epoch", "steps", "minutes", "machine", "device", "threads", "recog",
          "torch")                            # in this order; others after them
_STYLE = """
body { max-width: 980px; margin: 2rem auto 4rem; padding: 0 1rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; color-scheme: light dark; print-color-adjust: exact; -webkit-print-color-adjust: exact }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.25rem; margin: 2.6rem 0 .5rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.5rem 0 .3rem } h3 small, .note { color: var(--soft); font-weight: 400; font-size: .87rem }
p { margin: .3rem 0 .7rem } nav a { color: var(--c0); margin-right: 1.1rem }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0 } .tiles b { display: block; font-size: 1.45rem }
.tiles div { background: var(--panel); border-radius: 8px; padding: .5rem .9rem; flex: 1 1 9rem }
.tiles span { color: var(--soft); font-size: .83rem; display: block }
dl { columns: 2 20rem; margin: .8rem 0 } dl div { display: flex; gap: .8rem; break-inside: avoid }
dt { color: var(--soft); flex: 0 0 8rem } dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } tr.first td { border-top: 2px solid var(--line) }
th, td { text-align: right; padding: .15rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap }
th { color: var(--soft); font-weight: 400; font-size: .83rem } .l { text-align: left } td svg { width: 110px; max-width: none }
.wide { overflow-x: auto } .side { display: flex; flex-wrap: wrap; align-items: flex-start; gap: .8rem 2.2rem }
pre { background: var(--panel); padding: .7rem; font-size: .8rem; overflow-x: auto } summary { cursor: pointer; color: var(--soft) }
.pairs { display: flex; flex-wrap: wrap; row-gap: .5rem; margin: .3rem 0 1rem; font: 15px/1.3 ui-monospace, "DejaVu Sans Mono", monospace }
.pairs span { display: inline-flex; flex-direction: column; align-items: center; min-width: .65rem; padding: 1px }
.apart span { padding: 1px .3rem } .pairs b { font-weight: 400; white-space: pre } .pairs b + b { color: var(--soft) }
.pairs b + b + b { font-size: 10px; line-height: 1.2 } .pairs .e b { color: var(--wrong); font-weight: 600 }
.pairs .e { background: color-mix(in srgb, var(--wrong) 17%, transparent); border-radius: 3px }
@media print { body { max-width: none; margin: 0; font-size: 12px } nav { display: none }
  svg, .pairs, tr, .keep { break-inside: avoid } h2, h3 { break-after: avoid } }
"""


@dataclass(frozen=True)
class Findings:
    """What a run folder holds. Anything may be missing: then it is empty."""

    folder: Path
    recipe: Recipe
    info: dict[str, Any]                                  # model.json
    metrics: list[dict[str, Any]]                         # one for each epoch
    scores: dict[tuple[str, str, str], dict[str, Any]]    # (split, decoder, unit): a report; the model's own decoder first
    factors: dict[str, dict[str, float]]                  # split, decoder: real-time factor
    utterances: dict[str, Utterance]

    @property
    def made(self) -> dict[str, Any]:
        return self.info.get("provenance", {})

    @property
    def unit(self) -> str:
        """What the recipe quotes."""
        return self.recipe.config.score[0]

    def decoder(self, split: str) -> str | None:
        """The first one, which goes into the model."""
        return next((decoder for at, decoder, unit in self.scores if (at, unit) == (split, self.unit)), None)

    def rows(self, split: str) -> list[dict[str, Any]]:
        """The counts of each utterance, fewest errors first, then by id."""
        report = self.scores.get((split, self.decoder(split), self.unit), {"rows": []})
        return sorted(report["rows"], key=lambda row: (row["errors"], row["id"]))

    def texts(self, split: str, name: str | None) -> dict[str, str]:
        """The references, or a decoder's answers, by id."""
        try:
            return read_transcripts(self.folder / "decode" / split / f"{name}.tsv")
        except RecogError:
            return {}


def write_report(folder: Path, recipe: Recipe, path: Path) -> None:
    """Writes the page on the run in `folder` (exp/RECIPE/MODEL), from its files alone: same files, same bytes."""
    found = _find(folder, recipe)
    sections = {"Scores": _scores(found), "Learning": _learning(found), "Examples": _examples(found),
                "Confusions": _confusions(found), "Worst utterances": _worst(found), "Settings": _settings(found)}
    sections = {name: content for name, content in sections.items() if content}
    name = f"{recipe.name} / {folder.name}"
    head = tag("title", _esc(name)) + tag("style", svg.STYLE + _STYLE)
    body = _head(found, name) + tag("nav", *(tag("a", _esc(title), href=f"#s{n}") + " " for n, title in enumerate(sections)))
    body += "".join(tag("h2", _esc(title), id=f"s{n}") + content for n, (title, content) in enumerate(sections.items()))
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    write_text(path, f'<!DOCTYPE html>\n<html lang="en"><head>{meta}{head}</head>\n<body>{body}</body></html>\n')


def _find(folder: Path, recipe: Recipe) -> Findings:
    info = _json(folder / "model" / "model.json")
    own = info.get("config", {}).get("decoder", {}).get("kind")
    scores = {}
    for split in dict.fromkeys([recipe.config.dev, *recipe.config.test]):
        names = {path.stem for path in (folder / "decode" / split).glob("*.tsv")} - {"reference"}
        for decoder in sorted(names, key=lambda name: (name != own, name)):
            for unit in recipe.config.score:
                scores[split, decoder, unit] = _json(folder / "score" / f"{split}.{decoder}.{unit}.json")
    try:
        utterances = {u.id: u for u in manifest.read(folder.parent / "prepare" / "manifest.jsonl")}
    except RecogError:
        utterances = {}
    factors = _json(folder / "decode" / "done.json").get("result", {}).get("real_time_factors", {})
    return Findings(folder, recipe, info, _metrics(folder / "train" / "metrics.jsonl"),
                    {key: report for key, report in scores.items() if report}, factors, utterances)


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _metrics(path: Path) -> list[dict[str, Any]]:
    rows = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(text))
        except json.JSONDecodeError:
            continue                                      # a line cut short by a kill
    return [{key: value for key, value in row.items() if isinstance(value, (int, float)) and math.isfinite(value)}
            for row in rows if "epoch" in row]


def _head(found: Findings, name: str) -> str:
    made, config = found.made, found.recipe.config
    tiles = []
    for split in config.test:
        decoder = found.decoder(split)
        if decoder:
            report = found.scores[split, decoder, found.unit]
            within = _ends(report).replace(" ", "\u00a0")
            tiles.append((f"{_percent(report['error_rate'])} %", f"{METRIC[found.unit]} on {split}, {decoder}, {within}"))
    if "weights" in found.info:
        tiles.append((f"{found.info['weights']:,}", "weights"))
    if made:
        tiles += [(f"{made.get('best_epoch')} of {made.get('epochs')}", "best epoch"),
                  (f"{made.get('minutes')} min", f"training on {made.get('device')}")]
    facts = {key: made[key] for key in (*_FACTS, *sorted(made.keys() - set(_FACTS))) if key in made}
    facts |= {"recipe_digest": str(made["recipe_digest"])[:12]} if "recipe_digest" in made else {}
    facts |= {"data licence": found.info.get("data_licence", config.data_licence)}
    for split in dict.fromkeys(u.split for u in found.utterances.values()):
        mine = [u for u in found.utterances.values() if u.split == split]
        facts[split] = ", ".join(_number(n, noun) for n, noun in
                                 ((len(mine), "utterance"), (len({u.speaker for u in mine} - {""}), "speaker")) if n)
    listed = (tag("div", tag("dt", _esc(key.replace("_", " "))), tag("dd", _esc(value))) for key, value in facts.items())
    boxes = (tag("div", tag("b", _esc(big)), tag("span", _esc(small))) for big, small in tiles)
    return tag("h1", _esc(name)) + _note(config.description) + tag("div", *boxes, class_="tiles") + tag("dl", *listed)


def _scores(found: Findings) -> str:
    if not found.scores:
        return ""
    most = {unit: max(max(r["error_rate"], *(r["interval"] or [0])) for (_, _, u), r in found.scores.items() if u == unit)
            for _, _, unit in found.scores}
    rows, before = [], None
    for (split, decoder, unit), r in found.scores.items():
        factor = found.factors.get(split, {}).get(decoder)
        named = [tag("td", _esc(name), class_="l") for name in (split, decoder, METRIC[unit])]
        cells = [tag("b", _percent(r["error_rate"])), _ends(r), svg.interval(r["error_rate"], r["interval"], most[unit]),
                 *(f"{r[name]:,}" for name in ("errors", "tokens", "substitutions", "deletions", "insertions")),
                 f"{r['utterances_with_errors']:,} / {r['utterances']:,}", "–" if factor is None else f"{factor:.5f}"]
        rows.append(tag("tr", *named, *(tag("td", cell) for cell in cells), class_="first" if split != before else "more"))
        before = split
    head = [tag("th", name, class_="l") for name in ("split", "decoder", "")]
    head += [tag("th", name) for name in ("error rate, %", "95 % interval", "", "errors", "tokens", "sub", "del", "ins",
                                          "wrong utterances", "real time")]
    return (tag("div", tag("table", tag("tr", *head), *rows), class_="wide")
            + _note("Error rate: substitutions, deletions and insertions per reference token. Intervals: bootstrap over "
                    "utterances; the small pictures start at 0 and share a scale for each measure. Real time: seconds of "
                    "decoding, without the network, per second of input."))


def _learning(found: Findings) -> str:
    def curve(key: str, name: str, color: str, times: float = 1.0) -> list[Curve]:
        points = tuple((row["epoch"], times * row[key]) for row in found.metrics if key in row)
        return [Curve(name, color, points)] if points else []

    losses = curve("train_loss", "training", "c0") + curve("dev_loss", "development", "c1")
    values = [y for one in losses for _, y in one.points]
    log = bool(values) and min(values) > 0 and max(values) > 10 * min(values)
    shown = [Panel(f"Loss, nats per utterance ({'log' if log else 'linear'} scale)", tuple(losses), 220, log),
             Panel(f"{METRIC[found.unit]} on the development set, best path, %", tuple(curve("dev_error", "", "c1", 100)), 170),
             Panel("Learning rate", tuple(curve("rate", "", "gray")), 90)]
    shown = [panel for panel in shown if panel.curves]
    if not shown:
        return ""
    best = found.made.get("best_epoch")
    error = [row["dev_error"] for row in found.metrics if row["epoch"] == best and "dev_error" in row]
    label = f"best: epoch {best}" + (f", {METRIC[found.unit]} {_percent(error[0])} %" if error else "")
    notes = {row["epoch"]: "\n".join(f"{key.replace('_', ' ')} {value:.5g}" for key, value in row.items())
             for row in found.metrics}
    return svg.panels(shown, "epoch", notes, best, label) + _note("Hover over an epoch for its figures.")


def _examples(found: Findings) -> str:
    split = found.recipe.config.dev
    rows, decoder = found.rows(split), found.decoder(split)
    if not rows:
        return ""
    places = {0: "best", len(rows) // 2: "median", 3 * len(rows) // 4: "upper quartile", len(rows) - 1: "worst"}
    references, answers = found.texts(split, "reference"), found.texts(split, decoder)
    parts = [_note(f"From '{split}', put in order by errors ({METRIC[found.unit]}, {decoder}), then by id: the first, the one "
                   "in the middle, the one at three quarters, the last. Curves: the probability of each unit that exceeds "
                   f"{svg.SHOWN:g}, named at its peak; dotted: the blank. Beneath: where the reference lies on the best CTC path.")]
    for at, place in places.items():
        id = rows[at]["id"]
        pictures, facts = _posteriors(found, split, id, references.get(id, ""))
        texts = _pairs(references.get(id, ""), answers.get(id, ""), found.unit)
        parts.append(tag("div", _title(found, f"{place}: {id}", rows[at], facts), pictures, texts, class_="keep"))
    return "".join(parts)


def _posteriors(found: Findings, split: str, id: str, reference: str) -> tuple[str, list[str]]:
    """The pictures of an utterance, and facts for its title."""
    try:
        store = Store(found.folder / "decode" / split / "log_probs")
        log_probs = store.frames(id) if id in store else np.zeros((0, 1))
        units = Units.load(found.folder / "model" / "units.json")
    except (RecogError, ValueError):                      # ValueError: a shard without any frame cannot be mapped
        return _note("Its log-probabilities are not there."), []
    step, axis = _step(found.info)
    facts = [f"{len(log_probs) * step:.2f} s" if axis == "seconds" else f"{len(log_probs)} frames"]
    if not len(log_probs):
        return _note("It has no frames."), facts
    labels = [_visible(symbol) for symbol in units.symbols]
    ticks, notes = [], []
    try:
        numbers = units.encode(reference)
        place = align_units(log_probs, numbers)
        ticks = [Tick(labels[number], *span, sure) for number, span, sure in zip(numbers, place.spans, place.confidence)]
    except RecogError as error:
        notes.append(_note(f"The reference has no place here: {error.what}."))
    strips = svg.posteriors(np.exp(log_probs), labels, ticks, step, axis)
    if len(strips) == svg.STRIPS:
        notes.append(_note(f"Only the first {svg.STRIPS} strips are drawn."))
    return "".join(strips + notes), facts


def _step(info: dict[str, Any]) -> tuple[float, str]:
    """What a frame of the encoder's output advances, and in what."""
    features, encoder = (info.get("config", {}).get(part, {}) for part in ("features", "encoder"))
    if info.get("medium", "audio") != "audio" or "step_ms" not in features:
        return 1.0, "frames"
    return features["step_ms"] / 1000 * features.get("stack", 1) * math.prod(encoder.get("subsample", [])), "seconds"


def _confusions(found: Findings) -> str:
    parts = []
    for (split, decoder, unit), report in found.scores.items():
        if decoder != found.decoder(split):
            continue
        times = Counter(token for text in found.texts(split, "reference").values() for token in tokenize(text, unit))
        kinds = [_kind(name, report["confusions"][name], times) for name in ("substitutions", "deletions", "insertions")]
        picture = _matrix(report["confusions"], times) if unit != "word" and report["errors"] else ""
        heading = tag("h3", _esc(f"{split}, {decoder}, {_MANY[unit]}"), " ", tag("small", _number(report["errors"], "error")))
        parts.append(tag("div", heading, tag("div", *kinds, picture, class_="side"), class_="keep"))
    return "".join(parts)


def _kind(name: str, found: Sequence[dict[str, Any]], times: Counter[str]) -> str:
    if not found:
        return tag("table", tag("tr", tag("th", f"no {name}")))
    rows = []
    for item in found[:KINDS]:
        pair = " → ".join(_visible(token) for token in (item["reference"], item["hypothesis"]) if token is not None)
        of = f" of {times[item['reference']]:,}" if item["reference"] in times else ""
        rows.append(tag("tr", tag("td", _esc(pair), class_="l"), tag("td", f"{item['count']}{of}")))
    more = f" ({KINDS} of {len(found)} kinds)" if len(found) > KINDS else ""
    total = sum(item["count"] for item in found)
    head = tag("th", f"{_number(total, name.removesuffix('s'))}{more}", class_="l", colspan=2)
    return tag("table", tag("tr", head), *rows)


def _matrix(confusions: dict[str, list[dict[str, Any]]], times: Counter[str]) -> str:
    """The heat-map of the units that take part in most errors."""
    wrong = {Pair(item["reference"], item["hypothesis"]): item["count"] for items in confusions.values() for item in items}
    involved: Counter[str] = Counter()
    for pair, number in wrong.items():
        involved.update({token: number for token in pair if token is not None})
    units = sorted(sorted(involved, key=lambda unit: (-involved[unit], unit))[:MATRIX])
    counts, notes = {}, {}
    for i, said in enumerate([*units, None]):
        of = f" of {times[said]:,}" if said in times else ""
        for j, heard in enumerate([*units, None]):
            pair = Pair(said, heard)
            if pair in wrong:
                counts[i, j], notes[i, j] = wrong[pair], f"{_name(pair)}: {wrong[pair]:,}{of}"
            elif said == heard is not None:
                right = times[said] - sum(number for other, number in wrong.items() if other.reference == said)
                notes[i, j] = f"{_visible(said)} correct: {right:,}{of}"
    names = [_visible(unit) for unit in units]
    less = f" The {MATRIX} of {len(involved)} units with most errors." if len(involved) > MATRIX else ""
    picture = svg.heatmap([*names, "inserted"], [*names, "deleted"], counts, notes, "reference", "hypothesis")
    return tag("div", picture, _note(f"Shade: square root of the count.{less}"))


def _worst(found: Findings) -> str:
    parts = []
    for split in found.recipe.config.test:
        decoder, references = found.decoder(split), found.texts(split, "reference")
        rows = sorted((row for row in found.rows(split) if row["errors"]), key=lambda row: -row["errors"])[:WORST]
        if decoder and not rows:
            parts.append(_note(f"No errors on '{split}' ({METRIC[found.unit]}, {decoder})."))
        elif rows:
            parts.append(_note(f"On '{split}', by errors ({METRIC[found.unit]}, {decoder}), then by id. Above: the reference, "
                               "below: the hypothesis. * is a gap; S, D, I: substitution, deletion, insertion."))
        answers = found.texts(split, decoder)
        for row in rows:
            texts = _pairs(references.get(row["id"], ""), answers.get(row["id"], ""), found.unit)
            parts.append(tag("div", _title(found, row["id"], row, []), texts, class_="keep"))
    return "".join(parts)


def _title(found: Findings, name: str, row: dict[str, Any], facts: list[str]) -> str:
    speaker = found.utterances[row["id"]].speaker if row["id"] in found.utterances else ""
    facts = [f"{_number(row['errors'], 'error')} in {row['tokens']} {_MANY[found.unit]}", *facts]
    facts += [f"speaker {speaker}"] if speaker else []
    return tag("h3", _esc(name), " ", tag("small", _esc(", ".join(facts))))


def _pairs(reference: str, hypothesis: str, unit: str) -> str:
    """Both texts, one above the other, errors marked and named."""
    columns = []
    for pair in align(tokenize(reference, unit), tokenize(hypothesis, unit)):
        cells = [tag("b", _esc("*" if token is None else _visible(token))) for token in pair]
        columns.append(tag("span", *cells) if pair.kind == "C" else
                       tag("span", *cells, tag("b", pair.kind), class_="e", title=_name(pair)))
    return tag("div", *columns, class_="pairs" if unit == "char" else "pairs apart", dir="auto")


def _name(pair: Pair) -> str:
    said, heard = (None if token is None else _visible(token) for token in pair)
    return f"{heard} inserted" if said is None else f"{said} deleted" if heard is None else f"{said} → {heard}"


def _settings(found: Findings) -> str:
    settings = _json(found.folder / "train" / "done.json").get("key", {}).get("settings") or found.info.get("config", {})
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in _flat(settings)]
    shown = tag("details", tag("summary", "of model and training"), tag("pre", _esc("\n".join(lines))))
    return shown if lines else ""


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(encoder.layers, 5) for each single value, as --set names them."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    elif path:
        yield path, value


def _visible(token: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in token).replace(" ", "␣")


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def _ends(report: dict[str, Any]) -> str:
    return f"[{_percent(report['interval'][0])}, {_percent(report['interval'][1])}]" if report["interval"] else "–"


def _note(content: str) -> str:
    return tag("p", _esc(content), class_="note")


def _esc(value: Any) -> str:
    return html.escape(str(value))
