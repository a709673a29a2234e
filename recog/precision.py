"""Mixed precision: large products of numbers rounded to bfloat16; their sums, the weights and all else in float32."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import ContextManager, Iterator

import torch


@contextmanager
def mixed(precision: str, device: torch.device) -> Iterator[None]:
    """Forward and backward passes inside are worked in `precision`, "float32" or "bfloat16".

    On CUDA that is torch's autocast. On a CPU oneDNN rounds what goes into products, and LSTM layers are worked as `rounded` says; convolutions
    stay in float32, for those of oneDNN in bfloat16 give NaN at some shapes (4 channels in, 1 column: torch 2.11). It pays where the CPU has
    instructions for it (AMX), and is slower where it has not.
    """
    if precision == "float32":
        yield
    elif device.type != "cpu":
        with torch.autocast(device.type, torch.bfloat16):
            yield
    else:
        products = torch.backends.mkldnn.matmul
        before = products.fp32_precision
        products.fp32_precision = "bf16"
        try:
            yield
        finally:
            products.fp32_precision = before


def rounded(device: torch.device) -> ContextManager:
    """Within `mixed` on a CPU: whole layers of torch's LSTM inside are worked in bfloat16. Elsewhere it changes nothing."""
    if device.type == "cpu" and torch.backends.mkldnn.matmul.fp32_precision == "bf16":
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()
