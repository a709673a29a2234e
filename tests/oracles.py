"""Comparing with an oracle: fails like an assertion, and remembers the largest error for the summary that pytest prints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEEN: dict[str, Largest] = {}


@dataclass
class Largest:
    error: float = 0.0                       # of all values compared: |found - expected| / max(1, |expected|)
    cases: int = 0


def close(what: str, found, expected, tolerance: float) -> None:
    """Of each value, |found - expected| must be at most `tolerance` times the larger of 1 and |expected|."""
    found, expected = (np.asarray(x.detach().numpy() if hasattr(x, "detach") else x, np.float64) for x in (found, expected))
    assert found.shape == expected.shape, f"{what}: {found.shape}, expected {expected.shape}"
    same = found == expected                 # infinities among them
    with np.errstate(invalid="ignore"):
        errors = np.where(same, 0.0, np.abs(found - expected) / np.maximum(1.0, np.abs(expected)))
    worst = float(errors.max(initial=0.0))
    largest = SEEN.setdefault(what, Largest())
    largest.error, largest.cases = max(largest.error, worst), largest.cases + 1
    assert worst <= tolerance, f"{what}: off by {worst:.2e}, more than {tolerance:.0e}"


def table() -> list[str]:
    width = max(map(len, SEEN), default=0)
    return [f"{what:{width}}  {largest.cases:6} cases  largest error {largest.error:.1e}" for what, largest in sorted(SEEN.items())]
