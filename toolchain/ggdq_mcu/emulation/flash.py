"""How many cycles does a core wait for its flash? The caches in front of it, simulated access by access.

A miss of a cache costs the reading of a line. A chip without a cache waits at each read of data from flash, and where
execution does not go on in sequence; a prefetch buffer hides the rest. Caches are modelled as fully associative with
replacement of the least recently used line, so the same program always costs the same.
"""

from __future__ import annotations

from collections import OrderedDict

from ggdq_mcu.boards import Cache, Flash, Memory


class _Lines:
    """The lines that a cache holds, least recently used first."""

    def __init__(self, cache: Cache) -> None:
        self._size, self._most = cache.line_bytes, cache.lines
        self._held: OrderedDict[int, None] = OrderedDict()

    def misses(self, address: int, size: int) -> int:
        """Accesses ``size`` bytes; how many lines had to be read."""
        found = 0
        for line in range(address // self._size, (address + size - 1) // self._size + 1):
            if line in self._held:
                self._held.move_to_end(line)
                continue
            found += 1
            self._held[line] = None
            if len(self._held) > self._most:
                self._held.popitem(last=False)
        return found


class FlashModel:
    """Counts what a program waits for ``flash`` at ``memory``, in cycles."""

    def __init__(self, flash: Flash, memory: Memory) -> None:
        self.memory = memory
        self.cycles = 0.0
        self._flash = flash
        self._instructions = _Lines(flash.instructions) if flash.instructions else None
        shared = flash.instructions is not None and flash.data is flash.instructions
        self._data = self._instructions if shared else _Lines(flash.data) if flash.data else None

    def execute(self, address: int, size: int, in_sequence: bool) -> None:
        """A block of code that is run through."""
        if address not in self.memory:
            return
        if self._instructions is not None:
            self.cycles += self._flash.instruction_miss * self._instructions.misses(address, size)
        elif not in_sequence:
            self.cycles += self._flash.wait_states

    def read(self, address: int, size: int) -> None:
        """A read of data from flash."""
        if self._data is not None:
            self.cycles += self._flash.data_miss * self._data.misses(address, size)
        else:
            self.cycles += self._flash.wait_states
