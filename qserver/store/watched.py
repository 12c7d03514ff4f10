"""What a sentinel's primary and a cluster have in common: a map that must be kept true while primaries change.

The map is looked up at start, when a link is lost, when a server says that it is wrong, and twice a second, for
a primary that was replaced behind our back accepts writes that will vanish. How it is looked up stands in `sentinel`
and `cluster`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from qserver.domain.errors import Unavailable

from .address import Address
from .link import Link

log = logging.getLogger(__name__)

POLL_S = 0.5
"""How often the map is looked up while all is well."""
_SOON_S = 0.1
ASK_S = 1.0
"""How long a server may take to answer a question about the map."""
_DRAIN_S = 2.0


class Maker(Protocol):
    """Makes links: `lasting` ones carry everybody's commands and tell of their connections, others ask one thing."""

    def __call__(
        self, address: Address, *, lasting: bool = True, named: bool = True, on_lost: Callable[[], object] | None = None
    ) -> Link:
        """A link that connects when it is first used."""


class Watched(ABC):
    """A map of primaries that is kept true by a task of its own, from `open` to `close`."""

    clustered: bool

    def __init__(self, make: Maker, changed: Callable[[], None]) -> None:
        self._make, self._changed = make, changed
        self._wake = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._why = ""

    @abstractmethod
    async def _look_up(self) -> None:
        """Bring the map up to date, or raise Unavailable and leave it."""

    @abstractmethod
    def primaries(self) -> list[Link]:
        """A link to each primary."""

    async def open(self) -> None:
        """Look the map up and connect to the primaries. Raises Unavailable when nobody can be asked."""
        await self.refresh()
        results = await asyncio.gather(*(link.open() for link in self.primaries()), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors and len(errors) == len(results):
            raise errors[0]
        self._watcher = asyncio.create_task(self._watch(), name="watch the primaries")

    async def close(self) -> None:
        """Stop watching and close every link."""
        tasks = [task for task in (self._watcher, self._looking) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in self.primaries():
            await link.close()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def refresh(self) -> None:
        """Look the map up again; who asks while it is being looked up shares the answer. Raises Unavailable."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_up(), name="look the primaries up")
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()  # whoever waits gets it; it is no surprise when nobody does

    def _lasting(self, address: Address) -> Link:
        """A link for everybody's commands; when it is lost the map is looked up."""
        return self._make(address, on_lost=self._wake.set)

    def _retire(self, link: Link) -> None:
        """Close a link once the answers it owes have come."""
        task = asyncio.create_task(link.close(drain_s=_DRAIN_S))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.refresh()
                self._why = ""
            except Unavailable as error:
                if str(error) != self._why:
                    self._why = str(error)
                    log.warning("primaries cannot be looked up", extra={"error": self._why})
            if not all(link.connected for link in self.primaries()):
                await asyncio.sleep(_SOON_S)
                self._wake.set()
