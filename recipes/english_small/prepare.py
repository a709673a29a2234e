"""The corpus folder holds manifest.jsonl (make_corpus.py), an4/ (the AN4 corpus, or a link to it),
judges/manifest.jsonl (fetch_judges.py), and, in a second round, words.jsonl (cut_words.py)."""

from dataclasses import replace
from pathlib import Path

from recog import manifest, recipe


def prepare(corpus: Path):
    yield from recipe.find("an4").prepare()(corpus / "an4")
    yield from _listed(corpus / "manifest.jsonl")
    yield from _listed(corpus / "judges" / "manifest.jsonl")
    if (corpus / "words.jsonl").is_file():
        yield from _listed(corpus / "words.jsonl")


def _listed(path: Path):
    """Utterances of a manifest whose sources are relative to its folder."""
    for utterance in manifest.read(path):
        yield replace(utterance, source=str(path.parent / utterance.source))
