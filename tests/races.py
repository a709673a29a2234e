"""Races that Triton's interpreter would hide, as it runs one program after the other and all threads of a program together."""

from __future__ import annotations

from collections import defaultdict


class Races:
    """Watches from now on what kernels read and write, and finds where threads that do not wait for each other meet at one address.

    A thread may replace what it has read, in the same place of a block of the same shape. heeds: whether barriers count.
    """

    heeds = True

    def __init__(self):
        from triton.runtime.interpreter import InterpreterBuilder as Builder

        self.met = []
        load, store, place = Builder.create_masked_load, Builder.create_masked_store, Builder.set_grid_idx

        def watched_load(builder, ptrs, mask, *rest):
            self._note(self.reads, ptrs, mask)
            return load(builder, ptrs, mask, *rest)

        def watched_store(builder, ptrs, value, mask, *rest):
            self._note(self.writes, ptrs, mask)
            return store(builder, ptrs, value, mask, *rest)

        def watched_place(builder, x, y, z):
            self._wait()
            if (x, y, z) == (0, 0, 0):                                          # a new launch waits for all of the one before
                self.written, self.read = {}, defaultdict(set)
            self.program = x, y, z
            return place(builder, x, y, z)

        def watched_barrier(builder):
            if self.heeds:
                self._wait()

        Builder.create_masked_load, Builder.create_masked_store = watched_load, watched_store
        Builder.set_grid_idx, Builder.create_barrier = watched_place, watched_barrier
        self.reads, self.writes, self.written, self.read, self.program = defaultdict(set), defaultdict(set), {}, defaultdict(set), None

    def found(self):
        """What has been, one line for each address and time."""
        self._wait()
        found, self.met = self.met, []
        return found

    def _note(self, kind, ptrs, mask):
        shape = ptrs.data.shape
        for lane, (address, real) in enumerate(zip(ptrs.data.flat, mask.data.flat)):
            if real:
                kind[int(address)].add((shape, lane))

    def _wait(self):
        """All threads of the program have come so far."""
        for address, lanes in self.writes.items():
            if len(lanes | self.reads.get(address, set())) > 1:
                self.met.append(f"program {self.program}: two threads")
            if self.written.setdefault(address, self.program) != self.program or self.read[address] - {self.program}:
                self.met.append(f"program {self.program} writes what another has used")
        for address in self.reads:
            self.read[address].add(self.program)
            if self.written.get(address, self.program) != self.program:
                self.met.append(f"program {self.program} reads what another has written")
        self.reads, self.writes = defaultdict(set), defaultdict(set)
