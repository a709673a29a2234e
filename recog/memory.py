"""Memory that is asked for again and again: each step of a training makes tensors of the same sizes."""

from __future__ import annotations

import ctypes
import functools
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1      # of mallopt(3)
LARGE = 1 << 30                              # bytes; blocks below this are kept, and those above go back to the system when freed


@functools.cache
def keep() -> bool:
    """From now on, freed memory stays with the process; whether this C library can do so.

    The system clears each page that it hands out: in a step of a training, a tenth of the time.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):            # not glibc
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGE)) and bool(mallopt(TRIM_THRESHOLD, LARGE))
