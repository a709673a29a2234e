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
from .score import Pair, align, count, tokenize
from .store import Store
from .svg import Curve, Panel, Tick, tag
from .text import Units
from .transcripts import read_transcripts
from .types import Utterance

WORST, KINDS, MATRIX = 10, 12, 30             # utterances, confusions of each kind, units in a matrix
_MANY = {"word": "words", "char": "characters", "phone": "phones"}
_FACTS = {"recipe": "recipe", "model": "model", "date": "date", "epochs": "epochs", "best_epoch": "best epoch", "steps": "steps",
          "minutes": "minutes of training", "machine": "machine", "device": "device", "threads": "threads", "recog": "recog",
          "torch": "torch", "recipe_digest": "recipe digest"}
_STYLE = """
body { max-width: 980px; margin: 2rem auto 4rem; padding: 0 1rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; color-scheme: light dark; print-color-adjust: exact; -webkit-print-color-adjust: exact }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.5rem 0 .3rem } h3 small, .note { color: var(--soft); font-weight: 400; font-size: .87rem }
p { margin: .3rem 0 .7rem } nav a { color: var(--c0); margin-right: 1.1rem }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0 }
.tiles div { background: var(--panel); border-radius: 8px; padding: .5rem .9rem; flex: 1 1 9rem } .tiles b { display: block; font-size: 1.45rem }
.tiles span { color: var(--soft); font-size: .83rem; display: block }
dl { display: grid; grid-template-columns: max-content 1fr max-content 1fr; gap: .1rem 1rem; margin: .8rem 0 } dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } th { color: var(--soft); font-weight: 400; font-size: .83rem }
th, td { text-align: right; padding: .15rem .55rem; border-bottom: 1px solid var(--line); white-space: nowrap } .l { text-align: left }
tr.first td { border-top: 2px solid var(--line) } td b { font-size: 1.05em } .wide { overflow-x: auto } .side { display: flex; flex-wrap: wrap; gap: .5rem 2.2rem }
pre { background: var(--panel); padding: .7rem; font-size: .8rem; overflow-x: auto } details { margin: .6rem 0 } summary { cursor: pointer; color: var(--soft) }
.pairs { display: flex; flex-wrap: wrap; row-gap: .45rem; margin: .25rem 0 .9rem; font: 14px/1.25 ui-monospace, "DejaVu Sans Mono", monospace }
.pairs span { display: inline-flex; flex-direction: column; align-items: center; min-width: .62rem; padding: 1px } .apart span { padding: 1px .28rem }
.pairs b { font-weight: 400; white-space: pre } .pairs b + b { color: var(--soft) } .pairs b + b + b { font-size: 10px; line-height: 1 }
.pairs .e { background: color-mix(in srgb, var(--wrong) 17%, transparent); border-radius: 3px } .pairs .e b { color: var(--wrong); font-weight: 600 }
@media print { body { max-width: none; margin: 0; font-size: 12px } nav { display: none } svg, .pairs, tr, .keep { break-inside: avoid } h2, h3 { break-after: avoid } }
"""


@dataclass(frozen=True)
class Findings:
    """What a run folder holds. Anything may be missing: then it is empty."""

    folder: Path
    recipe: Recipe
    info: dict[str, Any]                                  # model.json
    metrics: list[dict[str, Any]]                         # one for each epoch
    scores: dict[tuple[str, str, str], dict[str, Any]]    # (split, decoder, unit): the report of `score`
    factors: dict[str, dict[str, float]]                  # split, decoder: real-time factor
    utterances: dict[str, Utterance]

    @property
    def made(self) -> dict[str, Any]:
        return self.info.get("provenance", {})

    @property
    def unit(self) -> str:
        return self.recipe.config.score[0]

    def decoder(self, split: str) -> str | None:
        """The first one: the model's own."""
        return next((decoder for at, decoder, _ in self.scores if at == split), None)

    def texts(self, split: str, name: str) -> dict[str, str]:
        """reference or a decoder's answers, by id."""
        path = self.folder / "decode" / split / f"{name}.tsv"
        try:
            return read_transcripts(path)
        except RecogError:
            return {}


def write_report(folder: Path, recipe: Recipe, path: Path) -> None:
    """Writes the page on the run in `folder` (exp/RECIPE/MODEL), from files alone: the same files give the same bytes."""
    found = _find(folder, recipe)
    sections = {"Scores": _scores(found), "Learning": _learning(found), "What it hears": _heard(found),
                "Confusions": _confusions(found), "Worst utterances": _worst(found), "Settings": _settings(found)}
    sections = {name: content for name, content in sections.items() if content}
    name = f"{recipe.name} / {folder.name}"
    body = _head(found, name) + tag("nav", *(tag("a", _esc(title), href=f"#s{n}") + " " for n, title in enumerate(sections)))
    body += "".join(tag("h2", _esc(title), id=f"s{n}") + content for n, (title, content) in enumerate(sections.items()))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{svg.tag("title", _esc(name))}<style>{svg.STYLE}{_STYLE}</style>'
    write_text(path, f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n')


def _find(folder: Path, recipe: Recipe) -> Findings:
    info = _json(folder / "model" / "model.json")
    own = info.get("config", {}).get("decoder", {}).get("kind")
    scores = {}
    for split in dict.fromkeys([recipe.config.dev, *recipe.config.test]):
        names = {path.stem for path in (folder / "decode" / split).glob("*.tsv")} - {"reference"}
        for decoder in sorted(names, key=lambda name: (name != own, name)):
            for unit in recipe.config.score:
                report = _json(folder / "score" / f"{split}.{decoder}.{unit}.json")
                if report:
                    scores[split, decoder, unit] = report
    factors = _json(folder / "decode" / "done.json").get("result", {}).get("real_time_factors", {})
    try:
        utterances = {u.id: u for u in manifest.read(folder.parent / "prepare" / "manifest.jsonl")}
    except RecogError:
        utterances = {}
    return Findings(folder, recipe, info, _metrics(folder / "train" / "metrics.jsonl"), scores, factors, utterances)


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _metrics(path: Path) -> list[dict[str, Any]]:
    rows = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(text))
        except json.JSONDecodeError:
            continue                                      # a line cut short by a kill
    return [row for row in rows if "epoch" in row]


def _head(found: Findings, name: str) -> str:
    info, made, config = found.info, found.made, found.recipe.config
    tiles = []
    for split in config.test:
        report = found.scores.get((split, found.decoder(split), found.unit))
        if report:
            tiles.append((f"{_percent(report['error_rate'])} %", f"{METRIC[found.unit]} on {split}, {found.decoder(split)}, 95 % {_ends(report)}"))
    if "weights" in info:
        tiles.append((f"{info['weights']:,}", "weights"))
    if made:
        tiles += [(f"{made.get('best_epoch')} of {made.get('epochs')}", "best epoch"), (f"{made.get('minutes')} min", f"training on {made.get('device')}")]
    facts = {label: made[key] for key, label in _FACTS.items() if key in made}
    facts |= {key: value for key, value in made.items() if key not in _FACTS}
    facts["data licence"] = info.get("data_licence", config.data_licence)
    if "recipe digest" in facts:
        facts["recipe digest"] = facts["recipe digest"][:12]
    splits = Counter(u.split for u in found.utterances.values())
    speakers = {split: len({u.speaker for u in found.utterances.values() if u.split == split and u.speaker}) for split in splits}
    data = ", ".join(f"{split} {times:,}" + (f" ({_number(speakers[split], 'speaker')})" if speakers[split] else "") for split, times in splits.items())
    if data:
        facts["utterances"] = data
    return (tag("h1", _esc(name)) + tag("p", _esc(config.description), class_="note")
            + tag("div", *(tag("div", tag("b", _esc(big)), tag("span", _esc(small))) for big, small in tiles), class_="tiles")
            + tag("dl", *(tag("dt", _esc(key)) + tag("dd", _esc(value)) for key, value in facts.items())))


def _scores(found: Findings) -> str:
    if not found.scores:
        return ""
    high = {unit: max(max(r["error_rate"], *(r["interval"] or [0])) for (_, _, u), r in found.scores.items() if u == unit) for unit in found.recipe.config.score}
    rows, before = [], None
    for (split, decoder, unit), r in found.scores.items():
        factor = found.factors.get(split, {}).get(decoder)
        cells = [r["errors"], f"{r['tokens']:,}", r["substitutions"], r["deletions"], r["insertions"],
                 f"{r['utterances_with_errors']:,} / {r['utterances']:,}", "" if factor is None else f"{factor:.2g}"]
        rows.append(tag("tr", tag("td", _esc(split), class_="l"), tag("td", _esc(decoder), class_="l"), tag("td", METRIC[unit], class_="l"),
                        tag("td", tag("b", _percent(r["error_rate"]))), tag("td", _ends(r)),
                        tag("td", svg.interval(r["error_rate"], r["interval"], high[unit])), *(tag("td", str(cell)) for cell in cells),
                        class_="first" if split != before else "other"))
        before = split
    names = ["split", "decoder", "", "error rate, %", "95 % interval", "", "errors", "tokens", "sub", "del", "ins", "utterances wrong", "real-time factor"]
    head = tag("tr", *(tag("th", _esc(name), class_="l" if n < 3 else "r") for n, name in enumerate(names)))
    return (tag("div", tag("table", head, *rows), class_="wide")
            + _note("Error rate: (substitutions + deletions + insertions) / reference tokens. Intervals: bootstrap over utterances; the small pictures start at 0 "
                    "and share a scale for each measure. Real-time factor: decoding time, without the network, per second of input."))


def _learning(found: Findings) -> str:
    def curve(key: str, name: str, color: str, times: float = 1.0) -> list[Curve]:
        points = [(row["epoch"], times * row[key]) for row in found.metrics if isinstance(row.get(key), (int, float)) and math.isfinite(row[key])]
        return [Curve(name, color, tuple(points))] if points else []

    losses = curve("train_loss", "training", "c0") + curve("dev_loss", "development", "c1")
    values = [y for c in losses for _, y in c.points]
    log = bool(values) and min(values) > 0 and max(values) > 10 * min(values)
    shown = [Panel(f"Loss, nats per utterance ({'log' if log else 'linear'} scale)", tuple(losses), 220, log),
             Panel(f"{METRIC[found.unit]} on the development set, best path, %", tuple(curve("dev_error", "", "c1", 100)), 170),
             Panel("Learning rate", tuple(curve("rate", "", "gray")), 90)]
    shown = [panel for panel in shown if panel.curves]
    if not shown:
        return ""
    best = found.made.get("best_epoch")
    error = next((row["dev_error"] for row in found.metrics if row["epoch"] == best and "dev_error" in row), None)
    label = f"best: epoch {best}" + ("" if error is None else f", {METRIC[found.unit]} {_percent(error)} %")
    notes = {row["epoch"]: f"epoch {row['epoch']}\n" + "\n".join(f"{key.replace('_', ' ')} {row[key]:.4g}" for key in
             ("train_loss", "dev_loss", "dev_error", "rate", "frames_per_second", "seconds") if isinstance(row.get(key), (int, float))) for row in found.metrics}
    return svg.panels(shown, "epoch", notes, best, label) + _note("Hover over an epoch for its figures.")


def _heard(found: Findings) -> str:
    split = found.recipe.config.dev
    decoder = found.decoder(split)
    rows = sorted(found.scores[split, decoder, found.unit]["rows"], key=lambda row: (row["errors"], row["id"])) if decoder else []
    if not rows:
        return ""
    places = {0: "best", len(rows) // 2: "median", 3 * len(rows) // 4: "upper quartile", len(rows) - 1: "worst"}
    references, answers = found.texts(split, "reference"), found.texts(split, decoder)
    parts = [_note(f"Four utterances of '{split}': all are put in order by their errors ({METRIC[found.unit]}, {decoder}), then by id; shown are the first, the one in the "
                   "middle, the one at three quarters, and the last. Curves: probability of each unit that exceeds "
                   f"{svg.SHOWN:g}, named at its peak; dotted grey: the blank. Beneath: where the reference lies on the best CTC path.")]
    for at, place in places.items():
        id = rows[at]["id"]
        pictures, facts = _posteriors(found, split, id, references.get(id, ""))
        parts.append(tag("div", _title(found, place, rows[at], facts), pictures, _pairs(references.get(id, ""), answers.get(id, ""), found.unit), class_="keep"))
    return "".join(parts)


def _posteriors(found: Findings, split: str, id: str, reference: str) -> tuple[str, list[str]]:
    """The pictures of an utterance, and facts for its title."""
    try:
        log_probs = Store(found.folder / "decode" / split / "log_probs").frames(id)
        units = Units.load(found.folder / "model" / "units.json")
    except (RecogError, KeyError):
        return _note("No log-probabilities are kept for this utterance."), []
    step, axis = _step(found.info)
    facts = [f"{len(log_probs) * step:.2f} s" if axis == "seconds" else f"{len(log_probs)} frames"]
    if not len(log_probs):
        return _note("This utterance has no frames."), facts
    labels = [_visible(symbol) for symbol in units.symbols]
    try:
        numbers = units.encode(reference)
        path = align_units(log_probs, numbers)
        ticks = [Tick(labels[number], *span, sure) for number, span, sure in zip(numbers, path.spans, path.confidence)]
        trouble = ""
    except RecogError as error:
        ticks, trouble = [], _note(f"The reference has no place here: {error.what}.")
    strips = svg.posteriors(np.exp(log_probs), labels, ticks, step, axis)
    shown = len(strips) * -(-len(log_probs) // max(1, len(strips)))
    return "".join(strips) + trouble, facts


def _step(info: dict[str, Any]) -> tuple[float, str]:
    """What a frame of the encoder's output advances, and in what."""
    config = info.get("config", {})
    features = config.get("features", {})
    if info.get("medium", "audio") != "audio" or "step_ms" not in features:
        return 1.0, "frames"
    return features["step_ms"] / 1000 * features.get("stack", 1) * math.prod(config.get("encoder", {}).get("subsample", [])), "seconds"


def _confusions(found: Findings) -> str:
    parts = []
    for (split, decoder, unit), report in found.scores.items():
        if decoder != found.decoder(split):
            continue
        times = Counter(token for text in found.texts(split, "reference").values() for token in tokenize(text, unit))
        kinds = [_kind(name, report["confusions"][name], times) for name in ("substitutions", "deletions", "insertions")]
        parts.append(tag("h3", _esc(f"{split}, {decoder}: {_MANY[unit]}"), " ", tag("small", _number(report["errors"], "error"))))
        if not report["errors"]:
            continue
        parts.append(tag("div", *kinds, class_="side"))
        if unit != "word":
            parts.append(tag("div", _matrix(report["confusions"], times), class_="wide"))
    return "".join(parts)


def _kind(name: str, found: Sequence[dict[str, Any]], times: Counter[str]) -> str:
    if not found:
        return tag("div", tag("p", _esc(f"no {name}"), class_="note"))
    rows = []
    for item in found[:KINDS]:
        pair = " → ".join(_visible(token) for token in (item["reference"], item["hypothesis"]) if token is not None)
        of = f" of {times[item['reference']]:,}" if item["reference"] in times else ""
        rows.append(tag("tr", tag("td", _esc(pair), class_="l"), tag("td", f"{item['count']}{of}")))
    more = f", {KINDS} of {len(found)} kinds" if len(found) > KINDS else ""
    total = sum(item["count"] for item in found)
    return tag("table", tag("tr", tag("th", _esc(f"{name}: {total}{more}"), class_="l", colspan=2)), *rows)


def _matrix(confusions: dict[str, list[dict[str, Any]]], times: Counter[str]) -> str:
    """The heat-map of the units involved in most errors."""
    wrong = {(item["reference"], item["hypothesis"]): item["count"] for items in confusions.values() for item in items}
    involved: Counter[str] = Counter()
    for pair, number in wrong.items():
        for token in pair:
            if token is not None:
                involved[token] += number
    units = sorted(sorted(involved, key=lambda unit: (-involved[unit], unit))[:MATRIX])
    rows, columns = [*units, None], [*units, None]
    counts, notes = {}, {}
    for i, reference in enumerate(rows):
        for j, hypothesis in enumerate(columns):
            number = wrong.get((reference, hypothesis), 0)
            said, heard = (None if token is None else _visible(token) for token in (reference, hypothesis))
            of = f" of {times[reference]:,}" if reference in times else ""
            if number:
                counts[i, j] = number
                notes[i, j] = f"{heard} inserted: {number}" if said is None else f"{said} {'deleted' if heard is None else '→ ' + heard}: {number}{of}"
            elif reference == hypothesis is not None:
                right = times[reference] - sum(n for (token, _), n in wrong.items() if token == reference)
                notes[i, j] = f"{said} correct: {right:,}{of}"
    less = f" The {MATRIX} of {len(involved)} units with most errors." if len(involved) > MATRIX else ""
    names = [_visible(unit) for unit in units]
    return (svg.heatmap([*names, "inserted"], [*names, "deleted"], counts, notes, "reference", "hypothesis")
            + _note(f"Errors between the units that take part in any; the shade goes with the square root of the count.{less}"))


def _worst(found: Findings) -> str:
    parts = []
    for split in found.recipe.config.test:
        decoder = found.decoder(split)
        if decoder is None:
            continue
        references, answers = found.texts(split, "reference"), found.texts(split, decoder)
        rows = [row for row in found.scores[split, decoder, found.unit]["rows"] if row["errors"]]
        rows = sorted(rows, key=lambda row: (-row["errors"], row["id"]))[:WORST]
        parts.append(_note(f"The {len(rows)} utterances of '{split}' with most errors ({METRIC[found.unit]}, {decoder}). Above the reference, below the hypothesis; "
                           "* is a gap; S, D, I: substitution, deletion, insertion.") if rows else _note(f"No errors on '{split}' ({METRIC[found.unit]}, {decoder})."))
        parts += [tag("div", _title(found, "", row, []), _pairs(references.get(row["id"], ""), answers.get(row["id"], ""), found.unit), class_="keep")
                  for row in rows]
    return "".join(parts)


def _title(found: Findings, place: str, row: dict[str, Any], facts: list[str]) -> str:
    speaker = found.utterances[row["id"]].speaker if row["id"] in found.utterances else ""
    facts = [f"{_number(row['errors'], 'error')} in {row['tokens']}", *facts, *([f"speaker {speaker}"] if speaker else [])]
    return tag("h3", _esc(f"{place}: {row['id']}" if place else row["id"]), " ", tag("small", _esc(", ".join(facts))))


def _pairs(reference: str, hypothesis: str, unit: str) -> str:
    """Both texts, one above the other, errors marked and named."""
    columns = []
    for pair in align(tokenize(reference, unit), tokenize(hypothesis, unit)):
        cells = [tag("b", _esc("*" if token is None else _visible(token))) for token in pair]
        columns.append(tag("span", *cells) if pair.kind == "C" else tag("span", *cells, tag("b", pair.kind), class_="e", title=_name(pair)))
    return tag("div", *columns, class_="pairs" if unit == "char" else "pairs apart", dir="auto")


def _name(pair: Pair) -> str:
    said, heard = (None if token is None else _visible(token) for token in pair)
    return f"{heard} inserted" if said is None else f"{said} deleted" if heard is None else f"{said} → {heard}"


def _settings(found: Findings) -> str:
    settings = _json(found.folder / "train" / "done.json").get("key", {}).get("settings") or found.info.get("config", {})
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in _flat(settings)]
    return tag("details", tag("summary", "the settings of model and training"), tag("pre", _esc("\n".join(lines)))) if lines else ""


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(encoder.layers, 5) for each single value, as --set takes them."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    else:
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
