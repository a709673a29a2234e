"""How far hypotheses are from their references: alignment, counts, and the report on a whole set."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping, NamedTuple, Sequence

from .errors import ScoreError
from .significance import Difference, bootstrap_interval, compare_errors
from .transcripts import check_same_ids, read_transcripts

UNITS = ("word", "char", "phone")

Fold = Callable[[list[str]], list[str]]       # tokens to the tokens that are scored, such as 61 phones to 39


@dataclass(frozen=True)
class ScoreConfig:
    unit: str = "word"                        # word, char or phone
    seed: int = 0                             # of the bootstrap's draws
    resamples: int = 2000                     # of the bootstrap; more make the interval steadier
    free: tuple[str, ...] = ()                # tokens of the reference whose deletion costs nothing; it counts as correct

    def __post_init__(self):
        if self.unit not in UNITS:
            raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {self.unit!r}")
        if self.seed < 0:
            raise ValueError("seed must be at least 0")
        if self.resamples < 1000:
            raise ValueError("resamples must be at least 1000, or the ends of a 95 % interval rest on a few draws")


class Pair(NamedTuple):
    """One column of an alignment. None: nothing on that side, so a deletion or an insertion."""

    reference: str | None
    hypothesis: str | None

    @property
    def kind(self) -> str:
        """C, S, D or I, as NIST writes it."""
        if self.reference == self.hypothesis:
            return "C"
        return "I" if self.reference is None else "D" if self.hypothesis is None else "S"


@dataclass(frozen=True)
class Counts:
    correct: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.correct + other.correct, self.substitutions + other.substitutions,
                      self.deletions + other.deletions, self.insertions + other.insertions)

    @property
    def reference(self) -> int:
        """Tokens of the reference."""
        return self.correct + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def error_rate(self) -> float:
        """Errors per token of the reference. With an empty reference: 0 without errors, else infinite."""
        return _rate(self.errors, self.reference)


@dataclass(frozen=True)
class Row:
    """One utterance."""

    id: str
    counts: Counts
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Report:
    """How well one set of hypotheses fits its references."""

    name: str                                 # where the hypotheses are from
    config: ScoreConfig
    rows: tuple[Row, ...]                     # by id
    total: Counts
    interval: tuple[float, float] | None      # of the error rate, 95 %, bootstrap over utterances; None for one

    @property
    def error_rate(self) -> float:
        return self.total.error_rate

    @property
    def wrong(self) -> int:
        """Utterances with at least one error."""
        return sum(row.counts.errors > 0 for row in self.rows)

    @property
    def sentence_error_rate(self) -> float:
        return self.wrong / len(self.rows)

    @property
    def empty_references(self) -> int:
        """Utterances whose reference holds no token: what is heard in them counts as insertions."""
        return sum(row.counts.reference == 0 for row in self.rows)

    def confusions(self, kind: str) -> list[tuple[Pair, int]]:
        """The pairs of kind S, D or I and how often each occurs, most frequent first, then by their tokens."""
        times = Counter(pair for row in self.rows for pair in row.pairs if pair.kind == kind and not _forgiven(pair, self.config.free))
        return sorted(times.items(), key=lambda item: (-item[1], item[0].reference or "", item[0].hypothesis or ""))


@dataclass(frozen=True)
class Comparison:
    """Two sets of hypotheses for the same references."""

    first: Report
    second: Report
    difference: Difference


def score_files(reference: Path, hypothesis: Path, config: ScoreConfig = ScoreConfig(),
                fold: Fold | None = None) -> Report:
    """Scores a transcript file (.tsv, .trn, .jsonl) against another, paired by id.

    Raises DataError for a file that cannot be read, ScoreError for two that do not belong together.
    """
    return score(read_transcripts(reference), read_transcripts(hypothesis), config, fold, name=str(hypothesis))


def compare_files(reference: Path, first: Path, second: Path, config: ScoreConfig = ScoreConfig(),
                  fold: Fold | None = None) -> Comparison:
    """Scores two transcript files against the same references and tests the difference. Raises as `score_files`."""
    return compare(score_files(reference, first, config, fold), score_files(reference, second, config, fold))


def score(references: Mapping[str, str], hypotheses: Mapping[str, str], config: ScoreConfig = ScoreConfig(),
          fold: Fold | None = None, name: str = "hypothesis") -> Report:
    """Scores texts by id. `fold` is applied to the tokens of both sides before they are compared.

    The order of the texts changes nothing. Raises ScoreError when ids differ or all references are empty.
    """
    check_same_ids(references, hypotheses, where=name)
    rows = []
    for id in sorted(references):
        sides = [tokenize(text, config.unit) for text in (references[id], hypotheses[id])]
        sides = list(map(fold, sides)) if fold else sides
        pairs = align_freely(*sides, config.free) if config.free else align(*sides)
        rows.append(Row(id, count(pairs, config.free), tuple(pairs)))
    total = sum((row.counts for row in rows), Counts())
    if not total.reference:
        raise ScoreError("the references hold no text, so there is no error rate", where=name,
                         hint="is this the right reference file?")
    interval = bootstrap_interval([row.counts.errors for row in rows], [row.counts.reference for row in rows],
                                  resamples=config.resamples, seed=config.seed)
    return Report(name, config, tuple(rows), total, interval)


def compare(first: Report, second: Report) -> Comparison:
    """Tests whether two reports on the same references, made with the same settings, differ by more than chance."""
    tokens = [row.counts.reference for row in first.rows]
    if first.config != second.config or [(row.id, row.counts.reference) for row in second.rows] != \
            [(row.id, n) for row, n in zip(first.rows, tokens)]:
        raise ValueError("the two reports are not on the same references and settings")
    difference = compare_errors([row.counts.errors for row in first.rows], [row.counts.errors for row in second.rows],
                                tokens, resamples=first.config.resamples, seed=first.config.seed)
    return Comparison(first, second, difference)


def error_rate(references: Sequence[str], hypotheses: Sequence[str], unit: str, fold: Fold | None = None) -> float:
    """Errors per reference token over all texts, paired by position; 0 or infinite if no reference has a token."""
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses")
    sides = [(tokenize(r, unit), tokenize(h, unit)) for r, h in zip(references, hypotheses)]
    sides = [(fold(r), fold(h)) for r, h in sides] if fold else sides
    return _rate(sum(distance(r, h) for r, h in sides), sum(len(r) for r, _ in sides))


def tokenize(text: str, unit: str) -> list[str]:
    """Words and phones: what stands between white space.

    Characters: code points as written (no Unicode normalization); the space between words counts as one of
    them, however much white space there is, and white space at the ends does not count.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    return list(" ".join(text.split())) if unit == "char" else text.split()


def distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """The fewest substitutions, deletions and insertions that turn one into the other."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(reference, hypothesis)


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """The alignment with the fewest errors; among those, the one with the most correct tokens.

    So its counts are unique. Where several remain, each step from the start is the first possible of:
    correct, substitution, deletion, insertion.
    """
    n, m = len(reference), len(hypothesis)
    # With E errors, D - I = n - m and D + I <= E bound how far a best path strays from the diagonal.
    errors = distance(reference, hypothesis)
    left, right = (errors + n - m) // 2, (errors + m - n) // 2
    error = n + m + 1                         # more than all substitutions, each of which costs 1 on top
    far = error * error + error
    width = left + right + 1
    after = [far] * (width + 1)               # row i + 1; its last cell, also cell -1, stands for all outside the band
    moves = []
    for i in range(n, -1, -1):
        costs, best = [far] * (width + 1), bytearray(width)
        for j in range(min(m, i + right), max(0, i - left) - 1, -1):
            at = j - i + left
            if i == n and j == m:
                costs[at] = 0
            elif i < n and j < m and reference[i] == hypothesis[j]:
                costs[at] = after[at]
            else:
                cost, move = after[at] + error + 1, 1
                if after[at - 1] + error < cost:
                    cost, move = after[at - 1] + error, 2
                if costs[at + 1] + error < cost:
                    cost, move = costs[at + 1] + error, 3
                costs[at], best[at] = cost, move
        moves.append(best)
        after = costs
    moves.reverse()
    return _walk(reference, hypothesis, moves, left)


def align_freely(reference: Sequence[str], hypothesis: Sequence[str], free: Sequence[str]) -> list[Pair]:
    """As `align`, but where deleting a token that is in `free` is no error: the fewest errors under that rule.

    A free deletion counts as correct. Among alignments with as few errors, the one with the most correct tokens.
    """
    n, m = len(reference), len(hypothesis)
    after: list[tuple[int, int]] = []         # row i + 1: errors, and correct tokens with a minus
    moves = []
    for i in range(n, -1, -1):
        costs, best = [(0, 0)] * (m + 1), bytearray(m + 1)
        for j in range(m, -1, -1):
            choices = []
            if i < n and j < m:
                same = reference[i] == hypothesis[j]
                choices.append((after[j + 1][0] + (not same), after[j + 1][1] - same, 0 if same else 1))
            if i < n:
                kept = reference[i] in free
                choices.append((after[j][0] + (not kept), after[j][1] - kept, 2))
            if j < m:
                choices.append((costs[j + 1][0] + 1, costs[j + 1][1], 3))
            if choices:
                *cost, best[j] = min(choices)
                costs[j] = tuple(cost)
        moves.append(best)
        after = costs
    return _walk(reference, hypothesis, moves[::-1], None)


def _walk(reference: Sequence[str], hypothesis: Sequence[str], moves: list[bytearray], left: int | None) -> list[Pair]:
    """Follows the moves: 0 correct, 1 substitution, 2 deletion, 3 insertion. Rows hold a band, or everything (left is None)."""
    i = j = 0
    pairs = []
    while i < len(reference) or j < len(hypothesis):
        move = moves[i][j if left is None else j - i + left]
        pairs.append(Pair(None if move == 3 else reference[i], None if move == 2 else hypothesis[j]))
        i, j = i + (move != 3), j + (move != 2)
    return pairs


def count(pairs: Sequence[Pair], free: Sequence[str] = ()) -> Counts:
    kinds = ["C" if _forgiven(pair, free) else pair.kind for pair in pairs]
    return Counts(*(kinds.count(kind) for kind in "CSDI"))


def _forgiven(pair: Pair, free: Sequence[str]) -> bool:
    return pair.hypothesis is None and pair.reference in free


def _rate(errors: int, tokens: int) -> float:
    return errors / tokens if tokens else math.inf if errors else 0.0
