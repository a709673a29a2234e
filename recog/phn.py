"""TIMIT's .phn files (lines of start, end, phone; samples at 16 kHz), and how far found boundaries are from theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from .errors import DataError

RATE = 16000
WITHIN_MS = (10, 20, 25)

Segment = tuple[float, float, str]            # seconds, seconds, phone


def read(path: Path) -> list[Segment]:
    """Raises DataError naming the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", where=path) from None
    found: list[Segment] = []
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        try:
            start, end, phone = int(fields[0]), int(fields[1]), fields[2]
        except (ValueError, IndexError):
            raise DataError("is not 'start end phone'", where=f"{path}:{number}", hint="a .phn file counts in samples at 16 kHz") from None
        if len(fields) != 3 or end <= start or found and start < round(found[-1][1] * RATE):
            raise DataError("does not follow the line before it, or is no stretch of time", where=f"{path}:{number}")
        found.append((start / RATE, end / RATE, phone))
    if not found:
        raise DataError("holds no phones", where=path)
    return found


def boundaries(segments: Sequence[Segment]) -> np.ndarray:
    """Where one phone ends and the next begins, in seconds: [U - 1]. A gap counts with its middle."""
    return np.array([(a[1] + b[0]) / 2 for a, b in zip(segments, segments[1:])])


def table(errors: Mapping[str, np.ndarray], files: int) -> str:
    """errors: found minus true, in seconds, for each way to align."""
    head = f"{'':<12}" + "".join(f"{f'{ms} ms':>9}" for ms in WITHIN_MS) + f"{'mean |error|':>15}{'mean error':>13}"
    lines = [head]
    for name, seconds in errors.items():
        ms = 1000 * np.asarray(seconds)
        shares = "".join(f"{100 * np.mean(np.abs(ms) <= limit + 1e-6):>7.1f} %" if len(ms) else f"{'-':>9}" for limit in WITHIN_MS)
        means = f"{np.abs(ms).mean():>12.1f} ms{ms.mean():>+10.1f} ms" if len(ms) else f"{'-':>15}{'-':>13}"
        lines.append(f"{name:<12}{shares}{means}")
    count = len(next(iter(errors.values())))
    return "\n".join([*lines, f"{count} boundaries in {files} file{'s' if files != 1 else ''}; an error above zero is a boundary found late"])
