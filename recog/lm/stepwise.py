"""What follows for any model that scores one word after another."""

from __future__ import annotations

from typing import Any, Sequence


class Stepwise:
    """With `start() -> state`, `score(state, number) -> (natural log, state)` and `end(state)`."""

    def total(self, numbers: Sequence[int]) -> float:
        """Log-probability of a sentence with its end, nats."""
        state: Any = self.start()
        total = 0.0
        for number in numbers:
            gain, state = self.score(state, number)
            total += gain
        return total + self.end(state)
