"""Power cuts under load: the data server alone, a worker, and everything at once. See load.py for what is proven."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from displays.client import Display
from tests import servers
from tests.faults.load import HALL, Load
from tests.whole import Whole

ROUND = 150


@contextlib.asynccontextmanager
async def boards(server: Whole, count: int) -> AsyncIterator[list[Display]]:
    """Boards that follow the hall, half of them in each codec."""
    token = await server.token("display", hall=HALL)
    found = [Display(server.url, token, HALL, protocol="json" if n % 2 else "msgpack") for n in range(count)]
    tasks = [asyncio.create_task(display.run()) for display in found]
    try:
        for display in found:
            while not display.live:
                await display.changed()
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def caught_up(server: Whole, displays: list[Display]) -> None:
    """Wait until each board shows what the server says, number for number."""
    state = await server.get(f"/halls/{HALL}/board")
    for display in displays:
        while not (display.live and display.board and (display.board.ep, display.board.s) == (state["ep"], state["s"])):
            await display.changed()
        board = display.board
        assert [(call.ticket, call.window, call.n) for call in board.calls] == [
            (call["ticket"], call["window"], call["n"]) for call in state["board"]["calls"]
        ]
        assert board.waiting == state["board"]["waiting"]
        assert {w.id: (w.state, w.ticket) for w in board.windows.values()} == {
            w["id"]: (w["state"], w["ticket"]) for w in state["board"]["windows"]
        }


async def test_the_data_server_is_killed_under_load() -> None:
    async with Whole() as server:
        load = Load(server)
        await load.begin()
        async with boards(server, 4) as displays:
            for _ in range(3):
                await load.reached(ROUND)
                epochs = {display.board.ep for display in displays if display.board}
                server.kill9_valkey()
                await load.reached(ROUND)
            await load.end()
            await caught_up(server, displays)
            assert all(display.board and display.board.ep not in epochs for display in displays)
        await load.prove()


async def test_a_data_server_of_ones_own_is_killed_under_load_of_two_servers(data_server: servers.DataServer) -> None:
    environment = {"QSERVER_ADMIN_TOKEN": "one-token-for-both-servers"}
    async with (
        Whole(redis_url=data_server.url, environment=environment) as server,
        Whole(redis_url=data_server.url, environment=environment) as other,
    ):
        server.admin = other.admin = environment["QSERVER_ADMIN_TOKEN"]
        load = Load(server)
        await load.begin()
        async with boards(other, 4) as displays:
            await load.reached(ROUND)
            data_server.kill9()
            data_server.restart()
            await load.reached(ROUND)
            await load.end()
            await caught_up(server, displays)
        await load.prove()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_everything_is_killed_under_load(workers: str) -> None:
    async with Whole("--workers", workers) as server:
        load = Load(server)
        await load.begin()
        async with boards(server, 4) as displays:
            for _ in range(2):
                await load.reached(ROUND)
                await server.kill9_tree()
                await server.start()
                await load.reached(ROUND)
            await load.end()
            await caught_up(server, displays)
        await load.prove()


async def test_a_worker_is_killed_under_load() -> None:
    async with Whole("--workers", "2") as server:
        load = Load(server)
        await load.begin()
        async with boards(server, 4) as displays:
            await load.reached(ROUND)
            victim = next(
                pid for pid in server.tree() if b"qserver.workers" in Path(f"/proc/{pid}/cmdline").read_bytes()
            )
            os.kill(victim, signal.SIGKILL)
            await load.reached(ROUND)
            await load.end()
            await caught_up(server, displays)
        await load.prove()


async def test_a_server_that_is_asked_to_stop_under_load_drops_nothing() -> None:
    async with Whole() as server:
        load = Load(server)
        await load.begin()
        async with boards(server, 4) as displays:
            await load.reached(ROUND)
            assert await server.stop() == 0
            await server.start()
            await load.reached(ROUND)
            await load.end()
            await caught_up(server, displays)
        await load.prove()
