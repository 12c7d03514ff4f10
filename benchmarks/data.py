"""The embedded data server by itself, on one core, with a store on it and a hall: for what is measured below HTTP."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from qserver.domain import hall as halls
from qserver.store.answers import SYSTEM, Op
from qserver.store.embedded import Embedded
from qserver.store.store import Store
from qserver.store.topology import Topology

from .common import on_core
from .product import hall

BENCH = Op("bench")


class Data:
    """`async with Data(core) as data`: Valkey as the product embeds it, fsync on every write; `data.store` is on it."""

    store: Store

    def __init__(self, core: int) -> None:
        self._core = core
        self._folder = Path(tempfile.mkdtemp(prefix="qserver-bench-"))
        self._embedded = Embedded(self._folder / "data")
        self._topology: Topology | None = None

    @property
    def pid(self) -> int:
        """The data server's process id."""
        return self._embedded.pid

    @property
    def path(self) -> str:
        """Its socket."""
        return self._embedded.url.removeprefix("unix://")

    async def __aenter__(self) -> Data:
        try:
            with on_core(self._core):
                await self._embedded.start()
            self._topology = Topology.from_url(self._embedded.url, name="bench", timeout_s=60.0)
            await self._topology.open()
            self.store = Store(self._topology)
            await self.store.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._topology is not None:
            await self._topology.close()
        await self._embedded.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def configure(self, name: str, **more: Any) -> None:
        """Makes a hall (see `product.hall`) and opens its windows."""
        definition = halls.parse(hall(name, **more))
        await self.store.configure(SYSTEM, definition)
        for window in definition.windows:
            await self.store.open(BENCH, name, window.id)

    async def trim(self, name: str) -> None:
        """Empties the stream of a hall's partition, as a feed that has read everything lets it be."""
        partition = self.store.partition(name)
        await self.store.trim(partition, (await self.store.stream_info(partition)).last_id)

    async def persist(self, wanted: bool) -> None:
        """Turns the append-only file off, for filling, or on again; then waits until it has been written anew."""
        assert self._topology is not None
        link = self._topology.primaries()[0]
        await link.call("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
        await link.call("CONFIG", "SET", "appendonly", "yes" if wanted else "no")
        while wanted:
            info = await self.store.info()
            if (info["aof_rewrite_in_progress"], info["aof_rewrite_scheduled"]) == ("0", "0"):
                return
            await asyncio.sleep(0.1)

    async def used_bytes(self) -> int:
        """Memory the data server's data take."""
        return int((await self.store.info())["used_memory"])

    async def each(self, times: int, one: Callable[[int], Awaitable[object]], *, at_once: int = 500) -> None:
        """Calls it with 0, 1, 2 .. `times` - 1, so many at a time."""
        numbers = iter(range(times))

        async def go_on() -> None:
            for number in numbers:
                await one(number)

        await asyncio.gather(*(go_on() for _ in range(min(at_once, times))))
