"""Which data server holds what, and how to reach it: one server, a sentinel's primary, or a cluster.

`call(tag, ...)` finds the primary of a hash tag and asks it over a `Link`. A command is repeated only when it
certainly did not run: the server said so (MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING, READONLY, MASTERDOWN) or it never
left. What the commands mean is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Protocol

from qserver.domain.errors import Unavailable

from .address import Address, Place, read
from .keys import slot
from .link import Link, Reply, ReplyError

Arg = bytes | str | int | float
log = logging.getLogger(__name__)

_AGAIN = {"LOADING", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN"}
"""Error codes after which the same command may be given again: it did not run."""
_ELSEWHERE = {"READONLY", "MASTERDOWN", "CLUSTERDOWN"}
"""Those of them after which another server may be the primary."""
_PAUSE_S = (0.01, 0.25)


class Locator(Protocol):
    """Knows the primaries and who of them answers for a slot. One of Single, Sentinel, Cluster."""

    clustered: bool

    async def open(self) -> None:
        """Find the primaries. Raises Unavailable when nobody can be asked."""

    async def close(self) -> None:
        """Close every link."""

    async def refresh(self, *, moved: str = "") -> None:
        """Look again; `moved` is what a MOVED reply said. Raises Unavailable when nobody can be asked."""

    def at(self, slot: int) -> Link:
        """The link to the primary of a slot. Raises Unavailable when nobody serves it."""

    def to(self, host_port: str) -> Link:
        """The link to the server that an ASK reply named."""

    def primaries(self) -> list[Link]:
        """A link to each primary."""


class Topology:
    """The data servers behind a URL. Use `from_url`, then `open()`; `close()` ends every connection it made."""

    def __init__(self, place: Place, *, name: str = "qserver", timeout_s: float = 5.0) -> None:
        self._name = name
        self.timeout_s = timeout_s
        self._callbacks: list[Callable[[], object]] = []
        self._locator = self._locate(place)

    @classmethod
    def from_url(cls, url: str, *, name: str = "qserver", timeout_s: float = 5.0) -> Topology:
        """The servers of a URL (see `address`). `name` shows in CLIENT LIST. Raises ValueError for a bad URL."""
        return cls(read(url), name=name, timeout_s=timeout_s)

    @property
    def clustered(self) -> bool:
        """Whether the keys are spread over several servers, so that a command may touch one slot only."""
        return self._locator.clustered

    async def open(self) -> None:
        """Connect. Raises Unavailable when no primary can be asked."""
        await self._locator.open()

    async def close(self) -> None:
        """Close every connection but the dedicated ones, which their owners close."""
        await self._locator.close()

    def on_change(self, callback: Callable[[], object]) -> None:
        """Have `callback` called after every new connection and after every change of the primaries."""
        self._callbacks.append(callback)

    def primaries(self) -> list[Link]:
        """A link to each primary; with one server, that one."""
        return self._locator.primaries()

    def dedicated(self, tag: str) -> Link:
        """A fresh connection to the primary of `tag`, for blocking reads. Its owner closes it.

        It does not follow a primary that moves: after `Unavailable` or a MOVED or READONLY error ask for another one.
        """
        return self.link(self._locator.at(slot(tag)).address, shared=False)

    def link(self, address: Address, *, shared: bool = True) -> Link:
        """A link made the way this topology makes them; `shared` ones report their connections to `on_change`."""
        return Link(
            address,
            on_connect=(("CLIENT", "SETNAME", self._name),),
            timeout_s=self.timeout_s,
            on_open=self.changed if shared else None,
        )

    def changed(self) -> None:
        """Tell everybody who asked that connections or primaries are new."""
        for callback in self._callbacks:
            callback()

    async def call(self, tag: str, *args: Arg, timeout_s: float | None = None) -> Reply:
        """Ask the primary of the hash tag `tag`.

        Raises `ReplyError`, or `Unavailable`, whose `unknown` says whether the command may have run.
        `timeout_s` bounds the whole, repeats included.
        """
        try:
            return await self._locator.at(slot(tag)).call(*args, timeout_s=timeout_s)
        except ReplyError as error:
            if error.code not in _AGAIN and error.code not in ("MOVED", "ASK"):
                raise
            return await self._again(slot(tag), args, error, timeout_s or self.timeout_s)

    async def _again(self, number: int, args: tuple[Arg, ...], error: ReplyError, timeout_s: float) -> Reply:
        """Give a command again that did not run, until it does or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        pause = _PAUSE_S[0]
        while True:
            left = deadline - loop.time()
            if left <= 0:
                raise Unavailable(f"the data server does not serve this now: {error}")
            try:
                if error.code == "ASK":
                    # The slot is on its way to another server, which takes only what is announced by ASKING;
                    # both leave in one write, one after the other.
                    link = self._locator.to(error.message.split()[-1])
                    link.call("ASKING", timeout_s=left).add_done_callback(_forget)
                    return await link.call(*args, timeout_s=left)
                if error.code == "MOVED":
                    await self._refresh(moved=error.message)
                else:
                    await asyncio.sleep(min(left, pause * random.uniform(0.5, 1.0)))
                    pause = min(pause * 2, _PAUSE_S[1])
                    if error.code in _ELSEWHERE:
                        await self._refresh()
                return await self._locator.at(number).call(*args, timeout_s=max(0.001, deadline - loop.time()))
            except ReplyError as next_error:
                if next_error.code not in _AGAIN and next_error.code not in ("MOVED", "ASK"):
                    raise
                error = next_error

    async def _refresh(self, moved: str = "") -> None:
        # When nobody can be asked the old map stays; the deadline ends it.
        with contextlib.suppress(Unavailable):
            await self._locator.refresh(moved=moved)

    def _locate(self, place: Place) -> Locator:
        return Single(self, place.addresses[0])


class Single:
    """One server, always the same."""

    clustered = False

    def __init__(self, topology: Topology, address: Address) -> None:
        self._link = topology.link(address)

    async def open(self) -> None:
        """Connect to the server."""
        await self._link.open()

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def refresh(self, *, moved: str = "") -> None:
        """There is nothing to look up."""

    def at(self, slot: int) -> Link:
        """The server, whatever the slot."""
        return self._link

    def to(self, host_port: str) -> Link:
        """The server: it is not part of a cluster."""
        return self._link

    def primaries(self) -> list[Link]:
        """The server."""
        return [self._link]


def _forget(future: asyncio.Future[Reply]) -> None:
    if not future.cancelled():
        future.exception()
