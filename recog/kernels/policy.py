"""What to keep of a long recurrence and what to compute again, by dynamic programming (Gruslys et al. 2016), compiled.

The cost of t steps with m units of memory to keep things in, in forward steps (a step back through time is counted as none):

    C(0, m) = 0
    C(t, m) = min(t + C(t - 1, m),                                           nothing is kept; the last step is worked backwards
                  min over y < t of y + C(t - y, m - hidden) + C(y, m),      the state after y steps is kept (BPTT-HSM)
                  min over y < t of y + C(t - y, m - internal) + C(y - 1, m))    all that goes back through step y is (BPTT-ISM)

Both together are the paper's mixed policy (BPTT-MSM), with internal / hidden for its alpha. The state before the first step, and the step
that is being worked backwards, need no memory here. The paper counts the first state too: its C(t, m) of BPTT-HSM is C(t, m - 1) here.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def policy(steps, slots, hidden, internal):
    """C and the choice behind it, [steps + 1, slots + 1] each: y where a state is kept, -y where what goes back through step y is.

    A choice of -t, for t steps, keeps nothing. hidden, internal: what they take up, in the units of `slots`; more than `slots`: never kept.
    """
    cost, choice = np.zeros((steps + 1, slots + 1), np.int64), np.zeros((steps + 1, slots + 1), np.int32)
    for t in range(1, steps + 1):
        for m in range(slots + 1):
            cost[t, m], choice[t, m] = t + cost[t - 1, m], -t
        for y in range(1, t):
            for m in range(hidden, slots + 1):
                c = y + cost[t - y, m - hidden] + cost[y, m]
                if c < cost[t, m]:
                    cost[t, m], choice[t, m] = c, y
            for m in range(internal, slots + 1):
                c = y + cost[t - y, m - internal] + cost[y - 1, m]
                if c < cost[t, m]:
                    cost[t, m], choice[t, m] = c, -y
    return cost, choice
