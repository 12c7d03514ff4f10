"""A library whose clock the test sets: business days, limits and steps back happen when the test says so."""

from __future__ import annotations

from qserver.store.library import Library
from qserver.store.store import Store
from qserver.store.topology import Topology

CLOCK = """
local NOW = 0
local function clock()
  if NOW > 0 then return NOW end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
redis.register_function(PREFIX .. 'set_clock', function(keys, argv)
  NOW = tonumber(argv[1])
  return NOW
end)
"""
MORNING = 1_795_480_000_000
"""2026-11-24 08:26:40 in Shanghai, a Tuesday."""


TAKEN = "  kept[packed] = nil\n"
CHECKED = TAKEN + "  if pack(record) ~= packed then error('a record was changed after it was kept') end\n"


class CheckedLibrary(Library):
    """A library with that clock, which compares every record that it kept unpacked with what stands packed."""

    def __init__(self) -> None:
        super().__init__(CLOCK)
        assert TAKEN in self._body
        self._body = self._body.replace(TAKEN, CHECKED)


class TimedStore(Store):
    """A store with a hand on the clock; `at` is the instant it stands at, ms."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology, library=CheckedLibrary())
        self.at = MORNING

    async def start(self) -> None:
        await super().start()
        await self.set(MORNING)

    async def set(self, at_ms: int) -> None:
        """Puts the clock to an instant."""
        self.at = at_ms
        await self._topology.primaries()[0].call("FCALL", self._library.name("set_clock"), 0, at_ms)

    async def pass_ms(self, ms: int) -> None:
        """Lets time pass."""
        await self.set(self.at + ms)

    async def sweep_all(self) -> int:
        """Sweeps every hall once, as the sweep does; answers how many deadlines were done."""
        done = 0
        for partition in range(self.partitions):
            members = (await self.due(partition)).members
            by_hall: dict[str, list[str]] = {}
            for member in members:
                by_hall.setdefault(member.split(" ")[1], []).append(member)
            for hall, mine in by_hall.items():
                done += await self.sweep(hall, mine)
        return done
