"""One page about a finished run: what was trained, how it scored, how it learned, what it hears and what it confuses.

Everything is in the file: nothing is fetched, nothing is run. What a run folder lacks is left out of the page.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import numpy as np

from . import findings, svg
from .confusions import aligned, esc, kind_table, matrix, note, number, visible
from .decode.align import align as align_units
from .errors import RecogError
from .files import write_text
from .findings import Findings
from .recipe import Recipe
from .report import METRIC, measures
from .score import tokenize
from .store import Store
from .svg import Curve, Panel, Tick, tag
from .text import Units

WORST = 10                                    # utterances shown with their errors
_MANY = {"word": "words", "char": "characters", "phone": "phones"}
_FACTS = ("recipe", "model", "date", "epochs", "best_epoch", "steps", "minutes", "machine", "device", "threads", "recog",
          "torch")                            # in this order; others after them


def _style() -> str:
    return Path(__file__).with_suffix(".css").read_text(encoding="utf-8")


def write_report(folder: Path, recipe: Recipe, path: Path) -> None:
    """Writes the page on the run in `folder` (exp/RECIPE/MODEL), from its files alone: same files, same bytes."""
    found = findings.find(folder, recipe)
    sections = {"Scores": _scores(found), "Learning": _learning(found), "Examples": _examples(found),
                "Confusions": _confusions(found), "Worst utterances": _worst(found), "Settings": _settings(found)}
    sections = {name: content for name, content in sections.items() if content}
    name = f"{recipe.name} / {folder.name}"
    head = tag("title", esc(name)) + tag("style", svg.STYLE + _style())
    body = _head(found, name) + tag("nav", *(tag("a", esc(title), href=f"#s{n}") + " " for n, title in enumerate(sections)))
    body += "".join(tag("h2", esc(title), id=f"s{n}") + content for n, (title, content) in enumerate(sections.items()))
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    write_text(path, f'<!DOCTYPE html>\n<html lang="en"><head>{meta}{head}</head>\n<body>{body}</body></html>\n')


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
        facts[split] = ", ".join(number(n, noun) for n, noun in
                                 ((len(mine), "utterance"), (len({u.speaker for u in mine} - {""}), "speaker")) if n)
    listed = (tag("div", tag("dt", esc(key.replace("_", " "))), tag("dd", esc(value))) for key, value in facts.items())
    boxes = (tag("div", tag("b", esc(big)), tag("span", esc(small))) for big, small in tiles)
    return tag("h1", esc(name)) + note(config.description) + tag("div", *boxes, class_="tiles") + tag("dl", *listed)


def _scores(found: Findings) -> str:
    if not found.scores:
        return ""
    most = {unit: max(max(r["error_rate"], *(r["interval"] or [0])) for (_, _, u), r in found.scores.items() if u == unit)
            for _, _, unit in found.scores}
    rows, before = [], None
    for split, decoder, unit, label, r in ((*key, *one) for key, report in found.scores.items() for one in measures({key[2]: report})):
        factor = found.factors.get(split, {}).get(decoder)
        named = [tag("td", esc(name), class_="l") for name in (split, decoder, label)]
        cells = [tag("b", _percent(r["error_rate"])), _ends(r), svg.interval(r["error_rate"], r["interval"], most[unit]),
                 *(f"{r[name]:,}" for name in ("errors", "tokens", "substitutions", "deletions", "insertions")),
                 f"{r['utterances_with_errors']:,} / {r['utterances']:,}", "–" if factor is None else f"{factor:.5f}"]
        rows.append(tag("tr", *named, *(tag("td", cell) for cell in cells), class_="first" if split != before else "more"))
        before = split
    head = [tag("th", name, class_="l") for name in ("split", "decoder", "")]
    head += [tag("th", name) for name in ("error rate, %", "95 % interval", "", "errors", "tokens", "sub", "del", "ins",
                                          "wrong utterances", "real time")]
    return (tag("div", tag("table", tag("tr", *head), *rows), class_="wide")
            + note("Error rate: substitutions, deletions and insertions per reference token. Intervals: bootstrap over "
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
             Panel("KL of the weights' noise, nats", tuple(curve("kl", "", "c2")), 90),
             Panel("Learning rate", tuple(curve("rate", "", "gray")), 90)]
    shown = [panel for panel in shown if panel.curves]
    if not shown:
        return ""
    best = found.made.get("best_epoch")
    error = [row["dev_error"] for row in found.metrics if row["epoch"] == best and "dev_error" in row]
    label = f"best: epoch {best}" + (f", {METRIC[found.unit]} {_percent(error[0])} %" if error else "")
    notes = {row["epoch"]: "\n".join(f"{key.replace('_', ' ')} {value:.5g}" for key, value in row.items())
             for row in found.metrics}
    return svg.panels(shown, "epoch", notes, best, label) + note("Hover over an epoch for its figures.")


def _examples(found: Findings) -> str:
    split = found.recipe.config.dev
    rows, decoder = found.rows(split), found.decoder(split)
    if not rows:
        return ""
    last = len(rows) - 1
    places = {last // 2: "median", 3 * last // 4: "upper quartile", last: "worst", 0: "best"}     # one name for each place
    references, answers = found.texts(split, "reference"), found.texts(split, decoder)
    parts = [note(f"From '{split}', put in order by errors ({METRIC[found.unit]}, {decoder}), then by id: the first, the one "
                   "in the middle, the one at three quarters, the last. Curves: the probability of each unit that exceeds "
                   f"{svg.SHOWN:g}, named at its peak; dotted: the blank. Beneath: where the reference lies on the best CTC path.")]
    for at, place in sorted(places.items()):
        id = rows[at]["id"]
        pictures, facts = _posteriors(found, split, id, found.texts(split, "reference", folded=False).get(id, ""))
        texts = aligned(references.get(id, ""), answers.get(id, ""), found.unit)
        parts.append(tag("div", _title(found, f"{place}: {id}", rows[at], facts), pictures, texts, class_="keep"))
    return "".join(parts)


def _posteriors(found: Findings, split: str, id: str, reference: str) -> tuple[str, list[str]]:
    """The pictures of an utterance, and facts for its title."""
    if found.info.get("config", {}).get("head", {}).get("kind", "ctc") != "ctc":
        return note("What a transducer hears in a frame depends on what it has written, so there are no curves by frame."), []
    try:
        store = Store(found.folder / "decode" / split / "log_probs")
        log_probs = store.frames(id) if id in store else np.zeros((0, 1))
        units = Units.load(found.folder / "model" / "units.json")
    except (RecogError, ValueError):                      # ValueError: a shard without any frame cannot be mapped
        return note("Its log-probabilities are not there."), []
    step, axis = _step(found.info)
    facts = [f"{len(log_probs) * step:.2f} s" if axis == "seconds" else f"{len(log_probs)} frames"]
    if not len(log_probs):
        return note("It has no frames."), facts
    labels = [visible(symbol) for symbol in units.symbols]
    ticks, notes = [], []
    try:
        numbers = units.encode(reference)
        place = align_units(log_probs, numbers)
        ticks = [Tick(labels[number], *span, sure) for number, span, sure in zip(numbers, place.spans, place.confidence)]
    except RecogError as error:
        notes.append(note(f"The reference has no place here: {error.what}."))
    strips = svg.posteriors(np.exp(log_probs), labels, ticks, step, axis)
    if len(strips) == svg.STRIPS:
        notes.append(note(f"Only the first {svg.STRIPS} strips are drawn."))
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
        kinds = [kind_table(name, report["confusions"][name], times) for name in ("substitutions", "deletions", "insertions")]
        picture = matrix(report["confusions"], times) if unit != "word" and report["errors"] else ""
        heading = tag("h3", esc(f"{split}, {decoder}, {_MANY[unit]}"), " ", tag("small", number(report["errors"], "error")))
        parts.append(tag("div", heading, tag("div", *kinds, picture, class_="side"), class_="keep"))
    return "".join(parts)


def _worst(found: Findings) -> str:
    parts = []
    for split in found.recipe.config.test:
        decoder, references = found.decoder(split), found.texts(split, "reference")
        rows = sorted((row for row in found.rows(split) if row["errors"]), key=lambda row: -row["errors"])[:WORST]
        if decoder and not rows:
            parts.append(note(f"No errors on '{split}' ({METRIC[found.unit]}, {decoder})."))
        elif rows:
            parts.append(note(f"On '{split}', by errors ({METRIC[found.unit]}, {decoder}), then by id. Above: the reference, "
                               "below: the hypothesis. * is a gap; S, D, I: substitution, deletion, insertion."))
        answers = found.texts(split, decoder)
        for row in rows:
            texts = aligned(references.get(row["id"], ""), answers.get(row["id"], ""), found.unit)
            parts.append(tag("div", _title(found, row["id"], row, []), texts, class_="keep"))
    return "".join(parts)


def _title(found: Findings, name: str, row: dict[str, Any], facts: list[str]) -> str:
    speaker = found.utterances[row["id"]].speaker if row["id"] in found.utterances else ""
    facts = [f"{number(row['errors'], 'error')} in {row['tokens']} {_MANY[found.unit]}", *facts]
    facts += [f"speaker {speaker}"] if speaker else []
    return tag("h3", esc(name), " ", tag("small", esc(", ".join(facts))))


def _settings(found: Findings) -> str:
    settings = findings.read(found.folder / "train" / "done.json").get("key", {}).get("settings") or found.info.get("config", {})
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in _flat(settings)]
    shown = tag("details", tag("summary", "of model and training"), tag("pre", esc("\n".join(lines))))
    return shown if lines else ""


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(encoder.layers, 5) for each single value, as --set names them."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    elif path:
        yield path, value


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def _ends(report: dict[str, Any]) -> str:
    return f"[{_percent(report['interval'][0])}, {_percent(report['interval'][1])}]" if report["interval"] else "–"


