"""The display on a real server: it follows, comes back, stops when told, and never shows old as live."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from displays.client import Display, Stopped, socket_url
from qserver.push import PushConfig
from qserver.store.answers import SYSTEM
from qserver.store.store import Store
from tests.push.clients import Stand
from tests.servers import DataServer


@pytest.fixture
async def stand(valkey_store: Store) -> AsyncIterator[Stand]:
    stand = Stand(valkey_store, PushConfig(retry_ms=(10, 20)))
    await stand.start()
    try:
        yield stand
    finally:
        await stand.stop()


class Running:
    """A display that runs in the background."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.task = asyncio.ensure_future(display.run())

    async def __aenter__(self) -> Display:
        return self.display

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def at(display: Display, stand: Stand) -> None:
    """Until the display shows what the store says."""
    state = await stand.store.board("h1")
    while display.board is None or not display.live or (display.chain.ep, display.chain.s) != (state.ep, state.s):
        await display.changed()
    assert display.board.waiting == state.waiting
    assert [call.ticket for call in display.calls] == [call["ticket"] for call in state.calls]


@pytest.mark.parametrize("protocol", ["msgpack", "json"])
async def test_a_display_follows(stand: Stand, protocol: Literal["msgpack", "json"]) -> None:
    display = Display(stand.url, await stand.token(), "h1", protocol=protocol)
    async with Running(display):
        await at(display, stand)
        await stand.open("w1")
        await stand.issue()
        await stand.store.call(SYSTEM, "h1", "w1")
        await at(display, stand)
        assert (display.snapshots, display.events, display.resyncs) == (1, 3, 0)
        assert display.board is not None
        assert display.board.windows["w1"].ticket == "A001"


async def test_a_display_comes_back_after_a_drain_and_resumes(stand: Stand) -> None:
    display = Display(stand.url, await stand.token(), "h1")
    async with Running(display):
        await at(display, stand)
        roster = stand.push._roster
        await roster.drain()
        await stand.issue()
        roster.draining = False
        await at(display, stand)
        assert display.connects == 2
        assert (display.snapshots, display.events) == (1, 1)


async def test_a_display_survives_a_cut_and_another_epoch(stand: Stand, valkey: DataServer) -> None:
    display = Display(stand.url, await stand.token(), "h1")
    async with Running(display):
        await stand.issue()
        await at(display, stand)
        epoch = display.chain.ep
        valkey.kill9()
        valkey.start()
        while display.chain.ep == epoch:
            await display.changed()
        await at(display, stand)
        for socket in list(stand.push._roster.sockets):
            socket.transport.abort()
        while display.live:
            await display.changed()
        assert display.lost_since_ms is not None
        while not display.live:
            await display.changed()
        assert display.lost_since_ms is None


async def test_a_display_stops_when_it_is_told_to(stand: Stand) -> None:
    display = Display(stand.url, "qs_nobody_" + "A" * 32, "h1")
    with pytest.raises(Stopped) as stopped:
        await display.run()
    assert stopped.value.code == 4101
    assert not display.live


async def test_a_window_screen_shows_the_window(stand: Stand) -> None:
    display = Display(stand.url, await stand.token("display", "w1"), "h1", "window:w1")
    async with Running(display):
        while display.state is None:
            await display.changed()
        await stand.open("w1")
        while display.state.window.state != "idle":  # type: ignore[union-attr]
            await display.changed()


async def test_a_named_display_is_known_by_its_name(stand: Stand) -> None:
    display = Display(stand.url, await stand.token(), "h1", device="north wall")
    async with Running(display):
        await at(display, stand)
        (device,) = stand.push.devices("h1")
        assert device["device"] == "north wall"


async def test_the_terminal_board_shows_and_announces(stand: Stand, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(await stand.token() + "\n")
    command = [sys.executable, "-m", "displays", "--hall", "h1", "--token-file", str(token)]
    process = await asyncio.create_subprocess_exec(
        *command, "--url", f"http://127.0.0.1:{stand.port}", stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout is not None
    try:
        await _line(process.stdout, "等候 Waiting")
        await stand.open("w1")
        await stand.issue()
        await stand.store.call(SYSTEM, "h1", "w1")
        await _line(process.stdout, "请A001号到1号窗口")
    finally:
        process.terminate()
        await process.communicate()


async def _line(stream: asyncio.StreamReader, text: str) -> None:
    while text not in (line := (await stream.readline()).decode()):
        assert line, f"the output ended without {text}"


async def test_the_terminal_board_wants_a_token_and_says_why_it_stops(stand: Stand) -> None:
    command = [sys.executable, "-m", "displays", "--hall", "h1", "--url", stand.url]
    for token, code in (("", 1), ("nobody's", 1)):
        environment = {name: value for name, value in os.environ.items() if name != "QSERVER_TOKEN"}
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment | ({"QSERVER_TOKEN": token} if token else {}),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        assert process.returncode == code
        assert ("4101" if token else "QSERVER_TOKEN") in errors.decode()


def test_addresses() -> None:
    assert socket_url("http://127.0.0.1:8080") == "ws://127.0.0.1:8080/ws"
    assert socket_url("https://hall.example/") == "wss://hall.example/ws"
    assert socket_url("ws://x:1/ws") == "ws://x:1/ws"
    assert socket_url("wss://x/sub/ws") == "wss://x/sub/ws"
    with pytest.raises(ValueError, match="begins with"):
        socket_url("ftp://x")
