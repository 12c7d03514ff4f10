"""The primary that sentinels name, followed through fail-overs.

All sentinels are asked, and the server named by most that says of itself to be a primary is taken: one sentinel that is
cut off from the others must not lead us back to a primary that has been replaced.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from qserver.domain.errors import Unavailable

from .address import Address
from .link import Link, ReplyError
from .watched import ASK_S, Maker, Watched


class Sentinel(Watched):
    """One primary behind `service`, as the servers at `sentinels` name it; `template` is its log-in."""

    clustered = False

    def __init__(
        self, make: Maker, changed: Callable[[], None], sentinels: Sequence[Address], template: Address, service: str
    ) -> None:
        super().__init__(make, changed)
        self._template, self._service = template, service
        self._sentinels = [make(address, lasting=False, named=False) for address in sentinels]
        self._link: Link | None = None

    async def close(self) -> None:
        """Close the links to the primary and to the sentinels."""
        await super().close()
        for sentinel in self._sentinels:
            await sentinel.close()

    def at(self, slot: int) -> Link:
        """The primary, whatever the slot. Raises Unavailable before one was found."""
        if self._link is None:
            raise Unavailable(f"no primary of {self._service} is known")
        return self._link

    def to(self, where: str, asked: Link) -> Link:
        """The server that answered: there is no other."""
        return asked

    def moved(self, message: str, asked: Link) -> None:
        """Nothing moves without a cluster."""

    def primaries(self) -> list[Link]:
        """The primary, if one was found."""
        return [self._link] if self._link else []

    async def _look_up(self) -> None:
        named = Counter(a for a in await asyncio.gather(*map(self._ask, self._sentinels)) if a is not None)
        for address, _ in named.most_common():
            link = self._link
            if link is not None and link.address == address:
                if await _is_primary(link):
                    return
                continue
            link = self._lasting(address)
            if await self._take(link):
                return
        raise Unavailable(f"no sentinel names a reachable primary of {self._service}")

    async def _take(self, link: Link) -> bool:
        """Go over to another server if it is a primary."""
        try:
            if not await _is_primary(link):
                return False
            old, self._link = self._link, link
            if old is not None:
                self._retire(old)
            self._changed()
            return True
        finally:
            if self._link is not link:
                await link.close()

    async def _ask(self, sentinel: Link) -> Address | None:
        try:
            found: Any = await sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service, timeout_s=ASK_S)
        except (Unavailable, ReplyError):
            return None
        return self._template.at(found[0].decode(), int(found[1])) if found else None


async def _is_primary(link: Link) -> bool:
    try:
        role: Any = await link.call("ROLE", timeout_s=ASK_S)
    except (Unavailable, ReplyError):
        return False
    return bool(role[0] == b"master")
