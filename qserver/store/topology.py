"""Which data server holds what, and how to reach it: one server, a sentinel's primary, or a cluster.

`call(tag, ...)` finds the primary of a hash tag and asks it over a `Link`. A command is repeated only when it
certainly did not run: the server said so (MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING, READONLY, MASTERDOWN) or it never
left for a primary that has been replaced. What the commands mean is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import weakref
from collections.abc import Callable, Iterable
from typing import Protocol

from qserver.domain.errors import Unavailable

from .address import Address, Place, read
from .cluster import Cluster
from .keys import slot
from .link import Arg, Link, Reply, ReplyError
from .sentinel import Sentinel
from .watched import ASK_S

_AGAIN = {"MOVED", "ASK", "LOADING", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN"}
"""Error codes after which the same command may be given again: it did not run."""
_ELSEWHERE = {"READONLY", "MASTERDOWN", "CLUSTERDOWN"}
"""Those after which another server may be the primary."""
_PAUSE_S = (0.01, 0.25)
_HOPS = 4
"""After so many redirections in a row the servers disagree, and the next ones are taken slowly."""
_LAST_TRY = 0.1
"""The share of the time for repeats below which another try is not worth its silence."""


class Locator(Protocol):
    """Knows the primaries and who of them answers for a slot."""

    clustered: bool

    async def open(self) -> None:
        """Find the primaries. Raises Unavailable when nobody can be asked."""

    async def close(self) -> None:
        """Close every link."""

    async def refresh(self) -> None:
        """Look again. Raises Unavailable when nobody can be asked."""

    def moved(self, message: str, asked: Link) -> None:
        """Take up what a MOVED answer says."""

    def at(self, slot: int) -> Link:
        """The link to the primary of a slot. Raises Unavailable when nobody serves it."""

    def to(self, where: str, asked: Link) -> Link:
        """The link to the server that an answer of `asked` names."""

    def primaries(self) -> list[Link]:
        """A link to each primary."""


class Topology:
    """The data servers behind a URL. Use `from_url`, then `open()`; `close()` ends every connection it made."""

    def __init__(self, place: Place, *, name: str = "qserver", timeout_s: float = 5.0) -> None:
        self._name = name
        self.timeout_s = timeout_s
        self._callbacks: list[Callable[[], object]] = []
        self._dedicated: weakref.WeakKeyDictionary[Link, int] = weakref.WeakKeyDictionary()
        self._closing: set[asyncio.Task[None]] = set()
        self._locator: Locator
        if place.kind == "cluster":
            self._locator = Cluster(self._link, self._changed, place.addresses, place.template)
        elif place.kind == "sentinel":
            self._locator = Sentinel(self._link, self._changed, place.addresses, place.template, place.service)
        else:
            self._locator = Single(self._link(place.addresses[0]))

    @classmethod
    def from_url(cls, url: str, *, name: str = "qserver", timeout_s: float = 5.0) -> Topology:
        """The servers of a URL (see `address`). `name` shows in CLIENT LIST. Raises ValueError for a bad URL."""
        return cls(read(url), name=name, timeout_s=timeout_s)

    @property
    def clustered(self) -> bool:
        """Whether the keys are spread over several servers, so that a command may touch one slot only."""
        return self._locator.clustered

    def together(self, partitions: Iterable[int]) -> list[tuple[int, ...]]:
        """These partitions in groups whose keys one command may name."""
        return [(partition,) for partition in partitions] if self.clustered else [tuple(partitions)]

    async def open(self) -> None:
        """Connect. Raises Unavailable when no primary can be asked."""
        await self._locator.open()

    async def close(self) -> None:
        """Close every connection but the dedicated ones, which their owners close."""
        await self._locator.close()
        await asyncio.gather(*self._closing)

    def on_change(self, callback: Callable[[], object]) -> None:
        """Have `callback` called after every new connection and after every change of the primaries."""
        self._callbacks.append(callback)

    def primaries(self) -> list[Link]:
        """A link to each primary; with one server, that one."""
        return self._locator.primaries()

    def dedicated(self, tag: str) -> Link:
        """A fresh connection to the primary of `tag`, for blocking reads. Its owner closes it.

        When another server becomes that primary it ends by itself: its calls raise `Unavailable`, and the owner asks
        for another one. Raises Unavailable when nobody serves the tag.
        """
        number = slot(tag)
        link = self._link(self._locator.at(number).address, lasting=False)
        self._dedicated[link] = number
        return link

    async def call(self, tag: str, *args: Arg, timeout_s: float | None = None) -> Reply:
        """Ask the primary of the hash tag `tag`.

        Raises `ReplyError`, or `Unavailable`, whose `unknown` says whether the command may have run.
        `timeout_s` bounds the answer, and once more the repeats of a command that could not run.
        """
        number = slot(tag)
        link = self._locator.at(number)
        try:
            return await link.call(*args, timeout_s=timeout_s)
        except ReplyError as error:
            if error.code not in _AGAIN:
                raise
            cause: ReplyError | Unavailable = error
        except Unavailable as error:
            if error.unknown or self._locator.at(number) is link:
                raise
            cause = error
        return await self._again(number, link, args, cause, timeout_s or self.timeout_s)

    async def _again(
        self, number: int, link: Link, args: tuple[Arg, ...], cause: ReplyError | Unavailable, timeout_s: float
    ) -> Reply:
        """Give a command again that did not run, until it does or the time is over.

        No try begins with next to nothing left: its silence would make "unknown" of what certainly did not run.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        pause, hops = _PAUSE_S[0], 0
        while (left := deadline - loop.time()) > 0:
            code = cause.code if isinstance(cause, ReplyError) else ""
            redirected = code in ("MOVED", "ASK")
            if redirected and not self.clustered:
                raise Unavailable(f"{link.address} belongs to a cluster: name it with redis+cluster://")
            hops += redirected
            if code and (not redirected or hops > _HOPS):
                await asyncio.sleep(min(left, pause * random.uniform(0.5, 1.0)))
                pause = min(pause * 2, _PAUSE_S[1])
            if code in _ELSEWHERE:
                # When nobody can be asked the old map stays; the deadline ends it.
                with contextlib.suppress(Unavailable, TimeoutError):
                    async with asyncio.timeout(min(left, ASK_S)):
                        await self._locator.refresh()
            if code == "MOVED":
                self._locator.moved(str(cause).partition(" ")[2], link)
            left = deadline - loop.time()
            if left < timeout_s * _LAST_TRY:
                break
            try:
                if code == "ASK":
                    # The slot is on its way to another server, which takes only what is announced by ASKING;
                    # both leave in one write, one after the other.
                    link = self._locator.to(str(cause).split()[-1], link)
                    link.call("ASKING", timeout_s=left).add_done_callback(_forget)
                else:
                    link = self._locator.at(number)
                return await link.call(*args, timeout_s=left)
            except ReplyError as error:
                if error.code not in _AGAIN:
                    raise
                cause = error
            except Unavailable as error:
                if error.unknown or (code != "ASK" and self._locator.at(number) is link):
                    raise
                cause = error
        raise Unavailable(f"{link.address} does not serve this now: {cause}")

    def _link(
        self, address: Address, *, lasting: bool = True, named: bool = True, on_lost: Callable[[], object] | None = None
    ) -> Link:
        return Link(
            address,
            on_connect=(("CLIENT", "SETNAME", self._name),) if named else (),
            timeout_s=self.timeout_s,
            on_open=self._changed if lasting else None,
            on_lost=on_lost,
        )

    def _changed(self) -> None:
        for link, number in list(self._dedicated.items()):
            with contextlib.suppress(Unavailable):
                if self._locator.at(number).address != link.address:
                    del self._dedicated[link]
                    task = asyncio.create_task(link.close())
                    self._closing.add(task)
                    task.add_done_callback(self._closing.discard)
        for callback in self._callbacks:
            callback()


class Single:
    """One server, always the same."""

    clustered = False

    def __init__(self, link: Link) -> None:
        self._link = link

    async def open(self) -> None:
        """Connect to the server."""
        await self._link.open()

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def refresh(self) -> None:
        """There is nothing to look up."""

    def moved(self, message: str, asked: Link) -> None:
        """It is not part of a cluster."""

    def at(self, slot: int) -> Link:
        """The server, whatever the slot."""
        return self._link

    def to(self, where: str, asked: Link) -> Link:
        """The server."""
        return asked

    def primaries(self) -> list[Link]:
        """The server."""
        return [self._link]


def _forget(future: asyncio.Future[Reply]) -> None:
    if not future.cancelled():
        future.exception()
