"""The primaries of a cluster: which one serves which slot.

The map comes from CLUSTER SLOTS, which Redis 7.0 and Valkey both know. A MOVED answer corrects one slot at once and has
the whole map looked up behind it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from qserver.domain.errors import Unavailable

from .address import Address
from .keys import SLOTS
from .link import Link, ReplyError
from .watched import ASK_S, Maker, Watched


class Cluster(Watched):
    """The primaries that the servers at `seeds` know of; `template` is the log-in of all."""

    clustered = True

    def __init__(self, make: Maker, changed: Callable[[], None], seeds: Sequence[Address], template: Address) -> None:
        super().__init__(make, changed)
        self._seeds, self._template = seeds, template
        self._links: dict[Address, Link] = {}
        self._slots: list[Link | None] = [None] * SLOTS
        self._map: list[tuple[int, int, Address]] = []

    def at(self, slot: int) -> Link:
        """The primary of a slot. Raises Unavailable when nobody serves it."""
        link = self._slots[slot]
        if link is None:
            raise Unavailable(f"no server of the cluster serves slot {slot}")
        return link

    def to(self, where: str, asked: Link) -> Link:
        """The server that an ASK or MOVED answer of `asked` names, as `host:port`."""
        host, _, port = where.rpartition(":")
        return self._at(self._template.at(host or asked.address.host, int(port)))

    def moved(self, message: str, asked: Link) -> None:
        """Take up `SLOT HOST:PORT` and have the whole map looked up."""
        number, _, where = message.partition(" ")
        self._slots[int(number)] = self.to(where, asked)
        self._wake.set()

    def primaries(self) -> list[Link]:
        """Every server that serves slots, or to which slots are on their way."""
        return list(self._links.values())

    def _at(self, address: Address) -> Link:
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = self._lasting(address)
        return link

    async def _look_up(self) -> None:
        for address in self._candidates():
            known = self._links.get(address)
            link = known or self._make(address, lasting=False)
            try:
                rows: Any = await link.call("CLUSTER", "SLOTS", timeout_s=ASK_S)
            except (Unavailable, ReplyError):
                continue
            finally:
                if known is None:
                    await link.close()
            if rows:
                self._take(rows, address)
                return
        raise Unavailable("no server of the cluster can be asked for its slots")

    def _candidates(self) -> Iterator[Address]:
        """Whom to ask: servers we are connected to, in any order, then the others and the seeds."""
        links = list(self._links.values())
        random.shuffle(links)
        links.sort(key=lambda link: not link.connected)
        known = [link.address for link in links]
        yield from known
        yield from (seed for seed in self._seeds if seed not in known)

    def _take(self, rows: list[list[Any]], asked: Address) -> None:
        found = []
        for start, end, (host, port, *_), *_ in rows:
            if host != b"?":  # "?": the server does not know its own name yet
                found.append((start, end, self._template.at(host.decode() if host else asked.host, port)))
        found.sort(key=lambda row: row[0])
        slots: list[Link | None] = [None] * SLOTS
        for start, end, address in found:
            slots[start : end + 1] = [self._at(address)] * (end + 1 - start)
        self._slots = slots
        used = {address for _, _, address in found}
        for address, link in list(self._links.items()):
            if address in used:
                link.connect()
            elif not link.unanswered:  # one to which a slot is on its way may be in use
                del self._links[address]
                self._retire(link)
        if found != self._map:
            self._map = found
            self._changed()
