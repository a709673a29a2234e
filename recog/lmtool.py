"""`recog lm train | info | score`: n-gram models from the command line."""

from __future__ import annotations

import gzip
import math
import shutil
import tempfile
from pathlib import Path
from typing import Callable, Sequence

from .errors import ConfigError, DataError
from .files import writing
from .lm.tokens import SPECIAL, UNK, read_text, sentences, split, tokenized


def train(texts: Sequence[str], output: Path, order: int, units: str = "word", pieces: Path | None = None, prune: str = "",
          fallback: bool = False, limit: Path | None = None, lmplz: bool = False, force: bool = False) -> str:
    """Writes a model and says how many n-grams it has. Nothing is written when anything is wrong."""
    from .lm import binary, kneser_ney

    if output.exists() and not force:
        raise ConfigError("is there already", where=output, hint="--force writes it anew")
    if output.suffix == ".bin":
        binary.builder()                      # better missed now than after the training
    config = _config(order, prune, fallback)
    if lmplz:
        return _lmplz(sentences(texts, units, pieces), config, limit, output)
    known = kneser_ney.read_vocabulary(limit) if limit is not None else None
    model = kneser_ney.train(sentences(texts, units, pieces), config, known)
    _writer(output)(model, output)
    return _described(output, model.counts)


def info(path: Path) -> str:
    """What kind of model it is, and its counts. Raises DataError for one that no search could use."""
    from .lm import arpa, binary
    from .lm.ngram import Ngram

    if binary.is_binary(path):
        return f"{path}: KenLM binary, order {binary.Binary(path).order}"
    model = arpa.read(path)
    Ngram(model, path)
    missing = [word for word in SPECIAL if word not in set(model.words)]
    lines = [_described(path, model.counts), f"words       {_listed(model.words)}",
             f"without     {', '.join(missing)}" if missing else f"p(<unk>)    {10 ** _prob_of_unknown(model):.3g}"]
    return "\n".join(lines)


def score(path: Path, texts: Sequence[str], units: str = "word", pieces: Path | None = None, each: bool = False,
          show: Callable[[str], None] = print) -> None:
    """Shows the perplexity of texts; with `each`, first every token with its log10 probability."""
    from .lm.perplexity import Perplexity, score_sentences
    from .lmfile import open_scorer

    model, total = open_scorer(path), Perplexity()
    for text in texts:
        whole = tokenized(read_text(text), units, pieces)
        lines = whole.removesuffix("\n").split("\n") if whole else []
        for scored in score_sentences(model, (_allowed(split(line), text, n) for n, line in enumerate(lines, 1))):
            total = total.plus(scored)
            if each:
                for token, log_prob, known in zip(scored.tokens, scored.log_probs, scored.known):
                    show(f"{token}\t{log_prob / math.log(10):.6f}\t{'' if known else 'OOV'}".rstrip("\t"))
                show("")
    if not total.sentences:
        raise DataError("there is no text to score", where=", ".join(map(str, texts)))
    show(_report(total))


def _config(order: int, prune: str, fallback: bool):
    from .lm.kneser_ney import KneserNeyConfig

    try:
        thresholds = tuple(int(word) for word in prune.replace(",", " ").split())
    except ValueError:
        raise ConfigError(f"'{prune}' is not a list of whole numbers", where="--prune", hint='such as "0 0 1"') from None
    try:
        return KneserNeyConfig(order, thresholds, fallback)
    except ValueError as error:
        raise ConfigError(str(error), where="--order, --prune") from None


def _writer(output: Path):
    from .lm import arpa, binary

    return binary.write_binary if output.suffix == ".bin" else arpa.write


def _lmplz(text: str, config, limit: Path | None, output: Path) -> str:
    """The same by KenLM's own program."""
    from .lm import binary

    program = shutil.which("lmplz")
    if program is None:
        raise ConfigError("KenLM's program lmplz is not on the PATH", where="--lmplz", hint="without --lmplz recog counts by itself")
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "text", Path(folder) / "lm.arpa"
        source.write_text(text, encoding="utf-8")
        command = [program, "-o", str(config.order), "--text", str(source), "--arpa", str(made), "-T", folder,
                   "--prune", *map(str, config.thresholds())]
        command += ["--discount_fallback"] if config.discount_fallback else []
        command += ["--limit_vocab_file", str(limit)] if limit is not None else []
        binary.run(command, output)
        with writing(output) as partial:
            if output.suffix == ".bin":
                binary.run([binary.builder(), str(made), str(partial)], output)
            elif output.suffix == ".gz":
                with open(made, "rb") as raw, gzip.GzipFile(partial, "wb", mtime=0) as stream:
                    shutil.copyfileobj(raw, stream)
            else:
                shutil.copyfile(made, partial)
    return f"{output}: made by lmplz"


def _described(path: Path, counts: Sequence[int]) -> str:
    return f"{path}: order {len(counts)}, n-grams {' / '.join(f'{count:,}' for count in counts)}"


def _listed(words: Sequence[str]) -> str:
    rest = [word for word in words if word not in SPECIAL]
    return f"{len(rest):,}: {' '.join(rest[:12])}{' ...' if len(rest) > 12 else ''}"


def _prob_of_unknown(model) -> float:
    return float(model.probs[0][model.words.index(SPECIAL[UNK])])


def _allowed(words: list[str], text: str, line: int) -> list[str]:
    if bad := set(words) & set(SPECIAL):
        raise DataError(f"the text says {sorted(bad)[0]}, which only a model may", where=f"{text}: line {line}",
                        hint="each line is a sentence already")
    return words


def _report(total) -> str:
    return "\n".join([f"sentences                 {total.sentences:,}",
                      f"words                     {total.words:,}",
                      f"unknown words             {total.unknown:,} ({total.unknown / max(total.words, 1):.2%})",
                      f"perplexity                {total.perplexity:.2f}",
                      f"perplexity of known words {total.perplexity_known:.2f}",
                      f"bits per token            {total.bits:.4f}"])
