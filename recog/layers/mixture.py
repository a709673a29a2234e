"""Where the pen goes next: mixtures of bivariate normal densities, and whether a stroke ends (Graves 2013, section 4.1).

A row holds, for M components: 1 end, M weights, 2M means (dx of all, then dy), 2M deviations, M correlations, as the network gives them
(equations 18 to 22): end = 1 / (1 + exp(+e)), weights by softmax, deviations by exp, correlations by tanh.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus


class Mixture(NamedTuple):
    """The parts of rows [..., 6M + 1], as the network gives them."""

    end: Tensor                               # [...]
    weights: Tensor                           # [..., M]
    means: Tensor                             # [..., 2, M]
    deviations: Tensor                        # [..., 2, M], their logarithms
    correlations: Tensor                      # [..., M], before tanh


def size(components: int) -> int:
    """Values in a row."""
    return 6 * components + 1


def split(rows: Tensor) -> Mixture:
    components = (rows.shape[-1] - 1) // 6
    end, weights, means, deviations, correlations = rows.split([1, *(n * components for n in (1, 2, 2, 1))], dim=-1)
    return Mixture(end[..., 0], weights, means.unflatten(-1, (2, components)), deviations.unflatten(-1, (2, components)), correlations)


def log_density(rows: Tensor, points: Tensor) -> Tensor:
    """Of the next offset (dx, dy) alone, natural log. rows [..., 6M + 1], points [..., 2] to [...].

    With u, v the offsets from a mean in deviations and the correlation tanh(r), equation 24 over 2 (1 - tanh(r)^2) is
    ((u - v)^2 e^2r + (u + v)^2 e^-2r) / 8 + (u^2 + v^2) / 4: a sum of what is never negative, so that no digits are lost where r is large.
    """
    parts = split(rows)
    u, v = ((points[..., None] - parts.means) * torch.exp(-parts.deviations)).unbind(-2)
    r = parts.correlations
    exponent = ((u - v) ** 2 * torch.exp(2 * r) + (u + v) ** 2 * torch.exp(-2 * r)) / 8 + (u * u + v * v) / 4
    log_root = math.log(2) - r.abs() - torch.log1p(torch.exp(-2 * r.abs()))              # half the log of 1 - tanh(r)^2
    each = -exponent - parts.deviations.sum(-2) - log_root - math.log(2 * math.pi)
    return torch.logsumexp(each + torch.log_softmax(parts.weights, -1), -1)


def log_likelihood(rows: Tensor, points: Tensor) -> Tensor:
    """Of the next point (dx, dy, end of stroke), natural log (equation 26 is its negative sum). rows [..., 6M + 1], points [..., 3]."""
    e = rows[..., 0]
    ends = torch.where(points[..., 2] > 0.5, -softplus(e), -softplus(-e))
    return log_density(rows, points[..., :2]) + ends


def mean(rows: Tensor) -> Tensor:
    """The offset that is expected [..., 2]."""
    parts = split(rows)
    return (torch.softmax(parts.weights, -1)[..., None, :] * parts.means).sum(-1)
