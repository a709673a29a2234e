"""Comparing with an oracle: fails like an assertion, and remembers the largest error for the summary that pytest prints."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

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
    remember(what, worst)
    assert worst <= tolerance, f"{what}: off by {worst:.2e}, more than {tolerance:.0e}"


def remember(what: str, error: float, cases: int = 1) -> None:
    largest = SEEN.setdefault(what, Largest())
    largest.error, largest.cases = max(largest.error, error), largest.cases + cases


def table() -> list[str]:
    width = max(map(len, SEEN), default=0)
    return [f"{what:{width}}  {largest.cases:6} cases  largest error {largest.error:.1e}" for what, largest in sorted(SEEN.items())]


def interpreted(code):
    """Runs Python code in a process of its own where Triton interprets kernels on the CPU; it may import the tests."""
    pytest.importorskip("triton")
    here = Path(__file__).parent
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {
        "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])})
    assert result.returncode == 0, result.stderr
