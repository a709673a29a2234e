"""Mixed precision: products of matrices and convolutions of numbers rounded to bfloat16, all sums and weights in float32."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

import torch

KINDS = ("float32", "bfloat16")


@contextmanager
def mixed(precision: str, device: torch.device) -> Iterator[None]:
    """Forward and backward passes inside are worked in `precision`.

    On a CPU, layers whose kernels are ours stay in float32 (they leave autocast) but for their large products: oneDNN rounds what goes into
    these. It pays where the CPU has instructions for it (AMX: 2 to 6 times the rate of products, benchmarks/precision.py).
    """
    if precision == "float32":
        yield
        return
    with torch.autocast(device.type, torch.bfloat16):
        if device.type != "cpu":
            yield
            return
        parts = torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv
        before = [part.fp32_precision for part in parts]
        try:
            for part in parts:
                part.fp32_precision = "bf16"
            yield
        finally:
            for part, was in zip(parts, before):
                part.fp32_precision = was
