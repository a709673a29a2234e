"""The corpus folder holds manifest.jsonl and kokoro.jsonl (make_corpus.py), an4/ (the AN4 corpus, or a link to it),
judges/manifest.jsonl (fetch_judges.py), and words.jsonl (cut_words.py)."""

from dataclasses import replace
from pathlib import Path

from recog import manifest, recipe


def prepare(corpus: Path):
    yield from recipe.find("an4").prepare()(corpus / "an4")
    yield from _listed(corpus / "manifest.jsonl")
    yield from _listed(corpus / "judges" / "manifest.jsonl")
    for more in ("kokoro.jsonl", "words.jsonl"):
        if (corpus / more).is_file():
            yield from _listed(corpus / more)


def _listed(path: Path):
    """Utterances of a manifest whose sources are relative to its folder."""
    for utterance in manifest.read(path):
        yield replace(utterance, source=str(path.parent / utterance.source))
